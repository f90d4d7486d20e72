//! Cells of constant colour.

use super::color;
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use serde::{Deserialize, Serialize};

/// Cells of constant colour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mosaic {
    /// Rows of cells.
    pub rows: usize,
    /// Columns of cells.
    pub columns: usize,
    /// Intensities 0 to 1, (C, rows, columns).
    pub values: Vec<f32>,
}

impl Mosaic {
    /// Cells that are black or white in each channel, of any colour, or all of one colour, in equal shares.
    pub(super) fn random(rows: usize, columns: usize, grid: &Grid, draws: &mut Draws) -> Self {
        let cells = rows * columns;
        let plain = color(grid, draws);
        let kind = draws.below(3);
        let values = (0..grid.channels * cells)
            .map(|position| match kind {
                0 => draws.below(2) as f32,
                1 => draws.unit(),
                _ => plain[position / cells],
            })
            .collect();
        Self {
            rows,
            columns,
            values,
        }
    }

    /// Cells of any colour.
    pub(super) fn noise(rows: usize, columns: usize, grid: &Grid, draws: &mut Draws) -> Self {
        let count = grid.channels * rows * columns;
        Self {
            rows,
            columns,
            values: (0..count).map(|_| draws.unit()).collect(),
        }
    }

    /// The mosaic whose cell (row, column) is this one's cell `from(row, column)`.
    pub(super) fn resampled(
        &self,
        (rows, columns): (usize, usize),
        channels: usize,
        from: impl Fn(usize, usize) -> (usize, usize),
    ) -> Self {
        let mut values = Vec::with_capacity(channels * rows * columns);
        for channel in 0..channels {
            for row in 0..rows {
                for column in 0..columns {
                    let (row, column) = from(row, column);
                    values.push(self.value(channel, row, column));
                }
            }
        }
        Self {
            rows,
            columns,
            values,
        }
    }

    /// The intensity of a cell.
    pub(super) fn value(&self, channel: usize, row: usize, column: usize) -> f32 {
        self.values[(channel * self.rows + row) * self.columns + column]
    }

    /// Gives each cell that `is_chosen` (row, column) the intensities `value` (channel, row, column).
    pub(super) fn set_cells(
        &mut self,
        is_chosen: impl Fn(usize, usize, &mut Draws) -> bool,
        value: impl Fn(usize, usize, usize) -> f32,
        draws: &mut Draws,
    ) {
        let cells = self.rows * self.columns;
        for cell in 0..cells {
            let (row, column) = (cell / self.columns, cell % self.columns);
            if !is_chosen(row, column, draws) {
                continue;
            }
            for channel in 0..self.values.len() / cells {
                self.values[channel * cells + cell] = value(channel, row, column);
            }
        }
    }

    /// Paints the cells, each of `cell` rows and columns of pixels, into the box of first row, first column, rows, columns.
    pub(super) fn paint(
        &self,
        [top, left, rows, columns]: [usize; 4],
        cell: [usize; 2],
        grid: &Grid,
        out: &mut [f32],
    ) {
        for channel in 0..grid.channels {
            for row in 0..rows {
                for column in 0..columns {
                    let intensity = self.value(channel, row / cell[0], column / cell[1]);
                    out[grid.index(channel, top + row, left + column)] =
                        grid.value(channel, intensity);
                }
            }
        }
    }

    /// The cell over a point where the mosaic is stretched over `height` x `width`.
    pub(super) fn cell_at(
        &self,
        (row, column): (usize, usize),
        (height, width): (usize, usize),
    ) -> (usize, usize) {
        (row * self.rows / height, column * self.columns / width)
    }
}
