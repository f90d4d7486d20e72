//! Small squares of cells of any colour: stickers.

use super::mosaic::Mosaic;
use super::{pixel, unit, within};
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use serde::{Deserialize, Serialize};

/// Most cells along a side.
const MOST_CELLS: usize = 6;

/// Cells at a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// First row in pixels; rounded and kept inside the image when painted.
    pub top: f32,
    /// First column.
    pub left: f32,
    /// Side of a cell in pixels.
    pub cell: usize,
    /// The cells.
    pub mosaic: Mosaic,
}

impl Patch {
    pub(super) fn random(grid: &Grid, draws: &mut Draws) -> Self {
        let side = grid.height.min(grid.width);
        let most = MOST_CELLS.min(side);
        let cells = draws.between(2.min(most), most);
        let largest = (unit(grid).round() as usize).clamp(1, (side / cells).max(1));
        let cell = draws.between((largest / 2).max(1), largest);
        let top = edge_or_anywhere(grid.height, cells, cell, draws);
        let left = edge_or_anywhere(grid.width, cells, cell, draws);
        Self {
            top,
            left,
            cell,
            mosaic: Mosaic::random(cells, cells, grid, draws),
        }
    }

    /// Some cells anew, some of `other`, now and then moved by a cell or grown by a row and a column at any of its sides.
    pub(super) fn mutate(&self, other: &Self, grid: &Grid, draws: &mut Draws) -> Self {
        let mut patch = self.clone();
        let (mosaic, from) = (&mut patch.mosaic, &other.mosaic);
        if draws.unit() < 0.3 && (from.rows, from.columns) == (mosaic.rows, mosaic.columns) {
            for (value, &from) in mosaic.values.iter_mut().zip(&from.values) {
                if draws.below(2) == 0 {
                    *value = from;
                }
            }
        }
        for value in &mut mosaic.values {
            if draws.unit() < 0.15 {
                *value = within(draws, -0.23, 1.23).clamp(0.0, 1.0);
            }
        }
        if draws.unit() < 0.4 {
            let step = self.cell as f32;
            patch.top += (draws.below(3) as f32 - 1.0) * step;
            patch.left += (draws.below(3) as f32 - 1.0) * step;
        }
        let most = MOST_CELLS.min(grid.height.min(grid.width) / self.cell.max(1));
        if draws.unit() < 0.15 && patch.mosaic.rows.max(patch.mosaic.columns) < most {
            patch.grow(grid, draws.below(2), draws.below(2));
        }
        let [top, left, ..] = patch.bounds(grid);
        (patch.top, patch.left) = (top as f32, left as f32);
        patch
    }

    /// One more row and column of cells, copies of those beside them: `above` and `before` the others (1), or after them (0).
    fn grow(&mut self, grid: &Grid, above: usize, before: usize) {
        let (rows, columns) = (self.mosaic.rows, self.mosaic.columns);
        self.mosaic =
            self.mosaic
                .resampled((rows + 1, columns + 1), grid.channels, |row, column| {
                    let (row, column) = (row.saturating_sub(above), column.saturating_sub(before));
                    (row.min(rows - 1), column.min(columns - 1))
                });
        self.top -= (above * self.cell) as f32;
        self.left -= (before * self.cell) as f32;
    }

    /// Without its first or last row or column of cells.
    pub(super) fn shrunk(&self, grid: &Grid) -> Vec<Self> {
        let [top, left, ..] = self.bounds(grid).map(|bound| bound as f32);
        let (rows, columns, cell) = (self.mosaic.rows, self.mosaic.columns, self.cell as f32);
        let cut = |less: (usize, usize), from: (usize, usize)| Self {
            top: top + from.0 as f32 * cell,
            left: left + from.1 as f32 * cell,
            cell: self.cell,
            mosaic: self.mosaic.resampled(
                (rows - less.0, columns - less.1),
                grid.channels,
                |row, column| (row + from.0, column + from.1),
            ),
        };
        let mut smaller = Vec::new();
        if rows > 1 {
            smaller.extend([cut((1, 0), (0, 0)), cut((1, 0), (1, 0))]);
        }
        if columns > 1 {
            smaller.extend([cut((0, 1), (0, 0)), cut((0, 1), (0, 1))]);
        }
        smaller
    }

    /// Share of the image's area.
    pub(super) fn area(&self, grid: &Grid) -> f32 {
        let [_, _, rows, columns] = self.bounds(grid);
        (rows * columns) as f32 / (grid.height * grid.width) as f32
    }

    /// First row, first column, rows and columns in pixels, inside the image.
    pub(super) fn bounds(&self, grid: &Grid) -> [usize; 4] {
        let rows = (self.mosaic.rows * self.cell).min(grid.height);
        let columns = (self.mosaic.columns * self.cell).min(grid.width);
        let top = pixel(self.top, 0, grid.height - rows);
        let left = pixel(self.left, 0, grid.width - columns);
        [top, left, rows, columns]
    }

    pub(super) fn paint(&self, grid: &Grid, out: &mut [f32]) {
        let cell = [self.cell, self.cell];
        self.mosaic.paint(self.bounds(grid), cell, grid, out);
    }
}

/// Where a patch begins along an axis: near one of its ends in three of five cases, else anywhere.
fn edge_or_anywhere(length: usize, cells: usize, cell: usize, draws: &mut Draws) -> f32 {
    let last = length.saturating_sub(cells * cell);
    if draws.unit() >= 0.6 {
        return draws.between(0, last) as f32;
    }
    let off = (draws.below(3) * cell).min(last);
    (if draws.below(2) == 0 { off } else { last - off }) as f32
}
