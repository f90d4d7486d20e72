//! Stand-ins for a trigger that nobody has: what is put onto clean images, and how a guided search changes it.
//!
//! Positions and lengths are in pixels of the network's input, colours are intensities of 0 (black) to 1 (white). Sizes
//! are chosen for an image of 32 x 32 pixels and grow with the shorter side.
//!
//! One file a family: [`rectangle`], [`patch`], [`bar`], [`blend`], [`wave`], [`warp`]; [`mosaic`] is what patches, bars and
//! blends share.

pub mod bar;
pub mod blend;
pub mod mosaic;
pub mod patch;
pub mod rectangle;
pub mod warp;
pub mod wave;

pub use bar::Bar;
pub use blend::Blend;
pub use mosaic::Mosaic;
pub use patch::Patch;
pub use rectangle::Rectangle;
pub use warp::Warp;
pub use wave::Wave;

use super::family::Family;
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use serde::{Deserialize, Serialize};
use std::f32::consts::SQRT_2;

/// A pattern that is put onto clean images in place of the trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "lowercase", deny_unknown_fields)]
pub enum StandIn {
    /// One or two rectangles, painted one over the other.
    Rectangle {
        /// The rectangles.
        parts: Vec<Rectangle>,
    },
    /// Cells at a place.
    Patch(Patch),
    /// Wide cells at a place.
    Bar(Bar),
    /// A mosaic, blended in.
    Blend(Blend),
    /// A sinusoid, added.
    Wave(Wave),
    /// A displacement.
    Warp(Warp),
}

impl StandIn {
    /// A random stand-in of `family` for images of `grid`.
    #[must_use]
    pub fn random(family: Family, grid: &Grid, draws: &mut Draws) -> Self {
        match family {
            Family::Rectangle => Self::Rectangle {
                parts: rectangle::random(grid, draws),
            },
            Family::Patch => Self::Patch(Patch::random(grid, draws)),
            Family::Bar => Self::Bar(Bar::random(grid, draws)),
            Family::Blend => Self::Blend(Blend::random(grid, draws)),
            Family::Wave => Self::Wave(Wave::random(grid, draws)),
            Family::Warp => Self::Warp(Warp::random(grid, draws)),
        }
    }

    /// The family.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Rectangle { .. } => Family::Rectangle,
            Self::Patch(_) => Family::Patch,
            Self::Bar(_) => Family::Bar,
            Self::Blend(_) => Family::Blend,
            Self::Wave(_) => Family::Wave,
            Self::Warp(_) => Family::Warp,
        }
    }

    /// A changed copy that may take parts of `other`; `step` is 1 for a wide search, less for a finer one.
    ///
    /// Of another family `other` gives nothing.
    #[must_use]
    pub fn mutate(&self, other: &Self, grid: &Grid, step: f32, draws: &mut Draws) -> Self {
        match (self, other) {
            (Self::Rectangle { parts }, _) => Self::Rectangle {
                parts: rectangle::mutate(parts, grid, step, draws),
            },
            (Self::Patch(patch), Self::Patch(other)) => {
                Self::Patch(patch.mutate(other, grid, draws))
            }
            (Self::Bar(bar), Self::Bar(other)) => Self::Bar(bar.mutate(other, grid, step, draws)),
            (Self::Blend(blend), Self::Blend(other)) => {
                Self::Blend(blend.mutate(other, grid, step, draws))
            }
            (Self::Wave(wave), _) => Self::Wave(wave.mutate(step, draws)),
            (Self::Warp(warp), Self::Warp(other)) => {
                Self::Warp(warp.mutate(other, grid, step, draws))
            }
            _ => self.clone(),
        }
    }

    /// How much of an image it takes, 0 to 1, as [`Family::measure`] says.
    #[must_use]
    pub fn size(&self, grid: &Grid) -> f32 {
        match self {
            Self::Rectangle { parts } => rectangle::area(parts, grid),
            Self::Patch(patch) => patch.area(grid),
            Self::Bar(bar) => bar.area(grid),
            Self::Blend(blend) => blend.opacity,
            Self::Wave(wave) => wave.amplitude,
            Self::Warp(warp) => warp.strength / grid.height.min(grid.width).max(1) as f32,
        }
    }

    /// Smaller ones like it, about a sixth less each: one for most families, several (a side less each) for what is
    /// at a place; none
    /// where it cannot be smaller.
    #[must_use]
    pub fn shrunk(&self, grid: &Grid) -> Vec<Self> {
        const FACTOR: f32 = 0.84;
        match self {
            Self::Rectangle { parts } => rectangle::shrunk(parts, grid)
                .into_iter()
                .map(|parts| Self::Rectangle { parts })
                .collect(),
            Self::Patch(patch) => patch.shrunk(grid).into_iter().map(Self::Patch).collect(),
            Self::Bar(bar) => bar.shrunk(grid).into_iter().map(Self::Bar).collect(),
            Self::Blend(blend) => vec![Self::Blend(Blend {
                opacity: blend.opacity * FACTOR,
                ..blend.clone()
            })],
            Self::Wave(wave) => vec![Self::Wave(Wave {
                amplitude: wave.amplitude * FACTOR,
                ..wave.clone()
            })],
            Self::Warp(warp) => vec![Self::Warp(Warp {
                strength: warp.strength * FACTOR,
                ..warp.clone()
            })],
        }
    }

    /// First row, first column, rows and columns of what it covers; the whole image for a family that changes all of it.
    #[must_use]
    pub fn bounds(&self, grid: &Grid) -> [usize; 4] {
        match self {
            Self::Rectangle { parts } => rectangle::bounds(parts, grid),
            Self::Patch(patch) => patch.bounds(grid),
            Self::Bar(bar) => bar.bounds(grid),
            Self::Blend(_) | Self::Wave(_) | Self::Warp(_) => [0, 0, grid.height, grid.width],
        }
    }

    /// The same with the top left corner of its bounds at a row and a column; none for a family that changes the whole image.
    #[must_use]
    pub fn moved_to(&self, top: usize, left: usize, grid: &Grid) -> Option<Self> {
        match self {
            Self::Rectangle { parts } => {
                let [from_top, from_left, ..] = rectangle::bounds(parts, grid);
                let by = [top as f32 - from_top as f32, left as f32 - from_left as f32];
                Some(Self::Rectangle {
                    parts: rectangle::moved(parts, by),
                })
            }
            Self::Patch(patch) => Some(Self::Patch(Patch {
                top: top as f32,
                left: left as f32,
                ..patch.clone()
            })),
            Self::Bar(bar) => Some(Self::Bar(Bar {
                top: top as f32,
                left: left as f32,
                ..bar.clone()
            })),
            Self::Blend(_) | Self::Wave(_) | Self::Warp(_) => None,
        }
    }

    /// Appends the values of `image` with the stand-in on it to `onto`.
    pub fn paint(&self, grid: &Grid, image: &[f32], onto: &mut Vec<f32>) {
        let start = onto.len();
        onto.extend_from_slice(image);
        let out = &mut onto[start..];
        match self {
            Self::Rectangle { parts } => rectangle::paint(parts, grid, out),
            Self::Patch(patch) => patch.paint(grid, out),
            Self::Bar(bar) => bar.paint(grid, out),
            Self::Blend(blend) => blend.paint(grid, out),
            Self::Wave(wave) => wave.paint(grid, out),
            Self::Warp(warp) => warp.paint(grid, image, out),
        }
    }
}

/// Pixels that stand for one pixel of a 32 x 32 image, at least 1.
pub(super) fn unit(grid: &Grid) -> f32 {
    (grid.height.min(grid.width) as f32 / 32.0).max(1.0)
}

/// Close to a standard normal draw: a sum of six uniform ones, so that it is the same on every machine.
fn normal(draws: &mut Draws) -> f32 {
    (0..6).map(|_| draws.unit()).sum::<f32>() * SQRT_2 - 3.0 * SQRT_2
}

/// Uniform in [low, high).
fn within(draws: &mut Draws, low: f32, high: f32) -> f32 {
    low + (high - low) * draws.unit()
}

/// A plain colour, black or white in two of five cases; (C).
fn color(grid: &Grid, draws: &mut Draws) -> Vec<f32> {
    if draws.unit() < 0.6 {
        (0..grid.channels).map(|_| draws.unit()).collect()
    } else {
        vec![draws.below(2) as f32; grid.channels]
    }
}

/// `value` rounded and kept within `low..=high`; `low` where the bounds cross or the value is no number.
fn pixel(value: f32, low: usize, high: usize) -> usize {
    (value.round().max(0.0) as usize).min(high).max(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::InputSpec;
    use crate::input::spec::Layout;
    use proptest::prelude::*;

    fn grid(height: usize, width: usize, channels: usize) -> Grid {
        Grid::new(&InputSpec::new(
            height,
            width,
            channels,
            Layout::Nchw,
            1.0 / 255.0,
        ))
    }

    proptest! {
        /// Whatever the search makes lies in the image, keeps to the range of pixels and is bounded by `bounds`.
        #[test]
        fn stand_ins_and_their_descendants_stay_in_the_image(
            seed in any::<u64>(),
            height in 1usize..70,
            width in 1usize..70,
            channels in prop::sample::select(vec![1usize, 3]),
        ) {
            let grid = grid(height, width, channels);
            let mut draws = Draws::numbered(seed, "test", 0);
            let image: Vec<f32> = (0..grid.len()).map(|_| draws.unit()).collect();
            for family in Family::ALL {
                let mut stand_in = StandIn::random(family, &grid, &mut draws);
                for _ in 0..6 {
                    let other = StandIn::random(family, &grid, &mut draws);
                    stand_in = stand_in.mutate(&other, &grid, 1.0, &mut draws);
                    prop_assert_eq!(stand_in.family(), family);
                    let size = stand_in.size(&grid);
                    prop_assert!((0.0..=1.0).contains(&size), "{family} {size}");
                    let mut painted = Vec::new();
                    stand_in.paint(&grid, &image, &mut painted);
                    prop_assert_eq!(painted.len(), image.len());
                    prop_assert!(painted.iter().all(|v| (-1e-5..=1.0 + 1e-5).contains(v)));
                    let [top, left, rows, columns] = stand_in.bounds(&grid);
                    prop_assert!(top + rows <= height && left + columns <= width);
                    for row in 0..height {
                        for column in 0..width {
                            let inside = (top..top + rows).contains(&row)
                                && (left..left + columns).contains(&column);
                            let at = grid.index(0, row, column);
                            prop_assert!(inside || painted[at] == image[at]);
                        }
                    }
                }
            }
        }

        #[test]
        fn shrinking_makes_smaller_until_it_cannot(seed in any::<u64>()) {
            let grid = grid(32, 32, 3);
            let mut draws = Draws::numbered(seed, "test", 1);
            for family in Family::ALL {
                let mut stand_in = StandIn::random(family, &grid, &mut draws);
                for _ in 0..40 {
                    let Some(smaller) = stand_in.shrunk(&grid).into_iter().next() else { break };
                    prop_assert!(smaller.size(&grid) < stand_in.size(&grid));
                    stand_in = smaller;
                }
            }
        }
    }

    #[test]
    fn the_same_stand_in_looks_alike_in_both_layouts_and_is_read_back_from_json() {
        let (first, last) = (
            grid(9, 7, 3),
            Grid::new(&InputSpec::new(9, 7, 3, Layout::Nhwc, 1.0 / 255.0)),
        );
        let mut draws = Draws::numbered(5, "test", 2);
        for family in Family::ALL {
            let stand_in = StandIn::random(family, &first, &mut draws);
            let json = serde_json::to_string(&stand_in).unwrap();
            assert_eq!(serde_json::from_str::<StandIn>(&json).unwrap(), stand_in);
            let pixel = |c: usize, row: usize, column: usize| (c + row + column) as f32 / 20.0;
            let image = |grid: &Grid| {
                let mut image = vec![0.0; grid.len()];
                for c in 0..3 {
                    for row in 0..9 {
                        for column in 0..7 {
                            image[grid.index(c, row, column)] = pixel(c, row, column);
                        }
                    }
                }
                let mut painted = Vec::new();
                stand_in.paint(grid, &image, &mut painted);
                painted
            };
            let (a, b) = (image(&first), image(&last));
            for c in 0..3 {
                for row in 0..9 {
                    for column in 0..7 {
                        assert_eq!(
                            a[first.index(c, row, column)],
                            b[last.index(c, row, column)]
                        );
                    }
                }
            }
        }
    }
}
