//! Models inside models as one list of layers.

use super::call::{Argument, Arguments, Reference};
use super::order::in_order;
use super::parse::{RawLayer, RawModel};
use super::{Config, Layer, MAX_LAYERS};
use std::collections::{HashMap, HashSet};

/// The layers of `model` and of every model inside it.
pub(super) fn flatten(model: &RawModel) -> Result<Config, String> {
    let mut flat = Flat::default();
    let outputs = flat.model(model, &Scope::default(), &[])?;
    let [output] = outputs.as_slice() else {
        return Err(format!("expected one output, found {}", outputs.len()));
    };
    Ok(Config {
        layers: flat.layers,
        output: output.clone(),
    })
}

/// The models around a layer.
#[derive(Default)]
struct Scope {
    path: Vec<String>,
    groups: Vec<String>,
}

impl Scope {
    fn within(&self, layer: &RawLayer) -> Self {
        let joined = |outer: &[String], own: &str| {
            let mut all = outer.to_vec();
            all.push(own.to_owned());
            all
        };
        Self {
            path: joined(&self.path, &layer.name),
            groups: joined(&self.groups, &layer.group),
        }
    }
}

#[derive(Default)]
struct Flat {
    layers: Vec<Layer>,
    names: HashSet<String>,
    visited: usize,
}

/// A layer's call: positions of the layer and of the call.
type Call = (usize, usize);

impl Flat {
    /// Adds the layers of `model`, whose inputs are the layers `fed`; none for the outermost model. The result is what its outputs are
    /// called.
    fn model(
        &mut self,
        model: &RawModel,
        scope: &Scope,
        fed: &[String],
    ) -> Result<Vec<String>, String> {
        let calls = calls(model);
        let found = Calls::new(model, &calls)?;
        let reads: Vec<Vec<usize>> = calls
            .iter()
            .map(|&call| found.reads(model, call))
            .collect::<Result<_, _>>()?;
        let order = in_order(&reads).map_err(|stuck| {
            let name = &model.layers[calls[stuck].0].name;
            format!("layer {name}: reads a layer that is missing or reads it")
        })?;
        let mut given: Vec<String> = vec![String::new(); calls.len()];
        for at in order {
            self.visited += 1;
            if self.visited > MAX_LAYERS {
                return Err(format!("expected at most {MAX_LAYERS} layers, found more"));
            }
            let (layer, call) = calls[at];
            let layer = &model.layers[layer];
            let arguments = found.arguments(layer, call, &given)?;
            given[at] = match outer_input(model, layer, fed)? {
                Some(name) => name,
                None => self.call(layer, scope, call, arguments)?,
            };
        }
        let outputs = model.outputs.iter();
        outputs
            .map(|output| {
                let at = found.at(output)?;
                at.map(|at| given[at].clone())
                    .ok_or_else(|| format!("expected the output {}, found none", output.layer))
            })
            .collect()
    }

    /// Adds one call; the result is the name of what it gives.
    fn call(
        &mut self,
        layer: &RawLayer,
        scope: &Scope,
        call: usize,
        arguments: Arguments<String>,
    ) -> Result<String, String> {
        let own = scope.within(layer);
        let inputs: Vec<String> = arguments
            .iter()
            .filter_map(|(_, argument)| match argument {
                Argument::Layer(name) => Some(name.clone()),
                Argument::Constant(_) => None,
            })
            .collect();
        if let Some(model) = &layer.model {
            let outputs = self.model(model, &own, &inputs)?;
            return match <[String; 1]>::try_from(outputs) {
                Ok([output]) => Ok(output),
                Err(outputs) => Err(format!(
                    "model {}: expected one output, found {}",
                    layer.name,
                    outputs.len()
                )),
            };
        }
        let name = self.name(&own.path, call);
        self.layers.push(Layer {
            class: layer.class.clone(),
            name: name.clone(),
            settings: layer.settings.clone(),
            inputs,
            arguments,
            is_operation: layer.is_operation,
            path: own.path,
            groups: own.groups,
            is_keras_2: layer.is_keras_2,
        });
        Ok(name)
    }

    /// A name that no layer has: Keras' own, the same with the models around it, or a number behind.
    fn name(&mut self, path: &[String], call: usize) -> String {
        let own = path.last().map_or("", String::as_str);
        let base = match call {
            0 => own.to_owned(),
            call => format!("{own}_call_{call}"),
        };
        let mut name = match self.names.contains(&base) {
            false => base,
            true => path.join("/"),
        };
        let mut number = 1;
        while self.names.contains(&name) {
            name = format!("{}_call_{number}", path.join("/"));
            number += 1;
        }
        self.names.insert(name.clone());
        name
    }
}

/// Every call in the order of the file; a layer that nothing is fed to (an input) has one.
fn calls(model: &RawModel) -> Vec<Call> {
    let layers = model.layers.iter().enumerate();
    layers
        .flat_map(|(at, layer)| (0..layer.calls.len().max(1)).map(move |call| (at, call)))
        .collect()
}

/// What an input of a model inside another stands for.
fn outer_input(
    model: &RawModel,
    layer: &RawLayer,
    fed: &[String],
) -> Result<Option<String>, String> {
    if layer.class != "InputLayer" || fed.is_empty() {
        return Ok(None);
    }
    let at = model.inputs.iter().position(|i| i.layer == layer.name);
    match at.and_then(|at| fed.get(at)) {
        Some(name) => Ok(Some(name.clone())),
        None => Err(format!(
            "layer {}: expected an input that the model around it feeds, found none",
            layer.name
        )),
    }
}

/// Where the calls of a model's layers are found.
struct Calls<'a> {
    /// First call of a layer and how many it has, by its name.
    first: HashMap<&'a str, (usize, usize)>,
}

impl<'a> Calls<'a> {
    fn new(model: &'a RawModel, calls: &[Call]) -> Result<Self, String> {
        let mut first: HashMap<&str, (usize, usize)> = HashMap::new();
        for (at, &(layer, call)) in calls.iter().enumerate() {
            let layer = &model.layers[layer];
            if call > 0 {
                continue;
            }
            let count = layer.calls.len().max(1);
            if first.insert(&layer.name, (at, count)).is_some() {
                return Err(format!("layer {}: given twice", layer.name));
            }
            if count > 1 && layer.model.is_some() {
                return Err(format!(
                    "model {}: used more than once, which is not supported",
                    layer.name
                ));
            }
        }
        Ok(Self { first })
    }

    /// Where a call is; none where there is no such layer or call.
    fn at(&self, from: &Reference) -> Result<Option<usize>, String> {
        if from.output != 0 {
            return Err(format!(
                "layer {}: several outputs are not supported",
                from.layer
            ));
        }
        let found = self.first.get(from.layer.as_str());
        Ok(found.and_then(|&(first, count)| match (count, from.call) {
            // A model's own calls count before those in another, so the number of an only call says nothing.
            (1, _) => Some(first),
            (count, call) if call < count => Some(first + call),
            _ => None,
        }))
    }

    /// The places of what a call reads.
    fn reads(&self, model: &RawModel, (layer, call): Call) -> Result<Vec<usize>, String> {
        let arguments = model.layers[layer].calls.get(call);
        let arguments = arguments.map_or(&[][..], Vec::as_slice).iter();
        arguments
            .filter_map(|(_, argument)| match argument {
                Argument::Layer(from) => Some(from),
                Argument::Constant(_) => None,
            })
            .map(|from| Ok(self.at(from)?.unwrap_or(usize::MAX)))
            .collect()
    }

    /// The arguments of a call by the names of what they read.
    fn arguments(
        &self,
        layer: &RawLayer,
        call: usize,
        given: &[String],
    ) -> Result<Arguments<String>, String> {
        let arguments = layer.calls.get(call).map_or(&[][..], Vec::as_slice).iter();
        arguments
            .map(|(keyword, argument)| {
                let argument = match argument {
                    Argument::Layer(from) => {
                        let name = self.at(from)?.and_then(|at| given.get(at));
                        Argument::Layer(name.cloned().unwrap_or_default())
                    }
                    Argument::Constant(value) => Argument::Constant(value.clone()),
                };
                Ok((keyword.clone(), argument))
            })
            .collect()
    }
}
