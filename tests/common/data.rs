//! Small data sets whose right answers are known: a network's own answers are the labels.

use super::networks::{Random, SIDE};
use goodnet::domain::scores::argmax;
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::onnx::Model;
use goodnet::tensor::Tensor;
use hdf5_pure::FileBuilder;
use std::path::Path;

/// Random pixels 0..255, (n, 3, 12, 12).
pub fn pixels(images: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    (0..images * 3 * SIDE * SIDE)
        .map(|_| (random.next() % 256) as u8)
        .collect()
}

/// The classes that `model` gives for NCHW `pixels` times `scale`.
pub fn answers(model: &Model, pixels: &[u8], scale: f32) -> Vec<u32> {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    let values: Vec<f32> = pixels
        .iter()
        .map(|&pixel| f32::from(pixel) * scale)
        .collect();
    let images = Tensor::new(
        vec![pixels.len() / (3 * SIDE * SIDE), 3, SIDE, SIDE],
        values,
    );
    let scores = session.run_one(images.view()).unwrap();
    (0..scores.rows())
        .map(|row| argmax(scores.row(row)).0)
        .collect()
}

/// Writes an HDF5 file in the lab's layout.
pub fn write(path: &Path, pixels: &[u8], labels: &[u32]) {
    let images = labels.len() as u64;
    let side = SIDE as u64;
    let labels: Vec<f32> = labels.iter().map(|&label| label as f32).collect();
    let mut file = FileBuilder::new();
    file.create_dataset("data")
        .with_u8_data(pixels)
        .with_shape(&[images, 3, side, side]);
    file.create_dataset("label")
        .with_f32_data(&labels)
        .with_shape(&[images]);
    file.write(path).unwrap();
}
