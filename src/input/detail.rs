//! How much of a photo is decoded: a network that looks at 47 x 55 pixels needs no twelve million.

use super::spec::{InputSpec, ResizeRule};

/// How large a picture has to be at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// As large as its file says.
    Whole,
    /// No side may be shorter than this, upright; a file that holds more may be decoded at a part of its size.
    AtLeast {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

/// Times the network's sides that a picture keeps at least before it is scaled to them.
const KEPT: u32 = 3;

impl Detail {
    /// What the network that wants `input` needs to see: everything if `exact`, or where other sizes are refused; else three times
    /// its sides.
    #[must_use]
    pub fn new(input: &InputSpec, exact: bool) -> Self {
        let side = |side: usize| u32::try_from(side).ok()?.checked_mul(KEPT);
        match (side(input.width), side(input.height)) {
            (Some(width), Some(height)) if !exact && input.resize == ResizeRule::Stretch => {
                Self::AtLeast { width, height }
            }
            _ => Self::Whole,
        }
    }

    /// Into how many parts each side of a picture of `width` x `height` may be divided: 8, 4 or 2, the most that leaves both long
    /// enough, else 1.
    #[must_use]
    pub fn parts(self, width: u32, height: u32) -> u32 {
        let Self::AtLeast {
            width: least_width,
            height: least_height,
        } = self
        else {
            return 1;
        };
        let fits = |parts: &u32| width / parts >= least_width && height / parts >= least_height;
        [8, 4, 2].into_iter().find(fits).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::spec::Layout;

    #[test]
    fn a_picture_keeps_three_times_the_networks_sides() {
        let input = InputSpec::new(55, 47, 3, Layout::Nchw, 1.0);
        let detail = Detail::new(&input, false);
        let table = [
            ((47, 55), 1),
            ((281, 330), 1),
            ((282, 329), 1),
            ((282, 330), 2),
            ((563, 660), 2),
            ((564, 660), 4),
            ((4000, 659), 2),
            ((1128, 1320), 8),
            ((4000, 3000), 8),
        ];
        for ((width, height), parts) in table {
            assert_eq!(detail.parts(width, height), parts, "{width} x {height}");
        }
        assert_eq!(Detail::new(&input, true), Detail::Whole);
        assert_eq!(Detail::Whole.parts(4000, 3000), 1);
        let exact = InputSpec {
            resize: ResizeRule::Exact,
            ..input
        };
        assert_eq!(Detail::new(&exact, false), Detail::Whole);
    }
}
