//! Layers with weights that read the site's channels: their weights lose the inputs that are gone.
//!
//! A removed channel that holds a constant other than zero there (after a normalisation, say) adds the same to every
//! output; that sum goes into the bias.

use super::carried::Carried;
use super::constant::no_constant;
use super::edit::Edit;
use super::forward::{Planner, pads};
use super::quantised;
use crate::model::Node;

impl Planner<'_> {
    /// Reads the channels; a depthwise convolution hands them on.
    pub(super) fn convolution(
        &mut self,
        index: usize,
        carried: Carried,
    ) -> Result<Option<Carried>, String> {
        let node = &self.graph.nodes[index];
        let weight = quantised::weight(self.graph, index, 1).ok_or_else(|| no_constant(node))?;
        let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
        if carried.axis != 1 {
            return Err(no_constant(node));
        }
        if !carried.is_zero() && pads(node) {
            return Err(format!(
                "{} pads a channel that is a constant other than zero",
                node.name
            ));
        }
        if groups == 1 && weight.shape.get(1) == Some(&carried.extent()) {
            weight.keep(1, &carried.keep, &mut self.edits);
            if !carried.is_zero() {
                let delta = self.contribution(node, &carried, 1)?;
                self.shift(index, delta)?;
            }
            return Ok(None);
        }
        if groups != carried.extent() || weight.shape.first() != Some(&groups) {
            return Err(format!("{} is a grouped convolution", node.name));
        }
        self.depthwise(index, carried).map(Some)
    }

    fn depthwise(&mut self, index: usize, carried: Carried) -> Result<Carried, String> {
        let node = &self.graph.nodes[index];
        let values = |input: usize| {
            let tensor = self.graph.initializers.get(node.inputs.get(input)?)?;
            tensor.as_f32()
        };
        let weight = values(1).ok_or_else(|| no_constant(node))?;
        let kernel = weight.len() / carried.extent().max(1);
        let has_bias = node.inputs.get(2).is_some_and(|name| !name.is_empty());
        let bias = values(2).filter(|bias| bias.len() == carried.extent());
        if has_bias && bias.is_none() {
            return Err(no_constant(node));
        }
        self.edits.push(Edit::slice(index, 1, 0, &carried.keep));
        if has_bias {
            self.edits.push(Edit::slice(index, 2, 0, &carried.keep));
        }
        self.edits.push(Edit::SetGroups {
            node: index,
            groups: carried.keep.len(),
        });
        Ok(carried.map(|c, value| {
            let sum: f32 = weight[c * kernel..(c + 1) * kernel].iter().sum();
            value * sum + bias.map_or(0.0, |bias| bias[c])
        }))
    }

    pub(super) fn gemm(
        &mut self,
        index: usize,
        carried: &Carried,
    ) -> Result<Option<Carried>, String> {
        let node = &self.graph.nodes[index];
        let weight = quantised::weight(self.graph, index, 1).ok_or_else(|| no_constant(node))?;
        let axis = usize::from(node.int("transB", 0) != 0);
        let fits = carried.axis == 1
            && weight.shape.len() == 2
            && node.int("transA", 0) == 0
            && weight.shape.get(axis) == Some(&carried.extent());
        if !fits {
            return Err(no_constant(node));
        }
        weight.keep(axis, &carried.keep, &mut self.edits);
        if !carried.is_zero() {
            if node.float("beta", 1.0) != 1.0 {
                return Err(format!("{} scales its bias", node.name));
            }
            let alpha = f64::from(node.float("alpha", 1.0));
            let mut delta = self.contribution(node, carried, axis)?;
            delta.iter_mut().for_each(|value| *value *= alpha);
            self.shift(index, delta)?;
        }
        Ok(None)
    }

    pub(super) fn matmul(
        &mut self,
        index: usize,
        carried: &Carried,
    ) -> Result<Option<Carried>, String> {
        let node = &self.graph.nodes[index];
        let weight = quantised::weight(self.graph, index, 1).ok_or_else(|| no_constant(node))?;
        let rank = self.shapes.get(&node.inputs[0]).map_or(0, Vec::len);
        let fits = weight.shape.len() == 2
            && weight.shape[0] == carried.extent()
            && carried.axis + 1 == rank;
        if !fits {
            return Err(no_constant(node));
        }
        weight.keep(0, &carried.keep, &mut self.edits);
        if !carried.is_zero() {
            if rank != 2 {
                return Err(format!("{} has no bias for a constant channel", node.name));
            }
            let delta = self.contribution(node, carried, 0)?;
            self.shift(index, delta)?;
        }
        Ok(None)
    }

    /// What the removed entries add to every output: the sum over them of value times weights, weights (.., entries, ..)
    /// with the entries on `axis` (0 or 1) and the outputs on the other one.
    fn contribution(
        &self,
        node: &Node,
        carried: &Carried,
        axis: usize,
    ) -> Result<Vec<f64>, String> {
        let tensor = self.graph.initializers.get(&node.inputs[1]);
        let tensor = tensor.ok_or_else(|| no_constant(node))?;
        let weight = tensor.as_f32().ok_or_else(|| no_constant(node))?;
        let outputs = tensor.shape[1 - axis];
        let entries = carried.extent();
        let kernel: usize = tensor.shape[2..].iter().product();
        let start = |output: usize, entry: usize| match axis {
            0 => entry * outputs + output,
            _ => (output * entries + entry) * kernel,
        };
        let of_entry = |output: usize, entry: usize| {
            let from = start(output, entry);
            let sum: f64 = weight[from..from + kernel]
                .iter()
                .map(|&w| f64::from(w))
                .sum();
            sum * f64::from(carried.fill[entry])
        };
        let gone: Vec<usize> = carried.removed().collect();
        let of_output = |output: usize| gone.iter().map(|&entry| of_entry(output, entry)).sum();
        Ok((0..outputs).map(of_output).collect())
    }

    /// Adds `delta` to the bias, input 2, which may be absent.
    fn shift(&mut self, index: usize, delta: Vec<f64>) -> Result<(), String> {
        let node = &self.graph.nodes[index];
        let mut values = delta;
        if let Some(name) = node.inputs.get(2).filter(|name| !name.is_empty()) {
            let bias = self
                .graph
                .initializers
                .get(name)
                .and_then(|tensor| tensor.as_f32());
            let bias = bias
                .filter(|bias| bias.len() == values.len())
                .ok_or_else(|| no_constant(node))?;
            for (value, &bias) in values.iter_mut().zip(bias) {
                *value += f64::from(bias);
            }
        }
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        if values.iter().any(|value| !value.is_finite()) {
            let name = &node.name;
            return Err(format!(
                "what the removed channels leave at {name} is not finite"
            ));
        }
        self.edits.push(Edit::SetBias {
            node: index,
            values,
        });
        Ok(())
    }
}
