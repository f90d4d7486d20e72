//! From the site down to the layers that read its channels.

use super::backward::{constant_shape, no_constant, slice, slice_operand};
use super::edit::Edit;
use crate::domain::mask::ChannelMask;
use crate::onnx::model::{Graph, Node};
use crate::onnx::shape::Shapes;
use std::collections::HashMap;

/// Where the site's channels are in a tensor: which entries of which axis stay.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Carried {
    axis: usize,
    keep: Vec<usize>,
    extent: usize,
}

/// Plans the removal of channels from everything that reads the tensor `site`, (n, C, H, W).
pub(super) fn plan(
    graph: &Graph,
    shapes: &Shapes,
    site: &str,
    mask: &ChannelMask,
) -> Result<Vec<Edit>, String> {
    let mut planner = Planner {
        graph,
        shapes,
        carried: HashMap::new(),
        edits: Vec::new(),
    };
    let at_site = Carried {
        axis: 1,
        keep: mask.kept(),
        extent: mask.channels(),
    };
    planner.carried.insert(site.to_owned(), at_site);
    for index in 0..graph.nodes.len() {
        planner.visit(index)?;
    }
    for output in &graph.outputs {
        if planner.carried.contains_key(&output.name) {
            return Err("the site's channels reach the output".to_owned());
        }
    }
    Ok(planner.edits)
}

struct Planner<'a> {
    graph: &'a Graph,
    shapes: &'a Shapes,
    carried: HashMap<String, Carried>,
    edits: Vec<Edit>,
}

impl Planner<'_> {
    fn visit(&mut self, index: usize) -> Result<(), String> {
        let node = &self.graph.nodes[index];
        let carriers = node
            .inputs
            .iter()
            .filter(|name| self.carried.contains_key(*name));
        match carriers.count() {
            0 => return Ok(()),
            1 => {}
            _ => return Err(format!("{} joins two branches of the site", node.name)),
        }
        if !node.domain.is_empty() {
            return Err(format!(
                "{} is {} of another domain",
                node.name, node.op_type
            ));
        }
        if node.is("Concat") {
            return self.concat(index);
        }
        let carried = self
            .carried
            .get(&node.inputs[0])
            .cloned()
            .ok_or_else(|| format!("{} joins the site with another tensor", node.name))?;
        let next = match node.op_type.as_str() {
            "Conv" => self.convolution(index, &carried)?,
            "Gemm" => self.gemm(index, &carried)?,
            "MatMul" => self.matmul(index, &carried)?,
            "Flatten" => Some(self.flatten(node, &carried)?),
            "Reshape" => Some(self.reshape(index, &carried)?),
            "Transpose" => Some(transpose(node, carried)?),
            "Squeeze" | "ReduceMean" | "ReduceMax" => Some(self.reduce(node, carried)?),
            "BatchNormalization" => Some(self.normalisation(index, carried)?),
            "Mul" | "Div" | "PRelu" if carried.axis == 1 => {
                let Carried { extent, keep, .. } = &carried;
                slice_operand(self.graph, index, *extent, keep, &mut self.edits)?;
                Some(carried)
            }
            _ if keeps_zero(self.graph, node) => Some(carried),
            op => {
                return Err(format!(
                    "{} is {op}, which channels cannot be removed through",
                    node.name
                ));
            }
        };
        if let Some(next) = next {
            self.carried.insert(node.outputs[0].clone(), next);
        }
        Ok(())
    }

    /// Reads the channels: its weights lose the inputs that are gone. A depthwise one hands them on.
    fn convolution(&mut self, index: usize, carried: &Carried) -> Result<Option<Carried>, String> {
        let node = &self.graph.nodes[index];
        let weight = constant_shape(self.graph, node, 1).ok_or_else(|| no_constant(node))?;
        let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
        if carried.axis != 1 {
            return Err(no_constant(node));
        }
        if groups == 1 && weight.get(1) == Some(&carried.extent) {
            self.edits.push(slice(index, 1, 1, &carried.keep));
            return Ok(None);
        }
        let depthwise = groups == carried.extent && weight.first() == Some(&groups);
        let bias = node.inputs.get(2).is_some_and(|name| !name.is_empty());
        if !depthwise || bias {
            return Err(format!("{} is a grouped convolution", node.name));
        }
        self.edits.push(slice(index, 1, 0, &carried.keep));
        self.edits.push(Edit::SetGroups {
            node: index,
            groups: carried.keep.len(),
        });
        Ok(Some(carried.clone()))
    }

    fn gemm(&mut self, index: usize, carried: &Carried) -> Result<Option<Carried>, String> {
        let node = &self.graph.nodes[index];
        let weight = constant_shape(self.graph, node, 1).ok_or_else(|| no_constant(node))?;
        let axis = usize::from(node.int("transB", 0) != 0);
        let fits = carried.axis == 1
            && node.int("transA", 0) == 0
            && weight.get(axis) == Some(&carried.extent);
        if !fits {
            return Err(no_constant(node));
        }
        self.edits.push(slice(index, 1, axis, &carried.keep));
        Ok(None)
    }

    fn matmul(&mut self, index: usize, carried: &Carried) -> Result<Option<Carried>, String> {
        let node = &self.graph.nodes[index];
        let weight = constant_shape(self.graph, node, 1).ok_or_else(|| no_constant(node))?;
        let rank = self.shapes.get(&node.inputs[0]).map_or(0, Vec::len);
        let fits = weight.len() == 2 && weight[0] == carried.extent && carried.axis + 1 == rank;
        if !fits {
            return Err(no_constant(node));
        }
        self.edits.push(slice(index, 1, 0, &carried.keep));
        Ok(None)
    }

    fn flatten(&self, node: &Node, carried: &Carried) -> Result<Carried, String> {
        if node.int("axis", 1) != 1 {
            return Err(format!("{} flattens the batch too", node.name));
        }
        self.collapse(node, carried)
    }

    /// All axes but the batch become one: every kept entry becomes the positions that hold it.
    fn collapse(&self, node: &Node, carried: &Carried) -> Result<Carried, String> {
        let unknown = || format!("{} reshapes a tensor of unknown extents", node.name);
        let shape = self.shapes.get(&node.inputs[0]).ok_or_else(unknown)?;
        let known: Option<Vec<usize>> = shape.iter().skip(1).copied().collect();
        let known = known.ok_or_else(unknown)?;
        let axis = carried.axis.checked_sub(1).ok_or_else(unknown)?;
        let outer: usize = known[..axis].iter().product();
        let inner: usize = known[axis + 1..].iter().product();
        let extent = carried.extent;
        let keep = (0..outer)
            .flat_map(|block| {
                carried
                    .keep
                    .iter()
                    .map(move |&entry| block * extent + entry)
            })
            .flat_map(|entry| (0..inner).map(move |offset| entry * inner + offset))
            .collect();
        Ok(Carried {
            axis: 1,
            keep,
            extent: outer * extent * inner,
        })
    }

    fn reshape(&mut self, index: usize, carried: &Carried) -> Result<Carried, String> {
        let node = &self.graph.nodes[index];
        let collapsed = self.collapse(node, carried)?;
        let target = node
            .inputs
            .get(1)
            .and_then(|name| self.graph.initializers.get(name));
        let target = target.and_then(|tensor| tensor.as_i64());
        let whole = i64::try_from(collapsed.extent).unwrap_or(-1);
        match target {
            Some([0 | -1, wish]) if *wish == whole => {
                self.edits.push(Edit::SetExtent {
                    node: index,
                    input: 1,
                    position: 1,
                    value: collapsed.keep.len() as i64,
                });
                Ok(collapsed)
            }
            Some([0, -1]) => Ok(collapsed),
            _ => Err(format!(
                "{} reshapes to something else than (n, values)",
                node.name
            )),
        }
    }

    /// Global pooling, with or without keeping the reduced axes: the channels stay where they are.
    fn reduce(&self, node: &Node, carried: Carried) -> Result<Carried, String> {
        let output = self.shapes.get(&node.outputs[0]);
        let stays = output.and_then(|shape| *shape.get(carried.axis)?) == Some(carried.extent);
        if carried.axis == 1 && carried.extent > 1 && stays {
            return Ok(carried);
        }
        Err(format!("{} mixes channels", node.name))
    }

    /// A normalisation may turn zero into something else: then the channel cannot just go.
    fn normalisation(&mut self, index: usize, carried: Carried) -> Result<Carried, String> {
        let node = &self.graph.nodes[index];
        let values = |input: usize| {
            let tensor = self.graph.initializers.get(node.inputs.get(input)?)?;
            tensor
                .as_f32()
                .filter(|values| values.len() == carried.extent)
        };
        let (Some(scale), Some(shift), Some(mean), Some(variance)) =
            (values(1), values(2), values(3), values(4))
        else {
            return Err(no_constant(node));
        };
        let epsilon = node.float("epsilon", 1e-5);
        let at_zero = |c: usize| shift[c] - mean[c] * scale[c] / (variance[c] + epsilon).sqrt();
        let mut gone = (0..carried.extent).filter(|c| carried.keep.binary_search(c).is_err());
        if carried.axis != 1 || gone.any(|c| at_zero(c) != 0.0) {
            return Err(format!(
                "{} turns a removed channel into a constant",
                node.name
            ));
        }
        for input in 1..5 {
            self.edits.push(slice(index, input, 0, &carried.keep));
        }
        Ok(carried)
    }

    fn concat(&mut self, index: usize) -> Result<(), String> {
        let node = &self.graph.nodes[index];
        let mut keep = Vec::new();
        let mut offset = 0;
        let mut found = None;
        for name in &node.inputs {
            let shape = self.shapes.get(name);
            let axis = shape.and_then(|shape| {
                let axis = node.int("axis", 1);
                usize::try_from(if axis < 0 {
                    axis + shape.len() as i64
                } else {
                    axis
                })
                .ok()
            });
            let extent = shape.and_then(|shape| *shape.get(axis?)?);
            let (Some(axis), Some(extent)) = (axis, extent) else {
                return Err(format!("{} joins tensors of unknown extents", node.name));
            };
            match self.carried.get(name) {
                Some(carried) if carried.axis == axis => {
                    keep.extend(carried.keep.iter().map(|entry| entry + offset));
                    found = Some(axis);
                }
                Some(_) => return Err(format!("{} joins along another axis", node.name)),
                None => keep.extend(offset..offset + extent),
            }
            offset += extent;
        }
        if let Some(axis) = found {
            let joined = Carried {
                axis,
                keep,
                extent: offset,
            };
            self.carried.insert(node.outputs[0].clone(), joined);
        }
        Ok(())
    }
}

fn transpose(node: &Node, carried: Carried) -> Result<Carried, String> {
    let position = node.ints("perm").and_then(|perm| {
        perm.iter()
            .position(|&axis| usize::try_from(axis) == Ok(carried.axis))
    });
    match position {
        Some(axis) if axis > 0 => Ok(Carried { axis, ..carried }),
        _ => Err(format!("{} moves the channels to the batch", node.name)),
    }
}

/// Does the layer treat every channel by itself, and a channel of zeros give zeros?
fn keeps_zero(graph: &Graph, node: &Node) -> bool {
    match node.op_type.as_str() {
        "Relu" | "LeakyRelu" | "Tanh" | "Elu" | "Selu" | "Celu" | "HardSwish" | "Softsign"
        | "Gelu" | "Mish" | "Identity" | "Dropout" | "Abs" | "Neg" | "Sqrt" | "MaxPool"
        | "AveragePool" | "LpPool" | "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => true,
        "Clip" => clips_around_zero(graph, node),
        _ => false,
    }
}

fn clips_around_zero(graph: &Graph, node: &Node) -> bool {
    let bound = |input: usize, attribute: &str, open: f32| {
        let name = node.inputs.get(input).filter(|name| !name.is_empty());
        match name {
            Some(name) => {
                let tensor = graph.initializers.get(name)?;
                tensor.as_f32()?.first().copied()
            }
            None => Some(node.float(attribute, open)),
        }
    };
    let low = bound(1, "min", f32::NEG_INFINITY);
    let high = bound(2, "max", f32::INFINITY);
    low.is_some_and(|low| low <= 0.0) && high.is_some_and(|high| high >= 0.0)
}
