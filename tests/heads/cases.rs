//! Body times head is the network, and a network with another head is body times that head.

use super::networks::{ALL, Builder, CLASSES, ENDS, End, HIDDEN, dim, network};
use crate::common::networks::{ALL as AFTERS, After, Random, network as common_network};
use goodnet::engine::{Engine, SessionConfig};
use goodnet::input::spec::Layout;
use goodnet::onnx::head::{
    Discriminant, FeatureMap, Head, Limit, LimitPart, Refit, Withdrawal, body, feature_maps, find,
    means, with_head,
};
use goodnet::onnx::{Model, ports, prepare};
use goodnet::tensor::Tensor;

/// Allowed difference between probabilities that were computed in two ways.
pub const ROUNDING: f32 = 1e-4;

pub fn run(engine: &Engine, model: &Model, images: &Tensor) -> Tensor {
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    session.run_one(images.view()).unwrap()
}

fn run_all(engine: &Engine, model: &Model, images: &Tensor) -> Vec<Tensor> {
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    let outputs = session.run(&[images.view()]).unwrap().into_iter();
    outputs.map(|output| output.into_float().unwrap()).collect()
}

pub fn images(model: &Model, count: usize, random: &mut Random) -> Tensor {
    let ports = ports(model).unwrap();
    let (c, h, w) = (ports.channels, ports.height, ports.width);
    let shape = match ports.layout {
        Layout::Nchw => vec![count, c, h, w],
        Layout::Nhwc => vec![count, h, w, c],
    };
    let values = random.values(shape.iter().product());
    Tensor::new(shape, values)
}

/// Other weights and another bias.
pub fn others(head: &Head, random: &mut Random) -> (Vec<f32>, Vec<f32>) {
    let scale = (3.0 / head.dim() as f32).sqrt();
    let weights = random.values(head.weights().len());
    let weights = weights.iter().map(|weight| weight * scale).collect();
    (weights, random.values(head.classes()))
}

/// Tensors of a limit and of discriminants: any whitening, centres and weights, of the features and of the maps on the way to them,
/// with thresholds that some of the images lie beyond.
pub struct SomeWithdrawal {
    maps: Vec<FeatureMap>,
    parts: Vec<Part>,
    planes: Vec<Plane>,
    /// The labels that are withdrawn, image by image.
    withdrawn: Vec<Vec<usize>>,
}

struct Part {
    map: Option<usize>,
    whitening: Vec<f32>,
    centres: Vec<f32>,
}

/// A discriminant of label `label`: weights of the features, and of some maps.
struct Plane {
    label: usize,
    features: Vec<f32>,
    maps: Vec<(usize, Vec<f32>)>,
    bias: f32,
}

impl SomeWithdrawal {
    /// For each kind of values half-way between the nearest and the farthest of `images`. Every other map has one centre for all
    /// classes. Two discriminants are of label 0; the second one reads no map but the first.
    pub fn new(engine: &Engine, model: &Model, head: &Head, images: &Tensor) -> Self {
        let random = &mut Random(head.dim() as u64);
        let features = run(engine, &body(model, head), images);
        let maps = feature_maps(model, head, 3);
        let means_of = match maps.is_empty() {
            true => Vec::new(),
            false => run_all(engine, &means(model, &maps), images),
        };
        let planes: Vec<(Plane, Vec<bool>)> = [means_of.len(), means_of.len().min(1)]
            .into_iter()
            .map(|count| Plane::new(&features, &means_of[..count], random))
            .collect();
        let values: Vec<&Tensor> = std::iter::once(&features).chain(&means_of).collect();
        let labels: Vec<usize> = (0..features.rows())
            .map(|row| answer(&scores(features.row(row), head.weights(), head.bias())))
            .collect();
        let mut beyond = vec![false; features.rows()];
        let mut parts = Vec::new();
        for (place, values) in values.into_iter().enumerate() {
            let rows = if place % 2 == 1 { 1 } else { head.classes() };
            let (part, distances) = Part::new(place.checked_sub(1), values, &labels, rows, random);
            for (beyond, distance) in beyond.iter_mut().zip(distances) {
                *beyond |= distance > 1.0;
            }
            parts.push(part);
        }
        let mut withdrawn: Vec<Vec<usize>> = vec![Vec::new(); features.rows()];
        for (row, withdrawn) in withdrawn.iter_mut().enumerate() {
            withdrawn.extend(beyond[row].then_some(labels[row]));
            let above = planes.iter().filter(|(_, above)| above[row]);
            withdrawn.extend(above.map(|(plane, _)| plane.label));
        }
        Self {
            maps,
            parts,
            planes: planes.into_iter().map(|(plane, _)| plane).collect(),
            withdrawn,
        }
    }

    pub fn as_withdrawal(&self) -> Withdrawal<'_> {
        let parts = self.parts.iter().map(|part| LimitPart {
            map: part.map.map(|map| &self.maps[map]),
            whitening: &part.whitening,
            centres: &part.centres,
        });
        let discriminants = self.planes.iter().map(|plane| Discriminant {
            label: plane.label,
            features: &plane.features,
            maps: plane
                .maps
                .iter()
                .map(|(map, weights)| (&self.maps[*map], weights.as_slice()))
                .collect(),
            bias: plane.bias,
        });
        Withdrawal {
            limit: Some(Limit {
                parts: parts.collect(),
            }),
            discriminants: discriminants.collect(),
            penalty: 1e9,
        }
    }
}

impl Plane {
    /// With which of the images are above it.
    fn new(features: &Tensor, maps: &[Tensor], random: &mut Random) -> (Self, Vec<bool>) {
        let weights = random.values(features.row_len());
        let of_maps: Vec<(usize, Vec<f32>)> = maps
            .iter()
            .enumerate()
            .map(|(map, means)| (map, random.values(means.row_len())))
            .collect();
        let product = |values: &[f32], weights: &[f32]| -> f64 {
            let pairs = values.iter().zip(weights);
            pairs.map(|(&v, &w)| f64::from(v) * f64::from(w)).sum()
        };
        let value = |row: usize| {
            let of_maps = of_maps
                .iter()
                .map(|(map, weights)| product(maps[*map].row(row), weights));
            product(features.row(row), &weights) + of_maps.sum::<f64>()
        };
        let found: Vec<f64> = (0..features.rows()).map(value).collect();
        let [low, high] =
            [f64::min, f64::max].map(|pick| found.iter().copied().reduce(pick).unwrap());
        let threshold = f64::midpoint(low, high);
        let plane = Self {
            label: 0,
            features: weights,
            maps: of_maps,
            bias: -threshold as f32,
        };
        let above = found.into_iter().map(|value| value > threshold).collect();
        (plane, above)
    }
}

impl Part {
    /// With the distances of `values`, over the limit.
    fn new(
        map: Option<usize>,
        values: &Tensor,
        labels: &[usize],
        rows: usize,
        random: &mut Random,
    ) -> (Self, Vec<f64>) {
        let dim = values.row_len();
        let (mut whitening, mut centres) = (random.values(dim * dim), random.values(rows * dim));
        let distance = |row: usize| -> f64 {
            let label = if rows == 1 { 0 } else { labels[row] };
            let apart = |column: usize| {
                let value = values.row(row).iter().enumerate();
                let sum: f64 = value
                    .map(|(at, &v)| f64::from(v) * f64::from(whitening[at * dim + column]))
                    .sum();
                sum - f64::from(centres[label * dim + column])
            };
            (0..dim).map(|column| apart(column).powi(2)).sum()
        };
        let distances: Vec<f64> = (0..values.rows()).map(distance).collect();
        let [low, high] =
            [f64::min, f64::max].map(|pick| distances.iter().copied().reduce(pick).unwrap());
        let limit = f64::midpoint(low, high);
        for value in whitening.iter_mut().chain(&mut centres) {
            *value /= limit.sqrt() as f32;
        }
        let part = Self {
            map,
            whitening,
            centres,
        };
        (part, distances.iter().map(|d| d / limit).collect())
    }
}

/// The first of the highest.
fn answer(scores: &[f64]) -> usize {
    (0..scores.len())
        .rev()
        .max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
        .unwrap()
}

fn scores(features: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f64> {
    let mut scores: Vec<f64> = bias.iter().map(|&bias| f64::from(bias)).collect();
    for (value, weights) in features.iter().zip(weights.chunks_exact(bias.len())) {
        for (score, weight) in scores.iter_mut().zip(weights) {
            *score += f64::from(*value) * f64::from(*weight);
        }
    }
    scores
}

/// What the network answers, from its features in f64; without the labels that are `withdrawn`, image by image.
fn computed(
    features: &Tensor,
    [weights, bias]: [&[f32]; 2],
    end: End,
    withdrawn: &[Vec<usize>],
) -> Vec<f64> {
    let mut answers = Vec::new();
    for (row, withdrawn) in withdrawn.iter().enumerate() {
        let mut scores = scores(features.row(row), weights, bias);
        for &label in withdrawn {
            scores[label] -= 1e9;
        }
        if end == End::Sigmoid {
            answers.extend(scores.iter().map(|score| 1.0 / (1.0 + (-score).exp())));
            continue;
        }
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        answers.extend(powers.iter().map(|power| power / sum));
    }
    answers
}

fn assert_close(expected: &[f64], found: &Tensor, what: &str) {
    assert_eq!(expected.len(), found.data.len(), "{what}");
    for (x, y) in expected.iter().zip(&found.data) {
        let gap = (x - f64::from(*y)).abs();
        assert!(
            gap <= f64::from(ROUNDING),
            "{what}: expected {x}, found {y}"
        );
    }
}

/// Holds `model` against its body and its head, and with another head in its place; gives the head.
pub fn answers_as_its_parts(engine: &Engine, model: &Model, end: End, random: &mut Random) -> Head {
    let head = find(model).unwrap();
    let images = images(model, 3, random);
    let body = body(model, &head);
    assert_eq!(body.graph.outputs[0].name, head.features());
    let features = run(engine, &body, &images);
    assert_eq!(features.shape, [3, head.dim()]);
    let none = [const { Vec::new() }; 3];
    let expected = computed(&features, [head.weights(), head.bias()], end, &none);
    assert_close(&expected, &run(engine, model, &images), "the network");

    let (weights, bias) = others(&head, random);
    let refit = Refit::new(&head, &weights, &bias).unwrap();
    let refitted = with_head(model, &refit);
    let expected = computed(&features, [&weights, &bias], end, &none);
    assert_close(&expected, &run(engine, &refitted, &images), "refitted");
    assert_eq!(ports(&refitted).unwrap(), ports(model).unwrap());

    let some = SomeWithdrawal::new(engine, model, &head, &images);
    let refit = refit.with_withdrawal(some.as_withdrawal()).unwrap();
    let limited = with_head(model, &refit);
    let expected = computed(&features, [&weights, &bias], end, &some.withdrawn);
    assert_close(&expected, &run(engine, &limited, &images), "withdrawn");
    assert_eq!(ports(&limited).unwrap(), ports(model).unwrap());

    let again = find(&refitted).unwrap();
    assert_eq!(again.weights(), weights);
    assert_eq!(again.bias(), bias);
    head
}

/// A head of any kind.
pub fn a_head_of_any_kind(engine: &Engine, seed: u64, kind: usize) {
    let mut random = Random(seed);
    let kind = ALL[kind];
    let end = ENDS[random.below(ENDS.len())];
    let model = prepare(&network(kind, end, seed)).unwrap();
    let head = answers_as_its_parts(engine, &model, end, &mut random);
    assert_eq!(
        (head.dim(), head.classes()),
        (dim(kind), CLASSES),
        "{kind:?}"
    );
}

/// The networks of the other tests; the sum of two dense layers has no head.
pub fn networks_of_other_tests(engine: &Engine) {
    let mut with_maps = 0;
    for (seed, after) in AFTERS.into_iter().enumerate() {
        let model = prepare(&common_network(after, seed as u64, true)).unwrap();
        if after == After::TwoBranches {
            let refusal = find(&model).unwrap_err().to_string();
            assert!(
                refusal.contains("Add sum, the sum of two tensors"),
                "{refusal}"
            );
            continue;
        }
        let head = answers_as_its_parts(engine, &model, End::Softmax, &mut Random(seed as u64));
        with_maps += usize::from(!feature_maps(&model, &head, 3).is_empty());
    }
    assert!(with_maps > 0, "no network has maps that a limit could take");
}

/// Weights that another layer reads too: it keeps them.
pub fn shared_weights_stay_with_their_other_reader(engine: &Engine) {
    let mut b = Builder::up_to_map(6);
    b.hidden();
    let weight = b.weight("w", &[HIDDEN, CLASSES]);
    let bias = b.weight("b", &[CLASSES]);
    b.add("Gemm", &["hidden", &weight, &bias], "inner");
    b.add("Relu", &["inner"], "inner_relu");
    let back = b.weight("back", &[CLASSES, HIDDEN]);
    b.add("MatMul", &["inner_relu", &back], "again");
    b.add("Gemm", &["again", &weight, &bias], "linear");
    let model = prepare(&b.finish("linear", End::Softmax)).unwrap();

    let head = answers_as_its_parts(engine, &model, End::Softmax, &mut Random(6));
    let (weights, bias) = others(&head, &mut Random(7));
    let refitted = with_head(&model, &Refit::new(&head, &weights, &bias).unwrap());
    let inner = refitted.graph.producer("inner").unwrap();
    assert_eq!(inner.inputs, ["hidden", "w", "b"]);
    for name in ["w", "b"] {
        assert_eq!(
            refitted.graph.initializers[name],
            model.graph.initializers[name]
        );
    }
}
