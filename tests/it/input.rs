//! The images and data sets under `tests/fixtures`, each against what its recipe says it holds.

use goodnet::input::InputSpec;
use goodnet::input::dataset::{DataSet, OpenOptions};
use goodnet::input::image::{ImageError, Limits, RgbImage8, decode};
use goodnet::input::preprocess::Preprocess;
use goodnet::input::spec::Layout;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures(area: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(area)
}

fn names(area: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    fs::read_dir(fixtures(area))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| wanted(name))
        .collect()
}

struct Corpus(Value);

impl Corpus {
    fn read() -> Self {
        let text = fs::read_to_string(fixtures("images").join("expected.json")).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    fn files(&self) -> impl Iterator<Item = (&String, &Value, Vec<u8>)> {
        let files = self.0["files"].as_object().unwrap();
        files.iter().map(|(name, expected)| {
            let bytes = fs::read(fixtures("images").join(name)).unwrap();
            (name, expected, bytes)
        })
    }

    fn picture(&self, key: &Value) -> RgbImage8 {
        let picture = &self.0["pictures"][key.as_str().unwrap()];
        let side = |name: &str| picture[name].as_u64().unwrap() as u32;
        let pixels = hex::decode(picture["rgb"].as_str().unwrap()).unwrap();
        RgbImage8::new(side("width"), side("height"), pixels)
    }
}

/// Largest difference of two pictures' values, if they have the same size.
fn distance(a: &RgbImage8, b: &RgbImage8) -> Option<u8> {
    if (a.width, a.height, a.pixels.len()) != (b.width, b.height, b.pixels.len()) {
        return None;
    }
    let differences = a.pixels.iter().zip(&b.pixels);
    differences.map(|(a, b)| a.abs_diff(*b)).max()
}

#[test]
fn every_image_of_the_corpus_decodes_to_the_pixels_it_was_made_of_or_is_refused_for_its_reason() {
    let corpus = Corpus::read();
    let mut checked = BTreeSet::new();
    for (name, expected, bytes) in corpus.files() {
        let decoded = decode(&bytes, &Limits::default());
        match expected["outcome"].as_str().unwrap() {
            "pixels" => {
                let decoded = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
                let distance = distance(&decoded, &corpus.picture(&expected["picture"]));
                let tolerance = expected["tolerance"].as_u64().unwrap();
                assert!(
                    distance.is_some_and(|distance| u64::from(distance) <= tolerance),
                    "{name}: off by {distance:?}, {} x {}",
                    decoded.width,
                    decoded.height
                );
            }
            "white" => assert!(decoded.unwrap().pixels.iter().all(|&value| value == 255)),
            "too_large" => assert!(
                matches!(decoded, Err(ImageError::TooLarge { .. })),
                "{name}: {:?}",
                decoded.map(|picture| (picture.width, picture.height))
            ),
            "damaged" => assert!(matches!(decoded, Err(ImageError::Damaged(_))), "{name}"),
            "unsupported" => assert!(
                matches!(
                    decoded,
                    Err(ImageError::UnsupportedFormat | ImageError::OtherFormat(_))
                ),
                "{name}"
            ),
            "any" => {}
            other => panic!("{name}: unknown outcome {other}"),
        }
        checked.insert(name.clone());
    }
    let files = names("images", |name| {
        !name.ends_with(".py") && !name.ends_with(".json") && !name.ends_with(".md")
    });
    assert_eq!(checked, files);
    assert_eq!(checked.len(), 58);
}

#[test]
fn a_truncated_image_is_never_taken_for_whole() {
    let corpus = Corpus::read();
    let mut cuts = 0;
    let whole = corpus
        .files()
        .filter(|(name, expected, _)| expected["outcome"] == "pixels" && !name.contains("bomb"));
    for (name, expected, bytes) in whole {
        let picture = corpus.picture(&expected["picture"]);
        let tolerance = expected["tolerance"].as_u64().unwrap();
        for end in 0..bytes.len() {
            if let Ok(decoded) = decode(&bytes[..end], &Limits::default()) {
                // What is cut off may lie behind the picture.
                let distance = distance(&decoded, &picture);
                assert!(
                    distance.is_some_and(|distance| u64::from(distance) <= tolerance),
                    "{name} cut to {end} bytes"
                );
            }
            cuts += 1;
        }
    }
    assert!(cuts > 5_000, "{cuts}");
}

#[test]
fn an_image_with_one_flipped_bit_is_decoded_or_refused() {
    let mut flips = 0;
    for (name, _, mut bytes) in Corpus::read().files() {
        if bytes.len() > 500 {
            continue;
        }
        for at in 0..bytes.len() {
            let bit = 1 << (at % 8);
            bytes[at] ^= bit;
            if let Ok(picture) = decode(&bytes, &Limits::default()) {
                let expected = picture.width as usize * picture.height as usize * 3;
                assert_eq!(picture.pixels.len(), expected, "{name}, byte {at}");
            }
            bytes[at] ^= bit;
            flips += 1;
        }
    }
    assert!(flips > 4_000, "{flips}");
}

const SIZE: (usize, usize) = (4, 5);

/// The images of `fixtures/dataset/make.py`, (n, h, w, 3).
fn pixels() -> Vec<u8> {
    let mut pixels = Vec::new();
    for i in 0..7 {
        for y in 0..SIZE.0 {
            for x in 0..SIZE.1 {
                pixels.extend((0..3).map(|c| ((i * 61 + c * 83 + y * 29 + x * 7) % 128) as u8));
            }
        }
    }
    pixels
}

#[test]
fn h5py_files_of_every_type_and_storage_give_the_bits_that_images_give() {
    let spec = InputSpec::new(SIZE.0, SIZE.1, 3, Layout::Nchw, 1.0 / 255.0);
    let preprocess = Preprocess::new(&spec);
    let pictures: Vec<RgbImage8> = pixels()
        .chunks_exact(60)
        .map(|pixels| RgbImage8::new(SIZE.1 as u32, SIZE.0 as u32, pixels.to_vec()))
        .collect();
    let expected: Vec<u32> = pictures
        .iter()
        .flat_map(|picture| preprocess.rgb8(picture).unwrap())
        .map(f32::to_bits)
        .collect();
    let files = names("dataset", |name| name.ends_with(".h5"));
    assert_eq!(files.len(), 28);
    for name in &files {
        let path = fixtures("dataset").join(name);
        let set = DataSet::open(&path, &OpenOptions::default(), &spec, 3)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(set.labels(), [0, 1, 2, 0, 1, 2, 0], "{name}");
        for size in [1, 2, 3, 7, 50] {
            let bits: Vec<u32> = set
                .batches(size)
                .flat_map(|batch| batch.unwrap().images.data)
                .map(f32::to_bits)
                .collect();
            assert!(bits == expected, "{name}, {size} at a time");
        }
        assert_eq!(set.raw8(3).unwrap().as_ref(), Some(&pictures[3]), "{name}");
        assert!(set.raw8(7).is_err(), "{name}");
    }
}

#[test]
fn a_damaged_data_set_is_refused_by_name_or_read() {
    let spec = InputSpec::new(SIZE.0, SIZE.1, 3, Layout::Nchw, 1.0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.h5");
    let whole = fs::read(fixtures("dataset").join("gzip_across_images.h5")).unwrap();
    let (mut refused, mut read) = (0, 0);
    for at in (0..whole.len()).step_by(13) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        for bytes in [&whole[..at], &flipped[..]] {
            fs::write(&path, bytes).unwrap();
            let outcome = DataSet::open(&path, &OpenOptions::default(), &spec, 3)
                .and_then(|set| set.batches(4).collect::<Result<Vec<_>, _>>());
            match outcome {
                Ok(batches) => {
                    assert_eq!(batches.iter().map(|b| b.labels.len()).sum::<usize>(), 7);
                    read += 1;
                }
                Err(error) => {
                    let error = error.to_string();
                    assert!(
                        error.contains("damaged.h5: expected") || error.contains("damaged.h5: ")
                    );
                    assert!(!error.contains('\n'), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 500 && read > 50, "{refused} refused, {read} read");
}
