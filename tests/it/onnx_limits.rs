//! Networks that would take too much memory or time: each is bounded, or refused in one line.

use crate::common::networks::{After, network};
use crate::onnx_hostile::{assert_one_line, assert_refused, honest};
use goodnet::domain::mask::ChannelMask;
use goodnet::onnx::prune::{PruneMethod, prune};
use goodnet::onnx::site::{default_site, find};
use goodnet::onnx::{Dim, Model, Node, prepare};

#[test]
fn a_network_of_names_that_are_all_alike_is_read_in_time() {
    let mut model = Model::from_bytes(&honest()).unwrap();
    let site = default_site(&model).unwrap();
    let wish = format!("{}_masked", site.tensor);
    for index in 0..50_000 {
        let name = match index {
            0 => wish.clone(),
            _ => format!("{wish}_{index}"),
        };
        let node = Node::new("Relu", &[&site.tensor], &[&name]);
        model.graph.nodes.push(node);
    }
    let started = std::time::Instant::now();
    let mask = ChannelMask::removing(site.channels, &[0]).unwrap();
    let masked = goodnet::onnx::prune::mask_site(&model, &site, &mask);
    assert!(masked.graph.producer(&format!("{wish}_50000")).is_some());
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn an_image_of_impossible_size_is_refused() {
    for extent in [1 << 14, 1 << 31, 1 << 62, usize::MAX >> 1] {
        let mut model = Model::from_bytes(&honest()).unwrap();
        model.graph.inputs[0].shape = Some(vec![
            Dim::Symbol("n".to_owned()),
            Dim::Fixed(3),
            Dim::Fixed(extent),
            Dim::Fixed(extent),
        ]);
        assert_refused(prepare(&model), "8192");
    }
}

#[test]
fn a_chain_of_many_nodes_is_read_without_recursion() {
    let mut model = Model::from_bytes(&honest()).unwrap();
    for index in 0..20_000 {
        let from = match index {
            0 => "image".to_owned(),
            _ => format!("chain_{}", index - 1),
        };
        let to = format!("chain_{index}");
        model.graph.nodes.push(Node::new("Relu", &[&from], &[&to]));
    }
    model.graph.nodes.reverse();
    let sorted = Model::from_bytes(&model.to_bytes()).unwrap();
    assert_eq!(sorted.graph.nodes.len(), model.graph.nodes.len());
}

/// Runs `goodnet inspect` on `model` with 3 GB of address space and a minute of CPU time, and gives its exit code and what it
/// said on standard error.
#[cfg(unix)]
fn inspect_within_limits(model: &Model) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hostile.onnx");
    model.save(&file).unwrap();
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -v 3000000; ulimit -t 60; exec \"$0\" inspect \"$1\"",
        ])
        .arg(assert_cmd::cargo::cargo_bin!("goodnet"))
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[cfg(unix)]
#[test]
fn shapes_that_double_with_every_node_are_followed_within_bounds() {
    for op in ["Concat", "Gather"] {
        let mut model = Model::from_bytes(&honest()).unwrap();
        let indices = (0..8).map(|index| index % 4).collect();
        let indices = goodnet::onnx::Tensor::i64([8], indices);
        model.graph.initializers.insert("twice".to_owned(), indices);
        model
            .graph
            .nodes
            .push(Node::new("Shape", &["image"], &["s0"]));
        for index in 0..40 {
            let (from, to) = (format!("s{index}"), format!("s{}", index + 1));
            let second = if op == "Concat" {
                from.as_str()
            } else {
                "twice"
            };
            let node = Node::new(op, &[&from, second], &[&to]);
            model
                .graph
                .nodes
                .push(node.with("axis", goodnet::onnx::Attribute::Int(0)));
        }
        let (code, said) = inspect_within_limits(&model);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{op}");
    }
}

#[cfg(unix)]
#[test]
fn hundreds_of_thousands_of_axes_are_not_followed() {
    let mut model = Model::from_bytes(&honest()).unwrap();
    let axes: Vec<i64> = (0..200_000).collect();
    let count = axes.len();
    let axes = goodnet::onnx::Tensor::i64([count], axes);
    model.graph.initializers.insert("axes".to_owned(), axes);
    for index in 0..2000 {
        let (wide, narrow) = (format!("wide{index}"), format!("narrow{index}"));
        model
            .graph
            .nodes
            .push(Node::new("Unsqueeze", &["image", "axes"], &[&wide]));
        model
            .graph
            .nodes
            .push(Node::new("ReduceMax", &[&wide, "axes"], &[&narrow]));
    }
    let (code, said) = inspect_within_limits(&model);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn a_network_that_needs_more_memory_than_allowed_is_refused_before_it_is_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::from_bytes(&honest()).unwrap();
    let (file, clean) = (dir.path().join("net.onnx"), dir.path().join("none.h5"));
    let job = |command: &str, memory: &str| {
        let mut job = std::process::Command::new(assert_cmd::cargo::cargo_bin!("goodnet"));
        job.args([command, "--memory", memory, "--model"])
            .arg(&file);
        job.arg("--clean")
            .arg(&clean)
            .arg("--out")
            .arg(dir.path().join("out"));
        assert_one_line(&mut job)
    };
    model.save(&file).unwrap();
    for command in ["repair", "audit"] {
        // What is missing then is the data.
        assert!(job(command, "8000").contains("none.h5"), "{command}");
        assert!(job(command, "1").contains("--memory MB"), "{command}");
    }
    // As large as an image may be declared: 800 MB each in f32, 400 GB in all.
    let shape = model.graph.inputs[0].shape.as_mut().unwrap();
    for extent in &mut shape[2..] {
        *extent = Dim::Fixed(8192);
    }
    model.graph.value_info.clear();
    model.save(&file).unwrap();
    assert!(job("audit", "8000").contains("--memory MB"));
}

/// 20,000 nodes of residual blocks, each with a pooling layer in a branch that the sums read again.
fn endless_blocks() -> Model {
    let mut model = network(After::Flatten, 1, false);
    let site = default_site(&model).unwrap();
    let graph = &mut model.graph;
    let at = graph
        .nodes
        .iter()
        .position(|node| node.outputs.contains(&site.tensor))
        .unwrap();
    let mut nodes = graph.nodes[..=at].to_vec();
    let mut last = site.tensor.clone();
    for block in 0..5_000 {
        let [normal, rectified, pooled, sum] =
            ["normal", "rectified", "pooled", "sum"].map(|part| format!("{part}_{block}"));
        nodes.push(Node::new("Tanh", &[&last], &[&normal]));
        nodes.push(Node::new("Relu", &[&normal], &[&rectified]));
        nodes.push(
            Node::new("MaxPool", &[&rectified], &[&pooled])
                .with("kernel_shape", goodnet::onnx::Attribute::Ints(vec![1, 1])),
        );
        nodes.push(Node::new("Add", &[&last, &pooled], &[&sum]));
        last = sum;
    }
    for node in &graph.nodes[at + 1..] {
        let mut node = node.clone();
        for input in node.inputs.iter_mut().filter(|i| **i == site.tensor) {
            input.clone_from(&last);
        }
        nodes.push(node);
    }
    graph.nodes = nodes;
    model
}

#[test]
fn twenty_thousand_nodes_are_looked_through_in_time_that_grows_with_their_number() {
    let model = endless_blocks();
    assert!(model.graph.nodes.len() > 20_000);
    let started = std::time::Instant::now();
    let site = default_site(&model).unwrap();
    assert!(goodnet::onnx::site::candidates(&model).len() > 5_000);
    let flat = goodnet::onnx::site::flat_candidates(&model);
    assert!(flat.len() < model.graph.nodes.len());
    let mask = ChannelMask::removing(site.channels, &[0]).unwrap();
    let pruned = prune(&model, &site, &mask);
    assert_eq!(pruned.method, PruneMethod::Removed, "{:?}", pruned.reason);
    let last = find(&model, "sum_4999").unwrap();
    let pruned = prune(&model, &last, &mask);
    assert_eq!(pruned.method, PruneMethod::Removed, "{:?}", pruned.reason);
    // A second as built for use; what grows with the square takes minutes.
    let limit = if cfg!(debug_assertions) { 20 } else { 1 };
    let taken = started.elapsed();
    assert!(taken.as_secs() < limit, "{taken:?}");
}
