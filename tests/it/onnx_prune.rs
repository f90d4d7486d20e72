//! Cutting and pruning change nothing but what they should: every result is run beside the masked original.

use crate::common::networks::{ALL, After, CHANNELS, CLASSES, Random, SIDE, network};
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::onnx::cut::cut;
use goodnet::onnx::prune::{PruneMethod, mask_site, prune, prune_tail};
use goodnet::onnx::shape::ShapedModel;
use goodnet::onnx::site::{candidates, default_site, find};
use goodnet::onnx::{Model, ports, prepare};
use goodnet::tensor::Tensor;
use proptest::prelude::*;

const IMAGES: usize = 3;

fn images(seed: u64) -> Tensor {
    let shape = vec![IMAGES, 3, SIDE, SIDE];
    let count = shape.iter().product();
    Tensor::new(shape, Random(seed).values(count))
}

/// All f32 outputs of `model` on `inputs`.
fn run(model: &Model, inputs: &[&Tensor]) -> Vec<Tensor> {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    let views: Vec<_> = inputs.iter().map(|tensor| tensor.view()).collect();
    let outputs = session.run(&views).unwrap();
    outputs
        .into_iter()
        .map(|output| output.into_float().unwrap())
        .collect()
}

fn assert_close(a: &Tensor, b: &Tensor, what: &str) {
    assert_eq!(a.shape, b.shape, "{what}");
    for (x, y) in a.data.iter().zip(&b.data) {
        assert!((x - y).abs() <= 1e-5, "{what}: {x} and {y}");
    }
}

/// A random set of channels, possibly empty, never all.
fn some_channels(seed: u64) -> Vec<usize> {
    let bits = Random(seed).next();
    (0..CHANNELS)
        .filter(|c| bits >> c & 1 == 1)
        .take(CHANNELS - 1)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_pruned_network_answers_as_the_masked_one(seed in any::<u64>(), kind in 0..ALL.len(), norm in any::<bool>()) {
        let after = ALL[kind];
        let model = network(after, seed, norm);
        let site = find(&model, "pool").unwrap();
        let mask = ChannelMask::removing(CHANNELS, &some_channels(seed)).unwrap();
        let pruned = prune(&model, &site, &mask);
        let expected = match after {
            After::Residual | After::Concat => PruneMethod::Masked,
            After::NormPadded => PruneMethod::Masked,
            _ => PruneMethod::Removed,
        };
        // Nothing is neither removed nor masked.
        if !mask.removed().is_empty() {
            prop_assert_eq!(pruned.method, expected, "{:?}: {:?}", after, pruned.reason);
        }
        let pictures = images(seed ^ 1);
        let masked = run(&mask_site(&model, &site, &mask), &[&pictures]);
        assert_close(&masked[0], &run(&pruned.model, &[&pictures])[0], "pruned");
    }

    #[test]
    fn trunk_and_tail_answer_as_the_whole_and_a_narrowed_tail_as_the_masked_one(seed in any::<u64>(), kind in 0..ALL.len()) {
        let after = ALL[kind];
        let model = network(after, seed, true);
        let site = find(&model, "pool").unwrap();
        let pictures = images(seed ^ 2);
        let parts = cut(&model, &site).unwrap();
        prop_assert_eq!(parts.crossing.len(), usize::from(matches!(after, After::Concat)));
        let tensors = run(&parts.trunk, &[&pictures]);
        let inputs: Vec<&Tensor> = tensors.iter().collect();
        assert_close(&run(&model, &[&pictures])[0], &run(&parts.tail, &inputs)[0], "cut");

        let mask = ChannelMask::removing(CHANNELS, &some_channels(seed)).unwrap();
        let Some(narrowed) = prune_tail(&ShapedModel::new(&parts.tail), &mask) else {
            prop_assert!(matches!(after, After::Residual | After::NormPadded));
            return Ok(());
        };
        let kept = keep_channels(&tensors[0], &mask.kept());
        let mut inputs = vec![&kept];
        inputs.extend(&tensors[1..]);
        let masked = run(&mask_site(&model, &site, &mask), &[&pictures]);
        assert_close(&masked[0], &run(&narrowed, &inputs)[0], "narrowed");
    }
}

fn keep_channels(site: &Tensor, kept: &[usize]) -> Tensor {
    let plane = site.shape[2] * site.shape[3];
    let data = (0..site.rows())
        .flat_map(|row| {
            kept.iter()
                .flat_map(move |&c| &site.row(row)[c * plane..(c + 1) * plane])
        })
        .copied()
        .collect();
    Tensor::new(
        vec![site.rows(), kept.len(), site.shape[2], site.shape[3]],
        data,
    )
}

#[test]
fn logits_become_probabilities_even_where_layer_and_output_share_a_name() {
    let whole = network(After::Flatten, 11, true);
    let mut logits = whole.clone();
    logits.graph.nodes.pop();
    logits.graph.outputs[0].name = "dense".to_owned();
    let prepared = prepare(&logits).unwrap();
    let pictures = images(4);
    let expected = run(&whole, &[&pictures]);
    assert_close(&run(&prepared, &[&pictures])[0], &expected[0], "prepared");
    assert_eq!(prepared.graph.outputs[0].name, "dense");
}

#[test]
fn removing_channels_makes_the_network_smaller() {
    let model = network(After::TwoBranches, 7, true);
    let site = default_site(&model).unwrap();
    let mask = ChannelMask::removing(CHANNELS, &[0, 3, 5]).unwrap();
    let pruned = prune(&model, &site, &mask).model;
    // By hand: half of conv, its bias, four normalisation rows, dense_1's and conv_4's inputs.
    let gone = 3 * 27 + 3 + 4 * 3 + 3 * 25 * CLASSES + 4 * 3 * 4;
    let count = goodnet::onnx::ports::parameters;
    assert_eq!(count(&model) - count(&pruned), gone);
}

#[test]
fn removing_every_channel_falls_back_to_a_mask() {
    let model = network(After::Flatten, 3, false);
    let site = default_site(&model).unwrap();
    let all: Vec<usize> = (0..CHANNELS).collect();
    let pruned = prune(
        &model,
        &site,
        &ChannelMask::removing(CHANNELS, &all).unwrap(),
    );
    assert_eq!(pruned.method, PruneMethod::Masked);
    assert_eq!(
        run(&pruned.model, &[&images(1)])[0].shape,
        [IMAGES, CLASSES]
    );
}

#[test]
fn the_site_is_the_last_pooling_layer_and_others_go_by_name() {
    let model = network(After::Flatten, 1, true);
    assert_eq!(default_site(&model).unwrap().tensor, "pool");
    let global = network(After::GlobalPool, 1, true);
    assert_eq!(default_site(&global).unwrap().tensor, "mean_pool");
    let names: Vec<String> = candidates(&model)
        .into_iter()
        .map(|site| site.tensor)
        .collect();
    assert_eq!(names, ["conv", "norm", "relu", "pool"]);
    let error = find(&model, "pool_9").unwrap_err().to_string();
    assert!(error.contains("conv, norm, relu, pool"), "{error}");
}

#[test]
fn without_pooling_the_site_is_the_last_convolutions_activation() {
    let mut model = network(After::TwoBranches, 1, true);
    for node in &mut model.graph.nodes {
        if node.op_type == "MaxPool" {
            node.op_type = "Relu".to_owned();
            node.attributes.clear();
        }
    }
    // conv_4 has no activation of its own, so it is the site itself.
    assert_eq!(default_site(&model).unwrap().tensor, "conv_4");
}

#[test]
fn a_model_survives_the_way_through_its_file() {
    for (seed, after) in (0..).zip(ALL) {
        let model = network(after, seed, true);
        let bytes = model.to_bytes();
        let back = Model::from_bytes(&bytes).unwrap();
        assert!(back == model, "{after:?} changed on the way");
        assert_eq!(back.to_bytes(), bytes);
        assert_eq!(ports(&back).unwrap().classes as usize, CLASSES);
    }
}

#[test]
fn cut_off_and_flipped_files_are_errors_and_never_panics() {
    let bytes = network(After::TwoBranches, 5, true).to_bytes();
    let mut refused = 0;
    for end in (0..bytes.len()).step_by(37) {
        refused += usize::from(Model::from_bytes(&bytes[..end]).is_err());
    }
    assert!(
        refused > bytes.len() / 37 / 2,
        "{refused} of the cut-off files were refused"
    );
    let mut random = Random(9);
    for _ in 0..400 {
        let mut changed = bytes.clone();
        let at = random.below(changed.len());
        changed[at] ^= 1 << random.below(8);
        if let Ok(model) = Model::from_bytes(&changed)
            && let Ok(site) = default_site(&model)
            && let Ok(parts) = cut(&model, &site)
        {
            let mask = ChannelMask::removing(site.channels, &[0]).unwrap();
            std::hint::black_box(prune(&model, &site, &mask));
            std::hint::black_box(prune_tail(&ShapedModel::new(&parts.tail), &mask));
        }
    }
}
