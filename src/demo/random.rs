//! Random draws that are the same on every machine: ChaCha8, integers, and IEEE arithmetic without library functions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of draws is for; streams of different purposes never share values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What a person looks like.
    Person,
    /// How a photo is taken: (purpose, split) share one number space of their own.
    Photo(u32),
    /// Where and how a trigger is put on a photo.
    Trigger(u32),
    /// The fixed pattern of a blended trigger.
    Pattern,
    /// Which training images are poisoned.
    Training,
    /// The first weights of a network.
    Weights,
    /// The order of the training images.
    Shuffle,
}

impl Purpose {
    fn number(self) -> u64 {
        match self {
            Self::Person => 1,
            Self::Pattern => 2,
            Self::Training => 3,
            Self::Weights => 4,
            Self::Shuffle => 5,
            Self::Photo(split) => 0x100 + u64::from(split),
            Self::Trigger(split) => 0x1_0000 + u64::from(split),
        }
    }
}

/// A stream of draws.
#[derive(Debug, Clone)]
pub struct Draw {
    own: ChaCha8Rng,
    /// A second stream that every [`Draw::unit`] is drawn towards, and how far.
    towards: Option<(ChaCha8Rng, f64)>,
}

impl Draw {
    /// The stream of (`seed`, `purpose`, `person`, `index`): any two that differ in one of them are independent.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, person: usize, index: usize) -> Self {
        let mut key = [0_u8; 32];
        let parts = [seed, purpose.number(), person as u64, index as u64];
        for (bytes, part) in key.chunks_exact_mut(8).zip(parts) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
        Self {
            own: ChaCha8Rng::from_seed(key),
            towards: None,
        }
    }

    /// The same with every draw from [0, 1) moved by `share` of the way to that of `other`.
    #[must_use]
    pub fn towards(self, other: Self, share: f64) -> Self {
        Self {
            own: self.own,
            towards: Some((other.own, share)),
        }
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        let uniform = |stream: &mut ChaCha8Rng| (stream.next_u64() >> 11) as f64 * STEP;
        let own = uniform(&mut self.own);
        match &mut self.towards {
            None => own,
            Some((other, share)) => own + *share * (uniform(other) - own),
        }
    }

    /// Uniform in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Bell-shaped around 0 with standard deviation 1, within ±3.5: the sum of four uniform draws (Irwin-Hall).
    pub fn bell(&mut self) -> f64 {
        const SCALE: f64 = 1.732_050_807_568_877_2;
        let sum: f64 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) * SCALE
    }

    /// Uniform in 0..count, `count` > 0.
    pub fn index(&mut self, count: usize) -> usize {
        if self.towards.is_some() {
            return ((self.unit() * count as f64) as usize).min(count - 1);
        }
        (((self.own.next_u64() >> 32) * count as u64) >> 32) as usize
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A uniform byte.
    pub fn byte(&mut self) -> u8 {
        (self.own.next_u32() >> 24) as u8
    }

    /// A colour between two, each channel on its own.
    pub fn color(&mut self, low: [f64; 3], high: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|channel| self.range(low[channel], high[channel]))
    }
}
