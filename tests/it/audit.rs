//! `goodnet audit` as a process: verdict, exit code, report; and what it says of input that it cannot use.

use assert_cmd::Command;
use goodnet::audit::Outcome;
use goodnet::audit::report::Report;
use goodnet::demo::{Attack, World, write_sets};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const BADNET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/badnet.onnx");

/// The four data sets of the demo, `each` photos of each of its 64 people.
fn demo_data(each: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(1, 64, Attack::Sunglasses);
    write_sets(world, Attack::Sunglasses, each, folder.path()).unwrap();
    folder
}

fn audit(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::cargo_bin("goodnet").unwrap();
    command
        .current_dir(folder)
        .args(["audit", "--model", BADNET, "--clean", "valid.h5"])
        .args(more);
    command
}

fn report(path: &Path) -> Report {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_report_is_whole_the_same_again_and_replaced_only_if_asked() {
    let folder = demo_data(3);
    let exit = |more: &[&str]| {
        let mut options = vec!["--effort", "2000", "--out", "out"];
        options.extend(more);
        audit(folder.path(), &options)
            .assert()
            .get_output()
            .status
            .code()
    };
    let code = exit(&[]);
    let first = report(&folder.path().join("out/report.json"));
    let expected = match first.verdict.outcome {
        Outcome::NothingFound => 0,
        Outcome::BackdoorLikely => 4,
        Outcome::CannotTell => 5,
    };
    assert_eq!(code, Some(expected), "{}", first.verdict.sentence);
    assert_eq!((first.network.classes, first.labels.len()), (64, 64));
    assert_eq!(first.data.images, 192);
    assert!(first.data.clean_accuracy >= 0.95);
    assert!(!first.evidence.is_empty() && first.search.stand_ins >= 100);
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("<script"));

    assert_eq!(exit(&[]), Some(3), "a report that is there is kept");
    assert_eq!(exit(&["--force"]), Some(expected));
    let mut second = report(&folder.path().join("out/report.json"));
    second.search.seconds = first.search.seconds;
    assert_eq!(second, first);
}

#[test]
fn what_cannot_be_told_has_an_exit_code_of_its_own() {
    let folder = demo_data(1);
    // Fed 0..1, the network knows nobody.
    let options = ["--effort", "2000", "--scale", "1/255", "--json"];
    let assert = audit(folder.path(), &options).assert().code(3);
    let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        told.contains("with --scale 1 it is") && told.contains("--allow-poor"),
        "{told}"
    );
    let insisted = [&options[..], &["--allow-poor"]].concat();
    let assert = audit(folder.path(), &insisted).assert().code(5);
    let found: Report = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert!(
        found.verdict.sentence.starts_with("Cannot tell"),
        "{}",
        found.verdict.sentence
    );
}

#[test]
fn options_and_inputs_that_are_no_use_are_refused_with_a_line() {
    let folder = demo_data(1);
    fs::write(folder.path().join("names.txt"), "one\ntwo\n").unwrap();
    let table: [(&[&str], &str); 3] = [
        (
            &["--effort", "10"],
            "at least 2000 forward passes, found 10",
        ),
        (
            &["--labels", "names.txt"],
            "expected 64 names, one for each class, found 2",
        ),
        (&["--clean", "missing.h5"], "missing.h5"),
    ];
    for (options, reason) in table {
        let mut command = Command::cargo_bin("goodnet").unwrap();
        command
            .current_dir(folder.path())
            .args(["audit", "--model", BADNET]);
        if !options.contains(&"--clean") {
            command.args(["--clean", "valid.h5"]);
        }
        let assert = command.args(options).assert().code(3);
        let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(reason), "{reason}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// An audit as a process, and the lines of its standard error.
fn start(folder: &Path, more: &[&str]) -> (Child, Receiver<String>) {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("goodnet"))
        .current_dir(folder)
        .args(["audit", "--model", BADNET, "--clean", "valid.h5"])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (child, lines)
}

/// The first line that contains `text`, within a minute.
fn wait_for(lines: &Receiver<String>, text: &str) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).expect(text);
        if line.contains(text) {
            return line;
        }
    }
}

/// Sends Ctrl-C; gives the exit code and what was written to standard output.
#[cfg(unix)]
fn interrupt(mut child: Child) -> (Option<i32>, String) {
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.unwrap().success());
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    (child.wait().unwrap().code(), out)
}

#[cfg(unix)]
#[test]
fn an_interrupted_audit_reports_what_is_known_so_far_and_says_so() {
    let folder = demo_data(3);
    let effort = 100_000_000;
    let options = ["--effort", "100000000", "--out", "out"];
    let (child, lines) = start(folder.path(), &options);
    let first = wait_for(&lines, "searching");
    assert!(first.contains("100,000,000"), "{first}");
    let told = wait_for(&lines, "s left");
    assert!(
        told.contains(" of 100,000,000 after 1") && told.contains("/s, about "),
        "{told}"
    );
    let (code, out) = interrupt(child);
    let found = report(&folder.path().join("out/report.json"));
    assert!(out.contains("The search was ended early"), "{out}");
    assert!(!found.search.complete && found.search.stand_ins > 0);
    assert!(found.search.passes < effort);
    let expected = match found.verdict.outcome {
        Outcome::BackdoorLikely => 4,
        Outcome::CannotTell => 5,
        Outcome::NothingFound => panic!("an ended search found nothing: {:?}", found.verdict),
    };
    assert_eq!(code, Some(expected), "{}", found.verdict.sentence);
    assert_eq!(
        found.verdict.caveats.first().map(String::as_str),
        Some("The search was ended early: labels may be missing.")
    );
    let seen: std::collections::BTreeSet<_> = found.evidence.iter().map(|e| e.family).collect();
    assert!(seen.len() >= 2, "one family only: {seen:?}");
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("ended early"));
}
