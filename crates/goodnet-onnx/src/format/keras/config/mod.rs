//! `model_config`: the layers of a Functional or Sequential model, as Keras 2 and Keras 3 write them.
//!
//! A model among the layers of another is replaced by its own layers; a layer that is called several times by one layer a call.

mod call;
mod flat;
mod order;
mod parse;

pub(super) use call::{Argument, Arguments};

use serde_json::{Map, Value};

/// Layers that a model may have, those of models inside it included.
const MAX_LAYERS: usize = 10_000;
/// Models inside models.
const MAX_NESTED: usize = 8;

/// The layers, inputs before readers, and the one that gives the scores.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) layers: Vec<Layer>,
    pub(super) output: String,
}

/// One call of a layer.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub(super) class: String,
    /// Its name in the graph: Keras' own where no other layer has it, else with the names of the models around it.
    pub(super) name: String,
    pub(super) settings: Map<String, Value>,
    /// Names of the layers whose outputs it reads.
    pub(super) inputs: Vec<String>,
    /// What an operation is called with, the layers among `inputs` included; of other layers none.
    pub(super) arguments: Arguments<String>,
    /// Is it an operation of Keras 3 (`keras.ops`), whose classes share names with layers?
    pub(super) is_operation: bool,
    /// Keras' names of the models around it and its own, the outermost first.
    pub(super) path: Vec<String>,
    /// The groups of its weights in files of Keras 3, likewise.
    pub(super) groups: Vec<String>,
    /// Keras 2: numbers that both generations call by one name differ.
    pub(super) is_keras_2: bool,
}

impl Config {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let root: Value = serde_json::from_str(text)
            .map_err(|error| format!("expected `model_config` as JSON, found {error}"))?;
        let model = parse::model(&root, 0)?;
        flat::flatten(&model)
    }
}

/// The shape with the batch, by the names that Keras 2 and 3 give it.
pub(super) fn input_shape(settings: &Map<String, Value>) -> Option<&Value> {
    settings
        .get("batch_shape")
        .or_else(|| settings.get("batch_input_shape"))
}
