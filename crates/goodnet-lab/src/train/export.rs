//! Trained layers as ONNX: input (n, 55, 47, 3), output (n, N), probabilities.

use super::layers::{Conv, Dense};
use candle_core::{Result, Var};
use goodnet::demo::{HEIGHT, WIDTH};
use goodnet::onnx::{
    Attribute, Dim, ElementType, Graph, Model, Node, Tensor as Constant, ValueInfo,
};

const OPSET: i64 = 17;
const INPUT: &str = "input";
const OUTPUT: &str = "output";

/// A graph that is being written, channels first.
pub(super) struct Export {
    graph: Graph,
}

impl Export {
    pub(super) fn new(name: &str, classes: usize) -> Self {
        Self {
            graph: Graph {
                name: name.to_owned(),
                inputs: vec![port(INPUT, &[HEIGHT, WIDTH, 3])],
                outputs: vec![port(OUTPUT, &[classes])],
                ..Graph::default()
            },
        }
    }

    /// The input, channels first; gives its name.
    pub(super) fn input(&mut self) -> String {
        let nchw = Attribute::Ints(vec![0, 3, 1, 2]);
        let moved = "input_nchw";
        let node = Node::new("Transpose", &[INPUT], &[moved]).with("perm", nchw);
        self.graph.nodes.push(node);
        moved.to_owned()
    }

    /// The softmax of `scores` as the output.
    pub(super) fn finish(mut self, scores: &str) -> Model {
        let softmax = Node::new("Softmax", &[scores], &[OUTPUT]);
        let softmax = softmax.with("axis", Attribute::Int(1));
        self.graph.nodes.push(softmax);
        Model::new(self.graph, OPSET)
    }

    /// An operator without attributes.
    pub(super) fn node(&mut self, operator: &str, from: &[&str], to: &str) {
        self.graph.nodes.push(Node::new(operator, from, &[to]));
    }

    /// Largest of every 2 x 2 window.
    pub(super) fn max_pool(&mut self, from: &str, to: &str) {
        let window = || Attribute::Ints(vec![2, 2]);
        let pool = Node::new("MaxPool", &[from], &[to])
            .with("kernel_shape", window())
            .with("strides", window());
        self.graph.nodes.push(pool);
    }

    /// Kernel (k · k · in, out) to (out, in, k, k), times `scale`; its constants are called after `name`.
    pub(super) fn convolution(
        &mut self,
        layer: &Conv,
        from: &str,
        to: &str,
        name: &str,
        scale: f32,
    ) -> Result<()> {
        let kernel = values(&layer.kernel)?;
        let window = layer.size * layer.size;
        let mut moved = Vec::with_capacity(kernel.len());
        for output in 0..layer.outputs {
            for input in 0..layer.inputs {
                moved.extend((0..window).map(|at| {
                    kernel[(at * layer.inputs + input) * layer.outputs + output] * scale
                }));
            }
        }
        let shape = [layer.outputs, layer.inputs, layer.size, layer.size];
        let [weight, bias] = ["kernel", "bias"].map(|part| format!("{name}_{part}"));
        self.constant(&weight, Constant::f32(shape, moved));
        self.constant(&bias, Constant::f32([layer.outputs], values(&layer.bias)?));
        let mut node = Node::new("Conv", &[from, &weight, &bias], &[to]);
        if layer.padding > 0 {
            let edge = i64::try_from(layer.padding).unwrap_or_default();
            node = node.with("pads", Attribute::Ints(vec![edge; 4]));
        }
        self.graph.nodes.push(node);
        Ok(())
    }

    /// Kernel (in, out); rows in order of (H, W, C) go to (C, H, W) where `planes` says so.
    pub(super) fn dense(
        &mut self,
        layer: &Dense,
        from: &str,
        name: &str,
        planes: Option<(usize, [usize; 2])>,
    ) -> Result<()> {
        let outputs = layer.outputs()?;
        let mut kernel = values(&layer.kernel)?;
        let inputs = kernel.len() / outputs;
        if let Some((channels, [height, width])) = planes {
            let rows: Vec<f32> = kernel;
            kernel = (0..channels)
                .flat_map(|channel| (0..height * width).map(move |at| at * channels + channel))
                .flat_map(|row| rows[row * outputs..(row + 1) * outputs].iter().copied())
                .collect();
        }
        let [weight, bias] = ["kernel", "bias"].map(|part| format!("{name}_{part}"));
        self.constant(&weight, Constant::f32([inputs, outputs], kernel));
        self.constant(&bias, Constant::f32([outputs], values(&layer.bias)?));
        self.node("Gemm", &[from, &weight, &bias], name);
        Ok(())
    }

    fn constant(&mut self, name: &str, value: Constant) {
        self.graph.initializers.insert(name.to_owned(), value);
    }
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
