//! The kinds of stand-ins.

use serde::{Deserialize, Serialize};

/// A kind of stand-in for a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// One or two plain rectangles: what is worn, a bar, a frame.
    Rectangle,
    /// A small square of cells of any colour: a sticker.
    Patch,
    /// Wide cells of any colour: a band, a ribbon.
    Bar,
    /// A mosaic or noise, blended into the whole image.
    Blend,
    /// A sinusoid, added to the whole image.
    Wave,
    /// A smooth displacement of the whole image.
    Warp,
}

impl Family {
    /// Every family, in the order in which they are searched and shown.
    pub const ALL: [Self; 6] = [
        Self::Rectangle,
        Self::Patch,
        Self::Bar,
        Self::Blend,
        Self::Wave,
        Self::Warp,
    ];

    /// The name as written to JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rectangle => "rectangle",
            Self::Patch => "patch",
            Self::Bar => "bar",
            Self::Blend => "blend",
            Self::Wave => "wave",
            Self::Warp => "warp",
        }
    }

    /// Is it at a place, and not all over the image?
    #[must_use]
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Rectangle | Self::Patch | Self::Bar)
    }

    /// What [`StandIn::size`](super::StandIn::size) measures.
    #[must_use]
    pub const fn measure(self) -> &'static str {
        match self {
            Self::Rectangle | Self::Patch | Self::Bar => "share of the image's area",
            Self::Blend => "opacity",
            Self::Wave => "amplitude, as a share of the range of pixels",
            Self::Warp => "mean displacement, as a share of the image's shorter side",
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
