//! The ONNX graph in the making.

use super::weights::Weights;
use crate::graph::Names;
use crate::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo};
use std::collections::{HashMap, HashSet};

/// Operator set of imported graphs.
const OPSET: i64 = 17;

/// What a layer gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// The tensor's name.
    pub(super) tensor: String,
    /// Its extents without the batch.
    pub(super) form: Form,
}

/// Extents of a layer's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// (n, C, H, W) in the graph, (n, H, W, C) in Keras.
    Spatial {
        /// Channels.
        channels: usize,
        /// Height.
        height: usize,
        /// Width.
        width: usize,
    },
    /// (n, len). `planes` is (C, H, W) where the values lie in that order but Keras has them in (H, W, C) order.
    Flat {
        /// Values.
        len: usize,
        /// The order, where it differs from Keras'.
        planes: Option<[usize; 3]>,
    },
    /// (n, 1, H, W) in the graph, (n, H, W) in Keras: one channel taken out of an image.
    Plane {
        /// Height.
        height: usize,
        /// Width.
        width: usize,
    },
}

pub(super) struct Builder<'a> {
    pub(super) weights: &'a Weights,
    graph: Graph,
    values: HashMap<String, Value>,
    names: Names,
}

impl<'a> Builder<'a> {
    pub(super) fn new(weights: &'a Weights) -> Self {
        Self {
            weights,
            graph: Graph {
                name: "keras".to_owned(),
                ..Graph::default()
            },
            values: HashMap::new(),
            names: Names::default(),
        }
    }

    /// What the layer `name` gives.
    pub(super) fn value(&self, name: &str) -> Result<Value, String> {
        let value = self.values.get(name).cloned();
        value.ok_or_else(|| format!("reads layer {name}, which is missing"))
    }

    pub(super) fn define(&mut self, layer: &str, value: Value) {
        self.values.insert(layer.to_owned(), value);
    }

    /// Adds a node; the result is its first output.
    pub(super) fn node(&mut self, node: Node) -> String {
        let output = node.outputs.first().cloned().unwrap_or_default();
        for name in &node.outputs {
            self.names.take(name);
        }
        self.graph.nodes.push(node);
        output
    }

    /// Adds a constant under a name of its own.
    pub(super) fn constant(&mut self, name: &str, tensor: Tensor) -> String {
        let name = self.names.fresh(name);
        self.graph.initializers.insert(name.clone(), tensor);
        name
    }

    /// The image input, (n, H, W, C), transposed to (n, C, H, W).
    pub(super) fn input(
        &mut self,
        name: &str,
        height: usize,
        width: usize,
        channels: usize,
    ) -> Result<Value, String> {
        if !self.graph.inputs.is_empty() {
            return Err("expected one input, found another".to_owned());
        }
        self.names.take(name);
        self.graph.inputs.push(ValueInfo {
            name: name.to_owned(),
            element: ElementType::F32,
            shape: Some(vec![
                Dim::Symbol("n".to_owned()),
                Dim::Fixed(height),
                Dim::Fixed(width),
                Dim::Fixed(channels),
            ]),
        });
        let moved = format!("{name}_nchw");
        self.node(transpose(name, &moved, [0, 3, 1, 2]));
        Ok(Value {
            tensor: moved,
            form: Form::Spatial {
                channels,
                height,
                width,
            },
        })
    }

    /// The values in Keras' own order: (n, len), or (n, H, W, C) for a spatial tensor.
    pub(super) fn in_keras_order(&mut self, value: &Value, name: &str) -> String {
        match value.form {
            Form::Spatial { .. } => self.node(transpose(
                &value.tensor,
                &format!("{name}_nhwc"),
                [0, 2, 3, 1],
            )),
            Form::Flat { planes: None, .. } | Form::Plane { .. } => value.tensor.clone(),
            Form::Flat {
                planes: Some([c, h, w]),
                ..
            } => {
                let planes = self.reshape(&value.tensor, &format!("{name}_planes"), &[c, h, w]);
                let moved = self.node(transpose(&planes, &format!("{name}_nhwc"), [0, 2, 3, 1]));
                self.node(Node::new("Flatten", &[&moved], &[&format!("{name}_flat")]))
            }
        }
    }

    /// Reshapes all but the batch.
    pub(super) fn reshape(&mut self, from: &str, to: &str, rest: &[usize]) -> String {
        let mut shape = vec![0i64];
        shape.extend(rest.iter().map(|&extent| extent as i64));
        let shape = Tensor::i64([shape.len()], shape);
        let shape = self.constant(&format!("{to}_shape"), shape);
        self.node(Node::new("Reshape", &[from, &shape], &[to]))
    }

    /// Tensors are named after layers; a file can choose names so that two collide.
    fn check_names(&self) -> Result<(), String> {
        let mut seen: HashSet<&str> = self.graph.inputs.iter().map(|i| i.name.as_str()).collect();
        for name in self.graph.nodes.iter().flat_map(|node| &node.outputs) {
            if !seen.insert(name) {
                return Err(format!("two layers give a tensor named {name}"));
            }
        }
        Ok(())
    }

    /// The model whose scores are what the layer `output` gives.
    pub(super) fn finish(mut self, output: &str) -> Result<Model, String> {
        self.check_names()?;
        let value = self.value(output)?;
        let Form::Flat { len, .. } = value.form else {
            return Err(format!(
                "expected scores (n, N) from layer {output}, found an image"
            ));
        };
        let tensor = self.in_keras_order(&value, output);
        self.graph.outputs.push(ValueInfo {
            name: tensor,
            element: ElementType::F32,
            shape: Some(vec![Dim::Symbol("n".to_owned()), Dim::Fixed(len)]),
        });
        self.graph.remove_unused();
        Ok(Model::new(self.graph, OPSET))
    }
}

pub(super) fn transpose(from: &str, to: &str, order: [i64; 4]) -> Node {
    Node::new("Transpose", &[from], &[to]).with("perm", Attribute::Ints(order.to_vec()))
}
