//! `goodnet serve`, `healthcheck`, `classify` and `openapi` as processes, and the inference threads behind them.

use crate::service::contract::Contract;
use crate::service::{BLUE, CLASSES, RED, network, png, write_bundle};
use assert_cmd::Command;
use goodnet::engine::{BackendChoice, Engine, GoodNet, SessionConfig};
use goodnet::serve::inference::pool::{Pool, PoolConfig, PoolError, SessionFactory};
use predicates::str::contains;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

fn goodnet() -> Command {
    Command::cargo_bin("goodnet").unwrap()
}

/// Starts the service over `bundle` and gives the process, its log and its address.
fn start(bundle: &Path) -> (Child, BufReader<std::process::ChildStderr>, String) {
    start_with(bundle, &[])
}

/// As [`start`], with more options.
fn start_with(
    bundle: &Path,
    options: &[&str],
) -> (Child, BufReader<std::process::ChildStderr>, String) {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("goodnet"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--drain-delay",
            "0",
        ])
        .arg("--bundle")
        .arg(bundle)
        .args(options)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let line = read_until(&mut log, "listening");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let url = line["url"].as_str().unwrap().to_owned();
    read_until(&mut log, "a bundle is in service");
    (child, log, url)
}

fn read_until(log: &mut impl BufRead, text: &str) -> String {
    for line in log.lines() {
        let line = line.unwrap();
        if line.contains(text) {
            return line;
        }
    }
    panic!("the log ended without {text:?}");
}

#[test]
fn the_command_serves_answers_its_health_check_logs_a_line_and_leaves_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    let (mut child, mut log, url) = start(&bundle);
    let ready = format!("{url}readyz");
    goodnet()
        .args(["healthcheck", "--url", &ready])
        .assert()
        .success();
    let client = reqwest::blocking::Client::new();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = client.post(format!("{url}classify")).body(png(BLUE));
    let answer = request.header("traceparent", traceparent).send().unwrap();
    let traced = answer.headers()["traceresponse"].to_str().unwrap();
    let span = &traced[36..52];
    assert_eq!(
        traced,
        format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{span}-01")
    );
    assert_ne!(span, "00f067aa0ba902b7");
    let line = read_until(&mut log, "/classify");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["status"], 200, "{line}");
    assert_eq!(line["class"], CLASSES, "{line}");
    assert_eq!(line["flagged"], true, "{line}");
    assert_eq!(line["policy"], "disagreement", "{line}");
    assert_eq!(
        line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736",
        "{line}"
    );
    assert_eq!(line["span_id"], span, "{line}");
    assert_eq!(line["parent_id"], "00f067aa0ba902b7", "{line}");
    assert!(
        line["inference_ms"].as_f64().is_some_and(|ms| ms > 0.0),
        "{line}"
    );
    let id = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status()
        .unwrap();
    read_until(&mut log, "drained");
    assert!(child.wait().unwrap().success());
    goodnet()
        .args(["healthcheck", "--url", &ready])
        .assert()
        .code(1);
}

#[test]
fn a_missing_bundle_ends_the_command_with_one_line() {
    let assert = goodnet()
        .args(["serve", "--bundle", "nowhere", "--listen", "127.0.0.1:0"])
        .assert();
    assert.code(3).stderr(contains("nowhere/manifest.json"));
}

#[test]
fn images_are_classified_without_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    let [red, blue] = [("red.png", RED), ("blue.png", BLUE)].map(|(name, colour)| {
        let path = folder.path().join(name);
        std::fs::write(&path, png(colour)).unwrap();
        path
    });
    let classify = || {
        let mut command = goodnet();
        command.arg("classify").arg("--bundle").arg(&bundle);
        command
    };
    // 4: an image is flagged.
    let both = classify().args([&red, &blue]).assert().code(4);
    both.stdout(contains("red.png: class 0 (red)"))
        .stdout(contains("blue.png: flagged"));
    let small = classify()
        .args(["--drop", "2"])
        .arg(&blue)
        .assert()
        .success();
    small.stdout(contains("class 2 (blue)"));
    let json = classify().arg("--json").arg(&red).assert().success();
    json.stdout(contains("\"class\":0"));
    let none = classify()
        .arg(folder.path().join("none.png"))
        .arg(&red)
        .assert();
    none.code(3)
        .stdout(contains("red.png"))
        .stderr(contains("none.png"));
    let all = classify().arg("--csv").arg(folder.path()).assert().code(4);
    all.stdout(contains("file,flagged,class"))
        .stdout(contains("red.png,false,0,red,0"))
        .stdout(contains("blue.png,true,"));
    let pattern = folder.path().join("r*.png");
    let fitting = classify().arg(&pattern).assert().success();
    fitting.stdout(contains("red.png: class 0 (red)"));
    let nothing = classify().arg(folder.path().join("x*.png")).assert();
    nothing.code(3).stderr(contains("x*.png"));
    classify()
        .args(["--drop", "3"])
        .arg(&red)
        .assert()
        .code(3)
        .stderr(contains("2, 10"));
}

#[test]
fn the_committed_contract_is_what_the_command_prints() {
    let printed = goodnet().arg("openapi").assert().success();
    let committed = std::fs::read(Contract::path()).unwrap();
    assert!(printed.get_output().stdout == committed);
}

#[test]
fn a_worker_that_panics_is_replaced_and_only_its_request_fails() {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let model = network(false);
    let make = move || GoodNet::separate(&engine, &model, &[&model], &SessionConfig::default());
    let config = PoolConfig {
        workers: 1,
        queue: 1,
    };
    let make: Arc<SessionFactory> = Arc::new(make);
    let pool = Pool::start(config, &make).unwrap();
    let failed = pool
        .admit(1)
        .unwrap()
        .run_blocking(|_, _| panic!("on purpose"));
    assert!(matches!(failed, Err::<(), _>(PoolError::Panicked)));
    let next = pool.admit(1).unwrap().run_blocking(|_, _| 7);
    assert_eq!(next.unwrap(), 7);
    assert_eq!(pool.loaded_sets(), 1);
}

#[test]
fn places_are_taken_all_or_none_and_given_back() {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let model = network(false);
    let make = move || GoodNet::separate(&engine, &model, &[&model], &SessionConfig::default());
    let config = PoolConfig {
        workers: 1,
        queue: 2,
    };
    let make: Arc<SessionFactory> = Arc::new(make);
    let pool = Pool::start(config, &make).unwrap();
    assert!(matches!(pool.admit(4), Err(PoolError::TooMany { .. })));
    let two = pool.admit(2).unwrap();
    assert!(matches!(pool.admit(2), Err(PoolError::Full)));
    let one = pool.admit(1).unwrap();
    assert!(matches!(pool.admit(1), Err(PoolError::Full)));
    drop((one, two));
    assert!(pool.admit(3).is_ok());
}

/// Stops the process as an operator would and fails unless it leaves in order.
fn stop(mut child: Child) {
    let id = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status()
        .unwrap();
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    panic!("still running 30 s after SIGTERM");
}

#[test]
fn a_log_that_nobody_reads_holds_up_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    // The pipe stays open and is never read again: it holds 64 KiB, some 250 lines.
    let (child, _log, url) = start(&bundle);
    let client = reqwest::blocking::Client::new();
    for turn in 0..1500 {
        let answer = client.get(format!("{url}info")).send();
        assert_eq!(answer.unwrap().status(), 200, "request {turn}");
    }
    stop(child);
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let full = std::fs::File::options().write(true).open("/dev/full");
    let child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("goodnet"))
        .args([
            "serve",
            "--drain-delay",
            "0",
            "--listen",
            &address.to_string(),
            "--bundle",
        ])
        .arg(&bundle)
        .stderr(Stdio::from(full.unwrap()))
        .spawn()
        .unwrap();
    let client = reqwest::blocking::Client::new();
    let ready = format!("http://{address}/readyz");
    let answered = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        client
            .get(&ready)
            .send()
            .is_ok_and(|answer| answer.status() == 200)
    });
    assert!(answered, "never ready");
    stop(child);
}

#[test]
fn on_loopback_only_names_of_loopback_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    let (child, _log, url) = start(&bundle);
    let client = reqwest::blocking::Client::new();
    let status = |name: &str, value: &str| {
        let request = client.get(format!("{url}info")).header(name, value);
        request.send().unwrap().status().as_u16()
    };
    assert_eq!(status("host", "localhost:1"), 200);
    assert_eq!(status("host", "rebound.example"), 421);
    assert_eq!(status("origin", "https://elsewhere.example"), 421);
    assert_eq!(status("origin", "http://localhost:3000"), 200);
    let request = client.post(format!("{url}classify")).body(png(RED));
    let posted = request.header("origin", "null").send().unwrap();
    assert_eq!(posted.status(), 421);
    assert_eq!(
        posted.json::<serde_json::Value>().unwrap()["code"],
        "misdirected"
    );
    stop(child);
}

#[test]
fn names_and_origins_that_are_no_use_are_refused_before_anything_runs() {
    for (option, value, expected) in [
        ("--model-name", "badnet", "expected another name"),
        ("--model-name", "pruned_10", "expected another name"),
        ("--model-name", "a/b", "expected a name of letters"),
        ("--cors-origin", "*", "expected an origin like"),
        (
            "--cors-origin",
            "https://a.example/",
            "expected an origin like",
        ),
    ] {
        goodnet()
            .args(["serve", option, value])
            .assert()
            .code(2)
            .stderr(contains(expected));
    }
}

/// Memory of a process in MiB: the most it had, and what it has.
#[cfg(target_os = "linux")]
fn resident(child: &Child) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number: u64 = line
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        number >> 10
    };
    (value("VmHWM:"), value("VmRSS:"))
}

/// Five PNGs of 1500 x 1500 pixels of 8 bytes each, which would take 86 MiB together.
#[cfg(target_os = "linux")]
#[test]
fn costly_pictures_take_turns_and_give_their_memory_back() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    let mut options = vec!["--workers", "5", "--max-decoding", "20000000"];
    // Unoptimised decoders take their time.
    options.extend(["--request-timeout", "300"]);
    let (child, _log, url) = start_with(&bundle, &options);
    let client = reqwest::blocking::Client::builder();
    let client = client.timeout(Duration::from_secs(300)).build().unwrap();
    let mut file = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgba16(1500, 1500)
        .write_to(&mut file, image::ImageFormat::Png)
        .unwrap();
    let ask = |body: Vec<u8>| {
        let request = client.post(format!("{url}classify"));
        request.body(body).send().unwrap().status()
    };
    for _ in 0..20 {
        assert_eq!(ask(png(BLUE)), 200);
    }
    let (_, idle) = resident(&child);
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(ask(file.get_ref().clone()), 200));
        }
    });
    let (most, after) = resident(&child);
    assert!(most < idle + 56, "{idle} MiB, then {most} MiB");
    assert!(after < idle + 24, "{idle} MiB, then {after} MiB");
    stop(child);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn the_service_is_the_process_that_was_started_and_its_allocator_keeps_no_large_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    let (child, _log, _url) = start(&bundle);
    let environment = std::fs::read(format!("/proc/{}/environ", child.id())).unwrap();
    let has = |entry: &str| {
        environment
            .split(|&byte| byte == 0)
            .any(|found| found == entry.as_bytes())
    };
    assert!(has("MALLOC_MMAP_THRESHOLD_=1048576"));
    assert!(has("MALLOC_TRIM_THRESHOLD_=4194304"));
    let arguments = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    let arguments: Vec<&[u8]> = arguments.split(|&byte| byte == 0).collect();
    assert_eq!(
        arguments[1..4],
        [&b"serve"[..], b"--listen", b"127.0.0.1:0"]
    );
    stop(child);
}

#[test]
fn the_log_says_which_policy_answers_and_who_says_so() {
    for (options, policy, from) in [
        (&[][..], "repaired", "bundle"),
        (&["--policy", "gated"][..], "gated", "option"),
    ] {
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("goodnet"))
            .args(["serve", "--bundle", "models", "--listen", "127.0.0.1:0"])
            .args(["--log-format", "json"])
            .args(options)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let line = read_until(&mut log, "a bundle is in service");
        child.kill().unwrap();
        child.wait().unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["policy"], policy, "{line}");
        assert_eq!(line["policy_from"], from, "{line}");
    }
}
