//! Seeded draws: the same seed and stream give the same values on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A stream of random draws.
#[derive(Debug, Clone)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream that `seed`, a `purpose` and any further `parts` name.
    #[must_use]
    pub fn new(seed: u64, purpose: &str, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update((purpose.len() as u64).to_le_bytes());
        hash.update(purpose);
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// The stream of `purpose` number `index`.
    #[must_use]
    pub fn numbered(seed: u64, purpose: &str, index: usize) -> Self {
        Self::new(seed, purpose, &[&(index as u64).to_le_bytes()])
    }

    /// The stream that belongs to an image: whoever does not know `seed` cannot foresee it.
    #[must_use]
    pub fn from_image(seed: u64, purpose: &str, image: &[f32]) -> Self {
        let bytes: Vec<u8> = image.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(seed, purpose, &[&bytes])
    }

    /// Uniform in 0..`bound`; 0 for a bound of 0. The bias of the multiply-shift is below bound / 2^32.
    pub fn below(&mut self, bound: usize) -> usize {
        let product = u64::from(self.0.next_u32()) * bound as u64;
        (product >> 32) as usize
    }

    /// Uniform in `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// `count` different numbers of 0..`of` in random order; all of them where there are not enough.
    pub fn sample(&mut self, of: usize, count: usize) -> Vec<usize> {
        let mut pool: Vec<usize> = (0..of).collect();
        let count = count.min(of);
        for position in 0..count {
            let other = position + self.below(of - position);
            pool.swap(position, other);
        }
        pool.truncate(count);
        pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_different_numbers_and_repeats_for_the_same_stream() {
        let draw = |seed| Draws::numbered(seed, "test", 3).sample(10, 6);
        let mut sorted = draw(1);
        assert_eq!(sorted, draw(1));
        assert_ne!(draw(1), draw(2));
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 6);
        assert_eq!(Draws::numbered(1, "test", 0).sample(3, 9).len(), 3);
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut draws = Draws::numbered(1, "test", 0);
        let values: Vec<usize> = (0..200).map(|_| draws.between(3, 5)).collect();
        assert_eq!(values.iter().min(), Some(&3));
        assert_eq!(values.iter().max(), Some(&5));
        assert!((0..200).all(|_| (0.0..1.0).contains(&draws.unit())));
        assert_eq!(draws.below(0), 0);
    }
}
