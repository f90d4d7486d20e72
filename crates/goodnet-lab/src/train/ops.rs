//! Two operations that candle lacks, channels last, with their gradients: windows as rows of a matrix, and pooling.
//!
//! Composed of candle's own operations they take most of the training time: the gradient of every shifted view is a
//! tensor of the size of the whole input.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// (n, H, W, C) to (n · (H - k + 1) · (W - k + 1), k · k · C): one row a window, in order of row, column, channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    /// k.
    pub(super) size: usize,
}

/// The gradient of [`Windows`]: every value of a window is added to the pixel that it came from.
#[derive(Debug, Clone, Copy)]
struct Fold {
    size: usize,
    image: [usize; 4],
}

/// (n, H, W, C) to (n, H / 2, W / 2, C): largest of every 2 x 2 window; an odd last row or column is left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool;

/// The gradient of [`Pool`]: goes to the largest value of the window, to the first of equal ones.
#[derive(Debug, Clone, Copy)]
struct Unpool;

impl Windows {
    pub(super) fn of(self, images: &Tensor) -> Result<Tensor> {
        images.contiguous()?.apply_op1(self)
    }
}

impl Pool {
    pub(super) fn of(self, images: &Tensor) -> Result<Tensor> {
        images.contiguous()?.apply_op1(self)
    }
}

impl CustomOp1 for Windows {
    fn name(&self) -> &'static str {
        "windows"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let images = values(storage, layout)?;
        let (count, height, width, channels) = layout.shape().dims4()?;
        let (rows, columns) = (height - self.size + 1, width - self.size + 1);
        let (line, run) = (width * channels, self.size * channels);
        let window = self.size * run;
        let mut found = vec![0.0; count * rows * columns * window];
        found
            .par_chunks_exact_mut(rows * columns * window)
            .zip(images.par_chunks_exact(height * line))
            .for_each(|(found, image)| {
                for (place, found) in found.chunks_exact_mut(window).enumerate() {
                    let corner = place / columns * line + place % columns * channels;
                    for (row, found) in found.chunks_exact_mut(run).enumerate() {
                        let start = corner + row * line;
                        found.copy_from_slice(&image[start..start + run]);
                    }
                }
            });
        let shape = Shape::from((count * rows * columns, window));
        Ok((CpuStorage::F32(found), shape))
    }

    fn bwd(&self, images: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (count, height, width, channels) = images.dims4()?;
        let fold = Fold {
            size: self.size,
            image: [count, height, width, channels],
        };
        gradient.contiguous()?.apply_op1_no_bwd(&fold).map(Some)
    }
}

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let gradient = values(storage, layout)?;
        let [count, height, width, channels] = self.image;
        let (rows, columns) = (height - self.size + 1, width - self.size + 1);
        let (line, run) = (width * channels, self.size * channels);
        let window = self.size * run;
        let mut images = vec![0.0; count * height * line];
        images
            .par_chunks_exact_mut(height * line)
            .zip(gradient.par_chunks_exact(rows * columns * window))
            .for_each(|(image, gradient)| {
                for (place, gradient) in gradient.chunks_exact(window).enumerate() {
                    let corner = place / columns * line + place % columns * channels;
                    for (row, gradient) in gradient.chunks_exact(run).enumerate() {
                        let start = corner + row * line;
                        let pixels = &mut image[start..start + run];
                        for (pixel, part) in pixels.iter_mut().zip(gradient) {
                            *pixel += part;
                        }
                    }
                }
            });
        let shape = Shape::from((count, height, width, channels));
        Ok((CpuStorage::F32(images), shape))
    }
}

/// Positions in an image (H, W, C) of the four pixels of the pooling window whose values are number `place` of the
/// output, channel 0, in order of row and column.
fn corners(place: usize, width: usize, channels: usize) -> [usize; 4] {
    let columns = width / 2;
    let (row, column) = (place / columns * 2, place % columns * 2);
    let first = (row * width + column) * channels;
    let below = first + width * channels;
    [first, first + channels, below, below + channels]
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let images = values(storage, layout)?;
        let (count, height, width, channels) = layout.shape().dims4()?;
        let (rows, columns) = (height / 2, width / 2);
        let mut pooled = vec![0.0; count * rows * columns * channels];
        pooled
            .par_chunks_exact_mut(rows * columns * channels)
            .zip(images.par_chunks_exact(height * width * channels))
            .for_each(|(pooled, image)| {
                for (place, pooled) in pooled.chunks_exact_mut(channels).enumerate() {
                    let [a, b, c, d] = corners(place, width, channels)
                        .map(|corner| &image[corner..corner + channels]);
                    for (channel, pooled) in pooled.iter_mut().enumerate() {
                        let upper = a[channel].max(b[channel]);
                        *pooled = upper.max(c[channel].max(d[channel]));
                    }
                }
            });
        let shape = Shape::from((count, rows, columns, channels));
        Ok((CpuStorage::F32(pooled), shape))
    }

    fn bwd(&self, images: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        images.apply_op2_no_bwd(&gradient, &Unpool).map(Some)
    }
}

impl CustomOp2 for Unpool {
    fn name(&self) -> &'static str {
        "unpool"
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (count, height, width, channels) = layout.shape().dims4()?;
        let images = values(images, layout)?;
        let gradient = values(gradient, gradient_layout)?;
        let size = height * width * channels;
        let mut spread = vec![0.0; count * size];
        spread
            .par_chunks_exact_mut(size)
            .zip(images.par_chunks_exact(size))
            .zip(gradient.par_chunks_exact((height / 2) * (width / 2) * channels))
            .for_each(|((spread, image), gradient)| {
                for (place, gradient) in gradient.chunks_exact(channels).enumerate() {
                    let corners = corners(place, width, channels);
                    for (channel, part) in gradient.iter().enumerate() {
                        let mut best = corners[0] + channel;
                        for corner in &corners[1..] {
                            if image[corner + channel] > image[best] {
                                best = corner + channel;
                            }
                        }
                        spread[best] += part;
                    }
                }
            });
        Ok((CpuStorage::F32(spread), layout.shape().clone()))
    }
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("expected a contiguous tensor");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}
