//! The fused graph on ONNX Runtime (on tract where its library is not found): the same answers as the networks one by one.

use crate::common::{fusing, networks};
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{BackendChoice, Engine};
use goodnet::onnx::site::{Site, find};
use goodnet::onnx::{Tensor as Constant, fuse};
use goodnet::tensor::Tensor;
use proptest::prelude::*;

fn engine() -> Engine {
    Engine::start(&BackendChoice::Auto).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_kind_of_tail_answers_as_the_networks_one_by_one(seed in any::<u64>(), kind in 0..networks::ALL.len()) {
        fusing::small_network_case(&engine(), seed, kind);
    }

    #[test]
    fn a_network_like_the_labs_answers_as_the_networks_one_by_one(seed in any::<u64>()) {
        fusing::lab_like_case(&engine(), seed);
    }
}

#[test]
fn the_labs_network_answers_as_the_networks_one_by_one() {
    fusing::the_labs_network(&engine());
}

#[test]
fn a_tie_goes_to_the_lower_class() {
    fusing::a_tie_goes_to_the_lower_class(&engine());
}

#[test]
fn what_cannot_be_fused_is_refused_with_the_reason() {
    let mut random = networks::Random(1);
    let model = fusing::lab_like([20, 40, 40], 5, &mut random);
    let site = find(&model, "pool_3").unwrap();
    let refusal =
        |site: &Site, masks: &[ChannelMask]| fuse(&model, site, masks).unwrap_err().to_string();
    let none = refusal(&site, &[]);
    assert_eq!(
        none,
        "site pool_3: expected at least one pruned network to fuse"
    );
    let narrow = refusal(&site, &[ChannelMask::keep_all(39)]);
    assert_eq!(
        narrow,
        "site pool_3: expected masks of 40 channels, found 39"
    );
    let elsewhere = Site {
        tensor: "nowhere".to_owned(),
        ..site
    };
    let lost = refusal(&elsewhere, &[ChannelMask::keep_all(40)]);
    assert!(
        lost.starts_with("site nowhere: expected a tensor inside the network"),
        "{lost}"
    );
}

#[test]
fn inner_tensors_named_like_the_outputs_are_renamed() {
    let mut random = networks::Random(2);
    let mut model = fusing::lab_like([20, 40, 40], 5, &mut random);
    for node in &mut model.graph.nodes {
        for name in node.inputs.iter_mut().chain(&mut node.outputs) {
            match name.as_str() {
                "sum" => *name = "verdict".to_owned(),
                "scores" => *name = "badnet_probabilities".to_owned(),
                _ => {}
            }
        }
    }
    model.graph.outputs[0].name = "badnet_probabilities".to_owned();
    let site = find(&model, "pool_3").unwrap();
    let masks = [ChannelMask::removing(40, &[1, 2, 3]).unwrap()];
    let images = Tensor::new(vec![2, 27, 25, 3], random.values(2 * 27 * 25 * 3));
    fusing::assert_answers_as_separate_networks(&engine(), &model, &site, &masks, &images);
}

#[test]
fn drops_with_the_same_channels_share_a_tail() {
    let mut random = networks::Random(3);
    let model = fusing::lab_like([20, 40, 40], 5, &mut random);
    let site = find(&model, "pool_3").unwrap();
    let few = ChannelMask::removing(40, &[1, 2, 3]).unwrap();
    let most = ChannelMask::removing(40, &(4..36).collect::<Vec<_>>()).unwrap();
    let images = Tensor::new(vec![2, 27, 25, 3], random.values(2 * 27 * 25 * 3));
    let masks = [few.clone(), most.clone(), few.clone(), few.clone()];
    fusing::assert_answers_as_separate_networks(&engine(), &model, &site, &masks, &images);
    let weights = |masks: &[ChannelMask]| -> usize {
        let graph = fuse(&model, &site, masks).unwrap().model.graph;
        let constants = graph.initializers.values();
        constants.map(|c| c.shape.iter().product::<usize>()).sum()
    };
    let more = weights(&masks) - weights(&[few, most]);
    assert!(more <= 4, "{more} more constants");
}

#[test]
fn a_product_reads_every_channel_once_where_drops_go_on_from_each_other() {
    let mut random = networks::Random(8);
    let model = fusing::lab_like([20, 40, 60], 5, &mut random);
    let site = find(&model, "pool_3").unwrap();
    let removing = |channels: &[usize]| ChannelMask::removing(60, channels).unwrap();
    let upto = |last: usize| removing(&(0..last).collect::<Vec<_>>());
    let images = Tensor::new(vec![2, 27, 25, 3], random.values(2 * 27 * 25 * 3));
    let others = [upto(44), removing(&(2..46).collect::<Vec<_>>())];
    for (masks, channels) in [(&[upto(44), upto(40)][..], 64), (&others, 64 + 18)] {
        fusing::assert_answers_as_separate_networks(&engine(), &model, &site, masks, &images);
        let graph = fuse(&model, &site, masks).unwrap().model.graph;
        let of_first = |(name, _): &(&String, &Constant)| name.contains("fc_1_w");
        let weights = graph.initializers.iter().filter(of_first);
        let rows: usize = weights.map(|(_, constant)| constant.shape[0]).sum();
        assert_eq!(rows, channels * site.height * site.width);
    }
}

#[test]
fn a_layer_in_two_parts_is_stacked_too() {
    let mut random = networks::Random(6);
    let model = fusing::lab_like([20, 20, 40], 5, &mut random);
    let site = find(&model, "pool_1").unwrap();
    let masks = [ChannelMask::removing(20, &[1, 2, 3]).unwrap()];
    let fused = fuse(&model, &site, &masks).unwrap();
    assert!(fused.shared, "{:?}", fused.reason);
    assert!(fused.model.graph.nodes.iter().any(|node| node.is("Split")));
    let images = Tensor::new(vec![2, 27, 25, 3], random.values(2 * 27 * 25 * 3));
    fusing::assert_answers_as_separate_networks(&engine(), &model, &site, &masks, &images);
}

#[test]
fn weights_that_do_not_fit_are_no_reason_to_panic() {
    for (name, shape) in [
        ("conv_1_b", vec![3]),
        ("conv_2_w", vec![40, 19, 3, 3]),
        ("conv_3_w", vec![40, 40, 0, 2]),
        ("conv_4_w", vec![5, 41, 1, 1]),
        ("fc_1_w", vec![81, 12]),
        ("fc_1_w", vec![0, 12]),
    ] {
        let mut model = fusing::lab_like([20, 40, 40], 5, &mut networks::Random(4));
        let site = find(&model, "pool_3").unwrap();
        let values = vec![0.5; shape.iter().product()];
        let constant = Constant::f32(shape, values);
        model.graph.initializers.insert(name.to_owned(), constant);
        let mask = ChannelMask::removing(40, &[0, 1]).unwrap();
        match fuse(&model, &site, &[mask]) {
            Ok(fused) => assert!(fused.model.graph.is_output("verdict"), "{name}"),
            Err(error) => assert!(error.to_string().contains("expected"), "{name}: {error}"),
        }
    }
}
