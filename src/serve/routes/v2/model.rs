//! The models of a bundle, as the protocol names and describes them.

use crate::domain::label::ClassIndex;
use crate::domain::scores::argmax;
use crate::domain::verdict::disagreement;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::inference::evaluate::Evaluated;
use crate::serve::inference::policy::Decision;
use crate::serve::loaded_bundle::LoadedBundle;
use serde_json::{Value, json};

/// The one version that every model has.
pub(super) const VERSION: &str = "1";

/// Name of the one input of every model.
pub(super) const INPUT: &str = "input";

fn input_tensor(loaded: &LoadedBundle) -> (&'static str, &'static str, Vec<usize>) {
    let mut shape = loaded.manifest().input.batch_shape(1);
    shape.remove(0);
    (INPUT, "FP32", shape)
}

/// Triton has no tensor without extents beside the batch: a scalar an image is one of length 1.
fn dims(shape: Vec<usize>) -> Vec<usize> {
    if shape.is_empty() { vec![1] } else { shape }
}

/// A model of the bundle in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum V2Model {
    /// B, every B', the repaired network where there is one, and what the policy decides.
    Goodnet {
        /// Is there a repaired network?
        repaired: bool,
    },
    /// B.
    Badnet,
    /// The B' of the drop with this number.
    Pruned(usize),
}

/// Values of an output tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// FP32.
    Float(Vec<f32>),
    /// INT64.
    Int(Vec<i64>),
    /// BOOL.
    Bool(Vec<bool>),
}

/// An output tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Output {
    pub(super) name: &'static str,
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

impl V2Model {
    /// The model called `name`; `main` is what the one is called whose verdict the policy decides.
    pub(super) fn find(loaded: &LoadedBundle, main: &str, name: &str) -> Result<Self, Problem> {
        let pruned = || {
            let stem = |file: &str| file.strip_suffix(".onnx") == Some(name);
            let drop = loaded.drops.iter().position(|drop| stem(&drop.record.file));
            drop.map(Self::Pruned)
        };
        match name {
            _ if name == main => Ok(Self::main(loaded)),
            "badnet" => Ok(Self::Badnet),
            _ => pruned().ok_or_else(|| {
                Problem::new(
                    Code::NotFound,
                    format!(
                        "expected the model {main}, badnet or pruned_X of a drop, found {name:?}"
                    ),
                )
            }),
        }
    }

    fn main(loaded: &LoadedBundle) -> Self {
        let repaired = loaded.manifest().repaired.is_some();
        Self::Goodnet { repaired }
    }

    /// Every model of the bundle.
    pub(super) fn all(loaded: &LoadedBundle) -> Vec<Self> {
        let pruned = (0..loaded.drops.len()).map(Self::Pruned);
        [Self::main(loaded), Self::Badnet]
            .into_iter()
            .chain(pruned)
            .collect()
    }

    /// What requests call it; `main` as for [`V2Model::find`].
    pub(super) fn name(self, loaded: &LoadedBundle, main: &str) -> String {
        match self {
            Self::Goodnet { .. } => main.to_owned(),
            Self::Badnet => "badnet".to_owned(),
            Self::Pruned(drop) => {
                let file = &loaded.drops[drop].record.file;
                file.strip_suffix(".onnx").unwrap_or(file).to_owned()
            }
        }
    }

    /// Names of the outputs, in their order.
    pub(super) fn outputs(self) -> &'static [&'static str] {
        const ALL: [&str; 6] = [
            "verdict",
            "flagged",
            "badnet_probabilities",
            "pruned_probabilities",
            "disagreement_verdicts",
            "repaired_probabilities",
        ];
        match self {
            Self::Goodnet { repaired: true } => &ALL,
            Self::Goodnet { repaired: false } => ALL.split_at(5).0,
            Self::Badnet | Self::Pruned(_) => &["probabilities"],
        }
    }

    /// Parameters that a request for it may have.
    pub(super) fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Goodnet { .. } => &["policy", "drop", "binary_data_output"],
            Self::Badnet | Self::Pruned(_) => &["binary_data_output"],
        }
    }

    /// Its inputs and outputs, with -1 for the batch.
    pub(super) fn metadata(self, loaded: &LoadedBundle, main: &str) -> Value {
        let batched = |shape: Vec<usize>| -> Vec<i64> {
            let rest = shape.into_iter().map(|extent| extent as i64);
            std::iter::once(-1).chain(rest).collect()
        };
        let tensor = |(name, datatype, shape): (&str, &str, Vec<usize>)| json!({ "name": name, "datatype": datatype, "shape": batched(shape) });
        json!({
            "name": self.name(loaded, main),
            "versions": [VERSION],
            "platform": "onnx",
            "inputs": [tensor(input_tensor(loaded))],
            "outputs": self.output_tensors(loaded).map(tensor).collect::<Vec<_>>(),
        })
    }

    /// The same as Triton's model configuration: what its clients ask for. `max_batch` images at a time.
    pub(super) fn configuration(
        self,
        loaded: &LoadedBundle,
        main: &str,
        max_batch: usize,
    ) -> Value {
        let tensor = |(name, datatype, shape): (&str, &str, Vec<usize>)| json!({ "name": name, "data_type": format!("TYPE_{datatype}"), "dims": dims(shape) });
        json!({
            "name": self.name(loaded, main),
            "platform": "onnxruntime_onnx",
            "backend": "onnxruntime",
            "max_batch_size": max_batch,
            "input": [tensor(input_tensor(loaded))],
            "output": self.output_tensors(loaded).map(tensor).collect::<Vec<_>>(),
        })
    }

    /// Name, type and shape without the batch of each output.
    fn output_tensors(
        self,
        loaded: &LoadedBundle,
    ) -> impl Iterator<Item = (&'static str, &'static str, Vec<usize>)> {
        let (classes, drops) = (loaded.manifest().classes as usize, loaded.drops.len());
        self.outputs().iter().map(move |&name| match name {
            "verdict" => (name, "INT64", vec![]),
            "flagged" => (name, "BOOL", vec![]),
            "disagreement_verdicts" => (name, "INT64", vec![drops]),
            "pruned_probabilities" => (name, "FP32", vec![drops, classes]),
            _ => (name, "FP32", vec![classes]),
        })
    }

    /// The output called `name`, out of what the networks and the policy say of n images.
    pub(super) fn output(self, name: &'static str, answered: &[(Evaluated, Decision)]) -> Output {
        let rows = answered.len();
        let Some((first, _)) = answered.first() else {
            return Output {
                name,
                shape: vec![0],
                values: Values::Float(Vec::new()),
            };
        };
        let (classes, drops) = (first.badnet().len(), first.drops());
        let evaluated = answered.iter().map(|(evaluated, _)| evaluated);
        let decisions = answered.iter().map(|(_, decision)| decision);
        let (shape, values) = match (self, name) {
            (Self::Goodnet { .. }, "verdict") => {
                let class = |decision: &Decision| i64::from(decision.class.0);
                (vec![rows], Values::Int(decisions.map(class).collect()))
            }
            (Self::Goodnet { .. }, "flagged") => {
                let flagged = |decision: &Decision| decision.class.position() == classes;
                (vec![rows], Values::Bool(decisions.map(flagged).collect()))
            }
            (Self::Goodnet { .. }, "disagreement_verdicts") => {
                let verdicts = evaluated.flat_map(disagreement_verdicts).collect();
                (vec![rows, drops], Values::Int(verdicts))
            }
            (Self::Goodnet { .. }, "pruned_probabilities") => {
                let all = evaluated.flat_map(|e| (0..drops).flat_map(|drop| e.pruned(drop)));
                let values = Values::Float(all.copied().collect());
                (vec![rows, drops, classes], values)
            }
            (Self::Goodnet { .. }, "repaired_probabilities") => {
                let all = evaluated.flat_map(|e| e.repaired().unwrap_or_default());
                (vec![rows, classes], Values::Float(all.copied().collect()))
            }
            (Self::Pruned(drop), _) => {
                let all = evaluated.flat_map(|e| e.pruned(drop));
                (vec![rows, classes], Values::Float(all.copied().collect()))
            }
            _ => {
                let all = evaluated.flat_map(Evaluated::badnet);
                (vec![rows, classes], Values::Float(all.copied().collect()))
            }
        };
        Output {
            name,
            shape,
            values,
        }
    }
}

/// (T): at every drop, the class where B and B' agree, else N.
pub(super) fn disagreement_verdicts(evaluated: &Evaluated) -> impl Iterator<Item = i64> {
    let classes = u32::try_from(evaluated.badnet().len()).unwrap_or(u32::MAX);
    let badnet: ClassIndex = argmax(evaluated.badnet());
    (0..evaluated.drops()).map(move |drop| {
        let pruned = argmax(evaluated.pruned(drop));
        i64::from(disagreement(badnet, pruned, classes).0)
    })
}
