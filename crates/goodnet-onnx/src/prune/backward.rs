//! From the site up to the convolution that makes its channels.

use super::constant::{constant_shape, no_constant};
use super::edit::Edit;
use super::quantised;
use crate::axes::reduced_axes;
use crate::model::Graph;
use crate::shape::Shapes;
use crate::site::{FOUR_AXES, Site};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Ways up that are tried before the site is masked; each leaves more tensors whole than the last.
const MAX_TRIES: usize = 32;

/// A use of a tensor that must be narrowed.
struct Use {
    /// Reader, by index.
    node: usize,
    /// Its input.
    input: usize,
    tensor: String,
    channels: usize,
    keep: Vec<usize>,
}

/// Plans the removal of all but `kept` channels from the layers that make the site.
///
/// Tensors on the way up are narrowed. One that other layers read in full, or that a layer makes which channels cannot be
/// removed through, stays as it is: its reader on the way picks the channels that are left (the sampler of He, Zhang, Sun,
/// "Channel pruning for accelerating very deep neural networks", ICCV 2017, section 4.1).
///
/// # Errors
/// The first reason that stopped the way up, where no weights on the way become fewer, or where it is stopped again and again.
pub(super) fn plan(
    graph: &Graph,
    shapes: &Shapes,
    site: &Site,
    kept: &[usize],
) -> Result<Vec<Edit>, String> {
    let mut way = Way {
        graph,
        shapes,
        site,
        makers: makers(graph),
        reads: reads(graph),
        whole: BTreeSet::new(),
        first: None,
    };
    for _ in 0..MAX_TRIES {
        let Some(edits) = way.try_plan(kept)? else {
            continue;
        };
        let narrows = |edit: &Edit| matches!(edit, Edit::Slice { .. });
        return match way.first.filter(|_| !edits.iter().any(narrows)) {
            Some(reason) => Err(reason),
            None => Ok(edits),
        };
    }
    Err(way.first.unwrap_or_default())
}

/// The node that makes a tensor as its first output.
fn makers(graph: &Graph) -> HashMap<&str, usize> {
    let mut makers = HashMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if let Some(output) = node.outputs.first() {
            makers.entry(output.as_str()).or_insert(index);
        }
    }
    makers
}

/// How often the layers of `graph` read a tensor.
fn reads(graph: &Graph) -> HashMap<&str, usize> {
    let mut reads = HashMap::new();
    for input in graph.nodes.iter().flat_map(|node| &node.inputs) {
        *reads.entry(input.as_str()).or_default() += 1;
    }
    reads
}

/// The way up.
struct Way<'a> {
    graph: &'a Graph,
    shapes: &'a Shapes,
    site: &'a Site,
    makers: HashMap<&'a str, usize>,
    reads: HashMap<&'a str, usize>,
    /// Tensors that are left as they are.
    whole: BTreeSet<String>,
    /// Why the first of them is.
    first: Option<String>,
}

impl Way<'_> {
    /// Leaves `tensor` whole.
    ///
    /// # Errors
    /// If it is the site.
    fn leave_whole(&mut self, tensor: &str, reason: String) -> Result<(), String> {
        let reason = self.first.get_or_insert(reason).clone();
        if tensor == self.site.tensor {
            return Err(reason);
        }
        self.whole.insert(tensor.to_owned());
        Ok(())
    }

    /// One way up; none where tensors that it narrowed must be left whole: it is tried again then.
    fn try_plan(&mut self, kept: &[usize]) -> Result<Option<Vec<Edit>>, String> {
        let (graph, shapes) = (self.graph, self.shapes);
        let mut edits = Vec::new();
        let mut uses: Vec<Use> = Vec::new();
        let mut open = vec![(self.site.tensor.clone(), self.site.channels, kept.to_vec())];
        let mut narrowed: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut again = false;
        while let Some((tensor, channels, keep)) = open.pop() {
            match narrowed.get(&tensor) {
                _ if self.whole.contains(&tensor) => continue,
                Some(other) if *other == keep => continue,
                Some(_) => {
                    self.leave_whole(&tensor, format!("{tensor} is read in two ways"))?;
                    again = true;
                    continue;
                }
                None => {}
            }
            let planned = edits.len();
            let before = match self.makers.get(tensor.as_str()) {
                Some(&index) => make(graph, shapes, index, channels, &keep, &mut edits),
                None => Err(format!("no layer makes {tensor}")),
            };
            let before = match before {
                Ok(before) => before,
                Err(reason) => {
                    edits.truncate(planned);
                    self.leave_whole(&tensor, reason)?;
                    continue;
                }
            };
            narrowed.insert(tensor, keep);
            for next in before
                .into_iter()
                .filter(|next| next.keep.len() < next.channels)
            {
                open.push((next.tensor.clone(), next.channels, next.keep.clone()));
                uses.push(next);
            }
        }
        let mut used: HashMap<&str, usize> = HashMap::new();
        for found in &uses {
            *used.entry(found.tensor.as_str()).or_default() += 1;
        }
        let site = self.site;
        for tensor in narrowed.keys().filter(|tensor| **tensor != site.tensor) {
            let all = self.reads.get(tensor.as_str()).copied().unwrap_or(0);
            let on_the_way = used.get(tensor.as_str()).copied().unwrap_or(0);
            if graph.is_output(tensor) || all != on_the_way {
                let reason = format!("{tensor} is read by more than the layers before the site");
                self.leave_whole(tensor, reason)?;
                again = true;
            }
        }
        if again {
            return Ok(None);
        }
        let picks = uses
            .into_iter()
            .filter(|found| self.whole.contains(&found.tensor));
        edits.extend(picks.map(|found| Edit::Pick {
            node: found.node,
            input: found.input,
            keep: found.keep,
        }));
        Ok(Some(edits))
    }
}

/// Narrows the layer `index` to `kept` channels and gives the uses of its inputs that must be narrowed too.
fn make(
    graph: &Graph,
    shapes: &Shapes,
    index: usize,
    channels: usize,
    kept: &[usize],
    edits: &mut Vec<Edit>,
) -> Result<Vec<Use>, String> {
    let node = &graph.nodes[index];
    let use_of = |input: usize| Use {
        node: index,
        input,
        tensor: node.inputs[input].clone(),
        channels,
        keep: kept.to_vec(),
    };
    if node.inputs.is_empty() {
        return Err(format!("{} reads nothing", node.name));
    }
    if node.is("Conv") {
        let ends = make_convolution(graph, index, channels, kept, edits)?;
        return Ok(if ends { Vec::new() } else { vec![use_of(0)] });
    }
    if node.is("Concat") {
        return concat(graph, shapes, index, kept);
    }
    let is_join = (node.is("Add") || node.is("Sub") || node.is("Mul"))
        && constant_shape(graph, node, 0).is_none()
        && constant_shape(graph, node, 1).is_none();
    if !is_join {
        pass(graph, shapes, index, channels, kept, edits)?;
        return Ok(vec![use_of(0)]);
    }
    let carries = |name: &String| {
        let shape = shapes.get(name).filter(|shape| shape.len() == 4);
        shape.and_then(|shape| shape[1]) == Some(channels)
    };
    if node.inputs.iter().all(carries) {
        return Ok((0..node.inputs.len()).map(use_of).collect());
    }
    Err(format!("{} joins the site with another tensor", node.name))
}

/// Channels that lie side by side: every input loses those of its own that are gone.
fn concat(
    graph: &Graph,
    shapes: &Shapes,
    index: usize,
    kept: &[usize],
) -> Result<Vec<Use>, String> {
    let node = &graph.nodes[index];
    let mut uses = Vec::new();
    let mut offset = 0;
    for (input, name) in node.inputs.iter().enumerate() {
        let shape = shapes.get(name).filter(|shape| shape.len() == 4);
        let channels = shape.and_then(|shape| shape[1]);
        let Some(channels) = channels.filter(|_| matches!(node.int("axis", 1), 1 | -3)) else {
            return Err(format!(
                "{} joins tensors of unknown channels, or along another axis",
                node.name
            ));
        };
        let own = kept
            .iter()
            .filter(|&&channel| (offset..offset + channels).contains(&channel));
        let keep: Vec<usize> = own.map(|channel| channel - offset).collect();
        if keep.is_empty() {
            return Err(format!("{} would lose all channels of {name}", node.name));
        }
        uses.push(Use {
            node: index,
            input,
            tensor: name.clone(),
            channels,
            keep,
        });
        offset += channels;
    }
    Ok(uses)
}

/// A convolution that makes the channels ends the way up (true); a depthwise one is passed (false).
fn make_convolution(
    graph: &Graph,
    index: usize,
    channels: usize,
    kept: &[usize],
    edits: &mut Vec<Edit>,
) -> Result<bool, String> {
    let node = &graph.nodes[index];
    let weight = quantised::weight(graph, index, 1).ok_or_else(|| no_constant(node))?;
    let groups = node.int("group", 1);
    let depthwise = groups != 1 && usize::try_from(groups) == Ok(channels);
    if (groups != 1 && !depthwise) || weight.shape.first() != Some(&channels) {
        return Err(format!("{} is a grouped convolution", node.name));
    }
    for input in 1..node.inputs.len() {
        if node.inputs[input].is_empty() {
            continue;
        }
        let weight = quantised::weight(graph, index, input);
        let weight = weight.filter(|weight| weight.shape.first() == Some(&channels));
        let weight = weight.ok_or_else(|| no_constant(node))?;
        weight.keep(0, kept, edits);
    }
    if depthwise {
        edits.push(Edit::SetGroups {
            node: index,
            groups: kept.len(),
        });
    }
    Ok(!depthwise)
}

/// A layer that treats every channel by itself.
fn pass(
    graph: &Graph,
    shapes: &Shapes,
    index: usize,
    channels: usize,
    kept: &[usize],
    edits: &mut Vec<Edit>,
) -> Result<(), String> {
    let node = &graph.nodes[index];
    let op = node.op_type.as_str();
    if !node.domain.is_empty() {
        return Err(format!("{} is {op} of another domain", node.name));
    }
    match op {
        "MaxPool" | "AveragePool" | "LpPool" | "GlobalAveragePool" | "GlobalMaxPool"
        | "GlobalLpPool" | "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "Clip" | "Elu" | "Selu"
        | "Celu" | "HardSwish" | "HardSigmoid" | "Softplus" | "Softsign" | "Gelu" | "Mish"
        | "Identity" | "Dropout" | "Abs" | "Neg" | "Exp" | "Sqrt" => Ok(()),
        "QuantizeLinear" | "DequantizeLinear" => match quantised::treats_all_alike(graph, node) {
            true => Ok(()),
            false => Err(no_constant(node)),
        },
        "ReduceMean" | "ReduceMax" => {
            let rank = shapes.get(&node.inputs[0]).map_or(0, Vec::len);
            let axes = reduced_axes(node, graph, rank).unwrap_or_default();
            let same = |name: &str| shapes.get(name).and_then(|shape| *shape.get(1)?);
            let keeps = !axes.is_empty() && axes.iter().all(|&axis| axis > 1);
            if keeps
                && same(&node.outputs[0]) == Some(channels)
                && same(&node.inputs[0]) == Some(channels)
            {
                return Ok(());
            }
            Err(format!("{} mixes channels", node.name))
        }
        "Reshape" => {
            let target = node
                .inputs
                .get(1)
                .and_then(|name| graph.initializers.get(name)?.as_i64());
            let flat = shapes.get(&node.inputs[0]).map(Vec::len) == Some(2);
            if flat && target == Some(&FOUR_AXES) {
                return Ok(());
            }
            Err(format!("{} reshapes the channels", node.name))
        }
        "BatchNormalization" => {
            for input in 1..5 {
                if constant_shape(graph, node, input) != Some(&[channels]) {
                    return Err(no_constant(node));
                }
                edits.push(Edit::slice(index, input, 0, kept));
            }
            Ok(())
        }
        "Add" | "Sub" | "Mul" | "Div" | "PRelu" => {
            slice_operand(graph, index, channels, kept, edits)
        }
        _ => Err(format!(
            "{} is {op}, which channels cannot be removed through",
            node.name
        )),
    }
}

/// A constant operand of an elementwise layer: (C, 1, 1) after broadcasting, or one value for all.
fn slice_operand(
    graph: &Graph,
    index: usize,
    channels: usize,
    kept: &[usize],
    edits: &mut Vec<Edit>,
) -> Result<(), String> {
    let node = &graph.nodes[index];
    let shape = constant_shape(graph, node, 1)
        .ok_or_else(|| format!("{} joins the site with another tensor", node.name))?;
    let Some(axis) = shape.len().checked_sub(3) else {
        let single = shape.iter().product::<usize>() == 1;
        return if single {
            Ok(())
        } else {
            Err(no_constant(node))
        };
    };
    if shape[axis] == channels {
        edits.push(Edit::slice(index, 1, axis, kept));
        return Ok(());
    }
    if shape[axis] == 1 {
        return Ok(());
    }
    Err(no_constant(node))
}
