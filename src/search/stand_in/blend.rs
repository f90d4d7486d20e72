//! Mosaics and noise, blended into the whole image.

use super::mosaic::Mosaic;
use super::{normal, unit, within};
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use serde::{Deserialize, Serialize};

/// Range of the opacity.
const OPACITY: (f32, f32) = (0.03, 0.35);
/// Sides of a cell that are drawn from, in pixels of 32: fine noise most often.
const SIDES: [f32; 8] = [1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 6.0, 8.0];

/// `(1 - opacity) x + opacity q` for the mosaic q stretched over the image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blend {
    /// Weight of the mosaic, 0 to 1.
    pub opacity: f32,
    /// What is blended in.
    pub mosaic: Mosaic,
}

impl Blend {
    pub(super) fn random(grid: &Grid, draws: &mut Draws) -> Self {
        let side = SIDES[draws.below(SIDES.len())] * unit(grid);
        let cells = |length: usize| {
            let cells = (length as f32 / side).round() as usize;
            cells.max(2).min(length)
        };
        Self {
            opacity: within(draws, OPACITY.0, OPACITY.1),
            mosaic: Mosaic::noise(cells(grid.height), cells(grid.width), grid, draws),
        }
    }

    /// Parts of `other`, some cells changed, another opacity; now and then cells of half the side.
    pub(super) fn mutate(&self, other: &Self, grid: &Grid, step: f32, draws: &mut Draws) -> Self {
        let mut mosaic = self.mosaic.clone();
        if draws.unit() < 0.1 {
            let cells = (
                (2 * mosaic.rows).min(grid.height),
                (2 * mosaic.columns).min(grid.width),
            );
            mosaic = mosaic.resampled(cells, grid.channels, |row, column| {
                mosaic.cell_at((row, column), cells)
            });
        }
        if draws.unit() < 0.4 {
            take_cells(&mut mosaic, &other.mosaic, grid.channels, draws);
        }
        let share = within(draws, 0.05, 0.5);
        for value in &mut mosaic.values {
            if draws.unit() < share {
                *value = (*value + normal(draws) * 0.5 * step).clamp(0.0, 1.0);
            }
        }
        let opacity = self.opacity * (1.0 + 0.15 * normal(draws));
        Self {
            opacity: opacity.clamp(OPACITY.0, OPACITY.1),
            mosaic,
        }
    }

    pub(super) fn paint(&self, grid: &Grid, out: &mut [f32]) {
        let extents = (grid.height, grid.width);
        for row in 0..grid.height {
            for column in 0..grid.width {
                let cell = self.mosaic.cell_at((row, column), extents);
                for channel in 0..grid.channels {
                    let value = grid.value(channel, self.mosaic.value(channel, cell.0, cell.1));
                    let pixel = &mut out[grid.index(channel, row, column)];
                    *pixel = (1.0 - self.opacity) * *pixel + self.opacity * value;
                }
            }
        }
    }
}

/// Half of the cells from `other`, stretched to the same area.
fn take_cells(mosaic: &mut Mosaic, other: &Mosaic, channels: usize, draws: &mut Draws) {
    let (rows, columns) = (mosaic.rows, mosaic.columns);
    for row in 0..rows {
        for column in 0..columns {
            if draws.below(2) == 0 {
                continue;
            }
            let from = other.cell_at((row, column), (rows, columns));
            for channel in 0..channels {
                mosaic.values[(channel * rows + row) * columns + column] =
                    other.value(channel, from.0, from.1);
            }
        }
    }
}
