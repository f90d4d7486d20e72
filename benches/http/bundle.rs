//! The bundle that is served, and the image that is sent.

use crate::common::lab;
use goodnet::domain::scores::argmax;
use goodnet::engine::{Engine, SessionConfig};
use goodnet::format::Architecture;
use goodnet::repair::{Cancel, Quiet, RepairConfig, repair};
use image::codecs::jpeg::JpegEncoder;
use std::path::{Path, PathBuf};

const IMAGES: usize = 2000;

/// A bundle of the lab's network in `folder`, else that of `models/`.
pub fn lab_bundle(engine: &Engine, folder: &Path) -> PathBuf {
    let default = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/models"));
    let Some(badnet) = lab::badnet() else {
        return default;
    };
    let images = lab::smooth_images(IMAGES, 55, 47, 5);
    let config = SessionConfig::default();
    let mut session = engine.load(&badnet.to_bytes(), &config).unwrap();
    let scores = session.run_one(images.view()).unwrap();
    let labels: Vec<f32> = (0..IMAGES)
        .map(|row| argmax(scores.row(row)).0 as f32)
        .collect();
    let clean = folder.join("clean.h5");
    write_set(&clean, &images.data, &labels);
    let real = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/real/csaw_lab3_bd_weights.h5"
    );
    let out = folder.join("bundle");
    let config = RepairConfig {
        read: Architecture::Deepid.into(),
        effort: 0,
        allow_poor: true,
        ..RepairConfig::new(real, clean, &out)
    };
    repair(&config, engine, &Quiet, &Cancel::default()).unwrap();
    out
}

/// (H, W, C) to the lab's (C, H, W).
fn write_set(path: &Path, images: &[f32], labels: &[f32]) {
    let mut pixels = Vec::with_capacity(images.len());
    for image in images.chunks_exact(55 * 47 * 3) {
        for channel in 0..3 {
            pixels.extend(
                image
                    .iter()
                    .skip(channel)
                    .step_by(3)
                    .map(|&value| value as u8),
            );
        }
    }
    let count = labels.len() as u64;
    let mut file = hdf5_pure::FileBuilder::new();
    file.create_dataset("data")
        .with_u8_data(&pixels)
        .with_shape(&[count, 3, 55, 47]);
    file.create_dataset("label")
        .with_f32_data(labels)
        .with_shape(&[count]);
    file.write(path).unwrap();
}

/// A smooth image of 47 x 55 pixels as JPEG.
pub fn jpeg() -> Vec<u8> {
    smooth_jpeg(47, 55)
}

/// A smooth image as JPEG.
pub fn smooth_jpeg(width: usize, height: usize) -> Vec<u8> {
    let image = lab::smooth_images(1, height, width, 7);
    let pixels: Vec<u8> = image.data.iter().map(|&value| value as u8).collect();
    encode_as(&pixels, width, height)
}

/// 47 x 55 pixels as JPEG, quality 90.
pub fn encode(pixels: &[u8]) -> Vec<u8> {
    encode_as(pixels, 47, 55)
}

fn encode_as(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, 90)
        .encode(
            pixels,
            width as u32,
            height as u32,
            image::ExtendedColorType::Rgb8,
        )
        .unwrap();
    out
}
