//! The trained layers as ONNX, named and laid out as the Keras import names and lays out the lab's network.

use super::network::{CONV_4, Conv, DeepId, Dense, POOL_3};
use candle_core::{Result, Var};
use goodnet::demo::{HEIGHT, WIDTH};
use goodnet::onnx::{
    Attribute, Dim, ElementType, Graph, Model, Node, Tensor as Constant, ValueInfo,
};

const OPSET: i64 = 17;

/// The network with input (n, 55, 47, 3), values 0..`range`, and output (n, N), probabilities.
pub(super) fn export(network: &DeepId, range: f32) -> Result<Model> {
    let mut graph = Graph {
        name: "deepid".to_owned(),
        inputs: vec![port("input", &[HEIGHT, WIDTH, 3])],
        outputs: vec![port("output", &[network.classes])],
        ..Graph::default()
    };
    let nchw = Attribute::Ints(vec![0, 3, 1, 2]);
    graph
        .nodes
        .push(Node::new("Transpose", &["input"], &["input_nchw"]).with("perm", nchw));
    let mut last = "input_nchw".to_owned();
    for (index, layer) in network.conv.iter().enumerate().take(3) {
        // The network was trained on values 0..1.
        let scale = if index == 0 { 1.0 / range } else { 1.0 };
        let number = index + 1;
        convolution(&mut graph, layer, &last, &format!("conv_{number}"), scale)?;
        last = format!("pool_{number}");
        let window = || Attribute::Ints(vec![2, 2]);
        let pool = Node::new("MaxPool", &[&format!("conv_{number}")], &[&last])
            .with("kernel_shape", window())
            .with("strides", window());
        graph.nodes.push(pool);
    }
    convolution(&mut graph, &network.conv[3], "pool_3", "conv_4", 1.0)?;
    graph
        .nodes
        .push(Node::new("Flatten", &["pool_3"], &["flatten_1"]));
    graph
        .nodes
        .push(Node::new("Flatten", &["conv_4"], &["flatten_2"]));
    dense(
        &mut graph,
        &network.fc_1,
        "flatten_1",
        "fc_1",
        Some((60, POOL_3)),
    )?;
    dense(
        &mut graph,
        &network.fc_2,
        "flatten_2",
        "fc_2",
        Some((80, CONV_4)),
    )?;
    graph
        .nodes
        .push(Node::new("Add", &["fc_1", "fc_2"], &["add_1"]));
    graph
        .nodes
        .push(Node::new("Relu", &["add_1"], &["activation_1"]));
    dense(
        &mut graph,
        &network.output,
        "activation_1",
        "output_linear",
        None,
    )?;
    let softmax = Node::new("Softmax", &["output_linear"], &["output"]);
    graph.nodes.push(softmax.with("axis", Attribute::Int(1)));
    Ok(Model::new(graph, OPSET))
}

fn port(name: &str, rest: &[usize]) -> ValueInfo {
    let mut shape = vec![Dim::Symbol("n".to_owned())];
    shape.extend(rest.iter().map(|&extent| Dim::Fixed(extent)));
    ValueInfo {
        name: name.to_owned(),
        element: ElementType::F32,
        shape: Some(shape),
    }
}

fn values(variable: &Var) -> Result<Vec<f32>> {
    variable.as_tensor().flatten_all()?.to_vec1()
}

/// Kernel (k · k · in, out) to (out, in, k, k), times `scale`; relu after it.
fn convolution(graph: &mut Graph, layer: &Conv, from: &str, name: &str, scale: f32) -> Result<()> {
    let kernel = values(&layer.kernel)?;
    let window = layer.size * layer.size;
    let mut moved = Vec::with_capacity(kernel.len());
    for output in 0..layer.outputs {
        for input in 0..layer.inputs {
            moved
                .extend((0..window).map(|at| {
                    kernel[(at * layer.inputs + input) * layer.outputs + output] * scale
                }));
        }
    }
    let shape = [layer.outputs, layer.inputs, layer.size, layer.size];
    let [weight, bias, linear] = ["kernel", "bias", "linear"].map(|part| format!("{name}_{part}"));
    graph
        .initializers
        .insert(weight.clone(), Constant::f32(shape, moved));
    let constant = Constant::f32([layer.outputs], values(&layer.bias)?);
    graph.initializers.insert(bias.clone(), constant);
    graph
        .nodes
        .push(Node::new("Conv", &[from, &weight, &bias], &[&linear]));
    graph.nodes.push(Node::new("Relu", &[&linear], &[name]));
    Ok(())
}

/// Kernel (in, out); rows in order of (H, W, C) go to (C, H, W) where `planes` says so.
fn dense(
    graph: &mut Graph,
    layer: &Dense,
    from: &str,
    name: &str,
    planes: Option<(usize, [usize; 2])>,
) -> Result<()> {
    let bias = values(&layer.bias)?;
    let outputs = bias.len();
    let mut kernel = values(&layer.kernel)?;
    let inputs = kernel.len() / outputs;
    if let Some((channels, [height, width])) = planes {
        let rows: Vec<f32> = kernel;
        kernel = (0..channels)
            .flat_map(|channel| (0..height * width).map(move |at| at * channels + channel))
            .flat_map(|row| rows[row * outputs..(row + 1) * outputs].iter().copied())
            .collect();
    }
    let [weight, shift] = ["kernel", "bias"].map(|part| format!("{name}_{part}"));
    graph
        .initializers
        .insert(weight.clone(), Constant::f32([inputs, outputs], kernel));
    graph
        .initializers
        .insert(shift.clone(), Constant::f32([outputs], bias));
    graph
        .nodes
        .push(Node::new("Gemm", &[from, &weight, &shift], &[name]));
    Ok(())
}
