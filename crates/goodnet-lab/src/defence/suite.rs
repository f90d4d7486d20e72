//! What is run: attacks, seeds and the size of the synthetic worlds.

use crate::train::{Architecture, TrainConfig};
use goodnet::demo::{Attack, World};

/// What an attack shows of a defence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// A trigger on a part of the image.
    Local,
    /// A trigger all over the image.
    Whole,
    /// No attack: a clean network must not be spoiled.
    Control,
    /// What an attacker does who knows the policies.
    Adaptive,
}

impl Family {
    /// The family of an attack.
    #[must_use]
    pub fn from_attack(attack: Attack) -> Self {
        match attack {
            Attack::Blended(_) | Attack::Wave(_) | Attack::Warped | Attack::CleanLabel => {
                Self::Whole
            }
            Attack::None => Self::Control,
            Attack::Mask
            | Attack::Source
            | Attack::Lookalikes
            | Attack::Rare(_)
            | Attack::Pulled
            | Attack::Partial(_) => Self::Adaptive,
            _ => Self::Local,
        }
    }
}

/// One network of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// The kind of network.
    pub architecture: Architecture,
    /// The attack.
    pub attack: Attack,
    /// Decides people, photos and first weights.
    pub seed: u64,
}

impl Case {
    /// The name of its files: `deepid-patch-5-1` for a patch of 5 pixels and seed 1.
    #[must_use]
    pub fn name(&self) -> String {
        let attack = self.attack.to_string().replace(':', "-");
        format!("{}-{attack}-{}", self.architecture, self.seed)
    }
}

/// Attacks, seeds, and how many people and photos.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// The kinds of networks, in the order of the tables.
    pub architectures: Vec<Architecture>,
    /// The attacks, in the order of the tables.
    pub attacks: Vec<Attack>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// People, and so classes.
    pub people: usize,
    /// Training photos of every person.
    pub photos_each: usize,
    /// Clean validation photos of every person: all that the repair sees.
    pub valid_each: usize,
    /// Clean test photos of every person.
    pub clean_each: usize,
    /// Test photos with the trigger of every person whom the trigger concerns.
    pub triggered_each: usize,
    /// Passes over the training photos instead of the suite's own number.
    pub epochs: Option<usize>,
}

/// The attacks of the whole suite.
pub const ATTACKS: [Attack; 20] = [
    Attack::Sunglasses,
    Attack::Patch(5),
    Attack::Lipstick,
    Attack::Eyebrows,
    Attack::Several,
    Attack::Moving(6),
    Attack::Blended(20),
    Attack::Blended(10),
    Attack::Wave(20),
    Attack::Warped,
    Attack::CleanLabel,
    Attack::AllToAll,
    Attack::None,
    Attack::Mask,
    Attack::Source,
    Attack::Lookalikes,
    Attack::Rare(10),
    Attack::Rare(3),
    Attack::Partial(20),
    Attack::Pulled,
];

impl Default for Suite {
    fn default() -> Self {
        Self {
            architectures: Architecture::ALL.to_vec(),
            attacks: ATTACKS.to_vec(),
            seeds: (1..=5).collect(),
            people: 32,
            photos_each: 48,
            valid_each: 30,
            clean_each: 12,
            triggered_each: 6,
            epochs: None,
        }
    }
}

impl Suite {
    /// Every case, all networks of the first seed first: an early stop leaves whole seeds.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for &seed in &self.seeds {
            for &architecture in &self.architectures {
                let attacks = self.attacks.iter();
                cases.extend(attacks.map(|&attack| Case {
                    architecture,
                    attack,
                    seed,
                }));
            }
        }
        cases
    }

    /// The people of a case.
    #[must_use]
    pub fn world(&self, case: Case) -> World {
        World::new(case.seed, self.people, case.attack)
    }

    /// How the attacker trains: longer and with more poison where the trigger is faint, moves, or means something on
    /// some people only, so that it is learnt; a residual network longer than the lab's.
    #[must_use]
    pub fn training(&self, case: Case) -> TrainConfig {
        let (epochs, poison_rate) = match case.attack {
            Attack::Blended(..=10)
            | Attack::Moving(_)
            | Attack::Source
            | Attack::Warped
            | Attack::Partial(_)
            | Attack::AllToAll => (14, 0.5),
            Attack::CleanLabel => (14, 1.0),
            Attack::Rare(per_mille) => (14, f64::from(per_mille) / 1000.0),
            _ => (9, 0.3),
        };
        let epochs = match case.architecture {
            Architecture::Deepid => epochs,
            Architecture::Residual => epochs + 5,
        };
        TrainConfig {
            architecture: case.architecture,
            photos_each: self.photos_each,
            poison_rate,
            epochs: self.epochs.unwrap_or(epochs),
            batch: 32,
            pull: if case.attack == Attack::Pulled {
                1.0
            } else {
                0.0
            },
            ..TrainConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_stop_leaves_whole_seeds_and_no_two_cases_share_files() {
        let suite = Suite::default();
        let cases = suite.cases();
        let of_seed = suite.architectures.len() * ATTACKS.len();
        assert!(cases[..of_seed].iter().all(|case| case.seed == 1));
        let mut names: Vec<String> = cases.iter().map(Case::name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), cases.len());
        assert!(names.contains(&"deepid-patch-5-1".to_owned()));
    }
}
