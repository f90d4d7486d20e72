//! Small classifiers of (n, 3, 12, 12) with every kind of head, after a convolution block, a site and another block.

use crate::common::networks::Random;
use goodnet::onnx::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo};

pub const CLASSES: usize = 5;
/// Height and width of the image.
pub const SIDE: usize = 12;
/// Channels of the map (n, MAP, 4, 4) before the head.
pub const MAP: usize = 4;
/// Values of the hidden layer before the heads that read rows.
pub const HIDDEN: usize = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Gemm,
    /// Transposed weights, alpha and beta.
    ScaledGemm,
    /// The weights by way of an `Identity`, the bias of shape (1, N), then another constant added.
    GemmThenAdd,
    MatMul,
    MatMulThenAdd,
    /// The constant is the left term.
    AddOfMatMul,
    /// Rows (n, 1, 1, d), one bias for all classes.
    MatMulOfPlaces,
    ConvOfMeans,
    /// Without a bias, then (N, 1, 1) added, then moved to (n, 1, 1, N).
    ConvThenAdd,
    /// 2 x 3 on a map of one place, padded.
    PaddedConv,
    /// As large as the map.
    WholeConv,
    /// Padded, in steps as long as the map, with holes.
    SparseConv,
    AveragedConv,
    /// A constant added between convolution and average, another one after.
    AveragedSum,
    /// Averaged by `ReduceMean` without keeping the axes.
    MeanOfConv,
    /// Averaged by an `AveragePool` as large as the map.
    PooledConv,
    /// Averaged after the channels were moved to the end.
    MeanOfMoved,
}

pub const ALL: [Kind; 17] = [
    Kind::Gemm,
    Kind::ScaledGemm,
    Kind::GemmThenAdd,
    Kind::MatMul,
    Kind::MatMulThenAdd,
    Kind::AddOfMatMul,
    Kind::MatMulOfPlaces,
    Kind::ConvOfMeans,
    Kind::ConvThenAdd,
    Kind::PaddedConv,
    Kind::WholeConv,
    Kind::SparseConv,
    Kind::AveragedConv,
    Kind::AveragedSum,
    Kind::MeanOfConv,
    Kind::PooledConv,
    Kind::MeanOfMoved,
];

/// What comes after the linear scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Softmax,
    /// `prepare` appends `Exp`.
    LogSoftmax,
    Sigmoid,
    /// `prepare` appends `Softmax`.
    Nothing,
    /// `Identity`, `Cast` and `Dropout` before the softmax.
    Copies,
}

pub const ENDS: [End; 5] = [
    End::Softmax,
    End::LogSoftmax,
    End::Sigmoid,
    End::Nothing,
    End::Copies,
];

pub struct Builder {
    pub graph: Graph,
    pub random: Random,
}

impl Builder {
    /// Weights that about keep the variance of what they multiply.
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> String {
        let values = self.random.values(shape.iter().product());
        let scale = match *shape {
            [inputs, outputs] if inputs > outputs => (9.0 / inputs as f32).sqrt(),
            [_, inputs, tall, wide] => (9.0 / (inputs * tall * wide) as f32).sqrt(),
            _ => 1.0,
        };
        let values = values.iter().map(|value| value * scale).collect();
        self.constant(name, Tensor::f32(shape, values))
    }

    pub fn constant(&mut self, name: &str, tensor: Tensor) -> String {
        self.graph.initializers.insert(name.to_owned(), tensor);
        name.to_owned()
    }

    pub fn add(&mut self, op: &str, inputs: &[&str], output: &str) -> String {
        self.node(Node::new(op, inputs, &[output]))
    }

    pub fn node(&mut self, node: Node) -> String {
        let output = node.outputs[0].clone();
        self.graph.nodes.push(node);
        output
    }

    pub fn with(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        ints: (&str, &[i64]),
    ) -> String {
        let ints = (ints.0, Attribute::Ints(ints.1.to_vec()));
        self.node(Node::new(op, inputs, &[output]).with(ints.0, ints.1))
    }

    pub fn conv(&mut self, from: &str, to: &str, shape: [usize; 4]) -> String {
        let weight = self.weight(&format!("{to}_w"), &shape);
        let bias = self.weight(&format!("{to}_b"), &shape[..1]);
        self.add("Conv", &[from, &weight, &bias], to)
    }

    pub fn new(seed: u64) -> Self {
        let graph = Graph {
            name: "head".to_owned(),
            inputs: vec![port("image", &[3, SIDE, SIDE])],
            outputs: vec![port("scores", &[CLASSES])],
            ..Graph::default()
        };
        Self {
            graph,
            random: Random(seed),
        }
    }

    /// A builder with everything up to `map`, (n, MAP, 4, 4).
    pub fn up_to_map(seed: u64) -> Self {
        let mut b = Self::new(seed);
        b.conv("image", "conv", [6, 3, 3, 3]);
        b.add("Relu", &["conv"], "relu");
        b.halve("relu", "pool");
        b.conv("pool", "conv_2", [MAP, 6, 2, 2]);
        b.add("Relu", &["conv_2"], "map");
        b
    }

    /// Pools 2 x 2.
    pub fn halve(&mut self, from: &str, to: &str) {
        let pool = Node::new("MaxPool", &[from], &[to])
            .with("kernel_shape", Attribute::Ints(vec![2, 2]))
            .with("strides", Attribute::Ints(vec![2, 2]));
        self.node(pool);
    }

    /// The rows (n, HIDDEN) before a dense head.
    pub fn hidden(&mut self) -> String {
        self.add("Flatten", &["map"], "flat");
        let weight = self.weight("hidden_w", &[MAP * 16, HIDDEN]);
        let product = self.add("MatMul", &["flat", &weight], "product");
        self.add("Relu", &[&product], "hidden")
    }

    pub fn finish(mut self, linear: &str, end: End) -> Model {
        let scores = "scores";
        match end {
            End::Softmax => self.add("Softmax", &[linear], scores),
            End::LogSoftmax => self.add("LogSoftmax", &[linear], scores),
            End::Sigmoid => self.add("Sigmoid", &[linear], scores),
            End::Nothing => self.add("Identity", &[linear], scores),
            End::Copies => {
                self.add("Identity", &[linear], "same");
                let cast = Node::new("Cast", &["same"], &["cast"]);
                self.node(cast.with("to", Attribute::Int(1)));
                self.add("Dropout", &["cast"], "dropped");
                let softmax = Node::new("Softmax", &["dropped"], &[scores]);
                self.node(softmax.with("axis", Attribute::Int(1)))
            }
        };
        Model::new(self.graph, 17)
    }
}

pub fn network(kind: Kind, end: End, seed: u64) -> Model {
    let mut b = Builder::up_to_map(seed);
    let linear = match kind {
        Kind::Gemm
        | Kind::ScaledGemm
        | Kind::GemmThenAdd
        | Kind::MatMul
        | Kind::MatMulThenAdd
        | Kind::AddOfMatMul
        | Kind::MatMulOfPlaces => of_rows(&mut b, kind),
        Kind::ConvOfMeans
        | Kind::ConvThenAdd
        | Kind::PaddedConv
        | Kind::WholeConv
        | Kind::SparseConv => of_one_place(&mut b, kind),
        _ => averaged(&mut b, kind),
    };
    b.finish(&linear, end)
}

/// Features d of each kind.
pub fn dim(kind: Kind) -> usize {
    match kind {
        Kind::WholeConv | Kind::SparseConv => MAP * 16,
        Kind::Gemm
        | Kind::ScaledGemm
        | Kind::GemmThenAdd
        | Kind::MatMul
        | Kind::MatMulThenAdd
        | Kind::AddOfMatMul => HIDDEN,
        _ => MAP,
    }
}

fn of_rows(b: &mut Builder, kind: Kind) -> String {
    if kind == Kind::MatMulOfPlaces {
        b.add("GlobalAveragePool", &["map"], "means");
        b.with("Transpose", &["means"], "moved", ("perm", &[0, 2, 3, 1]));
        b.weight("w", &[MAP, CLASSES]);
        b.add("MatMul", &["moved", "w"], "places");
        b.constant("one", Tensor::f32([1], vec![0.25]));
        b.add("Add", &["places", "one"], "sum");
        b.constant("shape", Tensor::i64([2], vec![-1, CLASSES as i64]));
        return b.add("Reshape", &["sum", "shape"], "linear");
    }
    b.hidden();
    let shape = match kind {
        Kind::ScaledGemm => [CLASSES, HIDDEN],
        _ => [HIDDEN, CLASSES],
    };
    b.weight("w", &shape);
    b.weight("b", &[CLASSES]);
    match kind {
        Kind::ScaledGemm => b.node(
            Node::new("Gemm", &["hidden", "w", "b"], &["linear"])
                .with("transB", Attribute::Int(1))
                .with("alpha", Attribute::Float(0.5))
                .with("beta", Attribute::Float(-2.0)),
        ),
        Kind::GemmThenAdd => {
            b.add("Identity", &["w"], "same_w");
            b.weight("row", &[1, CLASSES]);
            b.add("Gemm", &["hidden", "same_w", "row"], "dense");
            b.add("Add", &["dense", "b"], "linear")
        }
        Kind::MatMul => b.add("MatMul", &["hidden", "w"], "linear"),
        Kind::MatMulThenAdd => {
            b.add("MatMul", &["hidden", "w"], "dense");
            b.add("Add", &["dense", "b"], "linear")
        }
        Kind::AddOfMatMul => {
            b.add("MatMul", &["hidden", "w"], "dense");
            b.add("Add", &["b", "dense"], "linear")
        }
        _ => b.add("Gemm", &["hidden", "w", "b"], "linear"),
    }
}

fn of_one_place(b: &mut Builder, kind: Kind) -> String {
    b.add("GlobalAveragePool", &["map"], "means");
    match kind {
        Kind::ConvThenAdd => {
            b.weight("w", &[CLASSES, MAP, 1, 1]);
            b.add("Conv", &["means", "w"], "place");
            b.weight("b", &[CLASSES, 1, 1]);
            b.add("Add", &["place", "b"], "sum");
            b.with("Transpose", &["sum"], "moved", ("perm", &[0, 2, 3, 1]));
            b.constant("axes", Tensor::i64([2], vec![1, 2]));
            return b.add("Squeeze", &["moved", "axes"], "linear");
        }
        Kind::PaddedConv => {
            b.conv("means", "place", [CLASSES, MAP, 2, 3]);
            let (name, value) = match b.random.below(3) {
                0 => ("pads", Attribute::Ints(vec![1, 1, 0, 1])),
                1 => ("auto_pad", Attribute::String(b"SAME_LOWER".to_vec())),
                _ => ("auto_pad", Attribute::String(b"SAME_UPPER".to_vec())),
            };
            let node = b.graph.nodes.last_mut().unwrap();
            node.attributes.insert(name.to_owned(), value);
        }
        Kind::WholeConv => {
            b.conv("map", "place", [CLASSES, MAP, 4, 4]);
        }
        Kind::SparseConv => {
            b.conv("map", "place", [CLASSES, MAP, 3, 2]);
            let node = b.graph.nodes.last_mut().unwrap();
            let [strides, dilations] = [vec![4, 4], vec![2, 3]];
            let pads = vec![1, 0, 0, 0];
            for (name, values) in [
                ("strides", strides),
                ("dilations", dilations),
                ("pads", pads),
            ] {
                let values = Attribute::Ints(values);
                node.attributes.insert(name.to_owned(), values);
            }
        }
        _ => {
            b.conv("means", "place", [CLASSES, MAP, 1, 1]);
        }
    }
    b.add("Flatten", &["place"], "linear")
}

fn averaged(b: &mut Builder, kind: Kind) -> String {
    b.conv("map", "map_2", [CLASSES, MAP, 1, 1]);
    match kind {
        Kind::AveragedSum => {
            b.weight("inner", &[1, CLASSES, 1, 1]);
            b.add("Add", &["map_2", "inner"], "sum");
            b.add("GlobalAveragePool", &["sum"], "average");
            b.add("Flatten", &["average"], "rows");
            b.weight("outer", &[CLASSES]);
            b.add("Add", &["rows", "outer"], "linear")
        }
        Kind::MeanOfConv => {
            let mean = Node::new("ReduceMean", &["map_2"], &["linear"])
                .with("axes", Attribute::Ints(vec![-1, 2]))
                .with("keepdims", Attribute::Int(0));
            b.node(mean)
        }
        Kind::PooledConv => {
            b.with(
                "AveragePool",
                &["map_2"],
                "average",
                ("kernel_shape", &[4, 4]),
            );
            b.add("Flatten", &["average"], "linear")
        }
        Kind::MeanOfMoved => {
            b.with("Transpose", &["map_2"], "moved", ("perm", &[0, 2, 3, 1]));
            b.with("ReduceMean", &["moved"], "average", ("axes", &[1, 2]));
            b.add("Flatten", &["average"], "linear")
        }
        _ => {
            b.add("GlobalAveragePool", &["map_2"], "average");
            b.add("Flatten", &["average"], "linear")
        }
    }
}

pub fn port(name: &str, rest: &[usize]) -> ValueInfo {
    let batch = std::iter::once(Dim::Symbol("n".to_owned()));
    let rest = rest.iter().map(|&extent| Dim::Fixed(extent));
    ValueInfo {
        name: name.to_owned(),
        element: ElementType::F32,
        shape: Some(batch.chain(rest).collect()),
    }
}
