//! Flagged inputs that are kept: over sockets, through the command line, under their limits, and after a crash.

use crate::service::contract::Contract;
use crate::service::{App, BLUE, RED, encode, png, spawn_app, write_bundle};
use assert_cmd::Command;
use goodnet::quarantine::{Reader, RetentionLimits, STORE_FILE};
use goodnet::serve::config::{Config, Quarantine};
use goodnet::serve::http::keys::Keys;
use predicates::str::contains;
use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const KEY: &str = "a-key-of-some-length";

/// A service that keeps what it flags in `dir`, for holders of [`KEY`].
fn keeping(dir: &Path) -> impl FnOnce(&mut Config) + use<> {
    let dir = dir.to_owned();
    move |config| {
        config.access.keys = Some(keys());
        config.quarantine = Some(Quarantine {
            dir,
            limits: RetentionLimits::default(),
        });
    }
}

fn keys() -> Keys {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    Keys::from_file(file.path()).unwrap()
}

fn get(app: &App, path: &str) -> reqwest::blocking::Response {
    app.client
        .get(app.at(path))
        .bearer_auth(KEY)
        .send()
        .unwrap()
}

fn classify(app: &App, image: Vec<u8>) -> Value {
    let request = app.client.post(app.at("/classify")).bearer_auth(KEY);
    request.body(image).send().unwrap().json().unwrap()
}

/// Waits until `count` entries are kept and gives the first page.
fn wait_for_entries(app: &App, count: u64) -> Value {
    let list = || get(app, "/quarantine").json::<Value>().unwrap();
    app.wait_for("kept", || list()["count"] == count);
    list()
}

#[test]
fn flagged_images_are_kept_however_they_came_and_harmless_ones_are_not() {
    use base64::Engine as _;
    let dir = tempfile::tempdir().unwrap();
    let app = spawn_app(keeping(dir.path()));
    assert_eq!(classify(&app, png(RED))["flagged"], false);
    let answer = classify(&app, png(BLUE));
    assert_eq!(answer["flagged"], true);
    let post = |path: &str| app.client.post(app.at(path)).bearer_auth(KEY);
    let gif = encode(BLUE, 8, 8, image::ImageFormat::Gif);
    let text = base64::engine::general_purpose::STANDARD.encode(&gif);
    post("/classify")
        .json(&json!({ "image": text }))
        .send()
        .unwrap();
    let part = |image: Vec<u8>| Part::bytes(image).file_name("../../a.png");
    let form = Form::new()
        .part("a", part(png(RED)))
        .part("b", part(b"no image".to_vec()))
        .part("c", part(png(BLUE)));
    post("/classify/batch").multipart(form).send().unwrap();
    let listed = wait_for_entries(&app, 3);
    Contract::read().check("GET", "/quarantine", 200, "application/json", &listed);
    let entries = listed["entries"].as_array().unwrap();
    let kinds: Vec<&Value> = entries.iter().map(|entry| &entry["media_type"]).collect();
    assert_eq!(kinds, ["image/png", "image/gif", "image/png"]);
    let first = &entries[2];
    assert_eq!(first["answer"], answer);
    assert_eq!(
        first["image_sha256"],
        hex::encode(Sha256::digest(png(BLUE)))
    );
    let time = humantime::parse_rfc3339(first["time"].as_str().unwrap()).unwrap();
    assert!(time.elapsed().unwrap() < Duration::from_secs(60), "{first}");
    for (entry, image) in entries.iter().zip([png(BLUE), gif, png(BLUE)]) {
        let response = get(&app, &format!("/quarantine/{}", entry["id"]));
        assert_eq!(
            response.headers()["content-type"],
            entry["media_type"].as_str().unwrap()
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.bytes().unwrap(), image);
    }
    let metrics = get(&app, "/metrics").text().unwrap();
    let line = r#"goodnet_quarantine_inputs_total{result="stored"} 3"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn the_list_comes_in_pages_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let app = spawn_app(keeping(dir.path()));
    for _ in 0..5 {
        classify(&app, png(BLUE));
    }
    wait_for_entries(&app, 5);
    let ids = |page: &Value| -> Vec<u64> {
        let entries = page["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["id"].as_u64().unwrap())
            .collect()
    };
    let page = |path: &str| get(&app, path).json::<Value>().unwrap();
    let first = page("/quarantine?limit=2");
    assert_eq!((ids(&first), &first["next"]), (vec![4, 3], &json!(3)));
    let second = page("/quarantine?limit=2&before=3");
    assert_eq!((ids(&second), &second["next"]), (vec![2, 1], &json!(1)));
    let last = page("/quarantine?limit=2&before=1");
    assert_eq!((ids(&last), &last["next"]), (vec![0], &Value::Null));
}

#[test]
fn it_is_shown_to_holders_of_a_key_only() {
    let dir = tempfile::tempdir().unwrap();
    let contract = Contract::read();
    let refused = |response: reqwest::blocking::Response, route: &str, status: u16, code: &str| {
        let problem: Value = response.json().unwrap();
        contract.check("GET", route, status, "application/problem+json", &problem);
        assert_eq!(problem["code"], code, "{problem}");
    };
    let app = spawn_app(keeping(dir.path()));
    classify(&app, png(BLUE));
    wait_for_entries(&app, 1);
    for (path, route) in [
        ("/quarantine", "/quarantine"),
        ("/quarantine/0", "/quarantine/{id}"),
    ] {
        refused(app.get(path), route, 401, "unauthorized");
        assert_eq!(get(&app, path).status(), 200, "{path}");
    }
    for id in [
        "1",
        "x",
        "-1",
        "..%2Fquarantine.redb",
        "99999999999999999999999",
    ] {
        let response = get(&app, &format!("/quarantine/{id}"));
        refused(response, "/quarantine/{id}", 404, "not_found");
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "before=-1",
        "before=x",
        "limit=1&limit=2",
    ] {
        let response = get(&app, &format!("/quarantine?{query}"));
        refused(response, "/quarantine", 400, "malformed_query");
    }
    drop(app);
    let open = spawn_app(|config| {
        keeping(dir.path())(config);
        config.access.keys = None;
    });
    refused(open.get("/quarantine"), "/quarantine", 403, "forbidden");
    refused(
        open.get("/quarantine/0"),
        "/quarantine/{id}",
        403,
        "forbidden",
    );
    let off = spawn_app(|config| config.access.keys = Some(keys()));
    refused(get(&off, "/quarantine"), "/quarantine", 404, "not_found");
    refused(
        get(&off, "/quarantine/0"),
        "/quarantine/{id}",
        404,
        "not_found",
    );
}

#[test]
fn nothing_is_written_unless_it_is_asked_for() {
    let app = spawn_app(|_| {});
    let beside = app.bundle.parent().unwrap().to_owned();
    for _ in 0..3 {
        let answer: Value = app.post("/classify", png(BLUE)).json().unwrap();
        assert_eq!(answer["flagged"], true);
    }
    assert_eq!(app.get("/quarantine").status(), 403);
    let names: Vec<_> = std::fs::read_dir(beside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["bundle"]);
    let metrics = app.get("/metrics").text().unwrap();
    assert!(
        !metrics.contains("goodnet_quarantine_inputs_total{"),
        "{metrics}"
    );
}

fn goodnet() -> Command {
    Command::cargo_bin("goodnet").unwrap()
}

/// `goodnet serve --quarantine` as a process, killed when dropped.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(bundle: &Path, kept: &Path) -> Self {
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("goodnet"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .arg("--bundle")
            .arg(bundle)
            .arg("--quarantine")
            .arg(kept)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = log.lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("listening")).unwrap();
        lines.find(|line| line.contains("in service")).unwrap();
        // Nobody reads on: the log must not fill its pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let line: Value = serde_json::from_str(&line).unwrap();
        let url = line["url"].as_str().unwrap().to_owned();
        Self { child, url }
    }

    fn stored(&self) -> u64 {
        let metrics = reqwest::blocking::get(format!("{}metrics", self.url)).unwrap();
        let metrics = metrics.text().unwrap();
        let line = r#"goodnet_quarantine_inputs_total{result="stored"} "#;
        let found = metrics.lines().find_map(|found| found.strip_prefix(line));
        found.map_or(0, |count| count.parse().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_killed_service_loses_nothing_that_it_had_written() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, kept) = (folder.path().join("bundle"), folder.path().join("kept"));
    write_bundle(&bundle, "aa");
    let image = encode(BLUE, 60, 60, image::ImageFormat::Bmp);
    let mut written = 0;
    for round in 0..6 {
        let service = Process::start(&bundle, &kept);
        let client = reqwest::blocking::Client::new();
        let started = Instant::now();
        // Killed at another moment of its writing each time.
        while started.elapsed() < Duration::from_millis(150 + 37 * round) || service.stored() == 0 {
            let request = client.post(format!("{}classify", service.url));
            assert_eq!(request.body(image.clone()).send().unwrap().status(), 200);
        }
        written += service.stored();
        drop(service);
        let reader = Reader::open(&kept).unwrap();
        let snapshot = reader.read().unwrap();
        let page = snapshot.page(None, 100_000).unwrap();
        assert!(
            page.entries.len() as u64 >= written,
            "{} of {written}",
            page.entries.len()
        );
        for entry in &page.entries {
            let (_, bytes) = snapshot.get(entry.id).unwrap().unwrap();
            assert_eq!(bytes, image);
        }
        written = page.entries.len() as u64;
    }
}

#[test]
fn the_command_lists_and_exports_beside_a_running_service_what_evaluate_reads() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_bundle(&at("bundle"), "aa");
    let service = Process::start(&at("bundle"), &at("kept"));
    let client = reqwest::blocking::Client::new();
    for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg] {
        let request = client.post(format!("{}classify", service.url));
        let request = request.header("x-request-id", "../mine,1");
        let response = request.body(encode(BLUE, 8, 8, format)).send().unwrap();
        assert_eq!(response.json::<Value>().unwrap()["flagged"], true);
    }
    let started = Instant::now();
    while service.stored() < 2 {
        assert!(started.elapsed() < Duration::from_secs(60), "never kept");
    }
    let quarantine = |command: &str| {
        let mut process = goodnet();
        process
            .args(["quarantine", command, "--quarantine"])
            .arg(at("kept"));
        process
    };
    let listed = quarantine("list").assert().success();
    listed
        .stdout(contains("image/jpeg"))
        .stdout(contains("../mine,1"))
        .stdout(contains("2 of 2 entries"));
    let json = quarantine("list")
        .args(["--json", "--limit", "1"])
        .output()
        .unwrap();
    let newest: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&newest["id"], &newest["badnet"]), (&json!(1), &json!(2)));
    let export = |model: &str, out: &str| {
        let mut process = quarantine("export");
        process.args(["--model", model, "--out"]).arg(at(out));
        process.assert()
    };
    export("aa", "out").success().stdout(contains("2 images"));
    let labels = std::fs::read_to_string(at("out/labels.csv")).unwrap();
    assert_eq!(labels, "file,label\n0000000001.jpg,2\n0000000000.png,2\n");
    export("aa", "out")
        .code(3)
        .stderr(contains("already exists"));
    export("bb", "none").success().stdout(contains("0 images"));
    std::fs::create_dir(at("clean")).unwrap();
    let red = encode(RED, 8, 8, image::ImageFormat::Png);
    std::fs::write(at("clean/red.png"), red).unwrap();
    std::fs::write(at("clean/labels.csv"), "file,label\nred.png,0\n").unwrap();
    let mut evaluate = goodnet();
    evaluate.arg("evaluate").arg("--bundle").arg(at("bundle"));
    evaluate
        .arg("--clean")
        .arg(at("clean"))
        .arg("--backdoored")
        .arg(at("out"));
    let table = evaluate.arg("--json").output().unwrap();
    let table: Value = serde_json::from_slice(&table.stdout).unwrap();
    let goodnet_10 = table["rows"].as_array().unwrap().last().unwrap();
    assert_eq!(goodnet_10["backdoored_flagged"]["value"], 1.0, "{table}");
    assert_eq!(goodnet_10["backdoored_flagged"]["images"], 2);
}

#[test]
fn a_directory_that_cannot_be_used_ends_the_command_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_bundle(&at("bundle"), "aa");
    std::fs::create_dir(at("other")).unwrap();
    std::fs::write(
        at("other").join(STORE_FILE),
        "not a store at all".repeat(500),
    )
    .unwrap();
    let serve = |kept: &str| {
        let mut process = goodnet();
        process.args(["serve", "--listen", "127.0.0.1:0", "--quarantine"]);
        process.arg(at(kept)).arg("--bundle").arg(at("bundle"));
        process.assert().code(3)
    };
    serve("other").stderr(contains("expected a quarantine store"));
    let _service = Process::start(&at("bundle"), &at("kept"));
    serve("kept").stderr(contains("another process writes this quarantine"));
    let mut list = goodnet();
    list.args(["quarantine", "list", "--quarantine"])
        .arg(at("nowhere"));
    list.assert()
        .code(3)
        .stderr(contains("nowhere/quarantine.redb"));
}
