//! `goodnet import` as a person runs it.

#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use goodnet::onnx::{Model, ports};
use predicates::prelude::*;
use std::path::{Path, PathBuf};

fn keras() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras/sequential_keras3.h5")
}

fn import(from: &Path, to: &Path) -> Command {
    let mut command = Command::cargo_bin("goodnet").unwrap();
    command.arg("import").arg(from).arg("--out").arg(to);
    command
}

#[test]
fn a_keras_file_becomes_an_onnx_classifier_that_others_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("net.onnx");
    import(&keras(), &out)
        .assert()
        .success()
        .stdout(predicate::str::contains("read as keras"));
    let model = Model::load(&out).unwrap();
    assert!(ports(&model).unwrap().classes >= 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = out.metadata().unwrap().permissions().mode();
        // The umask may take the others' right away, never the owner's.
        assert_eq!(mode & 0o600, 0o600);
        assert_eq!(mode & 0o111, 0);
    }
    import(&out, &folder.path().join("again.onnx"))
        .assert()
        .success()
        .stdout(predicate::str::contains("read as onnx"));
    let again = std::fs::read(folder.path().join("again.onnx")).unwrap();
    assert_eq!(again, std::fs::read(&out).unwrap());
}

#[test]
fn a_file_that_exists_is_replaced_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("net.onnx");
    std::fs::write(&out, "mine").unwrap();
    import(&keras(), &out)
        .assert()
        .code(3)
        .stderr(predicate::str::contains("net.onnx: exists already"));
    assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    import(&keras(), &out).arg("--force").assert().success();
    assert!(Model::load(&out).is_ok());
}

#[test]
fn a_file_that_is_no_network_is_refused_in_one_line_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "no network").unwrap();
    let out = folder.path().join("net.onnx");
    let assert = import(&file, &out).assert().code(3);
    let message = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(message.contains("notes.txt: "), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(!out.exists());
}
