//! The networks of a bundle, made anew for every thread of the pool.

use super::loaded_bundle::LoadBundleError;
use crate::bundle::Bundle;
use crate::bundle::manifest::Manifest;
use crate::engine::{Engine, EngineError, GoodNet};
use crate::serve::config::Inference;
use crate::serve::inference::pool::SessionFactory;
use crate::tensor::Tensor;
use std::sync::Arc;

/// Makes a worker's networks from the bundle's bytes and runs them once.
pub(super) fn session_factory(
    engine: Engine,
    bundle: Arc<Bundle>,
    inference: &Inference,
    fused: bool,
) -> Result<Arc<SessionFactory>, LoadBundleError> {
    let session = inference.session.clone();
    bundle.networks(fused)?;
    Ok(Arc::new(move || {
        let files = bundle.networks(fused);
        let files = files.map_err(|missing| EngineError::Load(missing.to_string()))?;
        let mut networks = GoodNet::load(&engine, &files, &session)?;
        warm_up(&mut networks, bundle.manifest())?;
        Ok(networks)
    }))
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
