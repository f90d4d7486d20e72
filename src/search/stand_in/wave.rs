//! Sinusoids, added to the whole image.

use super::{normal, within};
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use serde::{Deserialize, Serialize};
use std::f32::consts::TAU;

/// Range of the amplitude.
const AMPLITUDE: (f32, f32) = (0.02, 0.16);

/// `x + amplitude w_c sin(2 pi (f_0 y / H + f_1 x / W) + phase)`, kept within black and white.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// Largest change, as a share of the range of pixels.
    pub amplitude: f32,
    /// Periods along the height and along the width.
    pub frequency: [f32; 2],
    /// In radians.
    pub phase: f32,
    /// Weight of each channel, -1 to 1; (C).
    pub weights: Vec<f32>,
}

impl Wave {
    pub(super) fn random(grid: &Grid, draws: &mut Draws) -> Self {
        let mut frequency = [within(draws, -8.0, 8.0), within(draws, -8.0, 8.0)];
        // Along one axis, often in whole periods: what published attacks add.
        if draws.unit() < 0.6 {
            let periods = within(draws, 1.0, 10.0);
            let is_whole = draws.unit() < 0.5;
            frequency = [0.0, if is_whole { periods.round() } else { periods }];
            if draws.unit() < 0.5 {
                frequency.swap(0, 1);
            }
        }
        let weights = if draws.unit() < 0.6 {
            vec![1.0; grid.channels]
        } else {
            (0..grid.channels)
                .map(|_| within(draws, -1.0, 1.0))
                .collect()
        };
        Self {
            amplitude: within(draws, AMPLITUDE.0, AMPLITUDE.1),
            frequency,
            phase: if draws.unit() < 0.3 {
                0.0
            } else {
                within(draws, 0.0, TAU)
            },
            weights,
        }
    }

    pub(super) fn mutate(&self, step: f32, draws: &mut Draws) -> Self {
        let mut wave = self.clone();
        let amplitude = wave.amplitude * (1.0 + 0.2 * normal(draws));
        wave.amplitude = amplitude.clamp(AMPLITUDE.0, AMPLITUDE.1);
        for frequency in &mut wave.frequency {
            if draws.unit() < 0.5 {
                *frequency = (*frequency + normal(draws) * step).clamp(-16.0, 16.0);
            }
        }
        wave.phase += normal(draws) * step;
        if draws.unit() < 0.3 {
            for weight in &mut wave.weights {
                *weight = (*weight + normal(draws) * 0.4 * step).clamp(-1.0, 1.0);
            }
        }
        wave
    }

    pub(super) fn paint(&self, grid: &Grid, out: &mut [f32]) {
        for row in 0..grid.height {
            for column in 0..grid.width {
                let periods = self.frequency[0] * row as f32 / grid.height as f32
                    + self.frequency[1] * column as f32 / grid.width as f32;
                // libm: the same values on every machine.
                let change = self.amplitude * libm::sinf(TAU * periods + self.phase);
                for (channel, weight) in self.weights.iter().enumerate() {
                    let (black, white) = (grid.value(channel, 0.0), grid.value(channel, 1.0));
                    let pixel = &mut out[grid.index(channel, row, column)];
                    let value = *pixel + change * weight * (white - black);
                    *pixel = value.clamp(black.min(white), black.max(white));
                }
            }
        }
    }
}
