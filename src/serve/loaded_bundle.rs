//! A bundle in service: its networks loaded, warmed up and tested.

use crate::bundle::Bundle;
use crate::bundle::manifest::{BADNET_FILE, Manifest, PrunedRecord};
use crate::engine::{Engine, EngineError, GoodNet, Maker, Pool, PoolError, SessionConfig};
use crate::serve::config::{Config, Inference};
use crate::serve::dto::Classification;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::inference::answer::{Ask, Payload, answer};
use crate::serve::inference::batch_queue::Lobby;
use crate::serve::inference::decode::Decoder;
use crate::serve::inference::policy::{Policies, PolicyError};
use crate::serve::metrics::alarms::Alarms;
use crate::tensor::Tensor;
use std::sync::Arc;

/// A bundle in service.
#[derive(Debug)]
pub struct Served {
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// The threads that run its networks.
    pub pool: Pool,
    /// From bytes to the networks' input.
    pub decoder: Decoder,
    /// The drops that it reaches, in ascending order; never empty.
    pub drops: Vec<ServedDrop>,
    /// Position in `drops` of the one that answers a request that names none.
    pub default_drop: usize,
    /// The policies that it can be asked with.
    pub policies: Policies,
    /// Does one fused graph answer, or a network at a time?
    pub fused: bool,
    /// Small requests that wait for the pool.
    pub(super) lobby: Lobby,
    /// What its last answers have in common.
    pub(super) alarms: Alarms,
}

/// A drop that can be asked for.
#[derive(Debug, Clone)]
pub struct ServedDrop {
    /// Percentage points.
    pub points: f64,
    /// As in a label or file name: `2`, `2.5`.
    pub name: String,
    /// Its network and what it was measured to do.
    pub record: PrunedRecord,
}

/// Why a bundle cannot be put into service.
#[derive(Debug, thiserror::Error)]
pub enum ServeBundleError {
    /// No drop is reached.
    #[error("expected a bundle with at least one repaired network, found none")]
    NoDrop,
    /// The default drop that was asked for is not in the bundle.
    #[error("expected a default drop among {known}, found {found}")]
    DefaultDrop {
        /// What the bundle has.
        known: String,
        /// What was asked for.
        found: f64,
    },
    /// A file is missing.
    #[error("expected {0} in the bundle, found none")]
    Missing(String),
    /// The networks cannot be loaded.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The policies are not usable.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The self-test found another answer than the one that the bundle was made with.
    #[error("self-test on {sample}: expected {expected}, found {found}")]
    SelfTest {
        /// The stored image.
        sample: String,
        /// What the bundle says.
        expected: String,
        /// What the networks say.
        found: String,
    },
}

impl Served {
    /// Loads the networks of `bundle`, runs each once, and tests them on the stored samples. Blocks.
    ///
    /// # Errors
    /// If a network cannot be loaded or answers otherwise than when the bundle was made.
    pub fn build(
        engine: &Engine,
        config: &Config,
        bundle: Bundle,
    ) -> Result<Arc<Self>, ServeBundleError> {
        let bundle = Arc::new(bundle);
        let drops = drops_of(bundle.manifest());
        let default_drop = default_drop(&drops, config.inference.default_drop)?;
        let fused = !config.inference.separate && has_fused_graph(bundle.manifest(), &drops);
        let maker = maker(
            engine.clone(),
            Arc::clone(&bundle),
            &config.inference,
            fused,
        )?;
        let pool = Pool::start(config.inference.pool, &maker)?;
        let served = Arc::new(Self {
            decoder: Decoder::new(&bundle.manifest().input, &config.limits),
            policies: Policies::of(&bundle, config.inference.policy)?,
            alarms: Alarms::new(drops.len()),
            lobby: Lobby::default(),
            bundle,
            pool,
            drops,
            default_drop,
            fused,
        });
        crate::serve::selftest::run(&served)?;
        Ok(served)
    }

    /// Answers one image, for callers outside an async runtime.
    ///
    /// # Errors
    /// If the queue is full or the inference thread panicked; inside, if the image is refused.
    pub fn answer_blocking(
        self: &Arc<Self>,
        payload: Payload,
        ask: Ask,
    ) -> Result<Result<Classification, Problem>, PoolError> {
        let shared = Arc::clone(self);
        let results = self.pool.admit(1)?.run_blocking(move |networks, waited| {
            answer(&shared, networks, &[payload], &ask, waited).0
        })?;
        results.into_iter().next().ok_or(PoolError::Panicked)
    }

    /// The drop of a query string; the default where it names none.
    ///
    /// # Errors
    /// [`Code::MalformedQuery`] if it is no number, [`Code::UnknownDrop`] if the bundle has no such drop.
    pub fn find_drop(&self, text: Option<&str>) -> Result<usize, Problem> {
        let Some(text) = text else {
            return Ok(self.default_drop);
        };
        let points: f64 = text.parse().map_err(|_| {
            Problem::new(
                Code::MalformedQuery,
                format!("expected a number of percentage points as drop, found {text:?}"),
            )
        })?;
        let found = self.drops.iter().position(|drop| drop.points == points);
        found.ok_or_else(|| {
            let known = names(&self.drops);
            Problem::new(
                Code::UnknownDrop,
                format!("expected one of the drops {known}, found {text}"),
            )
        })
    }

    /// Requests that wait for an inference thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        // Each job that is on its way to the lobby works for requests that are counted there.
        self.lobby.waiting() + self.pool.waiting().saturating_sub(self.lobby.called())
    }

    /// The names of the drops: `2, 4, 10`.
    #[must_use]
    pub fn drop_names(&self) -> String {
        names(&self.drops)
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.bundle.manifest()
    }

    /// The name of a class, where the bundle knows it.
    #[must_use]
    pub fn label(&self, class: u32) -> Option<&str> {
        let labels = self.manifest().labels.as_ref()?;
        labels.get(class as usize).map(String::as_str)
    }
}

fn drops_of(manifest: &Manifest) -> Vec<ServedDrop> {
    let drop = |(points, record): (f64, &PrunedRecord)| ServedDrop {
        points,
        name: points.to_string(),
        record: record.clone(),
    };
    manifest.reached().map(drop).collect()
}

fn names(drops: &[ServedDrop]) -> String {
    let names: Vec<&str> = drops.iter().map(|drop| drop.name.as_str()).collect();
    names.join(", ")
}

fn default_drop(drops: &[ServedDrop], wanted: Option<f64>) -> Result<usize, ServeBundleError> {
    let last = drops.len().checked_sub(1).ok_or(ServeBundleError::NoDrop)?;
    let Some(wanted) = wanted else {
        return Ok(last);
    };
    let found = drops.iter().position(|drop| drop.points == wanted);
    found.ok_or_else(|| ServeBundleError::DefaultDrop {
        known: names(drops),
        found: wanted,
    })
}

/// Is there a fused graph over exactly the drops that are served?
fn has_fused_graph(manifest: &Manifest, drops: &[ServedDrop]) -> bool {
    manifest.goodnet.as_ref().is_some_and(|record| {
        record
            .drops
            .iter()
            .copied()
            .eq(drops.iter().map(|drop| drop.points))
    })
}

/// Makes a worker's networks from the bundle's bytes and runs them once.
fn maker(
    engine: Engine,
    bundle: Arc<Bundle>,
    inference: &Inference,
    fused: bool,
) -> Result<Arc<Maker>, ServeBundleError> {
    let session = inference.session.clone();
    let files: Vec<String> = if fused {
        bundle
            .manifest()
            .goodnet
            .iter()
            .map(|record| record.file.clone())
            .collect()
    } else {
        let pruned = bundle.manifest().reached();
        std::iter::once(BADNET_FILE.to_owned())
            .chain(pruned.map(|(_, record)| record.file.clone()))
            .collect()
    };
    let goodnet = bundle.manifest().goodnet.as_ref();
    let in_graph = fused && goodnet.is_some_and(|record| record.repaired);
    let repaired = bundle.manifest().repaired.iter().map(|record| &record.file);
    if let Some(missing) = files
        .iter()
        .chain(repaired)
        .find(|name| bundle.file(name).is_none())
    {
        return Err(ServeBundleError::Missing(missing.clone()));
    }
    Ok(Arc::new(move || {
        let models: Vec<&[u8]> = files.iter().filter_map(|name| bundle.file(name)).collect();
        let load_file = |name: &str| {
            let model = bundle.file(name);
            model.map(|model| engine.load(model, &session)).transpose()
        };
        let networks = load(&engine, &bundle, &models, fused, &session)?;
        let repaired = match &bundle.manifest().repaired {
            Some(record) if !in_graph => load_file(&record.file)?,
            _ => None,
        };
        let mut networks = networks.with_repaired(repaired);
        warm_up(&mut networks, bundle.manifest())?;
        Ok(networks)
    }))
}

fn load(
    engine: &Engine,
    bundle: &Bundle,
    models: &[&[u8]],
    fused: bool,
    session: &SessionConfig,
) -> Result<GoodNet, EngineError> {
    let (first, rest) = models.split_first().ok_or_else(|| EngineError::Mismatch {
        expected: "a network to load".to_owned(),
        found: "none".to_owned(),
    })?;
    if fused {
        let drops = bundle.manifest().reached().count();
        return GoodNet::fused(engine, first, drops, session);
    }
    GoodNet::separate(engine, first, rest, session)
}

/// The first run of a session allocates what later runs reuse.
fn warm_up(networks: &mut GoodNet, manifest: &Manifest) -> Result<(), EngineError> {
    let blank = Tensor::new(
        manifest.input.batch_shape(1),
        vec![0.0; manifest.input.image_len()],
    );
    let answers = networks.run(blank.view())?;
    let found = answers.badnet(0).len();
    if found == manifest.classes as usize {
        return Ok(());
    }
    Err(EngineError::Mismatch {
        expected: format!("probabilities of {} classes", manifest.classes),
        found: found.to_string(),
    })
}
