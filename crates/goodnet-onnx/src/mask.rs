//! Which channels of the site are kept.

use serde::{Deserialize, Serialize};

/// How channels were taken out of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PruneMethod {
    /// The channels are gone: the network is smaller.
    Removed,
    /// The graph does not allow that: the channels are multiplied by zero.
    Masked,
}

impl std::fmt::Display for PruneMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed",
            Self::Masked => "masked",
        })
    }
}

/// Removed and kept channels of a site with C channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelMask {
    kept: Vec<bool>,
}

/// A channel list does not fit the site.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// A channel index is too large.
    #[error("channel {channel} does not exist: the site has {channels} channels, 0 to {}", channels - 1)]
    OutOfRange {
        /// The index that was asked for.
        channel: usize,
        /// Channels of the site.
        channels: usize,
    },
    /// A channel is named twice.
    #[error("channel {channel} is named twice")]
    Repeated {
        /// The channel.
        channel: usize,
    },
}

impl ChannelMask {
    /// Keeps every channel.
    #[must_use]
    pub fn keep_all(channels: usize) -> Self {
        Self {
            kept: vec![true; channels],
        }
    }

    /// Removes `removed` from a site with `channels` channels.
    ///
    /// # Errors
    /// If an index is out of range or named twice.
    pub fn removing(channels: usize, removed: &[usize]) -> Result<Self, MaskError> {
        let mut mask = Self::keep_all(channels);
        for &channel in removed {
            let kept = mask
                .kept
                .get_mut(channel)
                .ok_or(MaskError::OutOfRange { channel, channels })?;
            if !*kept {
                return Err(MaskError::Repeated { channel });
            }
            *kept = false;
        }
        Ok(mask)
    }

    /// Number of channels, kept or not.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.kept.len()
    }

    /// Is `channel` kept?
    #[must_use]
    pub fn keeps(&self, channel: usize) -> bool {
        self.kept[channel]
    }

    /// Kept channels in ascending order.
    #[must_use]
    pub fn kept(&self) -> Vec<usize> {
        (0..self.kept.len()).filter(|&c| self.kept[c]).collect()
    }

    /// Removed channels in ascending order.
    #[must_use]
    pub fn removed(&self) -> Vec<usize> {
        (0..self.kept.len()).filter(|&c| !self.kept[c]).collect()
    }

    /// 1.0 for every kept channel and 0.0 for every removed one, (C).
    #[must_use]
    pub fn factors(&self) -> Vec<f32> {
        self.kept
            .iter()
            .map(|&kept| f32::from(u8::from(kept)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_names_what_is_wrong() {
        let mask = ChannelMask::removing(4, &[2, 0]).unwrap();
        assert_eq!(mask.kept(), [1, 3]);
        assert_eq!(mask.removed(), [0, 2]);
        assert_eq!(mask.factors(), [0.0, 1.0, 0.0, 1.0]);
        assert_eq!(
            ChannelMask::removing(4, &[4]),
            Err(MaskError::OutOfRange {
                channel: 4,
                channels: 4
            })
        );
        assert_eq!(
            ChannelMask::removing(4, &[1, 1]),
            Err(MaskError::Repeated { channel: 1 })
        );
    }
}
