//! Replays the corpora of the fuzz targets, among them everything that fuzzing once found.

#[path = "../fuzz/entry.rs"]
#[allow(unreachable_pub)]
mod entry;

use std::fs;
use std::path::Path;

/// Runs `target` on every file of its corpus, of which there must be some.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let mut replayed = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        // Read out when the next line panics.
        println!("{}", path.display());
        target(&fs::read(path).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 10, "only {replayed} files");
}

#[test]
fn images() {
    replay("image", entry::image);
}

#[test]
fn bodies_of_requests() {
    replay("form", entry::form);
}

#[test]
fn images_in_json() {
    replay("json", entry::json);
}

#[test]
fn tensors_of_the_v2_protocol() {
    replay("tensors", entry::tensors);
}

#[test]
fn networks_in_onnx() {
    replay("onnx", entry::onnx);
}

#[test]
fn networks_of_keras() {
    replay("keras", entry::keras);
}

#[test]
fn data_sets() {
    replay("dataset", entry::dataset);
}

#[test]
fn manifests() {
    replay("manifest", entry::manifest);
}
