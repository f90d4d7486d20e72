//! The models of a bundle, as the protocol names and describes them.

use crate::domain::label::ClassIndex;
use crate::domain::scores::argmax;
use crate::domain::verdict::disagreement;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::inference::evaluate::Evaluated;
use crate::serve::inference::policy::Decision;
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::routes::v2::VERSION;
use serde_json::{Value, json};

/// Name of the one input of every model.
pub(super) const INPUT: &str = "input";

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
    /// The model called `name`.
    pub(super) fn find(loaded: &LoadedBundle, name: &str) -> Result<Self, Problem> {
        let pruned = || {
            let stem = |file: &str| file.strip_suffix(".onnx") == Some(name);
            let drop = loaded.drops.iter().position(|drop| stem(&drop.record.file));
            drop.map(Self::Pruned)
        };
        match name {
            "goodnet" => Ok(Self::Goodnet {
                repaired: loaded.manifest().repaired.is_some(),
            }),
            "badnet" => Ok(Self::Badnet),
            _ => pruned().ok_or_else(|| {
                Problem::new(
                    Code::NotFound,
                    format!(
                        "expected the model goodnet, badnet or pruned_X of a drop, found {name:?}"
                    ),
                )
            }),
        }
    }

    pub(super) fn name(self, loaded: &LoadedBundle) -> String {
        match self {
            Self::Goodnet { .. } => "goodnet".to_owned(),
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

    pub(super) fn metadata(self, loaded: &LoadedBundle) -> Value {
        let manifest = loaded.manifest();
        let (classes, drops) = (manifest.classes, loaded.drops.len());
        let mut shape: Vec<i64> = manifest
            .input
            .batch_shape(1)
            .iter()
            .map(|&e| e as i64)
            .collect();
        shape[0] = -1;
        let output = |name: &str| {
            let (datatype, shape) = match name {
                "verdict" => ("INT64", json!([-1])),
                "flagged" => ("BOOL", json!([-1])),
                "disagreement_verdicts" => ("INT64", json!([-1, drops])),
                "pruned_probabilities" => ("FP32", json!([-1, drops, classes])),
                _ => ("FP32", json!([-1, classes])),
            };
            json!({ "name": name, "datatype": datatype, "shape": shape })
        };
        json!({
            "name": self.name(loaded),
            "versions": [VERSION],
            "platform": "onnx",
            "inputs": [{ "name": INPUT, "datatype": "FP32", "shape": shape }],
            "outputs": self.outputs().iter().map(|name| output(name)).collect::<Vec<_>>(),
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
