//! The lab's real network, where its file is at hand, and images to run it on.

use super::networks::Random;
use goodnet::domain::activation::ChannelMeans;
use goodnet::domain::mask::ChannelMask;
use goodnet::domain::ranking::rank;
use goodnet::engine::{Engine, SessionConfig};
use goodnet::format::{Architecture, read_model};
use goodnet::onnx::cut::cut;
use goodnet::onnx::site::Site;
use goodnet::onnx::{Model, prepare};
use goodnet::tensor::Tensor;
use std::path::PathBuf;

fn real_file() -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/real");
    PathBuf::from(folder).join("csaw_lab3_bd_weights.h5")
}

/// The lab's BadNet as imported; none, said on standard error, where the file is absent.
pub fn badnet() -> Option<Model> {
    let path = real_file();
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    let imported = read_model(&path, Some(Architecture::Deepid)).unwrap();
    Some(prepare(&imported.model).unwrap())
}

/// Random smooth images with values 0..255: 6 x 6 random colours, interpolated; (count, H, W, 3).
pub fn smooth_images(count: usize, height: usize, width: usize, seed: u64) -> Tensor {
    const GRID: usize = 6;
    let mut random = Random(seed);
    let mut data = Vec::with_capacity(count * height * width * 3);
    for _ in 0..count {
        let grid = random.values(GRID * GRID * 3);
        let at = |y: usize, x: usize, c: usize| grid[(y * GRID + x) * 3 + c];
        for y in 0..height {
            let (row, down) = place(y, height, GRID);
            for x in 0..width {
                let (column, right) = place(x, width, GRID);
                for c in 0..3 {
                    let top = at(row, column, c) * (1.0 - right) + at(row, column + 1, c) * right;
                    let low =
                        at(row + 1, column, c) * (1.0 - right) + at(row + 1, column + 1, c) * right;
                    let value = top * (1.0 - down) + low * down;
                    data.push(((value + 1.0) * 127.5).round());
                }
            }
        }
    }
    Tensor::new(vec![count, height, width, 3], data)
}

/// Grid cell of a pixel, and how far into the cell it lies, 0..1.
fn place(pixel: usize, extent: usize, grid: usize) -> (usize, f32) {
    let position = pixel as f32 / extent as f32 * (grid - 1) as f32;
    (position as usize, position.fract())
}

/// One mask for each share: that share of the channels removed, those of least mean activation on `images` first.
pub fn masks(
    engine: &Engine,
    model: &Model,
    site: &Site,
    images: &Tensor,
    shares: &[f64],
) -> Vec<ChannelMask> {
    let trunk = cut(model, site).unwrap().trunk;
    let mut session = engine
        .load(&trunk.to_bytes(), &SessionConfig::default())
        .unwrap();
    let activations = session.run_one(images.view()).unwrap();
    let mut means = ChannelMeans::new(site.channels);
    means.add(activations.view()).unwrap();
    let ranking = rank(&means.means().unwrap());
    shares
        .iter()
        .map(|share| {
            let removed = (share * site.channels as f64).round() as usize;
            ChannelMask::removing(site.channels, &ranking[..removed]).unwrap()
        })
        .collect()
}
