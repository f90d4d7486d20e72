//! Families whose stand-ins have a slope: many values, each of little effect.

use crate::defence::grid::Grid;
use crate::search::family::Family;
use crate::search::stand_in::{Blend, Mosaic, StandIn, Warp, unit};

/// Cells of a pattern along the image's shorter side, at most: a cell a pixel on small images.
const MOST_CELLS: usize = 64;
/// Points of a warp's field along each axis.
const POINTS: usize = 6;
/// Intensity of a pattern's cells, beside medium grey, where the direction is 1.
const CONTRAST: f32 = 0.3;
/// Step of a trial, as an intensity.
const CONTRAST_STEP: f32 = 0.5;
/// Opacity of the last round.
const OPACITY: f32 = 0.3;
/// Displacement, in pixels of 32, where the direction is 1, in the last round.
const DISPLACEMENT: f32 = 1.0;
/// Step of a trial, in pixels of 32.
const DISPLACEMENT_STEP: f32 = 0.35;
/// The weakest strengths that are tried: opacity, and displacement in pixels of 32.
const LEAST_OPACITY: f32 = 0.025;
const LEAST_DISPLACEMENT: f32 = 0.1;

/// What the values of a direction are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    /// Intensities of a pattern's cells, (C, rows, columns).
    Pattern(Cells),
    /// A field of displacements along the height, then along the width, (2, P, P).
    Field,
}

impl Surface {
    pub(super) const COUNT: usize = 2;

    pub(super) fn all(grid: &Grid) -> [Self; Self::COUNT] {
        [Self::Pattern(Cells::of(grid)), Self::Field]
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::Pattern(_) => Family::Blend,
            Self::Field => Family::Warp,
        }
    }

    /// Values of a direction.
    pub(super) fn len(self, grid: &Grid) -> usize {
        match self {
            Self::Pattern(cells) => grid.channels * cells.rows * cells.columns,
            Self::Field => 2 * POINTS * POINTS,
        }
    }

    /// The stand-in a `share` of the way along `direction`, with a step of each value by its sign.
    pub(super) fn beside(
        self,
        (direction, share): (&[f32], f32),
        signs: impl Iterator<Item = f32>,
        grid: &Grid,
    ) -> StandIn {
        let both = direction.iter().zip(signs);
        match self {
            Self::Pattern(cells) => {
                let intensity = |(v, sign)| 0.5 + CONTRAST * v + CONTRAST_STEP * sign;
                cells.blend(OPACITY * share, both.map(intensity))
            }
            Self::Field => {
                let shift = |(v, sign)| DISPLACEMENT * share * v + DISPLACEMENT_STEP * sign;
                displaced(both.map(shift), 1.0, grid)
            }
        }
    }

    /// The stand-in along `direction`, `times` as strong as the weakest that is tried.
    pub(super) fn along(self, direction: &[f32], times: f32, grid: &Grid) -> StandIn {
        let values = direction.iter();
        match self {
            Self::Pattern(cells) => {
                cells.blend(LEAST_OPACITY * times, values.map(|v| 0.5 + CONTRAST * v))
            }
            Self::Field => displaced(values.copied(), LEAST_DISPLACEMENT * times, grid),
        }
    }
}

/// The warp by a field whose values are `times` pixels of 32.
fn displaced(field: impl Iterator<Item = f32>, times: f32, grid: &Grid) -> StandIn {
    StandIn::Warp(Warp::by(POINTS, field.collect(), times * unit(grid), grid))
}

/// The cells of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cells {
    rows: usize,
    columns: usize,
}

impl Cells {
    fn of(grid: &Grid) -> Self {
        let side = grid.height.min(grid.width).div_ceil(MOST_CELLS).max(1);
        Self {
            rows: grid.height.div_ceil(side),
            columns: grid.width.div_ceil(side),
        }
    }

    fn blend(self, opacity: f32, intensities: impl Iterator<Item = f32>) -> StandIn {
        StandIn::Blend(Blend {
            opacity,
            mosaic: Mosaic {
                rows: self.rows,
                columns: self.columns,
                values: intensities.map(|value| value.clamp(0.0, 1.0)).collect(),
            },
        })
    }
}
