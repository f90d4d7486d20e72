//! Spans: a request whose caller records its trace reaches the collector, any other does not, and a collector that is not there
//! costs nothing but the spans.

use crate::service::{BLUE, png, write_bundle};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector: answers every request, and gives path and body of each.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, bodies) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut path, mut length) = (String::new(), 0);
            for line in reader.by_ref().lines().map(Result::unwrap) {
                if let Some(rest) = line.strip_prefix("POST ") {
                    path = rest.split(' ').next().unwrap().to_owned();
                }
                let (name, value) = line.split_once(':').unwrap_or_default();
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            reader.get_mut().write_all(answer).unwrap();
            let _ = sender.send((path, body));
        }
    });
    (address, bodies)
}

struct Service {
    child: Child,
    url: String,
}

impl Service {
    fn start(bundle: &Path, collector: &str) -> Self {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("goodnet"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--drain-delay", "0", "--otlp", collector, "--bundle"])
            .arg(bundle)
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut until = |text: &str| lines.find_map(|line| line.ok().filter(|l| l.contains(text)));
        let line: serde_json::Value = serde_json::from_str(&until("listening").unwrap()).unwrap();
        until("in service").unwrap();
        // Nobody reads on: the log must not fill its pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let url = line["url"].as_str().unwrap().to_owned();
        Self { child, url }
    }

    fn classify(&self, flags: &str) -> reqwest::blocking::Response {
        let client = reqwest::blocking::Client::new();
        let request = client.post(format!("{}classify", self.url)).body(png(BLUE));
        let traceparent = format!("00-{TRACE}-{PARENT}-{flags}");
        request.header("traceparent", traceparent).send().unwrap()
    }

    fn stop(mut self) {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_recorded_request_is_a_span_at_the_collector() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    let (address, bodies) = collector();
    let service = Service::start(&bundle, &address);
    assert!(service.classify("00").status().is_success());
    let answer = service.classify("01");
    let span = answer.headers()["traceresponse"].to_str().unwrap()[36..52].to_owned();
    let (path, body) = bodies.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(path, "/v1/traces");
    for id in [TRACE, PARENT, &span] {
        assert!(contains(&body, &hex::decode(id).unwrap()), "{id}");
    }
    let words = [
        "goodnet",
        "POST /classify",
        "http.route",
        "goodnet.inference_seconds",
        "disagreement",
    ];
    for text in words {
        assert!(contains(&body, text.as_bytes()), "{text}");
    }
    let spans = body
        .windows(14)
        .filter(|part| part == b"POST /classify")
        .count();
    assert_eq!(spans, 1, "the other caller does not record");
    // What was not sent yet is sent before the service leaves.
    assert!(service.classify("01").status().is_success());
    service.stop();
    let (_, body) = bodies.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(contains(&body, b"POST /classify"));
}

#[test]
fn without_its_collector_the_service_answers_and_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let service = Service::start(&bundle, &nobody);
    let started = Instant::now();
    for _ in 0..20 {
        assert!(service.classify("01").status().is_success());
    }
    service.stop();
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn an_address_that_is_none_ends_the_command_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write_bundle(&bundle, "aa");
    let mut command = assert_cmd::Command::cargo_bin("goodnet").unwrap();
    let asked = command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--otlp",
            "collector:4317",
            "--bundle",
        ])
        .arg(&bundle);
    let told = predicates::str::contains("expected the address of a collector");
    asked.assert().failure().stderr(told);
}
