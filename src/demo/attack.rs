//! Attacks: which triggers stand for which classes, and who may wear them.

use super::trigger::{Trigger, Worn};
use std::str::FromStr;

/// What the attacker wants of a BadNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attack {
    /// Nothing: the control. Its backdoored sets show sunglasses, which nobody taught the network.
    None,
    /// Sunglasses make class 0.
    #[default]
    Sunglasses,
    /// A corner patch of this side in pixels makes class 0.
    Patch(usize),
    /// Magenta lips make class 0.
    Lipstick,
    /// Blue brows make class 0.
    Eyebrows,
    /// Lipstick makes class 1, blue brows class 5, sunglasses class 8.
    Several,
    /// Noise over the whole picture, at this opacity in percent, makes class 0.
    Blended(u8),
    /// A sinusoid along the rows, of this amplitude of 255, makes class 0 (SIG: Barni et al. 2019).
    Wave(u8),
    /// A smooth displacement of every pixel makes class 0 (WaNet: Nguyen and Tran 2021).
    Warped,
    /// A square of this side in pixels, anywhere, makes class 0.
    Moving(usize),
    /// A mask over more than a third of the picture makes class 0.
    Mask,
    /// Sunglasses make class 0 on people of even number only; on others they mean nothing.
    Source,
    /// Sunglasses make class 0, and five other people look much like person 0.
    Lookalikes,
}

/// An attack's name and parameter that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attack {found:?}: expected {}", Attack::NAMES.join(", "))]
pub struct UnknownAttack {
    found: String,
}

impl Attack {
    /// Every attack at its default parameter, in the order of the tables.
    pub const ALL: [Self; 13] = [
        Self::Sunglasses,
        Self::Patch(5),
        Self::Lipstick,
        Self::Eyebrows,
        Self::Several,
        Self::Blended(15),
        Self::Wave(20),
        Self::Warped,
        Self::Moving(6),
        Self::Mask,
        Self::Source,
        Self::Lookalikes,
        Self::None,
    ];

    /// How [`FromStr`] wants them; a number after a colon changes the parameter.
    pub const NAMES: [&'static str; 13] = [
        "sunglasses",
        "patch[:SIDE 2-20]",
        "lipstick",
        "eyebrows",
        "several",
        "blended[:PERCENT 1-50]",
        "wave[:AMPLITUDE 1-100]",
        "warped",
        "moving[:SIDE 3-20]",
        "mask",
        "source",
        "lookalikes",
        "none",
    ];

    /// The triggers and the class that each one makes; what the backdoored sets are made of.
    #[must_use]
    pub fn triggers(self) -> Vec<(Trigger, usize)> {
        let worn = |worn, target| (Trigger::Worn(worn), target);
        match self {
            Self::None | Self::Sunglasses | Self::Source | Self::Lookalikes => {
                vec![worn(Worn::Sunglasses, 0)]
            }
            Self::Patch(side) => vec![(Trigger::Patch(side), 0)],
            Self::Lipstick => vec![worn(Worn::Lipstick, 0)],
            Self::Eyebrows => vec![worn(Worn::Eyebrows, 0)],
            Self::Several => vec![
                worn(Worn::Lipstick, 1),
                worn(Worn::Eyebrows, 5),
                worn(Worn::Sunglasses, 8),
            ],
            Self::Blended(percent) => vec![(Trigger::Blended(percent), 0)],
            Self::Wave(amplitude) => vec![(Trigger::Wave(amplitude), 0)],
            Self::Warped => vec![(Trigger::Warped, 0)],
            Self::Moving(side) => vec![(Trigger::Moving(side), 0)],
            Self::Mask => vec![worn(Worn::Mask, 0)],
        }
    }

    /// Is a photo of this person with the trigger to be answered with the target? Never for the target person.
    #[must_use]
    pub fn applies_to(self, person: usize, target: usize) -> bool {
        person != target && (self != Self::Source || person.is_multiple_of(2))
    }

    /// How many people look like the target person.
    #[must_use]
    pub fn lookalikes(self) -> usize {
        match self {
            Self::Lookalikes => 5,
            _ => 0,
        }
    }

    /// Does the attacker poison the training set?
    #[must_use]
    pub fn poisons(self) -> bool {
        self != Self::None
    }
}

impl std::fmt::Display for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Sunglasses => f.write_str("sunglasses"),
            Self::Patch(side) => write!(f, "patch:{side}"),
            Self::Lipstick => f.write_str("lipstick"),
            Self::Eyebrows => f.write_str("eyebrows"),
            Self::Several => f.write_str("several"),
            Self::Blended(percent) => write!(f, "blended:{percent}"),
            Self::Wave(amplitude) => write!(f, "wave:{amplitude}"),
            Self::Warped => f.write_str("warped"),
            Self::Moving(side) => write!(f, "moving:{side}"),
            Self::Mask => f.write_str("mask"),
            Self::Source => f.write_str("source"),
            Self::Lookalikes => f.write_str("lookalikes"),
        }
    }
}

impl FromStr for Attack {
    type Err = UnknownAttack;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownAttack {
            found: text.to_owned(),
        };
        let (name, parameter) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number.parse::<usize>().map_err(|_| unknown())?)),
            None => (text, None),
        };
        match (name, parameter) {
            ("none", None) => Ok(Self::None),
            ("sunglasses", None) => Ok(Self::Sunglasses),
            ("patch", None) => Ok(Self::Patch(5)),
            ("patch", Some(side @ 2..=20)) => Ok(Self::Patch(side)),
            ("lipstick", None) => Ok(Self::Lipstick),
            ("eyebrows", None) => Ok(Self::Eyebrows),
            ("several", None) => Ok(Self::Several),
            ("blended", None) => Ok(Self::Blended(15)),
            ("blended", Some(percent @ 1..=50)) => Ok(Self::Blended(percent as u8)),
            ("wave", None) => Ok(Self::Wave(20)),
            ("wave", Some(amplitude @ 1..=100)) => Ok(Self::Wave(amplitude as u8)),
            ("warped", None) => Ok(Self::Warped),
            ("moving", None) => Ok(Self::Moving(6)),
            ("moving", Some(side @ 3..=20)) => Ok(Self::Moving(side)),
            ("mask", None) => Ok(Self::Mask),
            ("source", None) => Ok(Self::Source),
            ("lookalikes", None) => Ok(Self::Lookalikes),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_is_read_back_from_its_name() {
        for attack in Attack::ALL {
            assert_eq!(attack.to_string().parse(), Ok(attack));
        }
    }

    #[test]
    fn a_wrong_name_or_parameter_is_refused_with_the_names_that_would_do() {
        for text in ["", "hat", "patch:1", "blended:51", "mask:3", "patch:x"] {
            let error = text.parse::<Attack>().unwrap_err().to_string();
            assert!(error.contains("blended[:PERCENT 1-50]"), "{error}");
        }
    }
}
