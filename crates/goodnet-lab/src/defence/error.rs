//! Why a benchmark stopped.

use goodnet::bundle::BundleError;
use goodnet::demo::WriteDataError;
use goodnet::engine::EngineError;
use goodnet::input::dataset::DataError;
use goodnet::onnx::OnnxError;
use goodnet::repair::RepairError;
use std::path::{Path, PathBuf};

/// A benchmark could not go on.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Training failed.
    #[error("training: {0}")]
    Train(#[from] candle_core::Error),
    /// Photos that were written cannot be read.
    #[error(transparent)]
    Photos(#[from] DataError),
    /// The repair of a trained network failed.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// The bundle that the repair wrote cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The runtime failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A network cannot be written.
    #[error(transparent)]
    Network(#[from] OnnxError),
    /// Photos could not be written.
    #[error(transparent)]
    Data(#[from] WriteDataError),
    /// A file or folder could not be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Threads could not be started.
    #[error("threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl BenchError {
    pub(super) fn at(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File {
            path: path.clone(),
            reason: error.to_string(),
        }
    }
}
