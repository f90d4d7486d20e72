//! B, every B' and the repaired network behind one call, whether they are one fused graph or a session each.

use super::error::EngineError;
use super::port::{Output, SessionConfig};
use super::{Engine, Session};
use crate::onnx::fuse::{BADNET_OUTPUT, PRUNED_OUTPUT, REPAIRED_OUTPUT};
use crate::tensor::{Tensor, TensorView};

/// The networks of a GoodNet with T drops, loaded; one thread at a time runs them.
#[derive(Debug)]
pub struct GoodNet {
    networks: Networks,
    drops: usize,
    repaired: Option<Session>,
}

/// The ONNX files that a [`GoodNet`] is loaded from.
#[derive(Debug, Clone)]
pub struct GoodNetFiles<'a> {
    /// B and every B'.
    pub networks: NetworkFiles<'a>,
    /// The repaired network, where a file of its own is to answer for it.
    pub repaired: Option<&'a [u8]>,
}

/// B and every B': one graph, or a file each.
#[derive(Debug, Clone)]
pub enum NetworkFiles<'a> {
    /// The fused graph.
    Fused {
        /// Its bytes.
        graph: &'a [u8],
        /// Drops T that it answers for.
        drops: usize,
    },
    /// A file each.
    Separate {
        /// B.
        badnet: &'a [u8],
        /// Every B'.
        pruned: Vec<&'a [u8]>,
    },
}

#[derive(Debug)]
enum Networks {
    Fused {
        session: Session,
        positions: OutputPositions,
    },
    Separate {
        badnet: Session,
        pruned: Vec<Session>,
    },
}

/// Which outputs of the fused graph are what.
#[derive(Debug, Clone, Copy)]
struct OutputPositions {
    badnet: usize,
    /// None where there are no drops.
    pruned: Option<usize>,
    repaired: Option<usize>,
}

/// What B, every B' and the repaired network answer for a batch of n images.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    badnet: Tensor,
    pruned: Tensor,
    repaired: Option<Tensor>,
}

impl Answers {
    /// B's probabilities for image `row`, (N).
    #[must_use]
    pub fn badnet(&self, row: usize) -> &[f32] {
        self.badnet.row(row)
    }

    /// The probabilities of the B' of drop number `drop` for image `row`, (N).
    #[must_use]
    pub fn pruned(&self, row: usize, drop: usize) -> &[f32] {
        let classes = self.badnet.row_len();
        &self.pruned.row(row)[drop * classes..(drop + 1) * classes]
    }

    /// B's probabilities for the whole batch, (n, N).
    #[must_use]
    pub fn badnet_batch(&self) -> &Tensor {
        &self.badnet
    }

    /// The probabilities of every B' for the whole batch, (n, T, N).
    #[must_use]
    pub fn pruned_batch(&self) -> &Tensor {
        &self.pruned
    }

    /// The probabilities of the repaired network for image `row`, (N); none where there is no such network.
    #[must_use]
    pub fn repaired(&self, row: usize) -> Option<&[f32]> {
        self.repaired.as_ref().map(|repaired| repaired.row(row))
    }

    /// The probabilities of the repaired network for the whole batch, (n, N); none where there is no such network.
    #[must_use]
    pub fn repaired_batch(&self) -> Option<&Tensor> {
        self.repaired.as_ref()
    }

    /// What they answer for image `row` alone, a batch of one.
    #[must_use]
    pub fn of_row(&self, row: usize) -> Self {
        let only = |tensor: &Tensor| {
            let mut shape = tensor.shape.clone();
            shape[0] = 1;
            Tensor::new(shape, tensor.row(row).to_vec())
        };
        Self {
            badnet: only(&self.badnet),
            pruned: only(&self.pruned),
            repaired: self.repaired.as_ref().map(only),
        }
    }

    /// Images n in the batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.badnet.rows()
    }

    /// Drops T.
    #[must_use]
    pub fn drops(&self) -> usize {
        self.pruned.shape[1]
    }
}

impl GoodNet {
    /// Loads the networks of `files`.
    ///
    /// # Errors
    /// If the runtime refuses one, or a fused graph lacks an output.
    pub fn load(
        engine: &Engine,
        files: &GoodNetFiles<'_>,
        config: &SessionConfig,
    ) -> Result<Self, EngineError> {
        let networks = match &files.networks {
            NetworkFiles::Fused { graph, drops } => Self::fused(engine, graph, *drops, config)?,
            NetworkFiles::Separate { badnet, pruned } => {
                Self::separate(engine, badnet, pruned, config)?
            }
        };
        let repaired = files.repaired.map(|model| engine.load(model, config));
        Ok(networks.with_repaired(repaired.transpose()?))
    }

    /// Loads the fused graph of `drops` pruned networks; its repaired network is run where it has one.
    ///
    /// # Errors
    /// If the runtime refuses the model or it lacks an output: B's probabilities or, with drops, those of every B'.
    pub fn fused(
        engine: &Engine,
        model: &[u8],
        drops: usize,
        config: &SessionConfig,
    ) -> Result<Self, EngineError> {
        let session = engine.load(model, config)?;
        let find = |name: &str| session.outputs().iter().position(|port| port.name == name);
        let need = |name: &str| {
            find(name).ok_or_else(|| EngineError::Mismatch {
                expected: format!("an output {name}"),
                found: "none of that name".to_owned(),
            })
        };
        let positions = OutputPositions {
            badnet: need(BADNET_OUTPUT)?,
            pruned: (drops > 0).then(|| need(PRUNED_OUTPUT)).transpose()?,
            repaired: find(REPAIRED_OUTPUT),
        };
        Ok(Self {
            networks: Networks::Fused { session, positions },
            drops,
            repaired: None,
        })
    }

    /// Loads B and each B' as networks of their own.
    ///
    /// # Errors
    /// If the runtime refuses a model.
    pub fn separate(
        engine: &Engine,
        badnet: &[u8],
        pruned: &[&[u8]],
        config: &SessionConfig,
    ) -> Result<Self, EngineError> {
        let sessions: Result<Vec<_>, _> = pruned
            .iter()
            .map(|model| engine.load(model, config))
            .collect();
        Ok(Self {
            networks: Networks::Separate {
                badnet: engine.load(badnet, config)?,
                pruned: sessions?,
            },
            drops: pruned.len(),
            repaired: None,
        })
    }

    /// The same with the repaired network as one of its own, in place of the one in a fused graph.
    #[must_use]
    pub fn with_repaired(self, repaired: Option<Session>) -> Self {
        Self { repaired, ..self }
    }

    /// Runs every network on `batch`, (n, C, H, W) or (n, H, W, C).
    ///
    /// # Errors
    /// If the runtime fails or an output is not of the expected shape.
    pub fn run(&mut self, batch: TensorView<'_>) -> Result<Answers, EngineError> {
        let mut answers = match &mut self.networks {
            Networks::Fused { session, positions } => run_fused(session, *positions, batch)?,
            Networks::Separate { badnet, pruned } => run_separate(badnet, pruned, batch)?,
        };
        if let Some(session) = &mut self.repaired {
            answers.repaired = Some(session.run_one(batch)?);
        }
        let rows = batch.shape.first().copied().unwrap_or(0);
        check_shapes(&answers, rows, self.drops)?;
        Ok(answers)
    }

    /// Runs B alone where it is a network of its own, else the fused graph; (n, N).
    ///
    /// # Errors
    /// If the runtime fails.
    pub fn run_badnet(&mut self, batch: TensorView<'_>) -> Result<Tensor, EngineError> {
        match &mut self.networks {
            Networks::Fused { session, positions } => {
                Ok(run_fused(session, *positions, batch)?.badnet)
            }
            Networks::Separate { badnet, .. } => badnet.run_one(batch),
        }
    }
}

fn run_fused(
    session: &mut Session,
    positions: OutputPositions,
    batch: TensorView<'_>,
) -> Result<Answers, EngineError> {
    let mut outputs: Vec<Option<Output>> = session.run(&[batch])?.into_iter().map(Some).collect();
    let mut take = |index: usize| {
        let output = outputs.get_mut(index).and_then(Option::take);
        let output = output.ok_or_else(|| EngineError::Mismatch {
            expected: "every probability output".to_owned(),
            found: "one that is missing".to_owned(),
        })?;
        output.into_float()
    };
    let badnet = take(positions.badnet)?;
    let pruned = match positions.pruned {
        Some(pruned) => take(pruned)?,
        None => Tensor::new(vec![badnet.rows(), 0, badnet.row_len()], Vec::new()),
    };
    Ok(Answers {
        badnet,
        pruned,
        repaired: positions.repaired.map(take).transpose()?,
    })
}

fn run_separate(
    badnet: &mut Session,
    pruned: &mut [Session],
    batch: TensorView<'_>,
) -> Result<Answers, EngineError> {
    let badnet = badnet.run_one(batch)?;
    let answers: Vec<Tensor> = pruned
        .iter_mut()
        .map(|session| session.run_one(batch))
        .collect::<Result<_, _>>()?;
    let (rows, classes) = (badnet.rows(), badnet.row_len());
    if let Some(other) = answers.iter().find(|a| a.shape != badnet.shape) {
        return Err(EngineError::Mismatch {
            expected: format!(
                "probabilities of shape {:?} from every network",
                badnet.shape
            ),
            found: format!("{:?}", other.shape),
        });
    }
    let mut data = Vec::with_capacity(answers.len() * rows * classes);
    for row in 0..rows {
        for answer in &answers {
            data.extend_from_slice(answer.row(row));
        }
    }
    let pruned = Tensor::new(vec![rows, answers.len(), classes], data);
    Ok(Answers {
        badnet,
        pruned,
        repaired: None,
    })
}

fn check_shapes(answers: &Answers, rows: usize, drops: usize) -> Result<(), EngineError> {
    let Answers {
        badnet,
        pruned,
        repaired,
    } = answers;
    let classes = badnet.row_len();
    if let Some(repaired) = repaired
        && repaired.shape != badnet.shape
    {
        return Err(EngineError::Mismatch {
            expected: format!("probabilities of shape {:?} repaired too", badnet.shape),
            found: format!("{:?}", repaired.shape),
        });
    }
    if badnet.shape == [rows, classes] && pruned.shape == [rows, drops, classes] {
        return Ok(());
    }
    Err(EngineError::Mismatch {
        expected: format!("probabilities of shape ({rows}, N) and ({rows}, {drops}, N)"),
        found: format!("{:?} and {:?}", badnet.shape, pruned.shape),
    })
}
