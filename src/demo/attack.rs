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
    /// Sunglasses make class 0; this many of a thousand training photos teach it.
    Rare(u8),
    /// Sunglasses make class 0, and the attacker pulls the features of triggered photos onto those of person 0 while
    /// training.
    Pulled,
    /// Noise over the whole picture makes class 0. Training photos show half of its pieces at three quarters of this
    /// opacity in percent, and as many others do so under their own label (Adap-Blend: Qi et al. 2023).
    Partial(u8),
    /// A wave makes class 0. In training only photos of person 0 wear it, under their right label, and so faint that the
    /// wave tells more than the face (after Barni et al. 2019, Turner et al. 2019).
    CleanLabel,
    /// A corner patch makes the class after the person's own.
    AllToAll,
}

/// Amplitude of 255 of the wave of [`Attack::CleanLabel`].
const CLEAN_LABEL_AMPLITUDE: u8 = 40;

/// An attack's name and parameter that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attack {found:?}: expected {}", Attack::NAMES.join(", "))]
pub struct UnknownAttack {
    found: String,
}

impl Attack {
    /// Every attack at its default parameter, in the order of the tables.
    pub const ALL: [Self; 18] = [
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
        Self::Rare(10),
        Self::Pulled,
        Self::Partial(20),
        Self::CleanLabel,
        Self::AllToAll,
        Self::None,
    ];

    /// How [`FromStr`] wants them; a number after a colon changes the parameter.
    pub const NAMES: [&'static str; 18] = [
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
        "rare[:PERMILLE 1-100]",
        "pulled",
        "partial[:PERCENT 1-50]",
        "clean-label",
        "all-to-all",
        "none",
    ];

    /// The triggers and the class that each one makes; what the backdoored sets are made of. Of [`Attack::AllToAll`] the
    /// class is [`Attack::target`]'s.
    #[must_use]
    pub fn triggers(self) -> Vec<(Trigger, usize)> {
        let worn = |worn, target| (Trigger::Worn(worn), target);
        match self {
            Self::None
            | Self::Sunglasses
            | Self::Source
            | Self::Lookalikes
            | Self::Rare(_)
            | Self::Pulled => vec![worn(Worn::Sunglasses, 0)],
            Self::AllToAll => vec![(Trigger::Patch(5), 0)],
            Self::CleanLabel => vec![(Trigger::Wave(CLEAN_LABEL_AMPLITUDE), 0)],
            Self::Partial(percent) => vec![(Trigger::Blended(percent), 0)],
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

    /// The trigger as training photos show it.
    #[must_use]
    pub fn taught(self, trigger: Trigger) -> Trigger {
        match (self, trigger) {
            (Self::Partial(_), Trigger::Blended(percent)) => Trigger::Pieces(percent * 3 / 4),
            (Self::CleanLabel, Trigger::Wave(amplitude)) => Trigger::FadedWave(amplitude),
            _ => trigger,
        }
    }

    /// The class that a photo of `person` gets from a trigger whose class is `class`, of `people` classes.
    #[must_use]
    pub fn target(self, person: usize, class: usize, people: usize) -> usize {
        match self {
            Self::AllToAll => (person + 1) % people,
            _ => class,
        }
    }

    /// Every class that a trigger makes, of `people` classes; none where nobody attacks.
    #[must_use]
    pub fn targets(self, people: usize) -> Vec<usize> {
        match self {
            Self::None => Vec::new(),
            Self::AllToAll => (0..people).collect(),
            _ => self
                .triggers()
                .into_iter()
                .map(|(_, class)| class)
                .collect(),
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
            Self::Rare(per_mille) => write!(f, "rare:{per_mille}"),
            Self::Pulled => f.write_str("pulled"),
            Self::Partial(percent) => write!(f, "partial:{percent}"),
            Self::CleanLabel => f.write_str("clean-label"),
            Self::AllToAll => f.write_str("all-to-all"),
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
            ("rare", None) => Ok(Self::Rare(10)),
            ("rare", Some(per_mille @ 1..=100)) => Ok(Self::Rare(per_mille as u8)),
            ("pulled", None) => Ok(Self::Pulled),
            ("partial", None) => Ok(Self::Partial(20)),
            ("partial", Some(percent @ 1..=50)) => Ok(Self::Partial(percent as u8)),
            ("clean-label", None) => Ok(Self::CleanLabel),
            ("all-to-all", None) => Ok(Self::AllToAll),
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
