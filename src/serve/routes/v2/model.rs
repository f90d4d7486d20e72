//! The models of a bundle, as the protocol names and describes them.

use crate::domain::label::ClassIndex;
use crate::domain::scores::argmax;
use crate::domain::verdict::disagreement;
use crate::engine::Answers;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::routes::v2::VERSION;
use serde_json::{Value, json};

/// Name of the one input of every model.
pub(super) const INPUT: &str = "input";

/// A model of the bundle in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum V2Model {
    /// B, every B' and the verdicts.
    Goodnet,
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
            "goodnet" => Ok(Self::Goodnet),
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
            Self::Goodnet => "goodnet".to_owned(),
            Self::Badnet => "badnet".to_owned(),
            Self::Pruned(drop) => {
                let file = &loaded.drops[drop].record.file;
                file.strip_suffix(".onnx").unwrap_or(file).to_owned()
            }
        }
    }

    /// Names of the outputs, in their order.
    pub(super) fn outputs(self) -> &'static [&'static str] {
        match self {
            Self::Goodnet => &["badnet_probabilities", "pruned_probabilities", "verdict"],
            Self::Badnet | Self::Pruned(_) => &["probabilities"],
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
        let output = |name: &str| match name {
            "verdict" => json!({ "name": name, "datatype": "INT64", "shape": [-1, drops] }),
            "pruned_probabilities" => {
                json!({ "name": name, "datatype": "FP32", "shape": [-1, drops, classes] })
            }
            _ => json!({ "name": name, "datatype": "FP32", "shape": [-1, classes] }),
        };
        json!({
            "name": self.name(loaded),
            "versions": [VERSION],
            "platform": "onnx",
            "inputs": [{ "name": INPUT, "datatype": "FP32", "shape": shape }],
            "outputs": self.outputs().iter().map(|name| output(name)).collect::<Vec<_>>(),
        })
    }

    /// The output called `name`, out of what the networks answered.
    pub(super) fn output(self, name: &'static str, answers: &Answers, classes: u32) -> Output {
        let rows = answers.rows();
        let drops = answers.drops();
        match (self, name) {
            (Self::Goodnet, "verdict") => Output {
                name,
                shape: vec![rows, drops],
                values: Values::Int(verdicts(answers, classes)),
            },
            (Self::Goodnet, "pruned_probabilities") => Output {
                name,
                shape: answers.pruned_batch().shape.clone(),
                values: Values::Float(answers.pruned_batch().data.clone()),
            },
            (Self::Pruned(drop), _) => Output {
                name,
                shape: answers.badnet_batch().shape.clone(),
                values: Values::Float(
                    (0..rows)
                        .flat_map(|row| answers.pruned(row, drop).iter().copied())
                        .collect(),
                ),
            },
            _ => Output {
                name,
                shape: answers.badnet_batch().shape.clone(),
                values: Values::Float(answers.badnet_batch().data.clone()),
            },
        }
    }
}

/// (n, T): the class where B and B' agree, else N.
fn verdicts(answers: &Answers, classes: u32) -> Vec<i64> {
    let verdict = |row: usize, drop: usize| {
        let badnet: ClassIndex = argmax(answers.badnet(row));
        let pruned = argmax(answers.pruned(row, drop));
        i64::from(disagreement(badnet, pruned, classes).0)
    };
    (0..answers.rows())
        .flat_map(|row| (0..answers.drops()).map(move |drop| (row, drop)))
        .map(|(row, drop)| verdict(row, drop))
        .collect()
}
