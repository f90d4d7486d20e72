//! Networks as people export them, through `goodnet import`: the answers of the original, or a refusal with the cure.
//! Fixtures by `tests/fixtures/exports/make.py`.

use crate::common::real::run;
use assert_cmd::Command;
use goodnet::engine::{BackendChoice, Engine};
use goodnet::onnx::Model;
use goodnet::tensor::Tensor;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/exports")
        .join(name)
}

/// Exit code, standard output and the last line of the error output.
fn goodnet(args: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("goodnet")
        .unwrap()
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let errors = text(&output.stderr);
    let last = errors.lines().last().unwrap_or_default().to_owned();
    (output.status.code().unwrap(), text(&output.stdout), last)
}

fn import(file: &Path, out: &Path, options: &[&str]) -> (i32, String, String) {
    let mut args = vec![
        "import",
        file.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    args.extend(options);
    goodnet(&args)
}

/// The refusal of `file`: exit code 3, one line, nothing written.
fn refusal(file: &Path, options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.onnx");
    let (code, _, message) = import(file, &out, options);
    assert_eq!(code, 3, "{message}");
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    assert!(!out.exists());
    message
}

/// As `values` in `make.py`.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// Images, and what the original answers for them.
fn expected(name: &str) -> (Tensor, Vec<Vec<f32>>) {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entry = &all[name];
    let shape: Vec<usize> = serde_json::from_value(entry["shape"].clone()).unwrap();
    let count = shape.iter().product();
    let images = Tensor::new(shape, values(count, entry["seed"].as_u64().unwrap()));
    let rows: Vec<Vec<f32>> = serde_json::from_value(entry["output"].clone()).unwrap();
    assert_eq!(rows.len(), 3);
    (images, rows)
}

/// Imports `name` and compares what comes out, for all images at once, with the original's answers.
fn answers_as_the_original(name: &str, options: &[&str], tolerance: f32) -> (Model, String) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.onnx");
    let (code, printed, message) = import(&fixture(&format!("{name}.onnx")), &out, options);
    assert_eq!(code, 0, "{name}: {message}");
    // Bytes alone: nothing beside the file is needed any more.
    let model = Model::from_bytes(&std::fs::read(&out).unwrap()).unwrap();
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let (images, rows) = expected(name);
    let found = run(&engine, &model, &images);
    assert_eq!(found.shape, [3, 5], "{name}");
    let largest = rows
        .iter()
        .flatten()
        .fold(0.0, |high: f32, v| high.max(v.abs()));
    for (index, row) in rows.iter().enumerate() {
        for (a, b) in row.iter().zip(found.row(index)) {
            let gap = (a - b).abs() / largest;
            assert!(gap <= tolerance, "{name}: image {index}: {a} and {b}");
        }
    }
    (model, printed)
}

#[test]
fn a_batch_of_one_is_opened_through_split_reshape_expand_and_concat() {
    for by in ["torchscript", "dynamo"] {
        for network in ["shuffle", "transformer", "windows"] {
            let name = format!("{network}_batch1_{by}");
            let (_, printed) = answers_as_the_original(&name, &[], 1e-4);
            assert!(printed.contains("batch of 1: opened"), "{printed}");
            assert!(printed.contains("the original within"), "{printed}");
        }
    }
}

#[test]
fn half_precision_is_widened_and_answers_within_its_rounding() {
    for (name, tolerance) in [
        ("half_torchscript", 4e-3),
        ("half_dynamo", 4e-3),
        ("half_inside", 4e-3),
        ("bfloat16_torchscript", 3e-2),
        ("bfloat16_dynamo", 3e-2),
    ] {
        let (model, printed) = answers_as_the_original(name, &[], tolerance);
        assert!(printed.contains("widened to f32"), "{printed}");
        assert!(!goodnet::onnx::widen::is_half(&model), "{name}");
        let casts = model.graph.nodes.iter().filter(|node| node.is("Cast"));
        assert_eq!(casts.count(), 0, "{name}");
    }
}

#[test]
fn scores_as_maps_of_one_pixel_are_flattened() {
    for name in ["maps_torchscript", "maps_dynamo"] {
        let (_, printed) = answers_as_the_original(name, &[], 1e-4);
        assert!(printed.contains("flattened to (n, 5)"), "{printed}");
    }
}

#[test]
fn weights_beside_the_file_are_read_and_what_is_written_is_one_file() {
    let (_, printed) = answers_as_the_original("external", &[], 1e-4);
    assert!(printed.contains("external.onnx.data"), "{printed}");
}

#[test]
fn one_output_of_several_is_chosen_by_name_and_needed() {
    answers_as_the_original("several", &["--output", "scores"], 1e-4);
    let file = fixture("several.onnx");
    let message = refusal(&file, &[]);
    assert!(message.contains("--output NAME"), "{message}");
    assert!(
        message.contains("scores (n, 5), features (n, 192)"),
        "{message}"
    );
    let message = refusal(&file, &["--output", "logits"]);
    assert!(
        message.contains("expected an output named logits, found scores, features"),
        "{message}"
    );
}

#[test]
fn an_open_size_is_set_by_the_caller() {
    answers_as_the_original("any_size", &["--input-size", "16x16"], 1e-4);
    let message = refusal(&fixture("any_size.onnx"), &[]);
    assert!(message.contains("--input-size HxW"), "{message}");
    let message = refusal(&fixture("plain.onnx"), &["--input-size", "17x16"]);
    assert!(message.contains("17 x 16"), "{message}");
    let (code, _, _) = goodnet(&["inspect", "any.onnx", "--input-size", "17"]);
    assert_eq!(code, 2);
}

#[test]
fn bytes_are_taken_as_floats_of_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.onnx");
    let (code, _, message) = import(&fixture("bytes.onnx"), &out, &[]);
    assert_eq!(code, 0, "{message}");
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let (mut images, _) = expected("plain");
    let plain = Model::load(&fixture("plain.onnx")).unwrap();
    let wanted = run(&engine, &plain, &images);
    images.data.iter_mut().for_each(|value| *value *= 255.0);
    let found = run(&engine, &Model::load(&out).unwrap(), &images);
    for (a, b) in wanted.data.iter().zip(&found.data) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
}

#[test]
fn one_channel_is_read() {
    answers_as_the_original("grey", &[], 1e-4);
}

#[test]
fn a_file_that_exists_is_replaced_by_force_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.onnx");
    std::fs::write(&out, b"mine").unwrap();
    let (code, _, message) = import(&fixture("plain.onnx"), &out, &[]);
    assert_eq!(code, 3);
    assert!(message.contains("--force"), "{message}");
    assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    let (code, _, message) = import(&fixture("plain.onnx"), &out, &["--force"]);
    assert_eq!(code, 0, "{message}");
    assert!(Model::load(&out).is_ok());
}

/// The network with weights beside it, its file changed by `edit`; the weights' file lies in the folder too.
fn beside(folder: &Path, edit: impl Fn(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = std::fs::read(fixture("external.onnx")).unwrap();
    edit(&mut bytes);
    let file = folder.join("net.onnx");
    std::fs::write(&file, bytes).unwrap();
    std::fs::copy(fixture(DATA), folder.join(DATA)).unwrap();
    file
}

const DATA: &str = "external.onnx.data";

/// Replaces every `from` by the equally long `to`.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut found = 0;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
}

#[test]
fn weights_are_read_from_the_networks_own_folder_alone() {
    for place in [
        "/etc/../etc/passwd",
        "../../../etc/shado",
        "folder/weights.dat",
        "..\\..\\weights.dat",
        "C:/weights/net.dat",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let place = format!("{place:.<18}");
        let file = beside(folder.path(), |bytes| {
            replace(bytes, DATA.as_bytes(), place.as_bytes());
        });
        let message = refusal(&file, &[]);
        assert!(message.contains("in the network's own folder"), "{message}");
        assert!(message.contains("external_data=False"), "{message}");
    }
}

#[test]
fn weights_that_are_missing_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = beside(folder.path(), |_| {});
    std::fs::remove_file(folder.path().join(DATA)).unwrap();
    let message = refusal(&file, &[]);
    assert!(
        message.contains(&format!("expected `{DATA}` beside the network")),
        "{message}"
    );
    assert!(message.contains("external_data=False"), "{message}");
}

#[cfg(unix)]
#[test]
fn links_pipes_and_folders_in_place_of_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = beside(folder.path(), |_| {});
    let data = folder.path().join(DATA);
    std::fs::remove_file(&data).unwrap();
    std::os::unix::fs::symlink(fixture(DATA), &data).unwrap();
    assert!(refusal(&file, &[]).contains("a link"));
    std::fs::remove_file(&data).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&data)
            .status()
            .unwrap()
            .success()
    );
    assert!(refusal(&file, &[]).contains("a pipe or a device"));
    std::fs::remove_file(&data).unwrap();
    std::fs::create_dir(&data).unwrap();
    assert!(refusal(&file, &[]).contains("a directory"));
}

#[test]
fn weights_that_are_too_short_or_of_another_length_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = beside(folder.path(), |_| {});
    let data = folder.path().join(DATA);
    let whole = std::fs::read(&data).unwrap();
    std::fs::write(&data, &whole[..whole.len() - 1]).unwrap();
    let message = refusal(&file, &[]);
    assert!(message.contains("bytes from byte"), "{message}");
    std::fs::write(&data, b"").unwrap();
    let message = refusal(&file, &[]);
    assert!(message.contains("found 0"), "{message}");
    // The head's weights, 5 x 192 values.
    let file = beside(folder.path(), |bytes| replace(bytes, b"3840", b"3844"));
    let message = refusal(&file, &[]);
    assert!(
        message.contains("expected 3840 bytes for its shape, found a length of 3844"),
        "{message}"
    );
    let file = beside(folder.path(), |bytes| replace(bytes, b"3840", b"-384"));
    let message = refusal(&file, &[]);
    assert!(
        message.contains("expected a number as its length"),
        "{message}"
    );
}

#[test]
fn bytes_without_a_folder_have_no_weights_beside_them() {
    let bytes = std::fs::read(fixture("external.onnx")).unwrap();
    let message = Model::from_bytes(&bytes).unwrap_err().to_string();
    assert!(message.contains("lies in another file"), "{message}");
    assert!(message.contains("external_data=False"), "{message}");
}
