//! GoodNet in this process, without HTTP.

use crate::bundle::Bundle;
use crate::defence::Policy;
use crate::engine::Engine;
use crate::serve::config::Config;
use crate::serve::dto::Classification;
use crate::serve::http::problem::Problem;
use crate::serve::inference::dispatch::classify_blocking;
use crate::serve::inference::pool::{PoolConfig, PoolError};
use crate::serve::inference::request::Payload;
use crate::serve::loaded_bundle::{LoadBundleError, LoadedBundle};
use crate::serve::selftest;
use std::sync::Arc;

/// A bundle that answers images, one at a time, under one policy.
#[derive(Debug, Clone)]
pub struct Classifier {
    loaded: Arc<LoadedBundle>,
}

/// An image has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyError {
    /// It was refused: what was expected and what was found.
    #[error("{0}")]
    Refused(String),
    /// The networks failed.
    #[error(transparent)]
    Failed(#[from] PoolError),
}

impl From<Problem> for ClassifyError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem.explain())
    }
}

impl Classifier {
    /// Loads the networks of `bundle` and asks them the bundle's stored samples.
    ///
    /// `policy` decides what is flagged; without one it is `disagreement` where a drop is named, else the bundle's best. `drop`
    /// is in percentage points, the bundle's largest where none is named.
    ///
    /// # Errors
    /// If the bundle has no such drop or policy, its networks cannot be run, or a sample is not answered as when it was made.
    pub fn new(
        engine: &Engine,
        bundle: Bundle,
        policy: Option<Policy>,
        drop: Option<f64>,
    ) -> Result<Self, LoadBundleError> {
        Self::build(engine, bundle, policy, drop, false)
    }

    /// As [`Classifier::new`], with large JPEG files decoded whole ([`Detail`](crate::input::image::Detail)), even where the
    /// bundle's figures were not measured so.
    ///
    /// # Errors
    /// As there.
    pub fn new_exact(
        engine: &Engine,
        bundle: Bundle,
        policy: Option<Policy>,
        drop: Option<f64>,
    ) -> Result<Self, LoadBundleError> {
        Self::build(engine, bundle, policy, drop, true)
    }

    fn build(
        engine: &Engine,
        bundle: Bundle,
        policy: Option<Policy>,
        drop: Option<f64>,
        exact_decode: bool,
    ) -> Result<Self, LoadBundleError> {
        let mut config = Config::new(bundle.dir().to_owned());
        config.inference.default_drop = drop;
        config.inference.policy = policy.or(drop.map(|_| Policy::Disagreement));
        config.inference.pool = PoolConfig {
            workers: 1,
            queue: 0,
        };
        config.limits.exact_decode = exact_decode;
        let loaded = LoadedBundle::build(engine, &config, bundle)?;
        selftest::run(&loaded)?;
        Ok(Self { loaded })
    }

    /// Answers the image file `bytes` (PNG, JPEG, WebP, BMP or GIF), as `/classify` does.
    ///
    /// # Errors
    /// If the image is refused, or the networks fail.
    pub fn classify(&self, bytes: Vec<u8>) -> Result<Classification, ClassifyError> {
        let payload = Payload::Image(bytes.into());
        let options = self.loaded.default_options(String::new());
        Ok(classify_blocking(&self.loaded, payload, options)??)
    }
}
