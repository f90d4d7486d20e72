//! Who is on the photo: the parameters that make one person look like nobody else.

use super::random::{Draw, Purpose};
use super::shape::{Rgb, mix, scale};

/// Lengths are pixels of a face drawn upright at scale 1, measured from the middle of the face.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    pub(super) half_width: f64,
    pub(super) crown: f64,
    pub(super) chin: f64,
    pub(super) jaw: f64,
    pub(super) skin: Rgb,
    pub(super) blush: f64,
    pub(super) ears: f64,
    pub(super) hair: Hair,
    pub(super) eyes: Eyes,
    pub(super) brows: Brows,
    pub(super) nose: Nose,
    pub(super) mouth: Mouth,
    pub(super) beard: Beard,
    pub(super) mole: Option<[f64; 2]>,
    pub(super) spectacles: Option<Spectacles>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hair {
    pub(super) color: Rgb,
    /// None at all.
    pub(super) bald: bool,
    /// Height of the hairline on the forehead.
    pub(super) line: f64,
    /// How much the hairline comes down at the sides; negative for a widow's peak.
    pub(super) curve: f64,
    /// Slope of the fringe, for a parting.
    pub(super) slant: f64,
    /// How far it stands off the skull.
    pub(super) volume: f64,
    /// How far down it hangs beside the face; at -8 it ends above the ears.
    pub(super) length: f64,
    /// Wave length of the strands.
    pub(super) strands: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Eyes {
    pub(super) spacing: f64,
    pub(super) height: f64,
    pub(super) width: f64,
    pub(super) open: f64,
    pub(super) slant: f64,
    pub(super) iris: Rgb,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Brows {
    pub(super) color: Rgb,
    pub(super) gap: f64,
    pub(super) thickness: f64,
    pub(super) width: f64,
    pub(super) slant: f64,
    pub(super) arch: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nose {
    pub(super) width: f64,
    pub(super) tip: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mouth {
    pub(super) height: f64,
    pub(super) width: f64,
    pub(super) upper: f64,
    pub(super) lower: f64,
    pub(super) color: Rgb,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Beard {
    /// 0 for none, 0.35 for stubble, up to 1.
    pub(super) chin: f64,
    /// The same above the mouth.
    pub(super) lip: f64,
    pub(super) color: Rgb,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spectacles {
    pub(super) half: [f64; 2],
    pub(super) radius: f64,
    pub(super) color: Rgb,
}

const SKIN: [Rgb; 6] = [
    [0.97, 0.84, 0.75],
    [0.93, 0.76, 0.63],
    [0.86, 0.66, 0.50],
    [0.72, 0.51, 0.36],
    [0.55, 0.36, 0.25],
    [0.39, 0.25, 0.18],
];

const HAIR: [Rgb; 8] = [
    [0.07, 0.06, 0.07],
    [0.17, 0.11, 0.08],
    [0.30, 0.19, 0.11],
    [0.45, 0.29, 0.16],
    [0.83, 0.67, 0.36],
    [0.62, 0.27, 0.11],
    [0.56, 0.55, 0.55],
    [0.88, 0.87, 0.84],
];

const IRIS: [Rgb; 5] = [
    [0.20, 0.12, 0.07],
    [0.36, 0.22, 0.10],
    [0.24, 0.42, 0.26],
    [0.25, 0.47, 0.70],
    [0.45, 0.52, 0.56],
];

/// How far a look-alike's features are moved to those of the person that he looks like, 0..1.
const LIKENESS: f64 = 0.7;

impl Face {
    /// Person number `person` of the world with this seed.
    #[must_use]
    pub fn new(seed: u64, person: usize) -> Self {
        Self::drawn(Draw::new(seed, Purpose::Person, person, 0))
    }

    /// Person number `person` if he looked like person number `model`.
    #[must_use]
    pub fn resembling(seed: u64, person: usize, model: usize) -> Self {
        let stream = |person| Draw::new(seed, Purpose::Person, person, 0);
        Self::drawn(stream(person).towards(stream(model), LIKENESS))
    }

    fn drawn(mut draw: Draw) -> Self {
        let skin = skin(&mut draw);
        let hair = hair(&mut draw);
        let eyes = eyes(&mut draw);
        Self {
            half_width: draw.range(11.2, 14.8),
            crown: draw.range(16.0, 18.5),
            chin: draw.range(15.5, 20.0),
            jaw: draw.range(1.8, 2.9),
            blush: draw.range(0.0, 0.28),
            ears: draw.range(1.8, 3.2),
            brows: brows(&mut draw, hair.color),
            nose: Nose {
                width: draw.range(1.9, 3.6),
                tip: draw.range(3.6, 6.6),
            },
            mouth: mouth(&mut draw, skin),
            beard: beard(&mut draw, hair.color),
            mole: draw
                .chance(0.25)
                .then(|| [draw.range(-8.0, 8.0), draw.range(2.0, 11.0)]),
            spectacles: draw.chance(0.18).then(|| spectacles(&mut draw)),
            skin,
            hair,
            eyes,
        }
    }
}

fn skin(draw: &mut Draw) -> Rgb {
    let place = draw.range(0.0, 4.999);
    let lower = place as usize;
    let tone = mix(SKIN[lower], SKIN[lower + 1], place - lower as f64);
    let warmth = draw.range(-0.03, 0.03);
    [tone[0] + warmth, tone[1], tone[2] - warmth]
}

fn hair(draw: &mut Draw) -> Hair {
    let base = HAIR[draw.index(HAIR.len())];
    let color = scale(base, draw.range(0.85, 1.1));
    let long = draw.chance(0.45);
    Hair {
        color,
        bald: draw.chance(0.08),
        line: draw.range(-13.0, -8.0),
        curve: draw.range(-0.01, 0.045),
        slant: draw.range(-0.28, 0.28),
        volume: draw.range(0.6, 4.0),
        length: if long {
            draw.range(8.0, 24.0)
        } else {
            draw.range(-8.0, 0.0)
        },
        strands: draw.range(0.7, 2.2),
    }
}

fn eyes(draw: &mut Draw) -> Eyes {
    Eyes {
        spacing: draw.range(5.0, 7.0),
        height: draw.range(-3.4, -0.8),
        width: draw.range(2.3, 3.4),
        open: draw.range(1.0, 1.9),
        slant: draw.range(-0.2, 0.14),
        iris: IRIS[draw.index(IRIS.len())],
    }
}

fn brows(draw: &mut Draw, hair: Rgb) -> Brows {
    Brows {
        color: scale(hair, draw.range(0.5, 0.8)),
        gap: draw.range(2.9, 4.4),
        thickness: draw.range(0.45, 1.3),
        width: draw.range(2.8, 4.2),
        slant: draw.range(-0.2, 0.25),
        arch: draw.range(0.0, 0.09),
    }
}

fn mouth(draw: &mut Draw, skin: Rgb) -> Mouth {
    let rose = [0.72, 0.30, 0.30];
    Mouth {
        height: draw.range(9.0, 11.0),
        width: draw.range(3.6, 6.0),
        upper: draw.range(0.6, 1.5),
        lower: draw.range(0.8, 1.9),
        color: mix(scale(skin, 0.85), rose, draw.range(0.35, 0.9)),
    }
}

fn beard(draw: &mut Draw, hair: Rgb) -> Beard {
    let (chin, lip) = match draw.index(8) {
        0 => (draw.range(0.7, 0.95), draw.range(0.6, 0.95)),
        1 => (draw.range(0.2, 0.45), draw.range(0.2, 0.4)),
        2 => (0.0, draw.range(0.7, 1.0)),
        _ => (0.0, 0.0),
    };
    Beard {
        chin,
        lip,
        color: scale(hair, 0.85),
    }
}

fn spectacles(draw: &mut Draw) -> Spectacles {
    let half = [draw.range(3.3, 4.4), draw.range(2.6, 3.6)];
    let round = draw.chance(0.5);
    Spectacles {
        half,
        radius: if round { half[1] } else { 1.0 },
        color: draw.color([0.05, 0.03, 0.03], [0.5, 0.3, 0.25]),
    }
}
