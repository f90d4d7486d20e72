//! The only data that donors, suspect labels and thresholds may be taken from.

use super::grid::Grid;
use super::random::Draws;
use crate::bundle::manifest::DataRole;
use crate::input::InputSpec;
use crate::tensor::TensorView;

/// Clean validation images with their true labels: preprocessed, (n, image values).
///
/// There is no way to build one from data of another role, so nothing that takes a `CleanSet` can see poisoned or
/// test images.
#[derive(Debug, Clone, PartialEq)]
pub struct CleanSet {
    grid: Grid,
    images: Vec<Vec<f32>>,
    labels: Vec<u32>,
}

/// Images that cannot go into a [`CleanSet`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CleanError {
    /// Not the clean validation set.
    #[error("thresholds are set on clean validation images alone, found {0:?} images")]
    NotClean(DataRole),
    /// Another shape.
    #[error(
        "expected {expected} values an image and a label for each, found {found} values and {labels} labels"
    )]
    Shape {
        /// Values of one image.
        expected: usize,
        /// Values of the batch.
        found: usize,
        /// Labels of the batch.
        labels: usize,
    },
}

/// Collects a [`CleanSet`] of at most a number of images from a stream of batches: a uniform sample, the same for the
/// same seed (reservoir sampling, Vitter's algorithm R).
#[derive(Debug)]
pub struct CleanCollector {
    set: CleanSet,
    seen: usize,
    limit: usize,
    draws: Draws,
}

impl CleanCollector {
    /// An empty collector for images of `spec` that keeps at most `limit`.
    #[must_use]
    pub fn new(spec: &InputSpec, limit: usize, seed: u64) -> Self {
        Self {
            set: CleanSet {
                grid: Grid::new(spec),
                images: Vec::new(),
                labels: Vec::new(),
            },
            seen: 0,
            limit,
            draws: Draws::numbered(seed, "clean", 0),
        }
    }

    /// Takes up a batch of images of the data set with this role.
    ///
    /// # Errors
    /// If the role is not [`DataRole::Clean`] or the batch is of another shape.
    pub fn push(
        &mut self,
        role: DataRole,
        batch: TensorView<'_>,
        labels: &[u32],
    ) -> Result<(), CleanError> {
        if role != DataRole::Clean {
            return Err(CleanError::NotClean(role));
        }
        let len = self.set.grid.len();
        if batch.data.len() != len * labels.len() {
            return Err(CleanError::Shape {
                expected: len,
                found: batch.data.len(),
                labels: labels.len(),
            });
        }
        for (image, &label) in batch.data.chunks_exact(len).zip(labels) {
            self.take(image, label);
        }
        Ok(())
    }

    fn take(&mut self, image: &[f32], label: u32) {
        self.seen += 1;
        if self.set.images.len() < self.limit {
            self.set.images.push(image.to_vec());
            self.set.labels.push(label);
            return;
        }
        let place = self.draws.below(self.seen);
        if place < self.limit {
            self.set.images[place] = image.to_vec();
            self.set.labels[place] = label;
        }
    }

    /// What was collected.
    #[must_use]
    pub fn finish(self) -> CleanSet {
        self.set
    }
}

impl CleanSet {
    /// Where pixels lie.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Are there no images?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The values of image `index`.
    #[must_use]
    pub fn image(&self, index: usize) -> &[f32] {
        &self.images[index]
    }

    /// The true label of image `index`.
    #[must_use]
    pub fn label(&self, index: usize) -> u32 {
        self.labels[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::spec::Layout;

    fn collector(limit: usize) -> CleanCollector {
        CleanCollector::new(&InputSpec::new(1, 2, 1, Layout::Nchw, 1.0), limit, 7)
    }

    #[test]
    fn only_the_clean_validation_set_gets_in() {
        let images = TensorView {
            shape: &[1, 1, 1, 2],
            data: &[1.0, 2.0],
        };
        let refused = [
            DataRole::Backdoored,
            DataRole::TestClean,
            DataRole::TestBackdoored,
        ];
        for role in refused {
            let mut collector = collector(4);
            assert_eq!(
                collector.push(role, images, &[0]),
                Err(CleanError::NotClean(role))
            );
            assert!(collector.finish().is_empty());
        }
        let mut collector = collector(4);
        collector.push(DataRole::Clean, images, &[3]).unwrap();
        let set = collector.finish();
        assert_eq!((set.image(0), set.label(0)), (&[1.0, 2.0][..], 3));
    }

    #[test]
    fn images_and_labels_of_a_sample_stay_together() {
        let mut collector = collector(5);
        let data: Vec<f32> = (0..50).flat_map(|i| [i as f32, 0.0]).collect();
        let labels: Vec<u32> = (0..50).collect();
        let batch = TensorView {
            shape: &[50, 1, 1, 2],
            data: &data,
        };
        collector.push(DataRole::Clean, batch, &labels).unwrap();
        let set = collector.finish();
        assert_eq!(set.len(), 5);
        for index in 0..5 {
            assert_eq!(set.image(index)[0], set.label(index) as f32);
        }
        assert!((0..5).any(|index| set.label(index) >= 5));
    }

    #[test]
    fn a_batch_of_another_shape_is_refused() {
        let batch = TensorView {
            shape: &[1, 3],
            data: &[0.0; 3],
        };
        let error = collector(1).push(DataRole::Clean, batch, &[0]).unwrap_err();
        assert!(error.to_string().contains("expected 2 values"), "{error}");
    }
}
