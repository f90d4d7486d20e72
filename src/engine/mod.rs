//! Running networks: batch in, scores out, plain types on both sides.
//!
//! [`Engine::start`] chooses the back end once for the process (ONNX Runtime from a shared library, or the built-in
//! tract); [`Engine::load`] makes sessions; [`Session::run`] runs one. [`GoodNet`] is B and every B' behind one call. Nothing outside this folder names a runtime.

mod error;
mod goodnet;
mod locate;
mod onnxruntime;
mod outputs;
mod port;
mod replicas;
mod session;
#[cfg(feature = "tract")]
mod tract;

pub use error::EngineError;
pub use goodnet::{Answers, GoodNet, GoodNetFiles, NetworkFiles};
pub use port::{MOST_IMAGES_A_RUN, Output, Port, SessionConfig, images_a_run};
pub(crate) use replicas::{Replicas, concatenate, lock, of_thread, pieces, run_in_pieces};
pub use session::Session;

use onnxruntime::OrtNetwork;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Which back end to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BackendChoice {
    /// ONNX Runtime where its library is found, else tract.
    #[default]
    Auto,
    /// ONNX Runtime, from this library or the first one found.
    OnnxRuntime(Option<PathBuf>),
    /// The built-in tract.
    Tract,
}

/// The back end that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendInfo {
    /// `onnxruntime` or `tract`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// The shared library it was loaded from.
    pub library: Option<PathBuf>,
}

impl std::fmt::Display for BackendInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// The runtime of this process.
///
/// ONNX Runtime allows one environment a process, so the first choice stands: later calls get the same engine.
#[derive(Debug, Clone)]
pub struct Engine {
    runtime: Runtime,
    info: BackendInfo,
}

#[derive(Debug, Clone)]
enum Runtime {
    OnnxRuntime(ort::environment::Environment),
    #[cfg(feature = "tract")]
    Tract,
}

static ENGINE: OnceLock<Engine> = OnceLock::new();
static STARTING: std::sync::Mutex<()> = std::sync::Mutex::new(());

impl Engine {
    /// Starts the back end, or returns the one that this process already runs.
    ///
    /// # Errors
    /// If ONNX Runtime was demanded and is not found or not usable.
    pub fn start(choice: &BackendChoice) -> Result<Engine, EngineError> {
        let _guard = STARTING
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(engine) = ENGINE.get() {
            return Ok(engine.clone());
        }
        let engine = match choice {
            BackendChoice::Tract => start_tract()?,
            BackendChoice::OnnxRuntime(Some(path)) => start_onnx_runtime(path.clone())?,
            BackendChoice::OnnxRuntime(None) => {
                let path =
                    locate::library().ok_or_else(|| EngineError::NoLibrary(locate::places()))?;
                start_onnx_runtime(path)?
            }
            BackendChoice::Auto => match locate::library() {
                Some(path) => start_onnx_runtime(path)?,
                None => start_tract()?,
            },
        };
        Ok(ENGINE.get_or_init(|| engine).clone())
    }

    /// Name and version of the back end.
    #[must_use]
    pub fn info(&self) -> &BackendInfo {
        &self.info
    }

    /// Loads a model from the bytes of an ONNX file.
    ///
    /// # Errors
    /// If the runtime refuses the model or a port is of a type that goodnet does not use.
    pub fn load(&self, model: &[u8], config: &SessionConfig) -> Result<Session, EngineError> {
        match &self.runtime {
            Runtime::OnnxRuntime(environment) => {
                OrtNetwork::load(environment, model, config).map(Session::from)
            }
            #[cfg(feature = "tract")]
            Runtime::Tract => tract::TractNetwork::load(model).map(Session::from),
        }
    }
}

#[cfg(not(feature = "tract"))]
fn start_tract() -> Result<Engine, EngineError> {
    Err(EngineError::NoTract(locate::places()))
}

#[cfg(feature = "tract")]
#[allow(clippy::unnecessary_wraps)] // as the one above
fn start_tract() -> Result<Engine, EngineError> {
    Ok(Engine {
        runtime: Runtime::Tract,
        info: BackendInfo {
            name: "tract",
            version: TRACT_VERSION.to_owned(),
            library: None,
        },
    })
}

/// The release of tract that Cargo.toml asks for.
#[cfg(feature = "tract")]
const TRACT_VERSION: &str = "0.23";

fn start_onnx_runtime(path: PathBuf) -> Result<Engine, EngineError> {
    let bad = |reason: String| EngineError::BadLibrary {
        path: path.clone(),
        reason,
    };
    let version = locate::probe(&path).map_err(&bad)?;
    let builder = ort::init_from(&path).map_err(|error| bad(error.to_string()))?;
    Ok(Engine {
        runtime: Runtime::OnnxRuntime(environment(builder)?),
        info: BackendInfo {
            name: "onnxruntime",
            version,
            library: Some(path),
        },
    })
}

fn environment(
    builder: ort::environment::EnvironmentBuilder,
) -> Result<ort::environment::Environment, EngineError> {
    builder
        .with_name("goodnet")
        .with_telemetry(false)
        .build()
        .map_err(|error| EngineError::Load(error.to_string()))
}
