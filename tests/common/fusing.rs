//! What the fused graph must do, whatever back end runs it.

use super::lab;
use super::networks::{ALL, After, CHANNELS, Random, SIDE, network};
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{Engine, Output, SessionConfig};
use goodnet::onnx::prune::mask_site;
use goodnet::onnx::site::{Site, find};
use goodnet::onnx::{
    Attribute, Dim, ElementType, Fused, Graph, Model, Node, Tensor as Constant, ValueInfo, fuse,
    ports,
};
use goodnet::tensor::Tensor;

/// Allowed difference between two ways of computing the same probability in f32.
const ROUNDING: f32 = 1e-5;

pub fn run(engine: &Engine, model: &Model, images: &Tensor) -> Vec<Output> {
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    session.run(&[images.view()]).unwrap()
}

fn scores(engine: &Engine, model: &Model, images: &Tensor) -> Tensor {
    run(engine, model, images).remove(0).into_float().unwrap()
}

/// Index of the highest score, the lower one on a tie, and how far ahead of the next it is.
fn best(row: &[f32]) -> (usize, f32) {
    let mut best = 0;
    for (index, score) in row.iter().enumerate() {
        if *score > row[best] {
            best = index;
        }
    }
    let others = row.iter().enumerate().filter(|(index, _)| *index != best);
    let next = others.fold(f32::NEG_INFINITY, |next, (_, score)| next.max(*score));
    (best, row[best] - next)
}

fn assert_close(expected: &[f32], found: &[f32], what: &str) {
    assert_eq!(expected.len(), found.len(), "{what}");
    for (x, y) in expected.iter().zip(found) {
        assert!((x - y).abs() <= ROUNDING, "{what}: expected {x}, found {y}");
    }
}

/// Holds the fused graph of `model` against B and every B' run one by one; gives it back for further questions.
pub fn assert_answers_as_separate_networks(
    engine: &Engine,
    model: &Model,
    site: &Site,
    masks: &[ChannelMask],
    images: &Tensor,
) -> Fused {
    let classes = ports(model).unwrap().classes as usize;
    let fused = fuse(model, site, masks).unwrap();
    let outputs = run(engine, &fused.model, images);
    let [badnet, pruned, verdict]: [Output; 3] = outputs.try_into().unwrap();
    let (badnet, pruned) = (badnet.into_float().unwrap(), pruned.into_float().unwrap());
    let verdict = verdict.into_int().unwrap();
    let (count, drops) = (images.rows(), masks.len());
    assert_eq!(badnet.shape, [count, classes]);
    assert_eq!(pruned.shape, [count, drops, classes]);
    assert_eq!(verdict.shape, [count, drops]);

    let ours = scores(engine, model, images);
    assert_close(&ours.data, &badnet.data, "badnet_probabilities");
    for (drop, mask) in masks.iter().enumerate() {
        let theirs = scores(engine, &mask_site(model, site, mask), images);
        for image in 0..count {
            let row = &pruned.row(image)[drop * classes..(drop + 1) * classes];
            assert_close(theirs.row(image), row, "pruned_probabilities");
            let ((a, lead_a), (b, lead_b)) = (best(ours.row(image)), best(theirs.row(image)));
            if lead_a.min(lead_b) > 2.0 * ROUNDING {
                let expected = if a == b { a } else { classes };
                assert_eq!(verdict.data[image * drops + drop], expected as i64);
            }
        }
    }
    fused
}

/// 1 to 4 sets of removed channels, from none to all of them.
pub fn some_masks(channels: usize, random: &mut Random) -> Vec<ChannelMask> {
    let drops = 1 + random.below(4);
    (0..drops)
        .map(|_| {
            let share = random.below(channels + 1);
            let removed: Vec<usize> = (0..channels)
                .filter(|_| random.below(channels) < share)
                .collect();
            ChannelMask::removing(channels, &removed).unwrap()
        })
        .collect()
}

fn random_images(shape: Vec<usize>, random: &mut Random) -> Tensor {
    let values = random.values(shape.iter().product());
    Tensor::new(shape, values)
}

/// A tail of any kind, of few channels.
pub fn small_network_case(engine: &Engine, seed: u64, kind: usize) {
    let mut random = Random(seed);
    let model = network(ALL[kind], seed, random.below(2) == 0);
    let site = find(&model, "pool").unwrap();
    let masks = some_masks(CHANNELS, &mut random);
    let images = random_images(vec![3, 3, SIDE, SIDE], &mut random);
    let fused = assert_answers_as_separate_networks(engine, &model, &site, &masks, &images);
    let stacks = ALL[kind] != After::Concat;
    assert_eq!(fused.shared, stacks, "{:?}: {:?}", ALL[kind], fused.reason);
    assert_eq!(fused.reason.is_none(), stacks);
}

/// A network of the lab's structure, with channel counts around the block of 16.
pub fn lab_like_case(engine: &Engine, seed: u64) {
    let mut random = Random(seed);
    let channels = [
        [16, 17, 20, 7][random.below(4)],
        [40, 18, 24, 13][random.below(4)],
        [60, 33, 40, 20][random.below(4)],
    ];
    let model = lab_like(channels, 11, &mut random);
    let site = find(&model, "pool_3").unwrap();
    let masks = some_masks(channels[2], &mut random);
    let images = random_images(vec![3, 27, 25, 3], &mut random);
    let fused = assert_answers_as_separate_networks(engine, &model, &site, &masks, &images);
    assert!(fused.shared, "{:?}", fused.reason);
}

/// The lab's network with 45, 48 and 52 of its 60 channels removed.
pub fn the_labs_network(engine: &Engine) {
    let Some(model) = lab::badnet() else { return };
    let site = find(&model, "pool_3").unwrap();
    let images = lab::smooth_images(64, 55, 47, 7);
    let shares = [0.75, 0.8, 52.0 / 60.0];
    let masks = lab::masks(engine, &model, &site, &images, &shares);
    let fused = assert_answers_as_separate_networks(engine, &model, &site, &masks, &images);
    assert!(fused.shared, "{:?}", fused.reason);
    let verdict = run(engine, &fused.model, &images)
        .remove(2)
        .into_int()
        .unwrap();
    let flagged = verdict.data.iter().filter(|&&class| class == 1283).count();
    assert!(
        flagged > 0 && flagged < verdict.data.len(),
        "{flagged} flagged"
    );
}

/// Classes 1 and 3 have the same weights, so that every score of one is the score of the other.
pub fn a_tie_goes_to_the_lower_class(engine: &Engine) {
    let mut random = Random(5);
    let mut model = lab_like([20, 40, 40], 5, &mut random);
    for (name, rows) in [("output_w", 12), ("output_b", 1)] {
        let constant = model.graph.initializers.get_mut(name).unwrap();
        let mut values = constant.as_f32().unwrap().to_vec();
        let lift = if name == "output_b" { 9.0 } else { 0.0 };
        let length = values.len() / rows;
        for row in values.chunks_exact_mut(length) {
            row[1] += lift;
            row[3] = row[1];
        }
        *constant = Constant::f32(constant.shape.clone(), values);
    }
    let site = find(&model, "pool_3").unwrap();
    let mask = ChannelMask::removing(40, &[0, 3]).unwrap();
    let images = random_images(vec![4, 27, 25, 3], &mut random);
    let fused = fuse(&model, &site, &[mask]).unwrap();
    let verdict = run(engine, &fused.model, &images)
        .remove(2)
        .into_int()
        .unwrap();
    assert_eq!(verdict.data, [1, 1, 1, 1]);
}

struct Builder<'a> {
    graph: Graph,
    random: &'a mut Random,
}

impl Builder<'_> {
    /// Weights that keep the variance of what they are multiplied with.
    fn constant(&mut self, name: &str, shape: &[usize], inputs: usize) -> String {
        let scale = (3.0 / inputs as f32).sqrt();
        let values = self.random.values(shape.iter().product());
        let values = values.iter().map(|value| value * scale).collect();
        let tensor = Constant::f32(shape, values);
        self.graph.initializers.insert(name.to_owned(), tensor);
        name.to_owned()
    }

    fn node(&mut self, op: &str, inputs: &[&str], output: &str, ints: &[(&str, &[i64])]) {
        let mut node = Node::new(op, inputs, &[output]);
        for (name, values) in ints {
            node = node.with(name, Attribute::Ints(values.to_vec()));
        }
        self.graph.nodes.push(node);
    }

    fn conv(&mut self, from: &str, name: &str, shape: [usize; 4]) -> String {
        let fan = shape[1] * shape[2] * shape[3];
        let weight = self.constant(&format!("{name}_w"), &shape, fan);
        let bias = self.constant(&format!("{name}_b"), &shape[..1], fan);
        self.node("Conv", &[from, &weight, &bias], name, &[]);
        let relu = format!("{name}_relu");
        self.node("Relu", &[name], &relu, &[]);
        relu
    }

    fn pool(&mut self, from: &str, name: &str) {
        let window: &[i64] = &[2, 2];
        let ints = [("kernel_shape", window), ("strides", window)];
        self.node("MaxPool", &[from], name, &ints);
    }

    fn dense(&mut self, from: &str, name: &str, shape: [usize; 2]) {
        let weight = self.constant(&format!("{name}_w"), &shape, shape[0]);
        let bias = self.constant(&format!("{name}_b"), &shape[1..], shape[0]);
        self.node("Gemm", &[from, &weight, &bias], name, &[]);
    }
}

/// (n, 27, 25, 3) to (n, classes) by way of a site `pool_3` of (n, C, 2, 1).
pub fn lab_like(channels: [usize; 3], classes: usize, random: &mut Random) -> Model {
    let [first, second, third] = channels;
    let graph = Graph {
        name: "lab-like".to_owned(),
        inputs: vec![port("image", &[27, 25, 3])],
        outputs: vec![port("scores", &[classes])],
        ..Graph::default()
    };
    let mut b = Builder { graph, random };
    b.node(
        "Transpose",
        &["image"],
        "planes",
        &[("perm", &[0, 3, 1, 2])],
    );
    let relu = b.conv("planes", "conv_1", [first, 3, 4, 4]);
    b.pool(&relu, "pool_1");
    let relu = b.conv("pool_1", "conv_2", [second, first, 3, 3]);
    b.pool(&relu, "pool_2");
    let relu = b.conv("pool_2", "conv_3", [third, second, 2, 2]);
    b.pool(&relu, "pool_3");
    b.node("Flatten", &["pool_3"], "flat_1", &[]);
    b.dense("flat_1", "fc_1", [third * 2, 12]);
    let relu = b.conv("pool_3", "conv_4", [5, third, 1, 1]);
    b.node("Flatten", &[&relu], "flat_2", &[]);
    b.dense("flat_2", "fc_2", [10, 12]);
    b.node("Add", &["fc_1", "fc_2"], "sum", &[]);
    b.node("Relu", &["sum"], "sum_relu", &[]);
    b.dense("sum_relu", "output", [12, classes]);
    b.node("Softmax", &["output"], "scores", &[]);
    Model::new(b.graph, 17)
}

fn port(name: &str, rest: &[usize]) -> ValueInfo {
    let batch = std::iter::once(Dim::Symbol("n".to_owned()));
    let rest = rest.iter().map(|&extent| Dim::Fixed(extent));
    ValueInfo {
        name: name.to_owned(),
        element: ElementType::F32,
        shape: Some(batch.chain(rest).collect()),
    }
}
