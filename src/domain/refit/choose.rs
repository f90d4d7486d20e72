//! How strongly to refit: as strongly as clean images, in cross-validation, do not pay for.

use super::cost::{Bounds, Broken, Cost};
use super::{Column, Evidence, Fit, Strength};
use crate::domain::head::LinearHead;
use crate::domain::label::ClassIndex;
use crate::domain::scores::argmax;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// Strengths that are tried, the weakest first: weight of the clean answers, weight of the old weights.
const STRENGTHS: [(f64, f64); 6] = [
    (3200.0, 0.1),
    (3200.0, 0.01),
    (800.0, 0.01),
    (800.0, 0.001),
    (400.0, 0.001),
    (200.0, 0.001),
];
/// Parts of the clean images; each is answered by a head that was refitted on the others.
const FOLDS: usize = 4;

/// Clean images as a cross-validation sees them.
#[derive(Debug, Clone, Copy)]
pub struct Crossed<'a> {
    /// Features, stand-ins and what these were turned into.
    pub evidence: Evidence<'a>,
    /// True labels of the clean images, (n).
    pub truth: &'a [u32],
    /// The clean image that each stand-in feature comes from, (m).
    pub images: &'a [usize],
}

/// The strength that was chosen, and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The refitted head.
    pub head: LinearHead,
    /// How strongly.
    pub strength: Strength,
    /// What cross-validation counted at this strength.
    pub cost: Cost,
    /// By label: share of its stand-in features that still get it.
    pub left: BTreeMap<u32, f64>,
}

/// No strength keeps the bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{}", self.line())]
pub struct Refused(pub Broken);

impl Refused {
    fn line(&self) -> String {
        match self.0 {
            Broken::All(lost) => {
                format!("even the weakest repair loses {lost:.2} points of clean accuracy")
            }
            Broken::Label(label, lost) => {
                format!(
                    "even the weakest repair loses {lost:.1} points of the accuracy of label {label}"
                )
            }
        }
    }
}

/// Refits `columns` of `head` as strongly as `bounds` allow in cross-validation over the clean images.
///
/// A stand-in feature is left out with the clean image that it comes from. Ties and order: the weakest strength first, the last
/// one before a bound is broken wins.
///
/// # Errors
/// If even the weakest strength breaks a bound.
pub fn choose(
    head: &LinearHead,
    crossed: Crossed<'_>,
    columns: &[Column],
    bounds: Bounds,
) -> Result<Choice, Refused> {
    let folds: Vec<Fold> = (0..FOLDS).map(|fold| Fold::new(crossed, fold)).collect();
    let mut fits: Vec<Fit<'_>> = folds
        .iter()
        .map(|fold| Fit::new(head, fold.evidence(), columns))
        .collect();
    let mut whole = Fit::new(head, crossed.evidence, columns);
    let mut chosen: Option<(Strength, Cost, LinearHead)> = None;
    for (clean, pull) in STRENGTHS {
        let strength = Strength { clean, pull };
        let costs = std::thread::scope(|scope| {
            let threads: Vec<_> = folds
                .iter()
                .zip(&mut fits)
                .map(|(fold, fit)| {
                    scope.spawn(move || fold.cost(head, &fit.run(strength), crossed))
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect::<Vec<Cost>>()
        });
        let mut cost = Cost::default();
        costs.iter().for_each(|part| cost.add(part));
        if let Some(broken) = cost.breaks(bounds) {
            if chosen.is_none() {
                return Err(Refused(broken));
            }
            break;
        }
        chosen = Some((strength, cost, whole.run(strength)));
    }
    let Some((strength, cost, head)) = chosen else {
        return Err(Refused(Broken::All(f64::NAN)));
    };
    Ok(Choice {
        left: left(&head, crossed.evidence),
        head,
        strength,
        cost,
    })
}

/// By label: share of the images turned into it that `head` still gives it.
fn left(head: &LinearHead, evidence: Evidence<'_>) -> BTreeMap<u32, f64> {
    let mut scores = vec![0.0; head.classes()];
    let mut counts: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for (row, &label) in evidence.labels.iter().enumerate() {
        head.score(evidence.turned.row(row), &mut scores);
        let (obey, all) = counts.entry(label).or_default();
        *obey += usize::from(argmax(&scores) == ClassIndex(label));
        *all += 1;
    }
    let share = |(obey, all): (usize, usize)| obey as f64 / all as f64;
    counts
        .into_iter()
        .map(|(label, counts)| (label, share(counts)))
        .collect()
}

/// What one head is refitted on, and the images kept apart.
struct Fold {
    clean: Tensor,
    turned: Tensor,
    labels: Vec<u32>,
    kept_apart: Vec<usize>,
}

impl Fold {
    fn new(crossed: Crossed<'_>, fold: usize) -> Self {
        let apart = |image: usize| image % FOLDS == fold;
        let (kept_apart, clean): (Vec<usize>, Vec<usize>) =
            (0..crossed.evidence.clean.rows()).partition(|&image| apart(image));
        let turned: Vec<usize> = (0..crossed.images.len())
            .filter(|&row| !apart(crossed.images[row]))
            .collect();
        Self {
            clean: gather(crossed.evidence.clean, &clean),
            turned: gather(crossed.evidence.turned, &turned),
            labels: turned
                .iter()
                .map(|&row| crossed.evidence.labels[row])
                .collect(),
            kept_apart,
        }
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            clean: &self.clean,
            turned: &self.turned,
            labels: &self.labels,
        }
    }

    fn cost(&self, before: &LinearHead, after: &LinearHead, crossed: Crossed<'_>) -> Cost {
        let mut cost = Cost::default();
        for &image in &self.kept_apart {
            let features = crossed.evidence.clean.row(image);
            let [before, after] = [before, after].map(|head| head.answer(features).0);
            cost.count(crossed.truth[image], before, after);
        }
        cost
    }
}

fn gather(features: &Tensor, rows: &[usize]) -> Tensor {
    let mut data = Vec::with_capacity(rows.len() * features.row_len());
    for &row in rows {
        data.extend_from_slice(features.row(row));
    }
    Tensor::new(vec![rows.len(), features.row_len()], data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes told apart by their own feature; a third feature, which clean images do not have, shouts for class 0.
    fn head() -> LinearHead {
        LinearHead {
            weights: vec![4.0, 0.0, 0.0, 4.0, 20.0, 0.0],
            bias: vec![0.0, 0.0],
        }
    }

    fn rows(rows: impl Iterator<Item = [f32; 3]>) -> Tensor {
        let data: Vec<f32> = rows.flatten().collect();
        Tensor::new(vec![data.len() / 3, 3], data)
    }

    fn chosen(bounds: Bounds, turned: &Tensor) -> Result<Choice, Refused> {
        let truth: Vec<u32> = (0..40).map(|image| image % 2).collect();
        let clean = rows((0..40).map(|image| {
            let size = 1.0 + 0.01 * image as f32;
            if image % 2 == 0 {
                [size, 0.0, 0.0]
            } else {
                [0.0, size, 0.0]
            }
        }));
        let labels = vec![0; turned.rows()];
        let images: Vec<usize> = (0..turned.rows()).map(|row| 2 * row + 1).collect();
        let crossed = Crossed {
            evidence: Evidence {
                clean: &clean,
                turned,
                labels: &labels,
            },
            truth: &truth,
            images: &images,
        };
        let column = Column {
            label: 0,
            weight: 1.0,
            pull: 1.0,
        };
        choose(&head(), crossed, &[column], bounds)
    }

    const BOUNDS: Bounds = Bounds {
        loss_pp: 0.5,
        label_loss_pp: 10.0,
    };

    #[test]
    fn a_trigger_loses_its_power_and_no_clean_image_is_lost() {
        let turned = rows((0..10).map(|_| [0.0, 1.0, 1.0]));
        let choice = chosen(BOUNDS, &turned).unwrap();
        assert_eq!(choice.left.get(&0), Some(&0.0));
        assert_eq!((choice.cost.images, choice.cost.right), (40, 40));
        assert_eq!((choice.cost.lost, choice.cost.flagged), (0, 0));
        // The other column is untouched.
        let column = |head: &LinearHead| -> Vec<f32> {
            head.weights.iter().skip(1).step_by(2).copied().collect()
        };
        assert_eq!(column(&choice.head), column(&head()));
    }

    #[test]
    fn stand_ins_that_look_like_the_class_itself_are_refused_where_they_would_cost_it() {
        // What was turned cannot be told from clean images of class 0.
        let turned = rows((0..10).map(|row| [1.0 + 0.04 * row as f32, 0.0, 0.0]));
        let bounds = Bounds {
            loss_pp: -100.0,
            ..BOUNDS
        };
        assert!(chosen(bounds, &turned).is_err());
        let choice = chosen(BOUNDS, &turned).unwrap();
        assert_eq!(choice.cost.lost, 0, "clean answers come first");
        assert!(choice.left[&0] > 0.9);
    }
}
