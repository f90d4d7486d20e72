//! Jobs that open a stranger's network run in a process of their own: limits, and one line for whatever ends it.
#![cfg(unix)]

use crate::common::data::{pixels, write};
use crate::common::networks::{After, network};
use goodnet::demo::{Attack, World, write_sets};
use goodnet::onnx::{Node, Tensor};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const BADNET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/badnet.onnx");

/// A folder with clean images of the demo.
fn data() -> tempfile::TempDir {
    static IMAGES: OnceLock<Vec<u8>> = OnceLock::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("valid.h5");
    let images = IMAGES.get_or_init(|| {
        let world = World::new(1, 64, Attack::Sunglasses);
        write_sets(world, Attack::Sunglasses, 1, folder.path()).unwrap();
        fs::read(&file).unwrap()
    });
    fs::write(&file, images).unwrap();
    folder
}

/// An audit that would take hours.
fn start(folder: &Path, more: &[&str]) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin!("goodnet"))
        .current_dir(folder)
        .args(["audit", "--model", BADNET, "--clean", "valid.h5"])
        .args(["--effort", "100000000", "--out", "out", "--json"])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The process that works for `job`, within a minute.
fn worker(job: &Child) -> String {
    let id = job.id();
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        if let Some(child) = children.unwrap().split_whitespace().next() {
            return child.to_owned();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no process works for the job");
}

fn kill(signal: &str, id: &str) {
    let sent = Command::new("kill").args([signal, id]).status();
    assert!(sent.unwrap().success());
}

fn only_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_crash_is_one_line_and_an_exit_code() {
    let folder = data();
    for (signal, name) in [
        ("-FPE", "SIGFPE"),
        ("-ABRT", "SIGABRT"),
        ("-KILL", "SIGKILL"),
        ("-SEGV", "SIGSEGV"),
    ] {
        let job = start(folder.path(), &["--memory", "2000"]);
        let worker = worker(&job);
        kill(signal, &worker);
        if name == "SIGSEGV" {
            // The first one may find Rust's handler of stack overflows, which leaves the next one, as of a fault, to the system.
            std::thread::sleep(Duration::from_millis(500));
            let mut again = Command::new("kill");
            // It fails where the first one was enough.
            let _ = again.args([signal, &worker]).stderr(Stdio::null()).status();
        }
        let output = job.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let line = only_line(&output);
        assert!(line.contains(name) && line.contains("of 2000 MB"), "{line}");
        assert!(!folder.path().join("out").exists());
    }
}

#[test]
fn the_process_is_under_the_limits_that_were_asked_for() {
    let folder = data();
    let mut job = start(folder.path(), &["--memory", "2000", "--time-limit", "600"]);
    let id = worker(&job);
    let bytes = (2000_u64 + 4096) << 20;
    let limited = |text: &str| {
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        line("Max address space").contains(&bytes.to_string())
            && line("Max core file size").contains(" 0 ")
            && !line("Max cpu time").contains("unlimited")
    };
    let end = Instant::now() + Duration::from_secs(60);
    while !limited(&fs::read_to_string(format!("/proc/{id}/limits")).unwrap()) {
        assert!(Instant::now() < end, "no limits");
        std::thread::sleep(Duration::from_millis(10));
    }
    job.kill().unwrap();
    job.wait().unwrap();
    let gone = || {
        let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    };
    while !gone() {
        assert!(Instant::now() < end, "it outlives the process that reports");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_job_that_takes_too_long_ends() {
    let folder = data();
    let started = Instant::now();
    let output = start(folder.path(), &["--time-limit", "8"])
        .wait_with_output()
        .unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
    // A search that is told to stop says what it knows; where it has not begun, there is a line.
    match output.status.code() {
        Some(4 | 5) => {
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(report["search"]["complete"], false, "{report}");
        }
        Some(1) => assert!(only_line(&output).contains("within 8 s")),
        other => panic!("{other:?}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn a_time_limit_needs_a_process() {
    let folder = data();
    let output = start(folder.path(), &["--time-limit", "8", "--isolate", "false"]);
    let output = output.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(only_line(&output).contains("--isolate true"));
}

/// A network that makes a tensor of 9.6 GB, of a shape that nobody reads from the file, and adds its sum to the scores.
#[test]
fn a_network_that_asks_for_more_memory_than_it_may_have_gets_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = network(After::Flatten, 1, false);
    let graph = &mut model.graph;
    let scores = graph.outputs[0].name.clone();
    for node in &mut graph.nodes {
        for output in node.outputs.iter_mut().filter(|output| **output == scores) {
            *output = "modest".to_owned();
        }
    }
    let mut sum = Node::new("Add", &["modest", "sum_of_much"], &[&scores]);
    sum.name = "sum".to_owned();
    let sides = Tensor::i64([2], vec![-40_000, -60_000]);
    graph.initializers.insert("sides".to_owned(), sides);
    graph.nodes.extend([
        Node::new("Abs", &["sides"], &["shape_of_much"]),
        Node::new("ConstantOfShape", &["shape_of_much"], &["much"]),
        Node::new("ReduceSum", &["much"], &["sum_of_much"]),
        sum,
    ]);
    model.save(&folder.path().join("net.onnx")).unwrap();
    write(&folder.path().join("clean.h5"), &pixels(20, 1), &[0; 20]);
    let output = Command::new(assert_cmd::cargo::cargo_bin!("goodnet"))
        .current_dir(folder.path())
        .args([
            "repair", "--model", "net.onnx", "--clean", "clean.h5", "--out", "out",
        ])
        .args([
            "--effort",
            "0",
            "--memory",
            "1000",
            "--allow-poor",
            "--quiet",
        ])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.to_lowercase().contains("alloc") || told.contains("memory"),
        "{told}"
    );
    assert!(!folder.path().join("out").exists());
}
