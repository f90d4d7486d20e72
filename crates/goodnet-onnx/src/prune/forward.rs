//! From the site down to the layers that read its channels.

use super::carried::Carried;
use super::constant::no_constant;
use super::edit::Edit;
use super::{quantised, unary};
use crate::mask::ChannelMask;
use crate::model::{Graph, Node};
use crate::shape::Shapes;
use std::collections::{HashMap, HashSet};

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
        read: graph
            .nodes
            .iter()
            .flat_map(|node| node.inputs.iter().map(String::as_str))
            .collect(),
        edits: Vec::new(),
    };
    let at_site = Carried {
        axis: 1,
        keep: mask.kept(),
        fill: vec![0.0; mask.channels()],
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

pub(super) struct Planner<'a> {
    pub(super) graph: &'a Graph,
    pub(super) shapes: &'a Shapes,
    carried: HashMap<String, Carried>,
    /// Tensors that a layer reads.
    read: HashSet<&'a str>,
    pub(super) edits: Vec<Edit>,
}

impl Planner<'_> {
    fn visit(&mut self, index: usize) -> Result<(), String> {
        let node = &self.graph.nodes[index];
        let carriers = node
            .inputs
            .iter()
            .filter(|name| self.carried.contains_key(*name))
            .count();
        if carriers == 0 {
            return Ok(());
        }
        let further = node.outputs.iter().skip(1);
        let Some(output) = node.outputs.first().filter(|_| node.domain.is_empty()) else {
            return Err(cannot_pass(node));
        };
        for name in further.filter(|name| !name.is_empty()) {
            if self.read.contains(name.as_str()) || self.graph.is_output(name) {
                return Err(format!("{} has a second output that is read", node.name));
            }
        }
        let next = if node.is("Concat") {
            Some(self.concat(index)?)
        } else if carriers == 1 {
            self.single(index)?
        } else {
            Some(self.joined(node)?)
        };
        if let Some(next) = next {
            self.carried.insert(output.clone(), next);
        }
        Ok(())
    }

    /// A layer that reads the channels by its first input alone.
    fn single(&mut self, index: usize) -> Result<Option<Carried>, String> {
        let node = &self.graph.nodes[index];
        let carried = self.carried.get(&node.inputs[0]).cloned();
        let carried = carried.ok_or_else(|| joins_another(node))?;
        Ok(match node.op_type.as_str() {
            "Conv" => self.convolution(index, carried)?,
            "Gemm" => self.gemm(index, &carried)?,
            "MatMul" => self.matmul(index, &carried)?,
            "Flatten" => Some(self.flatten(node, &carried)?),
            "Reshape" => Some(self.reshape(index, &carried)?),
            "Transpose" => Some(carried.transpose(node)?),
            "Squeeze" | "ReduceMean" | "ReduceMax" => Some(self.reduce(node, carried)?),
            "BatchNormalization" => Some(self.normalisation(index, carried)?),
            "Add" | "Sub" | "Mul" | "Div" | "PRelu" => Some(self.operand(index, carried)?),
            "MaxPool" | "GlobalAveragePool" | "GlobalMaxPool" => Some(carried),
            "AveragePool" => Some(average(node, carried)?),
            "QuantizeLinear" | "DequantizeLinear" => {
                Some(quantised::pass(self.graph, node, carried)?)
            }
            "LpPool" | "GlobalLpPool" | "Gelu" | "Selu" if carried.is_zero() => Some(carried),
            _ => {
                let function =
                    unary::function(self.graph, node).ok_or_else(|| cannot_pass(node))?;
                Some(carried.map(|_, value| function(value)))
            }
        })
    }

    /// Two tensors that both carry the channels: a gate, or branches of the site that meet again.
    fn joined(&self, node: &Node) -> Result<Carried, String> {
        let refuse = || format!("{} joins two branches of the site", node.name);
        let [a, b] = node.inputs.as_slice() else {
            return Err(refuse());
        };
        let rank = |name: &String| self.shapes.get(name).map(Vec::len);
        match (self.carried.get(a), self.carried.get(b)) {
            (Some(first), Some(second)) if rank(a) == rank(b) => {
                first.clone().join(second, &node.op_type).ok_or_else(refuse)
            }
            _ => Err(refuse()),
        }
    }

    fn flatten(&self, node: &Node, carried: &Carried) -> Result<Carried, String> {
        if node.int("axis", 1) != 1 {
            return Err(format!("{} flattens the batch too", node.name));
        }
        carried.collapse(node, self.shapes)
    }

    fn reshape(&mut self, index: usize, carried: &Carried) -> Result<Carried, String> {
        let node = &self.graph.nodes[index];
        let collapsed = carried.collapse(node, self.shapes)?;
        let target = node
            .inputs
            .get(1)
            .and_then(|name| self.graph.initializers.get(name));
        let whole = i64::try_from(collapsed.extent()).unwrap_or(-1);
        match target.and_then(|tensor| tensor.as_i64()) {
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
        let stays = output.and_then(|shape| *shape.get(carried.axis)?) == Some(carried.extent());
        if carried.axis == 1 && carried.extent() > 1 && stays {
            return Ok(carried);
        }
        Err(format!("{} mixes channels", node.name))
    }

    fn normalisation(&mut self, index: usize, carried: Carried) -> Result<Carried, String> {
        let node = &self.graph.nodes[index];
        let values = |input: usize| {
            let tensor = self.graph.initializers.get(node.inputs.get(input)?)?;
            tensor
                .as_f32()
                .filter(|values| values.len() == carried.extent() && carried.axis == 1)
        };
        let (Some(scale), Some(shift), Some(mean), Some(variance)) =
            (values(1), values(2), values(3), values(4))
        else {
            return Err(no_constant(node));
        };
        let epsilon = node.float("epsilon", 1e-5);
        for input in 1..5 {
            self.edits.push(Edit::slice(index, input, 0, &carried.keep));
        }
        Ok(carried.map(|c, value| {
            (value - mean[c]) * scale[c] / (variance[c] + epsilon).sqrt() + shift[c]
        }))
    }

    /// A constant operand: one value for all, or one a channel.
    fn operand(&mut self, index: usize, carried: Carried) -> Result<Carried, String> {
        let node = &self.graph.nodes[index];
        let rank = self.shapes.get(&node.inputs[0]).map_or(0, Vec::len);
        let tensor = node
            .inputs
            .get(1)
            .and_then(|name| self.graph.initializers.get(name))
            .filter(|tensor| tensor.shape.len() <= rank)
            .ok_or_else(|| joins_another(node))?;
        let values = tensor.as_f32().ok_or_else(|| no_constant(node))?;
        let per_channel = (carried.axis + tensor.shape.len())
            .checked_sub(rank)
            .filter(|&axis| tensor.shape.get(axis) == Some(&values.len()));
        let at: Box<dyn Fn(usize) -> f32> = match per_channel {
            _ if values.len() == 1 => Box::new(|_| values[0]),
            Some(axis) if values.len() == carried.extent() => {
                self.edits.push(Edit::slice(index, 1, axis, &carried.keep));
                Box::new(|c| values[c])
            }
            _ => return Err(no_constant(node)),
        };
        let apply: fn(f32, f32) -> f32 = match node.op_type.as_str() {
            "Add" => |x, y| x + y,
            "Sub" => |x, y| x - y,
            "Mul" => |x, y| x * y,
            "Div" => |x, y| x / y,
            _ => |x, slope| if x < 0.0 { slope * x } else { x },
        };
        Ok(carried.map(|c, value| apply(value, at(c))))
    }

    fn concat(&mut self, index: usize) -> Result<Carried, String> {
        let node = &self.graph.nodes[index];
        let mut keep = Vec::new();
        let mut fill = Vec::new();
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
                    fill.extend_from_slice(&carried.fill);
                    found = Some(axis);
                }
                Some(_) => return Err(format!("{} joins along another axis", node.name)),
                None => {
                    keep.extend(offset..offset + extent);
                    fill.resize(offset + extent, 0.0);
                }
            }
            offset += extent;
        }
        match found {
            Some(axis) => Ok(Carried { axis, keep, fill }),
            None => Err(joins_another(node)),
        }
    }
}

/// Padding with zeros is averaged in where `count_include_pad` says so: then only zeros stay what they are.
fn average(node: &Node, carried: Carried) -> Result<Carried, String> {
    let padded = pads(node) && node.int("count_include_pad", 0) != 0;
    if padded && !carried.is_zero() {
        return Err(format!(
            "{} averages a removed channel with padding",
            node.name
        ));
    }
    Ok(carried)
}

/// Does the window reach beyond the image?
pub(super) fn pads(node: &Node) -> bool {
    let explicit = node
        .ints("pads")
        .is_some_and(|pads| pads.iter().any(|&pad| pad != 0));
    explicit
        || node
            .text("auto_pad")
            .is_some_and(|mode| mode.starts_with("SAME"))
}

fn joins_another(node: &Node) -> String {
    format!("{} joins the site with another tensor", node.name)
}

fn cannot_pass(node: &Node) -> String {
    format!(
        "{} is {}, which channels cannot be removed through",
        node.name, node.op_type
    )
}
