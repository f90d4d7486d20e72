//! Pixels beside those of a second decoder: `tests/fixtures/pillow/make.py` writes the files and what Pillow gives for each.

use goodnet::input::image::{Limits, decode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pillow")
}

#[test]
fn every_format_has_the_pixels_of_pillow() {
    let text = fs::read_to_string(folder().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let (mut off, mut seen) = (Vec::new(), BTreeSet::new());
    for (name, wanted) in expected["files"].as_object().unwrap() {
        let bytes = fs::read(folder().join(name)).unwrap();
        seen.insert(name.clone());
        let found = match decode(&bytes, &Limits::default()) {
            Ok(found) => found,
            Err(error) => {
                off.push(format!("{name}: {error}"));
                continue;
            }
        };
        let pixels = hex::decode(wanted["rgb"].as_str().unwrap()).unwrap();
        let size = (wanted["width"].as_u64(), wanted["height"].as_u64());
        let same = (Some(u64::from(found.width)), Some(u64::from(found.height))) == size;
        let pairs = found.pixels.iter().zip(&pixels);
        let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        if !same || u64::from(worst) > wanted["tolerance"].as_u64().unwrap() {
            off.push(format!("{name}: by {worst}, same size: {same}"));
        }
    }
    assert!(off.is_empty(), "{off:#?}");
    let files = fs::read_dir(folder()).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let images: BTreeSet<String> = names
        .filter(|name| !name.ends_with(".py") && !name.ends_with(".json"))
        .collect();
    assert_eq!(seen, images);
    assert_eq!(seen.len(), 96, "files of the corpus");
}
