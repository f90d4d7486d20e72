//! The networks of a bundle, made anew for every thread of the pool.

use super::loaded_bundle::LoadBundleError;
use crate::bundle::Bundle;
use crate::bundle::manifest::{BADNET_FILE, Manifest};
use crate::engine::{Engine, EngineError, GoodNet, SessionConfig};
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
        return Err(LoadBundleError::Missing(missing.clone()));
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
