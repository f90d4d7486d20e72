//! Where a network is pruned when nobody says where, in which order, and what is said of it.
//!
//! Every network is built here, of a few layers with drawn weights: the code is the recipe.

use crate::common::data::{answers, pixels, write};
use crate::common::networks::{After, Random, SIDE, network};
use assert_cmd::Command;
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::onnx::prune::{PruneMethod, mask_site, prune};
use goodnet::onnx::site::{Site, default_choice, expose, find};
use goodnet::onnx::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo, prepare};
use goodnet::tensor::Tensor as Values;
use std::path::Path;

const IMAGES: usize = 64;

/// A graph from the image `x`, (n, 3, 12, 12), to `scores`.
struct Net {
    graph: Graph,
    random: Random,
}

impl Net {
    fn new() -> Self {
        let port = |name: &str, rest: &[usize]| {
            let batch = std::iter::once(Dim::Symbol("n".to_owned()));
            let rest = rest.iter().map(|&extent| Dim::Fixed(extent));
            ValueInfo {
                name: name.to_owned(),
                element: ElementType::F32,
                shape: Some(batch.chain(rest).collect()),
            }
        };
        Self {
            graph: Graph {
                name: "net".to_owned(),
                inputs: vec![port("x", &[3, SIDE, SIDE])],
                outputs: vec![port("scores", &[4])],
                ..Graph::default()
            },
            random: Random(7),
        }
    }

    fn constant(&mut self, name: &str, tensor: Tensor) -> &mut Self {
        self.graph.initializers.insert(name.to_owned(), tensor);
        self
    }

    fn node(&mut self, node: Node) -> &mut Self {
        self.graph.nodes.push(node);
        self
    }

    fn op(&mut self, op: &str, from: &[&str], to: &str) -> &mut Self {
        self.node(Node::new(op, from, &[to]))
    }

    /// A padded convolution of 3 x 3 with drawn weights and a bias.
    fn conv(&mut self, from: &str, to: &str, [outer, inner]: [usize; 2]) -> &mut Self {
        let (w, b) = (format!("{to}_w"), format!("{to}_b"));
        let weights = self.random.values(outer * inner * 9);
        let bias = self.random.values(outer);
        self.constant(&w, Tensor::f32([outer, inner, 3, 3], weights));
        self.constant(&b, Tensor::f32([outer], bias));
        self.node(
            Node::new("Conv", &[from, &w, &b], &[to]).with("pads", Attribute::Ints(vec![1; 4])),
        )
    }

    fn max_pool(&mut self, from: &str, to: &str) -> &mut Self {
        self.node(
            Node::new("MaxPool", &[from], &[to])
                .with("kernel_shape", Attribute::Ints(vec![2, 2]))
                .with("strides", Attribute::Ints(vec![2, 2])),
        )
    }

    fn mean(&mut self, from: &str, to: &str, axes: &[i64], keep: i64) -> &mut Self {
        self.node(
            Node::new("ReduceMean", &[from], &[to])
                .with("axes", Attribute::Ints(axes.to_vec()))
                .with("keepdims", Attribute::Int(keep)),
        )
    }

    fn flatten(&mut self, from: &str, to: &str) -> &mut Self {
        self.node(Node::new("Flatten", &[from], &[to]).with("axis", Attribute::Int(1)))
    }

    /// The layer of four classes.
    fn classes(&mut self, from: &str, features: usize) -> &mut Self {
        let weights = self.random.values(features * 4);
        self.constant("classes_w", Tensor::f32([features, 4], weights));
        self.op("Gemm", &[from, "classes_w"], "scores")
    }

    fn model(&mut self) -> Model {
        Model::new(self.graph.clone(), 13)
    }

    fn prepared(&mut self) -> Model {
        prepare(&self.model()).unwrap()
    }
}

fn chosen(model: &Model) -> (String, Option<String>) {
    let choice = default_choice(model).unwrap();
    (choice.site.tensor, choice.reason)
}

fn refused(model: &Model) -> String {
    default_choice(model).unwrap_err().to_string()
}

fn run(model: &Model) -> Values {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    let values = Random(5).values(3 * 3 * SIDE * SIDE);
    let images = Values::new(vec![3, 3, SIDE, SIDE], values);
    session.run_one(images.view()).unwrap()
}

/// Removes two of three channels for real and compares with the mask; gives how.
fn assert_pruned_as_masked(model: &Model, site: &Site) -> PruneMethod {
    let (model, site) = expose(model, site);
    let removed: Vec<usize> = (0..site.channels).filter(|c| c % 3 != 1).collect();
    let mask = ChannelMask::removing(site.channels, &removed).unwrap();
    let masked = run(&mask_site(&model, &site, &mask));
    let pruned = prune(&model, &site, &mask);
    let found = run(&pruned.model);
    for (a, b) in masked.data.iter().zip(&found.data) {
        assert!((a - b).abs() <= 1e-5, "{a} and {b}");
    }
    if pruned.method == PruneMethod::Removed {
        let weights = goodnet::onnx::ports::parameters;
        assert!(
            weights(&pruned.model) < weights(&model),
            "the network is smaller"
        );
    }
    pruned.method
}

/// Clean images of `model`'s own answers, then `repair`; gives stdout, stderr and the files of the bundle.
fn repaired(model: &Model, extra: &[&str]) -> (String, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("net.onnx"), model.to_bytes()).unwrap();
    let clean = pixels(IMAGES, 1);
    let labels = answers(&prepare(model).unwrap(), &clean, 1.0 / 255.0);
    write(Path::new(&at("clean.h5")), &clean, &labels);
    let assert = Command::cargo_bin("goodnet")
        .unwrap()
        .args([
            "repair",
            "--model",
            &at("net.onnx"),
            "--clean",
            &at("clean.h5"),
        ])
        .args([
            "--scale",
            "1/255",
            "--effort",
            "0",
            "--allow-poor",
            "--out",
            &at("bundle"),
        ])
        .args(extra)
        .assert()
        .success();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let output = assert.get_output();
    (text(&output.stdout), text(&output.stderr), folder)
}

fn read(folder: &tempfile::TempDir, name: &str) -> String {
    std::fs::read_to_string(folder.path().join("bundle").join(name)).unwrap()
}

fn json(folder: &tempfile::TempDir, name: &str) -> serde_json::Value {
    serde_json::from_str(&read(folder, name)).unwrap()
}

/// A site without a rectifier: channel 0 is far below zero and tells class 0, channel 3 above and tells class 1, 1 and 2 are
/// next to nothing.
fn signed() -> Model {
    let mut net = Net::new();
    let mut weights = vec![0.0; 12];
    (weights[0], weights[5], weights[8], weights[10]) = (-10.0, 0.01, -0.02, 10.0);
    let mut classes = vec![0.0; 16];
    (classes[0], classes[13]) = (-1.0, 1.0);
    net.constant("w", Tensor::f32([4, 3, 1, 1], weights))
        .constant("c", Tensor::f32([4, 4], classes))
        .op("Conv", &["x", "w"], "conv")
        .op("GlobalAveragePool", &["conv"], "mean")
        .flatten("mean", "flat")
        .op("Gemm", &["flat", "c"], "scores")
        .model()
}

#[test]
fn a_strongly_negative_channel_is_busy_and_goes_last() {
    let (stdout, stderr, folder) = repaired(&signed(), &[]);
    let sweep = json(&folder, "sweep.json");
    assert_eq!(sweep["ranking"].as_array().unwrap()[..2], [1, 2]);
    for step in 0..2 {
        assert_eq!(sweep["steps"][step]["accuracy_drop_pp"], 0.0, "{sweep}");
    }
    assert!(sweep["steps"][2]["accuracy_drop_pp"].as_f64().unwrap() > 20.0);
    assert_eq!(sweep["ranked_by"], "mean_absolute_activation");
    let site = &json(&folder, "manifest.json")["site"];
    assert_eq!(site["ranked_by"], "mean_absolute_activation");
    assert!(site["mean_activation"][0].as_f64().unwrap() > 1.0, "{site}");
    assert!(stdout.contains("mean |activation|"), "{stdout}");
    assert!(
        !stderr.contains("the first channel of the ranking"),
        "{stderr}"
    );
    assert!(sweep.get("warnings").is_none());
}

#[test]
fn a_first_step_that_costs_more_than_every_drop_is_told() {
    let mut model = signed();
    let needed = Tensor::f32(
        [4, 3, 1, 1],
        vec![
            -10.0, 0.0, 0.0, 0.0, 10.0, 0.0, -10.0, 0.0, 0.0, 0.0, 10.0, 0.0,
        ],
    );
    model.graph.initializers.insert("w".to_owned(), needed);
    // Every channel tells a class of its own: without any of them its images get another answer.
    let classes = vec![
        -1.0, 0.2, 0.1, 0.0, 0.1, 1.0, 0.0, 0.2, 0.2, 0.0, -1.0, 0.1, 0.0, 0.1, 0.2, 1.0,
    ];
    model
        .graph
        .initializers
        .insert("c".to_owned(), Tensor::f32([4, 4], classes));
    let (stdout, stderr, folder) = repaired(&model, &[]);
    let sweep = json(&folder, "sweep.json");
    assert!(sweep["steps"][0]["accuracy_drop_pp"].as_f64().unwrap() > 10.0);
    let told = "the first channel of the ranking alone costs";
    assert!(stderr.contains(told), "{stderr}");
    assert!(stdout.contains(told), "{stdout}");
    assert!(sweep["warnings"][0].as_str().unwrap().contains(told));
}

#[test]
fn masked_channels_are_called_masked_everywhere_with_the_layer_that_keeps_them() {
    let (stdout, _, folder) = repaired(&network(After::Residual, 3, true), &["--drops", "1"]);
    assert!(stdout.contains("of 6 masked"), "{stdout}");
    assert!(
        stdout.contains("masked: the channels are set to zero"),
        "{stdout}"
    );
    assert!(!stdout.contains("channels removed"), "{stdout}");
    let sweep = json(&folder, "sweep.json");
    assert_eq!(sweep["exports"][0]["method"], "masked");
    let reason = sweep["exports"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("sum"), "{reason}");
    let pruned = &json(&folder, "manifest.json")["drops"][0]["pruned"];
    assert_eq!(pruned["reason"], reason);
    assert!(read(&folder, "sweep.csv").contains(&format!(",masked,\"{reason}\"")));
    assert!(read(&folder, "sweep.svg").contains("channels masked, least active first"));
}

#[test]
fn a_mean_over_space_is_a_pooling_whether_it_keeps_its_axes_or_not() {
    for (keep, name) in [(1, "mean"), (0, "mean")] {
        let mut net = Net::new();
        net.conv("x", "conv", [6, 3]).op("Relu", &["conv"], "relu");
        net.max_pool("relu", "stem").conv("stem", "conv_2", [9, 6]);
        net.op("Relu", &["conv_2"], "relu_2")
            .mean("relu_2", "mean", &[2, 3], keep);
        match keep {
            1 => net.flatten("mean", "features"),
            _ => net.op("Identity", &["mean"], "features"),
        };
        let model = net.classes("features", 9).prepared();
        let site = default_choice(&model).unwrap().site;
        assert_eq!(
            (site.tensor.as_str(), site.channels, site.flat),
            (name, 9, keep == 0)
        );
        assert_eq!(assert_pruned_as_masked(&model, &site), PruneMethod::Removed);
        let (_, _, folder) = repaired(&net.model(), &["--drops", "1"]);
        assert_eq!(
            json(&folder, "sweep.json")["steps"]
                .as_array()
                .unwrap()
                .len(),
            9
        );
    }
}

#[test]
fn a_mean_of_channels_last_and_a_named_hidden_layer_are_sites_of_two_axes() {
    let mut net = Net::new();
    net.conv("x", "conv", [6, 3]).op("Relu", &["conv"], "relu");
    net.node(
        Node::new("Transpose", &["relu"], &["last"])
            .with("perm", Attribute::Ints(vec![0, 2, 3, 1])),
    );
    let weights = net.random.values(6 * 5);
    net.mean("last", "mean", &[1, 2], 0)
        .constant("hidden_w", Tensor::f32([6, 5], weights))
        .op("Gemm", &["mean", "hidden_w"], "hidden");
    let model = net
        .op("Relu", &["hidden"], "active")
        .classes("active", 5)
        .prepared();
    let site = default_choice(&model).unwrap().site;
    assert_eq!(
        (site.tensor.as_str(), site.channels, site.flat),
        ("mean", 6, true)
    );
    assert_pruned_as_masked(&model, &site);
    let hidden = find(&model, "active").unwrap();
    assert_eq!((hidden.channels, hidden.flat), (5, true));
    assert_pruned_as_masked(&model, &hidden);
}

#[test]
fn a_last_pooling_of_unknown_shape_is_refused_and_never_replaced_by_the_stems() {
    let mut net = Net::new();
    net.conv("x", "conv", [6, 3]).max_pool("conv", "stem");
    net.op("Mystery", &["stem"], "lost")
        .op("GlobalAveragePool", &["lost"], "mean");
    let weights = net.random.values(24);
    net.constant("target", Tensor::i64([2], vec![0, 6]))
        .op("Reshape", &["mean", "target"], "flat");
    let model = net
        .constant("classes_w", Tensor::f32([6, 4], weights))
        .op("Gemm", &["flat", "classes_w"], "scores")
        .model();
    let error = refused(&model);
    assert!(
        error.contains(
            "the shape of the last pooling layer, mean (GlobalAveragePool), cannot be told"
        ),
        "{error}"
    );
    assert!(
        error.contains("name one with --site: stem, conv"),
        "{error}"
    );
}

#[test]
fn a_pooling_of_the_classes_is_passed_over_for_what_their_layer_reads() {
    let mut net = Net::new();
    net.conv("x", "conv", [6, 3])
        .op("Relu", &["conv"], "relu")
        .max_pool("relu", "stem");
    net.conv("stem", "left", [5, 6])
        .op("Relu", &["left"], "left_relu");
    net.conv("stem", "right", [4, 6])
        .op("Relu", &["right"], "right_relu");
    net.node(
        Node::new("Concat", &["left_relu", "right_relu"], &["fire"])
            .with("axis", Attribute::Int(1)),
    );
    net.conv("fire", "per_class", [4, 9])
        .op("GlobalAveragePool", &["per_class"], "mean");
    let model = net.flatten("mean", "scores").prepared();
    let (site, reason) = chosen(&model);
    assert_eq!(site, "fire");
    let reason = reason.unwrap();
    assert!(
        reason.contains("the channels of the last pooling layer, mean, are the classes"),
        "{reason}"
    );
    // Through the join of two branches.
    let site = find(&model, "fire").unwrap();
    assert_eq!(assert_pruned_as_masked(&model, &site), PruneMethod::Removed);
    let (_, stderr, _folder) = repaired(&net.model(), &["--drops", "1"]);
    assert!(
        stderr.contains("the site is fire: what the layer of the classes reads"),
        "{stderr}"
    );
}

#[test]
fn a_pooling_at_the_stem_or_in_a_gate_is_not_where_the_classes_are_told() {
    let mut net = Net::new();
    net.conv("x", "conv", [6, 3]).max_pool("conv", "stem");
    net.conv("stem", "a", [6, 6]).op("Relu", &["a"], "a_relu");
    net.conv("a_relu", "b", [6, 6]).op("Relu", &["b"], "b_relu");
    net.conv("b_relu", "c", [6, 6]).op("Relu", &["c"], "c_relu");
    let deep = net
        .flatten("c_relu", "flat")
        .classes("flat", 6 * 36)
        .prepared();
    let (site, reason) = chosen(&deep);
    assert_eq!(site, "c_relu");
    assert!(
        reason
            .unwrap()
            .contains("3 convolutions in a row follow the last pooling layer, stem")
    );

    let mut net = Net::new();
    net.conv("x", "conv", [6, 3]).max_pool("conv", "pool").op(
        "GlobalAveragePool",
        &["pool"],
        "squeezed",
    );
    net.conv("squeezed", "excite", [6, 6])
        .op("Sigmoid", &["excite"], "gate")
        .op("Mul", &["pool", "gate"], "gated");
    let gated = net
        .flatten("gated", "flat")
        .classes("flat", 6 * 36)
        .prepared();
    assert_eq!(chosen(&gated), ("pool".to_owned(), None));
}

#[test]
fn without_pooling_a_branch_ends_in_its_sum_and_a_transformer_is_refused_plainly() {
    let mut net = Net::new();
    net.conv("x", "conv", [6, 3])
        .op("Relu", &["conv"], "relu")
        .conv("relu", "branch", [6, 6]);
    net.op("Add", &["branch", "relu"], "sum")
        .op("Relu", &["sum"], "out");
    let residual = net
        .flatten("out", "flat")
        .classes("flat", 6 * 144)
        .prepared();
    assert_eq!(chosen(&residual).0, "out");

    let mut net = Net::new();
    net.conv("x", "patches", [6, 3]);
    net.constant("tokens", Tensor::i64([3], vec![0, 6, -1])).op(
        "Reshape",
        &["patches", "tokens"],
        "rows",
    );
    net.node(
        Node::new("Transpose", &["rows"], &["columns"])
            .with("perm", Attribute::Ints(vec![0, 2, 1])),
    );
    net.op("MatMul", &["rows", "columns"], "attention");
    net.flatten("attention", "flat");
    let weights = net.random.values(36 * 5);
    net.constant("hidden_w", Tensor::f32([36, 5], weights)).op(
        "Gemm",
        &["flat", "hidden_w"],
        "hidden",
    );
    let model = net
        .op("Relu", &["hidden"], "active")
        .classes("active", 5)
        .prepared();
    let error = refused(&model);
    assert!(error.contains("no pooling layer"), "{error}");
    assert!(error.contains("it is a transformer"), "{error}");
    assert!(error.contains("--site: active, hidden"), "{error}");
}

#[test]
fn channels_are_removed_for_real_through_a_sum_whose_other_branch_is_read_elsewhere() {
    let mut net = Net::new();
    net.conv("x", "conv", [6, 3]).op("Relu", &["conv"], "relu");
    net.conv("relu", "inner", [7, 6])
        .op("Relu", &["inner"], "inner_relu")
        .conv("inner_relu", "branch", [6, 7]);
    net.op("Add", &["branch", "relu"], "sum")
        .op("Relu", &["sum"], "out")
        .op("GlobalAveragePool", &["out"], "mean");
    let model = net.flatten("mean", "flat").classes("flat", 6).prepared();
    let site = default_choice(&model).unwrap().site;
    assert_eq!(site.tensor, "mean");
    assert_eq!(assert_pruned_as_masked(&model, &site), PruneMethod::Removed);

    // One convolution beside its own input: the convolution reads all channels, the sum those that are left.
    let mut net = Net::new();
    net.conv("x", "conv", [6, 3])
        .conv("conv", "branch", [6, 6])
        .op("Add", &["branch", "conv"], "sum");
    let model = net
        .op("GlobalAveragePool", &["sum"], "mean")
        .flatten("mean", "flat")
        .classes("flat", 6)
        .prepared();
    let site = find(&model, "mean").unwrap();
    assert_eq!(assert_pruned_as_masked(&model, &site), PruneMethod::Removed);
}

#[test]
fn channels_are_removed_for_real_through_a_dense_block_whose_features_are_read_again() {
    let mut net = Net::new();
    net.conv("x", "a", [6, 3]).conv("a", "b", [3, 6]);
    let concat = |inputs: &[&str], to: &str| {
        Node::new("Concat", inputs, &[to]).with("axis", Attribute::Int(1))
    };
    net.node(concat(&["a", "b"], "ab")).conv("ab", "c", [3, 9]);
    net.node(concat(&["a", "b", "c"], "all"))
        .op("Relu", &["all"], "relu")
        .op("GlobalAveragePool", &["relu"], "mean");
    let model = net.flatten("mean", "flat").classes("flat", 12).prepared();
    let site = default_choice(&model).unwrap().site;
    assert_eq!(site.channels, 12);
    assert_eq!(assert_pruned_as_masked(&model, &site), PruneMethod::Removed);
}
