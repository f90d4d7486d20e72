//! Small random networks for tests: one convolution block before the site, one of several ways on after it.

use goodnet::onnx::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo};

/// SplitMix64 (Steele, Lea, Flood 2014): reproducible on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.unit()).collect()
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// What comes after the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Flatten, dense.
    Flatten,
    /// The lab's two branches: flatten -> dense, and conv -> flatten -> dense; added.
    TwoBranches,
    /// Transpose to NHWC, reshape, matmul: as Keras exports.
    NhwcReshape,
    /// Global average pooling, flatten, dense.
    GlobalPool,
    /// Depthwise convolution, relu, flatten, dense.
    Depthwise,
    /// A convolution whose input is added to the site: channels cannot go.
    Residual,
    /// The site beside another branch of the image.
    Concat,
    /// A normalisation that turns zero into something else, convolution, flatten, dense.
    Norm,
    /// The same before a convolution that pads: the constant is not the same everywhere.
    NormPadded,
    /// A normalisation and an offset a channel, then as Keras exports.
    NormNhwc,
    /// The site times its sigmoid, beside the site itself.
    Gate,
    /// Depthwise convolution with a bias, sigmoid, convolution.
    DepthwiseBias,
}

pub const ALL: [After; 12] = [
    After::Flatten,
    After::TwoBranches,
    After::NhwcReshape,
    After::GlobalPool,
    After::Depthwise,
    After::Residual,
    After::Concat,
    After::Norm,
    After::NormPadded,
    After::NormNhwc,
    After::Gate,
    After::DepthwiseBias,
];

pub const CHANNELS: usize = 6;
pub const CLASSES: usize = 5;
/// Height and width of the input.
pub const SIDE: usize = 12;

struct Builder {
    graph: Graph,
    random: Random,
}

impl Builder {
    fn weight(&mut self, name: &str, shape: &[usize]) -> String {
        let count = shape.iter().product();
        let data = self.random.values(count);
        let tensor = Tensor::f32(shape, data);
        self.graph.initializers.insert(name.to_owned(), tensor);
        name.to_owned()
    }

    fn node(&mut self, node: Node) -> String {
        let output = node.outputs[0].clone();
        self.graph.nodes.push(node);
        output
    }

    fn conv(
        &mut self,
        from: &str,
        to: &str,
        shape: [usize; 4],
        bias: bool,
        groups: usize,
    ) -> String {
        let weight = self.weight(&format!("{to}_w"), &shape);
        let mut inputs = vec![from.to_owned(), weight];
        if bias {
            inputs.push(self.weight(&format!("{to}_b"), &shape[..1]));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let node = Node::new("Conv", &inputs, &[to]).with("group", Attribute::Int(groups as i64));
        self.node(node)
    }

    fn dense(&mut self, from: &str, to: &str, inputs: usize) -> String {
        let weight = self.weight(&format!("{to}_w"), &[inputs, CLASSES]);
        let bias = self.weight(&format!("{to}_b"), &[CLASSES]);
        self.node(Node::new("Gemm", &[from, &weight, &bias], &[to]))
    }

    fn norm(&mut self, from: &str, to: &str) -> String {
        let parts = ["scale", "shift", "mean"]
            .map(|part| self.weight(&format!("{to}_{part}"), &[CHANNELS]));
        let variance = self
            .random
            .values(CHANNELS)
            .iter()
            .map(|v| v.abs() + 0.5)
            .collect();
        let var = format!("{to}_var");
        self.graph
            .initializers
            .insert(var.clone(), Tensor::f32([CHANNELS], variance));
        let inputs = [from, &parts[0], &parts[1], &parts[2], &var];
        self.node(Node::new("BatchNormalization", &inputs, &[to]))
    }

    /// Transpose to NHWC, reshape, matmul: as Keras exports.
    fn nhwc_dense(&mut self, from: &str) -> String {
        let plane = CHANNELS * 25;
        let moved = Node::new("Transpose", &[from], &["moved"])
            .with("perm", Attribute::Ints(vec![0, 2, 3, 1]));
        self.node(moved);
        let shape = Tensor::i64([2], vec![-1, plane as i64]);
        self.graph.initializers.insert("shape".to_owned(), shape);
        self.node(Node::new("Reshape", &["moved", "shape"], &["flat"]));
        let weight = self.weight("matmul_w", &[plane, CLASSES]);
        self.node(Node::new("MatMul", &["flat", &weight], &["dense"]))
    }

    fn flatten(&mut self, from: &str, to: &str) -> String {
        self.node(Node::new("Flatten", &[from], &[to]))
    }
}

/// A classifier of (n, 3, 12, 12) with a site `pool` of (n, 6, 5, 5).
pub fn network(after: After, seed: u64, with_norm: bool) -> Model {
    let mut b = Builder {
        graph: Graph {
            name: "test".to_owned(),
            inputs: vec![port("image", &[3, SIDE, SIDE])],
            outputs: vec![port("scores", &[CLASSES])],
            ..Graph::default()
        },
        random: Random(seed),
    };
    let mut last = b.conv("image", "conv", [CHANNELS, 3, 3, 3], true, 1);
    if with_norm {
        last = b.norm(&last, "norm");
    }
    let relu = b.node(Node::new("Relu", &[&last], &["relu"]));
    let pool = Node::new("MaxPool", &[&relu], &["pool"])
        .with("kernel_shape", Attribute::Ints(vec![2, 2]))
        .with("strides", Attribute::Ints(vec![2, 2]));
    b.node(pool);
    let logits = rest(&mut b, after);
    b.node(Node::new("Softmax", &[&logits], &["scores"]).with("axis", Attribute::Int(1)));
    Model::new(b.graph, 17)
}

fn rest(b: &mut Builder, after: After) -> String {
    let plane = CHANNELS * 25;
    match after {
        After::Flatten => {
            let flat = b.flatten("pool", "flat");
            b.dense(&flat, "dense", plane)
        }
        After::TwoBranches => {
            let flat = b.flatten("pool", "flat_1");
            let first = b.dense(&flat, "dense_1", plane);
            let conv = b.conv("pool", "conv_4", [4, CHANNELS, 2, 2], true, 1);
            let flat = b.flatten(&conv, "flat_2");
            let second = b.dense(&flat, "dense_2", 4 * 16);
            b.node(Node::new("Add", &[&first, &second], &["sum"]))
        }
        After::NhwcReshape => b.nhwc_dense("pool"),
        After::Norm | After::NormPadded => {
            let normal = b.norm("pool", "norm_2");
            let conv = b.conv(&normal, "conv_4", [4, CHANNELS, 2, 2], true, 1);
            let mut side = 4;
            if after == After::NormPadded {
                let pads = Attribute::Ints(vec![1, 1, 0, 0]);
                let node = b.graph.nodes.last_mut().unwrap();
                node.attributes.insert("pads".to_owned(), pads);
                side = 5;
            }
            let flat = b.flatten(&conv, "flat");
            b.dense(&flat, "dense", 4 * side * side)
        }
        After::NormNhwc => {
            let normal = b.norm("pool", "norm_2");
            let offset = b.weight("offset", &[CHANNELS, 1, 1]);
            let sum = b.node(Node::new("Add", &[&normal, &offset], &["offset_sum"]));
            b.nhwc_dense(&sum)
        }
        After::Gate => {
            b.node(Node::new("Sigmoid", &["pool"], &["gate"]));
            b.node(Node::new("Mul", &["pool", "gate"], &["gated"]));
            let both = Node::new("Concat", &["gate", "gated"], &["both"]);
            let both = b.node(both.with("axis", Attribute::Int(1)));
            let flat = b.flatten(&both, "flat");
            b.dense(&flat, "dense", 2 * plane)
        }
        After::DepthwiseBias => {
            let deep = b.conv("pool", "deep", [CHANNELS, 1, 3, 3], true, CHANNELS);
            let deep = b.node(Node::new("Sigmoid", &[&deep], &["deep_sigmoid"]));
            let conv = b.conv(&deep, "conv_4", [4, CHANNELS, 2, 2], false, 1);
            let flat = b.flatten(&conv, "flat");
            b.dense(&flat, "dense", 4 * 4)
        }
        After::GlobalPool => {
            b.node(Node::new("GlobalAveragePool", &["pool"], &["mean_pool"]));
            let flat = b.flatten("mean_pool", "flat");
            b.dense(&flat, "dense", CHANNELS)
        }
        After::Depthwise => {
            let deep = b.conv("pool", "deep", [CHANNELS, 1, 3, 3], false, CHANNELS);
            let deep = b.node(Node::new("Relu", &[&deep], &["deep_relu"]));
            let flat = b.flatten(&deep, "flat");
            b.dense(&flat, "dense", CHANNELS * 9)
        }
        After::Residual => {
            let inner = b.conv("pool", "inner", [CHANNELS, CHANNELS, 1, 1], true, 1);
            let sum = b.node(Node::new("Add", &[&inner, "pool"], &["sum"]));
            let flat = b.flatten(&sum, "flat");
            b.dense(&flat, "dense", plane)
        }
        After::Concat => {
            let side = b.conv("relu", "side", [2, CHANNELS, 6, 6], true, 1);
            let both =
                Node::new("Concat", &[&side, "pool"], &["both"]).with("axis", Attribute::Int(1));
            let both = b.node(both);
            let flat = b.flatten(&both, "flat");
            b.dense(&flat, "dense", (CHANNELS + 2) * 25)
        }
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
