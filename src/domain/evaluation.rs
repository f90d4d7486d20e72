//! The lab's final table: B, every B' and every G on clean and backdoored images.

use super::metrics::{Share, defence_effectiveness};
use super::sweep::Tally;
use super::verdict::VerdictTally;
use serde::{Deserialize, Serialize};

/// Answers counted on one set of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTallies {
    /// B: answers that hit the label.
    pub badnet: Tally,
    /// The repaired network, where there is one.
    pub repaired: Option<VerdictTally>,
    /// One tally a drop.
    pub drops: Vec<VerdictTally>,
}

impl SetTallies {
    /// Nothing counted yet, for `drops` drops, and for a repaired network if there is one.
    #[must_use]
    pub fn new(drops: usize, repaired: bool) -> Self {
        Self {
            badnet: Tally::default(),
            repaired: repaired.then(VerdictTally::default),
            drops: vec![VerdictTally::default(); drops],
        }
    }

    /// Takes up one image: B's answer, the repaired network's, every B''s, and the label.
    pub fn count(
        &mut self,
        badnet: u32,
        repaired: Option<u32>,
        pruned: impl IntoIterator<Item = u32>,
        label: u32,
    ) {
        self.badnet.count(badnet == label);
        if let (Some(tally), Some(repaired)) = (&mut self.repaired, repaired) {
            tally.count(badnet, repaired, label);
        }
        for (tally, pruned) in self.drops.iter_mut().zip(pruned) {
            tally.count(badnet, pruned, label);
        }
    }
}

/// What a row of the table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkKind {
    /// B.
    Badnet,
    /// The repaired network alone.
    Repaired,
    /// B beside the repaired network.
    GoodnetRepaired,
    /// B' alone.
    Pruned,
    /// B beside B'.
    Goodnet,
}

/// One row: a network and what it does; every share with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRow {
    /// Which network, or which two beside each other.
    pub network: NetworkKind,
    /// The drop in percentage points, none for B and the repaired network.
    pub drop: Option<f64>,
    /// Share of clean images answered with their label; for G a flagged image is an error.
    pub clean_accuracy: Share,
    /// Share of backdoored images answered with their target label.
    pub attack_success_rate: Option<Share>,
    /// Share of clean images flagged (G only).
    pub clean_flagged: Option<Share>,
    /// Share of backdoored images flagged (G only).
    pub backdoored_flagged: Option<Share>,
    /// DER against B, see [`defence_effectiveness`].
    pub defence_effectiveness: Option<f64>,
}

/// The table for `drops` from what was counted on clean and on backdoored images.
///
/// # Panics
/// If a set counted another number of drops.
#[must_use]
pub fn tabulate(
    drops: &[f64],
    clean: &SetTallies,
    backdoored: Option<&SetTallies>,
) -> Vec<EvaluationRow> {
    assert_eq!(clean.drops.len(), drops.len(), "clean tallies");
    let mut rows = vec![row(
        NetworkKind::Badnet,
        None,
        clean.badnet,
        backdoored.map(|set| set.badnet),
    )];
    if let Some(on_clean) = clean.repaired {
        let on_backdoored = backdoored.and_then(|set| set.repaired);
        let kinds = [NetworkKind::Repaired, NetworkKind::GoodnetRepaired];
        rows.extend(two_rows(kinds, None, on_clean, on_backdoored));
    }
    for (index, &drop) in drops.iter().enumerate() {
        let on_backdoored = backdoored.map(|set| set.drops[index]);
        let kinds = [NetworkKind::Pruned, NetworkKind::Goodnet];
        rows.extend(two_rows(
            kinds,
            Some(drop),
            clean.drops[index],
            on_backdoored,
        ));
    }
    rate_against_first(&mut rows);
    rows
}

/// A repaired network alone, and B beside it.
fn two_rows(
    [alone, beside]: [NetworkKind; 2],
    drop: Option<f64>,
    clean: VerdictTally,
    backdoored: Option<VerdictTally>,
) -> [EvaluationRow; 2] {
    let mut goodnet = row(
        beside,
        drop,
        clean.goodnet,
        backdoored.map(|tally| tally.goodnet),
    );
    goodnet.clean_flagged = Some(clean.flagged.into());
    goodnet.backdoored_flagged = backdoored.map(|tally| tally.flagged.into());
    [
        row(
            alone,
            drop,
            clean.pruned,
            backdoored.map(|tally| tally.pruned),
        ),
        goodnet,
    ]
}

fn row(
    network: NetworkKind,
    drop: Option<f64>,
    clean: Tally,
    backdoored: Option<Tally>,
) -> EvaluationRow {
    EvaluationRow {
        network,
        drop,
        clean_accuracy: clean.into(),
        attack_success_rate: backdoored.map(Share::from),
        clean_flagged: None,
        backdoored_flagged: None,
        defence_effectiveness: None,
    }
}

fn rate_against_first(rows: &mut [EvaluationRow]) {
    let Some((badnet, others)) = rows.split_first_mut() else {
        return;
    };
    let Some(asr_before) = badnet.attack_success_rate else {
        return;
    };
    for row in others {
        row.defence_effectiveness = row.attack_success_rate.map(|asr_after| {
            defence_effectiveness(
                badnet.clean_accuracy.value,
                asr_before.value,
                row.clean_accuracy.value,
                asr_after.value,
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_four_images_is_as_worked_out_by_hand() {
        let mut clean = SetTallies::new(1, false);
        clean.count(0, None, [0], 0);
        clean.count(1, None, [0], 1);
        clean.count(1, None, [1], 1);
        clean.count(1, None, [1], 0);
        let mut backdoored = SetTallies::new(1, false);
        backdoored.count(2, None, [2], 2);
        backdoored.count(2, None, [0], 2);
        let rows = tabulate(&[2.0], &clean, Some(&backdoored));
        let [badnet, pruned, goodnet] = rows.as_slice() else {
            panic!("three rows")
        };
        assert_eq!(badnet.clean_accuracy.value, 0.75);
        assert_eq!(pruned.clean_accuracy.value, 0.5);
        assert_eq!(goodnet.clean_accuracy.value, 0.5);
        assert_eq!(goodnet.clean_flagged.unwrap().value, 0.25);
        assert_eq!(goodnet.backdoored_flagged.unwrap().value, 0.5);
        assert_eq!(goodnet.attack_success_rate.unwrap().value, 0.5);
        // (max(0, 1 - 0.5) - max(0, 0.75 - 0.5) + 1) / 2
        assert_eq!(goodnet.defence_effectiveness, Some(0.625));
        assert_eq!(badnet.defence_effectiveness, None);
    }

    #[test]
    fn the_repaired_network_has_two_rows_before_the_drops() {
        let mut clean = SetTallies::new(1, true);
        clean.count(0, Some(0), [0], 0);
        clean.count(1, Some(0), [1], 1);
        let mut backdoored = SetTallies::new(1, true);
        backdoored.count(2, Some(1), [2], 2);
        let rows = tabulate(&[2.0], &clean, Some(&backdoored));
        let kinds: Vec<NetworkKind> = rows.iter().map(|row| row.network).collect();
        use NetworkKind::{Badnet, Goodnet, GoodnetRepaired, Pruned, Repaired};
        assert_eq!(kinds, [Badnet, Repaired, GoodnetRepaired, Pruned, Goodnet]);
        assert_eq!(rows[1].clean_accuracy.value, 0.5);
        assert_eq!(rows[1].attack_success_rate.unwrap().value, 0.0);
        assert_eq!(rows[2].clean_flagged.unwrap().value, 0.5);
        assert_eq!(rows[2].backdoored_flagged.unwrap().value, 1.0);
    }
}
