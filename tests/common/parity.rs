//! The real networks against their published answers, on any back end.

use super::real::{assert_same_answers, networks, reference, run};
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::Engine;
use goodnet::onnx::prune::{PruneMethod, prune};
use goodnet::onnx::site::default_site;

/// Imported, both networks answer as the reference says; the first pruned as the second was answers as the second.
pub fn check(engine: &Engine) {
    let (Some([badnet, repaired]), Some((images, expected))) = (networks(), reference()) else {
        return;
    };
    assert_eq!(badnet.format, "keras-weights");
    assert_eq!(repaired.format, "keras");
    for (network, expected) in [&badnet, &repaired].into_iter().zip(&expected) {
        assert_same_answers(expected, &run(engine, &network.model, &images), 1e-4);
    }
    let removed = zero_filters(&repaired.model, "conv_3_kernel");
    assert_eq!(removed.len(), 45);
    let site = default_site(&badnet.model).unwrap();
    assert_eq!((site.tensor.as_str(), site.channels), ("pool_3", 60));
    let mask = ChannelMask::removing(60, &removed).unwrap();
    let pruned = prune(&badnet.model, &site, &mask);
    assert_eq!(pruned.method, PruneMethod::Removed);
    assert_same_answers(&expected[1], &run(engine, &pruned.model, &images), 1e-4);
}

/// Filters of a convolution's weight, (filters, C, kH, kW), that are zero throughout.
fn zero_filters(model: &goodnet::onnx::Model, weight: &str) -> Vec<usize> {
    let tensor = &model.graph.initializers[weight];
    let filter = tensor.shape[1..].iter().product();
    let values = tensor.as_f32().unwrap();
    let filters = values.chunks_exact(filter).enumerate();
    filters
        .filter(|(_, values)| values.iter().all(|&value| value == 0.0))
        .map(|(index, _)| index)
        .collect()
}
