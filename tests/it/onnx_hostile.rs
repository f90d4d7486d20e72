//! ONNX files that lie: each is refused in one line, and none is obeyed.

use crate::common::networks::{ALL, After, CHANNELS, Random, SIDE, network};
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::onnx::prune::{PruneMethod, prune};
use goodnet::onnx::site::find;
use goodnet::onnx::{Model, Node, OnnxError, TensorData, fuse, prepare};
use goodnet::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

// Field numbers of onnx.proto.
const GRAPH: u64 = 7;

const NODE: u64 = 1;

const INITIALIZER: u64 = 5;

pub fn honest() -> Vec<u8> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx/resnet_dynamic.onnx");
    std::fs::read(file).unwrap()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value as u64)].concat()
}

fn bytes(field: u64, payload: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(payload.len() as u64),
        payload.to_vec(),
    ]
    .concat()
}

/// The honest network with `part` merged into its graph: protobuf joins messages that are given twice.
fn with(part: &[u8]) -> Result<Model, OnnxError> {
    let file = [honest(), bytes(GRAPH, part)].concat();
    Model::from_bytes(&file).and_then(|model| prepare(&model))
}

fn weight(dims: &[i64], rest: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&extent| number(1, extent)).collect();
    let tensor = [dims, number(2, 1), bytes(8, b"hostile"), rest.to_vec()].concat();
    bytes(INITIALIZER, &tensor)
}

fn node(op: &str, input: &str, output: &str, rest: &[u8]) -> Vec<u8> {
    let node = [
        bytes(1, input.as_bytes()),
        bytes(2, output.as_bytes()),
        bytes(3, b"hostile"),
        bytes(4, op.as_bytes()),
        rest.to_vec(),
    ];
    bytes(NODE, &node.concat())
}

pub fn assert_refused(result: Result<Model, OnnxError>, expected: &str) {
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains(expected),
        "{message}, expected: {expected}"
    );
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn the_honest_network_is_taken_so_that_what_follows_is_refused_for_its_lie() {
    with(&[]).unwrap();
}

#[test]
fn weights_in_another_file_are_never_read() {
    let place = [bytes(1, b"location"), bytes(2, b"../../../etc/passwd")].concat();
    let external = bytes(13, &place);
    assert_refused(
        with(&weight(&[4], &[external.clone(), number(14, 1)].concat())),
        "lies in another file",
    );
    assert_refused(with(&weight(&[4], &external)), "lies in another file");
}

#[test]
fn shapes_that_overflow_or_are_not_filled_take_no_memory() {
    assert_refused(with(&weight(&[1 << 62, 8], &[])), "has shape");
    assert_refused(with(&weight(&[-1], &[])), "has extent -1");
    assert_refused(with(&weight(&[1 << 40], &[])), "should hold 1099511627776");
}

#[test]
fn a_kernel_without_values_is_refused() {
    assert_refused(with(&weight(&[4, 3, 0, 0], &[])), "holds nothing");
}

#[test]
fn names_that_are_given_twice_are_refused() {
    let raw = bytes(9, &[0; 4]);
    let twice = [weight(&[1], &raw), weight(&[1], &raw)].concat();
    assert_refused(with(&twice), "given twice");
    let twice = [
        node("Relu", "image", "same", &[]),
        node("Relu", "image", "same", &[]),
    ];
    assert_refused(with(&twice.concat()), "made twice");
}

/// Every name that the graph gives to a tensor or a node, without its input.
fn names(model: &Model) -> BTreeSet<String> {
    let graph = &model.graph;
    let made = graph.nodes.iter().flat_map(|node| &node.outputs);
    let all = made
        .chain(graph.initializers.keys())
        .chain(graph.nodes.iter().map(|node| &node.name));
    all.filter(|name| !name.is_empty()).cloned().collect()
}

fn renamed(model: &Model, names: &BTreeMap<String, String>) -> Model {
    let rename = |name: &mut String| {
        if let Some(new) = names.get(name) {
            name.clone_from(new);
        }
    };
    let mut model = model.clone();
    let graph = &mut model.graph;
    for node in &mut graph.nodes {
        node.inputs
            .iter_mut()
            .chain(&mut node.outputs)
            .for_each(rename);
        rename(&mut node.name);
    }
    graph
        .outputs
        .iter_mut()
        .for_each(|output| rename(&mut output.name));
    let initializers = std::mem::take(&mut graph.initializers);
    graph.initializers = initializers
        .into_iter()
        .map(|(mut name, tensor)| {
            rename(&mut name);
            (name, tensor)
        })
        .collect();
    model
}

fn all_outputs(model: &Model) -> Vec<Vec<f32>> {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    let images = Tensor::new(
        vec![2, 3, SIDE, SIDE],
        Random(3).values(2 * 3 * SIDE * SIDE),
    );
    let outputs = session.run(&[images.view()]).unwrap();
    outputs
        .into_iter()
        .filter_map(|output| output.into_float().ok())
        .map(|tensor| tensor.data)
        .collect()
}

#[test]
fn a_network_that_uses_the_names_that_goodnet_gives_is_pruned_and_fused_as_any_other() {
    let mut renamed_names = 0;
    for (seed, after) in (0..).zip(ALL) {
        let model = network(after, seed, true);
        let mask = ChannelMask::removing(CHANNELS, &[0, 3]).unwrap();
        let results = |model: &Model, site: &str| {
            let site = find(model, site).unwrap();
            [
                prune(model, &site, &mask).model,
                fuse(model, &site, std::slice::from_ref(&mask))
                    .unwrap()
                    .model,
            ]
        };
        let honest = results(&model, "pool");
        let given: BTreeSet<String> = honest.iter().flat_map(names).collect();
        let given = given
            .difference(&names(&model))
            .cloned()
            .collect::<Vec<_>>();
        let (own, given_once) = (names(&model), given.len());
        for turn in 0..3 {
            let given = given.iter().cycle().skip(turn * given.len() / 3).cloned();
            let map: BTreeMap<String, String> =
                own.iter().cloned().zip(given.take(given_once)).collect();
            renamed_names += map.len();
            let hostile = renamed(&model, &map);
            let site = map.get("pool").map_or("pool", String::as_str);
            for (expected, found) in honest.iter().zip(results(&hostile, site)) {
                let found = Model::from_bytes(&found.to_bytes())
                    .unwrap_or_else(|error| panic!("{after:?}: {error}"));
                assert_eq!(all_outputs(expected), all_outputs(&found), "{after:?}");
            }
        }
    }
    assert!(renamed_names > 100, "{renamed_names}");
}

#[test]
fn weights_whose_sum_is_beyond_all_numbers_are_never_written() {
    let mut masked = 0;
    for seed in 0..20 {
        let mut model = network(After::Norm, seed, true);
        for tensor in model.graph.initializers.values_mut() {
            if let TensorData::F32(values) = &mut tensor.data {
                values.iter_mut().for_each(|value| *value *= 2e38);
            }
        }
        let site = find(&model, "pool").unwrap();
        let mask = ChannelMask::removing(CHANNELS, &[0, 3]).unwrap();
        let pruned = prune(&model, &site, &mask);
        Model::from_bytes(&pruned.model.to_bytes()).unwrap();
        masked += usize::from(pruned.method == PruneMethod::Masked);
    }
    assert!(masked > 0, "no sum was beyond all numbers");
}

#[test]
fn a_cycle_is_refused() {
    let cycle = [node("Relu", "b", "a", &[]), node("Relu", "a", "b", &[])].concat();
    assert_refused(with(&cycle), "cycle");
    assert_refused(with(&node("Relu", "a", "a", &[])), "cycle");
}

#[test]
fn operators_with_sub_graphs_are_refused_by_name() {
    for op in ["If", "Loop", "Scan"] {
        assert_refused(with(&node(op, "image", "out", &[])), op);
    }
    let graph = [bytes(1, b"body"), bytes(6, &[]), number(20, 5)].concat();
    assert_refused(
        with(&node("Relu", "image", "out", &bytes(5, &graph))),
        "body",
    );
}

#[test]
fn graphs_inside_graphs_do_not_use_up_the_stack() {
    let mut graph = Vec::new();
    for _ in 0..2000 {
        let attribute = [bytes(1, b"body"), bytes(6, &graph), number(20, 5)].concat();
        graph = node("If", "image", "out", &bytes(5, &attribute));
    }
    assert_refused(with(&graph), "If");
    // Nested groups, which protobuf has and ONNX does not use.
    let groups = vec![0x0B; 100_000];
    assert!(Model::from_bytes(&groups).is_err());
}

#[test]
fn a_file_with_changed_bytes_is_answered_or_refused() {
    let honest = honest();
    let mut random = Random(11);
    let mut refused = 0;
    for _ in 0..1500 {
        let mut file = honest.clone();
        for _ in 0..1 + random.next() % 4 {
            let at = (random.next() % file.len() as u64) as usize;
            file[at] = random.next() as u8;
        }
        let result = Model::from_bytes(&file).and_then(|model| prepare(&model));
        refused += usize::from(result.is_err());
    }
    assert!(refused > 0, "no change was noticed");
}

/// One line on standard error, and no panic.
pub fn assert_one_line(command: &mut std::process::Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(matches!(output.status.code(), Some(1 | 3)), "{said}");
    let last = said.lines().last().unwrap_or_default().to_owned();
    assert!(
        last.starts_with("goodnet: ") && !said.contains("panicked"),
        "{said}"
    );
    assert!(!said.contains("internal error"), "{said}");
    last
}

#[test]
fn an_output_that_lacks_the_rows_of_the_batch_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = network(After::Norm, 3, true);
    let output = model.graph.outputs[0].name.clone();
    let axes = goodnet::onnx::Tensor::i64([1], vec![0]);
    model.graph.initializers.insert("first".to_owned(), axes);
    let folded = Node::new("ReduceMax", &[&output], &["folded"])
        .with("axes", goodnet::onnx::Attribute::Ints(vec![0]));
    model.graph.nodes.push(folded);
    model.graph.outputs[0].name = "folded".to_owned();
    let pixels = crate::common::data::pixels(40, 1);
    let labels: Vec<u32> = (0..40).map(|index| index % 4).collect();
    let (file, clean) = (dir.path().join("net.onnx"), dir.path().join("clean.h5"));
    model.save(&file).unwrap();
    crate::common::data::write(&clean, &pixels, &labels);
    let mut repair = std::process::Command::new(assert_cmd::cargo::cargo_bin!("goodnet"));
    repair
        .args(["repair", "--effort", "0", "--allow-poor", "--model"])
        .arg(&file);
    repair
        .arg("--clean")
        .arg(&clean)
        .arg("--out")
        .arg(dir.path().join("bundle"));
    assert_one_line(&mut repair);
}

#[cfg(unix)]
#[test]
fn names_in_a_network_write_no_line_of_their_own_and_no_command_to_the_terminal() {
    let evil = "a\ngoodnet: nothing found\u{1b}[2J\u{9b}31m\u{202e}b";
    let dir = tempfile::tempdir().unwrap();
    let honest = network(After::Norm, 3, true);
    let made = |model: &Model| -> Vec<String> {
        model
            .graph
            .nodes
            .iter()
            .flat_map(|node| node.outputs.clone())
            .collect()
    };
    let map: BTreeMap<String, String> = made(&honest)
        .into_iter()
        .enumerate()
        .map(|(index, name)| (name, format!("{evil}{index}")))
        .collect();
    let mut model = renamed(&honest, &map);
    for node in &mut model.graph.nodes {
        node.name = format!("{evil}{}", node.name);
    }
    model.producer = evil.to_owned();
    let folder = dir.path().join(evil);
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("net.onnx");
    model.save(&file).unwrap();
    let other = folder.join("other.onnx");
    std::fs::write(&other, "no network").unwrap();
    let commands: [(&[&str], Vec<&Path>); 7] = [
        (&["inspect"], vec![&file]),
        (&["inspect", "--json"], vec![&file]),
        (&["inspect"], vec![&other]),
        (
            &["prune", "--remove", "0", "--model"],
            vec![&file, Path::new("--out"), &other, Path::new("--force")],
        ),
        (&["verify", "--bundle"], vec![&folder]),
        (&["classify", "--csv", "--bundle"], vec![&folder, &file]),
        (
            &["audit", "--model"],
            vec![&file, Path::new("--clean"), &folder],
        ),
    ];
    for (words, paths) in commands {
        let output = std::process::Command::new(assert_cmd::cargo::cargo_bin!("goodnet"))
            .args(words)
            .args(paths)
            .output()
            .unwrap();
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8(text).unwrap();
            assert!(
                !text.contains(['\u{1b}', '\u{9b}', '\u{202e}']),
                "{words:?}: {text}"
            );
            let forged = text
                .lines()
                .any(|line| line.starts_with("goodnet: nothing found"));
            assert!(!forged, "{words:?}: {text}");
        }
    }
}

#[test]
fn nodes_that_take_or_give_nothing_are_refused_by_name() {
    let operators = [
        "Shape",
        "Reshape",
        "Slice",
        "Split",
        "Expand",
        "ConstantOfShape",
        "Identity",
        "Where",
        "Gather",
        "Concat",
        "Cast",
        "GlobalAveragePool",
        "Gemm",
        "Conv",
    ];
    for operator in operators {
        for (inputs, outputs, missing) in
            [(&[][..], &["dead"][..], "input"), (&["x"], &[], "output")]
        {
            let mut model = network(After::Norm, 3, true);
            let node = Node::new(operator, inputs, outputs);
            model.graph.nodes.push(node);
            let error = Model::from_bytes(&model.to_bytes())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(missing) && error.contains(operator),
                "{error}"
            );
        }
    }
}
