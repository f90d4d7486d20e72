//! How a photo is taken: pose, expression, light, background, camera.

use super::random::{Draw, Purpose};
use super::shape::{Point, Rgb, scale};

/// Height of every photo in pixels.
pub const HEIGHT: usize = 55;
/// Width of every photo in pixels.
pub const WIDTH: usize = 47;
/// Bytes of a photo: rows of pixels of red, green, blue.
pub const BYTES: usize = HEIGHT * WIDTH * 3;

/// Everything about a photo that is not the person on it.
#[derive(Debug, Clone)]
pub struct Photo {
    pub(super) pose: Pose,
    pub(super) mood: Mood,
    pub(super) light: Light,
    pub(super) shirt: Rgb,
    pub(super) backdrop: [Rgb; 2],
    pub(super) blobs: [(Point, Point, Rgb); 2],
    pub(super) noise: f64,
    pub(super) camera: Draw,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pose {
    pub(super) shift: Point,
    pub(super) scale: f64,
    pub(super) cos: f64,
    pub(super) sin: f64,
    /// How far the features slide over the face, -1..1.
    pub(super) turn: f64,
    /// The same up and down, in pixels.
    pub(super) nod: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mood {
    /// Corners of the mouth up, or down if negative.
    pub(super) smile: f64,
    /// Height of the open mouth in pixels.
    pub(super) gape: f64,
    /// Factor on how open the eyes are.
    pub(super) lids: f64,
    /// Brows up, in pixels.
    pub(super) brows: f64,
    /// Iris to the side, in pixels.
    pub(super) gaze: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Light {
    pub(super) from: [f64; 3],
    pub(super) ambient: f64,
    pub(super) direct: f64,
    pub(super) tint: Rgb,
}

impl Photo {
    /// Photo number `index` of `person` in split number `split` of the world with this seed.
    pub(super) fn of(seed: u64, split: u32, person: usize, index: usize) -> Self {
        let mut draw = Draw::new(seed, Purpose::Photo(split), person, index);
        let backdrop = backdrop(&mut draw);
        let blobs = std::array::from_fn(|_| {
            (
                [draw.range(0.0, 47.0), draw.range(0.0, 55.0)],
                [draw.range(3.0, 12.0), draw.range(4.0, 18.0)],
                draw.color([0.05; 3], [0.95; 3]),
            )
        });
        Self {
            pose: pose(&mut draw),
            mood: mood(&mut draw),
            light: light(&mut draw),
            shirt: draw.color([0.05; 3], [0.9; 3]),
            backdrop,
            blobs,
            noise: draw.range(0.008, 0.026),
            camera: draw,
        }
    }
}

fn backdrop(draw: &mut Draw) -> [Rgb; 2] {
    let top = draw.color([0.15; 3], [0.95; 3]);
    [top, scale(top, draw.range(0.5, 1.0))]
}

fn pose(draw: &mut Draw) -> Pose {
    let tilt = 0.075 * draw.bell();
    Pose {
        shift: [draw.range(-2.0, 2.0), draw.range(-2.0, 2.0)],
        scale: draw.range(0.92, 1.08),
        cos: libm::cos(tilt),
        sin: libm::sin(tilt),
        turn: draw.range(-1.0, 1.0),
        nod: draw.range(-0.8, 0.8),
    }
}

fn mood(draw: &mut Draw) -> Mood {
    let open = draw.chance(0.3);
    Mood {
        smile: draw.range(-0.4, 1.0),
        gape: if open { draw.range(0.6, 2.2) } else { 0.0 },
        lids: draw.range(0.7, 1.15),
        brows: draw.range(-0.3, 0.9),
        gaze: draw.range(-0.8, 0.8),
    }
}

fn light(draw: &mut Draw) -> Light {
    let (x, y) = (draw.range(-0.75, 0.75), draw.range(-0.65, 0.35));
    let warmth = draw.range(-0.07, 0.07);
    let exposure = draw.range(0.82, 1.12);
    Light {
        from: [x, y, (1.0 - x * x - y * y).max(0.05).sqrt()],
        ambient: draw.range(0.45, 0.65),
        direct: draw.range(0.4, 0.62),
        tint: [
            exposure * (1.0 + warmth),
            exposure,
            exposure * (1.0 - warmth),
        ],
    }
}
