//! From the scores back to the last linear layer.

use super::classes::{class_axis, constant, label, per_class};
use super::layer::{Gathering, Layer};
use super::refused::{MAX_BYTES, refused};
use super::{Head, finite};
use crate::axes::reduced_axes;
use crate::error::OnnxError;
use crate::optimize::lookup::{has_explicit_padding, ints_are, is_read_once, readers};
use crate::ports::{ports_of, show};
use crate::shape::{Shape, ShapedModel, Shapes, axis};
use crate::{Graph, Model, Node, TensorData};

/// Operator set from which on biases broadcast as they are read here.
const FIRST_OPSET: i64 = 7;

/// Number of f32 in ONNX's `TensorProto.DataType`.
const FLOAT: i64 = 1;

/// Finds the head of a classifier, as [`prepare`](crate::prepare()) leaves it.
///
/// The way from the head to the scores may hold what keeps the order of the classes in every row: `Softmax`,
/// `LogSoftmax`, `Exp`, `Sigmoid`, regrouped axes, and constants that are added. The head is a `Gemm`, a `MatMul` by a
/// constant, or a `Conv` that gives one value a class; a 1 x 1 convolution may be averaged over the map after it, since
/// it is linear in the averages of what it reads. Its weights may be shared with other layers: those keep them.
///
/// # Errors
/// [`OnnxError::Head`] if anything else stands there, a tensor on the way is read elsewhere too, the weights are no f32
/// constants or take more than 1 GiB, or the features have an unknown extent or do not depend on the image; else as
/// [`ports()`](crate::ports()).
pub fn find(model: &Model) -> Result<Head, OnnxError> {
    let shaped = ShapedModel::new(model);
    let ports = ports_of(&shaped)?;
    let (graph, classes) = (&model.graph, ports.classes as usize);
    if classes > MAX_BYTES / 4 {
        return Err(refused(format!(
            "{classes} classes, more than 1 GiB of scores"
        )));
    }
    if model.opset() < FIRST_OPSET {
        let found = format!("operator set {}, older than {FIRST_OPSET}", model.opset());
        return Err(refused(found));
    }
    let mut walk = Walk {
        graph,
        opset: model.opset(),
        shapes: shaped.shapes(),
        classes,
        tensor: ports.output,
        axis: 1,
        averaged: false,
        linear: None,
        bias: vec![0.0; classes],
    };
    let layer = walk.layer()?;
    let image = graph.dependents(&[&ports.input]);
    if !image.contains(&layer.source) {
        let found = format!("features {} that do not depend on the image", layer.source);
        return Err(refused(found));
    }
    walk.head(layer)
}

/// A place on the way back.
struct Walk<'a> {
    graph: &'a Graph,
    opset: i64,
    shapes: &'a Shapes,
    classes: usize,
    /// The tensor that stands there, and its axis of classes.
    tensor: String,
    axis: usize,
    /// Is that a map, whose average over all other axes is what goes on?
    averaged: bool,
    /// The tensor after which nothing is linear any more, once something linear was met.
    linear: Option<String>,
    /// What constants on the way add to each class.
    bias: Vec<f32>,
}

impl<'a> Walk<'a> {
    /// Walks up to the linear layer.
    fn layer(&mut self) -> Result<Layer, OnnxError> {
        if !readers(self.graph, &self.tensor).is_empty() {
            return Err(self.shared());
        }
        let graph = self.graph;
        loop {
            let node = graph
                .producer(&self.tensor)
                .ok_or_else(|| refused(format!("{}, which no layer makes", self.tensor)))?;
            if let Some(layer) = self.pass(node)? {
                return Ok(layer);
            }
            if !is_read_once(graph, &self.tensor) {
                return Err(self.shared());
            }
        }
    }

    fn shared(&self) -> OnnxError {
        let tensor = &self.tensor;
        refused(format!(
            "{tensor}, which something else reads too, between the last layer and the scores"
        ))
    }

    /// Goes to what `node` reads, or gives the layer that it is.
    fn pass(&mut self, node: &'a Node) -> Result<Option<Layer>, OnnxError> {
        if !node.domain.is_empty() || node.inputs.is_empty() {
            return Err(self.unlike(node));
        }
        match node.op_type.as_str() {
            "Gemm" | "MatMul" | "Conv" => {
                self.is_linear();
                let layer = Layer::read(self.graph, self.shapes, node, self.averaged)?;
                return self.fitting(node, layer).map(Some);
            }
            "Softmax" | "LogSoftmax" | "Exp" | "Sigmoid" => self.function(node)?,
            "Identity" | "Dropout" | "Cast" => self.copy(node)?,
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Transpose" => self.regroup(node)?,
            "Add" => self.add(node)?,
            "GlobalAveragePool" | "AveragePool" | "ReduceMean" => self.average(node)?,
            _ => return Err(self.unlike(node)),
        }
        Ok(None)
    }

    /// The layer, if it gives the classes where the way from it expects them.
    fn fitting(&self, node: &Node, layer: Layer) -> Result<Layer, OnnxError> {
        let rank = self.shapes.get(&self.tensor).map_or(0, Vec::len);
        let axis = if node.is("Conv") {
            Some(1)
        } else {
            rank.checked_sub(1)
        };
        if layer.bias.len() == self.classes && axis == Some(self.axis) {
            return Ok(layer);
        }
        let (outputs, classes) = (layer.bias.len(), self.classes);
        Err(refused(format!(
            "{} with {outputs} outputs for {classes} classes",
            label(node)
        )))
    }

    fn is_linear(&mut self) {
        self.linear.get_or_insert_with(|| self.tensor.clone());
    }

    /// A function that keeps the order of the classes but is not linear.
    fn function(&mut self, node: &Node) -> Result<(), OnnxError> {
        let soft = node.is("Softmax") || node.is("LogSoftmax");
        if self.linear.is_some() || (soft && !self.normalises_classes(node)) {
            return Err(self.unlike(node));
        }
        self.tensor.clone_from(&node.inputs[0]);
        Ok(())
    }

    /// Before operator set 13 a softmax takes all axes from its own on as one.
    fn normalises_classes(&self, node: &Node) -> bool {
        let rank = self.shapes.get(&self.tensor).map_or(0, Vec::len);
        let old = self.opset < 13;
        match axis(node.int("axis", if old { 1 } else { -1 }), rank) {
            Some(at) if old => (1..=self.axis).contains(&at),
            at => at == Some(self.axis),
        }
    }

    fn copy(&mut self, node: &Node) -> Result<(), OnnxError> {
        let other_type = node.is("Cast") && node.int("to", 0) != FLOAT;
        if other_type || (node.is("Dropout") && self.may_drop(node)) {
            return Err(self.unlike(node));
        }
        self.tensor.clone_from(&node.inputs[0]);
        Ok(())
    }

    /// A `Dropout` drops nothing unless it is told that it is in training.
    fn may_drop(&self, node: &Node) -> bool {
        node.inputs.get(2).is_some_and(|name| {
            let told = constant(self.graph, name).map(|tensor| &tensor.data);
            let off = matches!(told, Some(TensorData::Other(_, raw)) if raw.iter().all(|&byte| byte == 0));
            !name.is_empty() && !off
        })
    }

    fn regroup(&mut self, node: &Node) -> Result<(), OnnxError> {
        let input = &node.inputs[0];
        let shape = self.shape(input);
        let axis = match (self.averaged, node.ints("perm")) {
            (false, _) => class_axis(&shape, self.classes),
            (true, Some(order)) if order.first() == Some(&0) => {
                let from = order.get(self.axis);
                from.and_then(|&from| axis(from, shape.len()))
            }
            (true, _) => None,
        };
        self.axis = axis.ok_or_else(|| {
            let (label, shape) = (label(node), show(&shape));
            refused(format!(
                "{label} of {shape} between the last layer and the scores"
            ))
        })?;
        self.tensor.clone_from(input);
        Ok(())
    }

    /// The sum with a constant is part of the linear layer.
    fn add(&mut self, node: &Node) -> Result<(), OnnxError> {
        let [a, b] = node.inputs.as_slice() else {
            return Err(self.unlike(node));
        };
        let (input, added) = match (constant(self.graph, a), constant(self.graph, b)) {
            (None, Some(added)) => (a, added),
            (Some(added), None) => (b, added),
            _ => {
                let label = label(node);
                return Err(refused(format!(
                    "{label}, the sum of two tensors that are computed from the image, at the end"
                )));
            }
        };
        let shape = self.shape(&self.tensor);
        let added = per_class(added, shape.len(), self.axis, self.classes)
            .filter(|_| self.shape(input).len() == shape.len())
            .ok_or_else(|| {
                let label = label(node);
                refused(format!(
                    "{label} of a constant that is not one f32 number a class"
                ))
            })?;
        for (bias, added) in self.bias.iter_mut().zip(added) {
            *bias += added;
        }
        self.is_linear();
        self.tensor.clone_from(input);
        Ok(())
    }

    /// The average over all places of a map, the batch and the classes apart.
    fn average(&mut self, node: &Node) -> Result<(), OnnxError> {
        let input = &node.inputs[0];
        let shape = self.shape(input);
        let axis = averaged_axis(self.graph, node, &shape)
            .filter(|&axis| !self.averaged && shape.get(axis) == Some(&Some(self.classes)));
        self.axis = axis.ok_or_else(|| self.unlike(node))?;
        self.is_linear();
        self.averaged = true;
        self.tensor.clone_from(input);
        Ok(())
    }

    fn shape(&self, tensor: &str) -> Shape {
        self.shapes.get(tensor).cloned().unwrap_or_default()
    }

    /// The refusal of what is not known to keep the order of the classes, or not linear where that is needed.
    fn unlike(&self, node: &Node) -> OnnxError {
        let label = label(node);
        refused(match self.averaged {
            true => format!("{label} between a convolution and the average over its map"),
            false => label,
        })
    }

    /// The head that `layer` and what came after it are together.
    fn head(self, layer: Layer) -> Result<Head, OnnxError> {
        let bias: Vec<f32> = layer
            .bias
            .iter()
            .zip(&self.bias)
            .map(|(of_layer, added)| of_layer + added)
            .collect();
        let linear = self.linear.unwrap_or_default();
        finite(&linear, &bias)?;
        finite(&linear, &layer.weights)?;
        let features = match layer.gathering {
            Gathering::None => layer.source.clone(),
            _ => self.graph.fresh_name(&format!("{}_features", layer.source)),
        };
        let row = self.shapes.get(&linear).into_iter().flatten().skip(1);
        Ok(Head {
            features,
            dim: layer.dim,
            classes: self.classes,
            weights: layer.weights,
            bias,
            source: layer.source,
            gathering: layer.gathering,
            linear_row: row.map(|extent| extent.unwrap_or(1)).collect(),
            linear,
        })
    }
}

/// The axis that is left, the batch apart, where `node` averages its input of `shape` over all others.
fn averaged_axis(graph: &Graph, node: &Node, shape: &Shape) -> Option<usize> {
    match node.op_type.as_str() {
        "GlobalAveragePool" => Some(1),
        "AveragePool" => covers(node, shape).then_some(1),
        _ => {
            let axes = reduced_axes(node, graph, shape.len())?;
            let mut left = (1..shape.len()).filter(|axis| !axes.contains(axis));
            let only = left.next().filter(|_| !axes.contains(&0));
            only.filter(|_| left.next().is_none())
        }
    }
}

/// Is the only window of a pooling the whole map?
fn covers(node: &Node, shape: &Shape) -> bool {
    let window = node.ints("kernel_shape").unwrap_or_default().iter();
    let window: Vec<Option<usize>> = window.map(|&side| usize::try_from(side).ok()).collect();
    shape.get(2..) == Some(&window)
        && window.iter().all(Option::is_some)
        && has_explicit_padding(node)
        && ints_are(node, &["pads"], 0)
        && ints_are(node, &["dilations"], 1)
}
