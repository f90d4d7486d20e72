//! A graph rewritten for speed answers as it did, and is rewritten where it should be.

use crate::common::fusing::{lab_like, run};
use crate::common::networks::{ALL, Random, SIDE, network};
use goodnet::engine::{BackendChoice, Engine};
use goodnet::onnx::{Attribute, Model, Node, Tensor as Constant, ValueInfo, optimize};
use goodnet::tensor::Tensor;
use proptest::prelude::*;

fn assert_same_answers(model: &Model, rewritten: &Model, images: &Tensor) {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let [before, after] = [model, rewritten].map(|model| {
        let output = run(&engine, model, images).remove(0);
        output.into_float().unwrap()
    });
    assert_eq!(before.shape, after.shape);
    for (x, y) in before.data.iter().zip(&after.data) {
        assert!((x - y).abs() <= 1e-5, "{x} became {y}");
    }
}

/// Extents of the weights of every convolution.
fn kernels(model: &Model) -> Vec<Vec<usize>> {
    let convolutions = model.graph.nodes.iter().filter(|node| node.is("Conv"));
    convolutions
        .map(|node| model.graph.initializers[&node.inputs[1]].shape.clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn answers_stay_as_they_were(seed in any::<u64>(), kind in 0..ALL.len(), first in 1..40_usize, second in 1..40_usize, third in 1..40_usize) {
        let mut random = Random(seed);
        let lab = lab_like([first, second, third], 5, &mut random);
        let images = Tensor::new(vec![2, 27, 25, 3], random.values(2 * 27 * 25 * 3));
        assert_same_answers(&lab, &optimize(&lab, &[]), &images);
        let small = network(ALL[kind], seed, true);
        let images = Tensor::new(vec![2, 3, SIDE, SIDE], random.values(2 * 3 * SIDE * SIDE));
        assert_same_answers(&small, &optimize(&small, &[]), &images);
    }

    #[test]
    fn padded_convolutions_keep_their_answers(seed in any::<u64>(), top in 0..3_i64, left in 0..3_i64, bottom in 0..3_i64, right in 0..3_i64) {
        let mut random = Random(seed);
        let mut model = lab_like([20, 24, 20], 5, &mut random);
        let conv = model.graph.nodes.iter_mut().find(|node| node.is("Conv")).unwrap();
        conv.attributes.insert("pads".to_owned(), Attribute::Ints(vec![top, left, bottom, right]));
        // The products after the site expect one size, so the site itself is looked at.
        model.graph.outputs[0].name = "pool_3".to_owned();
        model.graph.outputs[0].shape = None;
        model.graph.remove_unused();
        let images = Tensor::new(vec![2, 27, 25, 3], random.values(2 * 27 * 25 * 3));
        let rewritten = optimize(&model, &[]);
        prop_assert_eq!(&kernels(&rewritten)[0], &vec![16, 3, 4, 4]);
        assert_same_answers(&model, &rewritten, &images);
    }
}

#[test]
fn twenty_channels_become_a_block_of_sixteen_and_four_at_four_positions() {
    let model = lab_like([20, 40, 60], 5, &mut Random(3));
    let rewritten = kernels(&optimize(&model, &[]));
    let expected: [[usize; 4]; 6] = [
        [16, 3, 4, 4],
        [16, 3, 5, 5],
        [48, 16, 3, 3],
        [48, 4, 3, 3],
        [64, 48, 2, 2],
        [5, 64, 1, 1],
    ];
    assert_eq!(rewritten, expected);
}

#[test]
fn means_of_a_layer_in_two_parts_are_those_of_the_whole() {
    let mut random = Random(4);
    let mut model = lab_like([20, 40, 60], 5, &mut random);
    let means = Node::new("GlobalAveragePool", &["pool_1"], &["means"]);
    model.graph.nodes.push(means);
    let means = ValueInfo {
        name: "means".to_owned(),
        shape: None,
        ..model.graph.outputs[0].clone()
    };
    model.graph.outputs.insert(0, means);
    let rewritten = optimize(&model, &[]);
    assert_eq!(kernels(&rewritten)[0], [16, 3, 4, 4]);
    let images = Tensor::new(vec![2, 27, 25, 3], random.values(2 * 27 * 25 * 3));
    assert_same_answers(&model, &rewritten, &images);
}

#[test]
fn means_that_a_product_reads_joined_keep_their_rows() {
    let mut random = Random(5);
    let mut model = lab_like([20, 40, 60], 5, &mut random);
    let maps = ["pool_2", "pool_1", "pool_3"];
    let averages = ["average_2", "average_1", "average_3"];
    for (map, average) in maps.iter().zip(&averages) {
        let node = Node::new("GlobalAveragePool", &[map], &[average]);
        model.graph.nodes.push(node);
    }
    let joined = Node::new("Concat", &averages, &["joined"]).with("axis", Attribute::Int(1));
    let flat = Node::new("Flatten", &["joined"], &["flat"]);
    let product = Node::new("MatMul", &["flat", "columns"], &["product"]);
    model.graph.nodes.extend([joined, flat, product]);
    let columns = Constant::f32([120, 3], random.values(120 * 3));
    model
        .graph
        .initializers
        .insert("columns".to_owned(), columns);
    let product = ValueInfo {
        name: "product".to_owned(),
        shape: None,
        ..model.graph.outputs[0].clone()
    };
    model.graph.outputs.insert(0, product);
    let rewritten = optimize(&model, &[]);
    let kernels = kernels(&rewritten);
    assert_eq!([kernels[0][0], kernels[2][0], kernels[4][0]], [16, 48, 64]);
    let product = rewritten.graph.producer("product").unwrap();
    let rows = rewritten.graph.initializers[&product.inputs[1]].shape[0];
    assert_eq!(rows, 48 + 20 + 64);
    let images = Tensor::new(vec![2, 27, 25, 3], random.values(2 * 27 * 25 * 3));
    assert_same_answers(&model, &rewritten, &images);
}

#[test]
fn a_tensor_to_be_kept_stays() {
    let model = lab_like([20, 40, 60], 5, &mut Random(3));
    let rewritten = optimize(&model, &["pool_1"]);
    assert!(rewritten.graph.producer("pool_1").is_some());
    // 20 channels in two blocks would be 60 % more work, so they are not padded either.
    assert_eq!(kernels(&rewritten)[0], [20, 3, 4, 4]);
}

#[test]
fn a_model_of_an_unknown_operator_set_stays_as_it_is() {
    let mut model = lab_like([20, 40, 60], 5, &mut Random(3));
    model.opsets.insert(String::new(), 11);
    assert_eq!(optimize(&model, &[]), model);
}
