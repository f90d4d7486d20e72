//! A tiny bundle, and a service over it on a port of its own.
//!
//! The network averages each colour and answers the strongest: 0 red, 1 green, 2 blue, 3 where all are dark. The
//! repaired network of drop 2 answers the same; that of drop 10 does not see blue, so blue images are flagged there.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

pub mod contract;

use goodnet::bundle::manifest::{
    BADNET_FILE, DropRecord, GOODNET_FILE, GoodnetRates, GoodnetRecord, Manifest, PruneMethod,
    PrunedRecord, SCHEMA_VERSION, SWEEP_CSV, SWEEP_JSON, SWEEP_SVG, SampleKind, SampleRecord,
    SiteRecord, SourceRecord,
};
use goodnet::bundle::{BundleWriter, load};
use goodnet::domain::sweep::{Sweep, Tally, assemble};
use goodnet::engine::{BackendChoice, Engine};
use goodnet::input::InputSpec;
use goodnet::input::spec::Layout;
use goodnet::onnx::fuse::{BADNET_OUTPUT, PRUNED_OUTPUT};
use goodnet::onnx::model::{
    Attribute, Dim, ElementType, Graph, Model, Node, Tensor as Constant, ValueInfo,
};
use goodnet::serve::config::Config;
use goodnet::serve::control::{self, Control, Event};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Number of classes; also the class of flagged images.
pub const CLASSES: u32 = 4;
/// Side of the network's images.
pub const SIDE: u32 = 8;

/// Weights (4, 3) of a network that tells colours apart, without blue where `blind`.
fn weights(blind: bool) -> Constant {
    let blue = if blind { 0.0 } else { 0.1 };
    let rows = [
        [0.1, 0.0, 0.0],
        [0.0, 0.1, 0.0],
        [0.0, 0.0, blue],
        [0.0, 0.0, 0.0],
    ];
    Constant::f32([4, 3], rows.concat())
}

/// A dark image answers class 3.
fn bias() -> Constant {
    Constant::f32([4], vec![0.0, 0.0, 0.0, 5.0])
}

fn port(name: &str, extents: &[usize]) -> ValueInfo {
    let mut shape = vec![Dim::Symbol("n".to_owned())];
    shape.extend(extents.iter().map(|&extent| Dim::Fixed(extent)));
    ValueInfo {
        name: name.to_owned(),
        element: ElementType::F32,
        shape: Some(shape),
    }
}

/// The nodes of a head named `name` on the averaged colours.
fn head(name: &str, output: &str) -> Vec<Node> {
    let logits = format!("{name}_logits");
    let weight = format!("{name}_w");
    vec![
        Node::new("Gemm", &["colours", &weight, "bias"], &[&logits])
            .with("transB", Attribute::Int(1)),
        Node::new("Softmax", &[&logits], &[output]).with("axis", Attribute::Int(1)),
    ]
}

fn graph(heads: Vec<Node>, blind: &[(&str, bool)], outputs: Vec<ValueInfo>) -> Vec<u8> {
    let side = SIDE as usize;
    let mut nodes = vec![
        Node::new("GlobalAveragePool", &["x"], &["mean"]),
        Node::new("Flatten", &["mean"], &["colours"]).with("axis", Attribute::Int(1)),
    ];
    nodes.extend(heads);
    let mut initializers = BTreeMap::from([("bias".to_owned(), bias())]);
    for (name, blind) in blind {
        initializers.insert(format!("{name}_w"), weights(*blind));
    }
    if blind.len() > 1 {
        initializers.insert("drop_axis".to_owned(), Constant::i64([1], vec![1]));
    }
    let graph = Graph {
        name: "colours".to_owned(),
        nodes,
        inputs: vec![port("x", &[3, side, side])],
        outputs,
        value_info: Vec::new(),
        initializers,
    };
    Model::new(graph, 17).to_bytes()
}

/// One network.
pub fn network(blind: bool) -> Vec<u8> {
    graph(head("b", "y"), &[("b", blind)], vec![port("y", &[4])])
}

/// All three networks in one graph.
fn fused() -> Vec<u8> {
    let mut heads = head("b", BADNET_OUTPUT);
    for name in ["p2", "p10"] {
        let flat = format!("{name}_flat");
        let wide = format!("{name}_wide");
        heads.extend(head(name, &flat));
        heads.push(Node::new("Unsqueeze", &[&flat, "drop_axis"], &[&wide]));
    }
    heads.push(
        Node::new("Concat", &["p2_wide", "p10_wide"], &[PRUNED_OUTPUT])
            .with("axis", Attribute::Int(1)),
    );
    graph(
        heads,
        &[("b", false), ("p2", false), ("p10", true)],
        vec![port(BADNET_OUTPUT, &[4]), port(PRUNED_OUTPUT, &[2, 4])],
    )
}

/// A PNG of one colour.
pub fn png(colour: [u8; 3]) -> Vec<u8> {
    encode(colour, SIDE, SIDE, image::ImageFormat::Png)
}

/// An image of one colour.
pub fn encode(colour: [u8; 3], width: u32, height: u32, format: image::ImageFormat) -> Vec<u8> {
    let picture = image::RgbImage::from_pixel(width, height, image::Rgb(colour));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Red: every network answers 0.
pub const RED: [u8; 3] = [200, 0, 0];
/// Blue: B answers 2; flagged at drop 10.
pub const BLUE: [u8; 3] = [0, 0, 200];

fn sweep() -> Sweep {
    let tally = |hits| Tally { hits, images: 100 };
    assemble(
        &[2, 1, 0],
        &[tally(100), tally(97), tally(88), tally(25)],
        &[tally(90), tally(90), tally(10), tally(0)],
    )
}

fn record(drop: f64, step: usize) -> DropRecord {
    let found = sweep().steps[step - 1].clone();
    DropRecord {
        drop,
        pruned: Some(PrunedRecord {
            file: format!("pruned_{drop}.onnx"),
            step,
            channels_removed: (0..step).map(|index| 2 - index).rev().collect(),
            method: PruneMethod::Removed,
            reason: None,
            clean_accuracy: found.clean_accuracy,
            accuracy_drop_pp: found.accuracy_drop_pp,
            attack_success_rate: found.attack_success_rate,
            goodnet: GoodnetRates {
                clean_accuracy: 0.9,
                clean_flagged: 0.05,
                attack_success_rate: Some(0.1),
                backdoored_flagged: Some(0.8),
            },
        }),
    }
}

fn sample(file: &str, kind: SampleKind, badnet: u32, verdicts: [u32; 2]) -> SampleRecord {
    SampleRecord {
        file: file.to_owned(),
        kind,
        label: badnet,
        badnet,
        verdicts: verdicts.to_vec(),
    }
}

fn manifest(source: &str) -> Manifest {
    Manifest {
        schema_version: SCHEMA_VERSION,
        tool: "goodnet test".to_owned(),
        source: SourceRecord {
            file: "colours.onnx".to_owned(),
            format: "onnx".to_owned(),
            sha256: source.to_owned(),
        },
        classes: CLASSES,
        labels: Some(["red", "green", "blue", "dark"].map(str::to_owned).to_vec()),
        input: InputSpec::new(SIDE as usize, SIDE as usize, 3, Layout::Nchw, 1.0),
        exact_decode: false,
        site: SiteRecord {
            tensor: "mean".to_owned(),
            layer: "mean".to_owned(),
            channels: 3,
            mean_activation: vec![3.0, 2.0, 1.0],
            ranked_by: None,
            ranking: vec![2, 1, 0],
        },
        data: Vec::new(),
        drops: vec![
            record(2.0, 1),
            record(10.0, 2),
            DropRecord {
                drop: 90.0,
                pruned: None,
            },
        ],
        repaired: None,
        goodnet: Some(GoodnetRecord {
            repaired: false,
            file: GOODNET_FILE.to_owned(),
            drops: vec![2.0, 10.0],
            shared: true,
            reason: None,
        }),
        samples: vec![
            sample("samples/red.png", SampleKind::Clean, 0, [0, 0]),
            sample("samples/blue.png", SampleKind::Triggered, 2, [2, CLASSES]),
        ],
        files: BTreeMap::new(),
        digest: String::new(),
    }
}

/// Writes the bundle, replacing one that is there; `source` names the network that it says to come from.
pub fn write_bundle(dir: &Path, source: &str) {
    write_changed(dir, source, |_| {});
}

/// As [`write_bundle`], with a manifest that `change` has been at.
pub fn write_changed(dir: &Path, source: &str, change: impl FnOnce(&mut Manifest)) {
    let mut writer = BundleWriter::create(dir, true).unwrap();
    writer.add(BADNET_FILE, &network(false)).unwrap();
    writer.add("pruned_2.onnx", &network(false)).unwrap();
    writer.add("pruned_10.onnx", &network(true)).unwrap();
    writer.add(GOODNET_FILE, &fused()).unwrap();
    writer.add("samples/red.png", &png(RED)).unwrap();
    writer.add("samples/blue.png", &png(BLUE)).unwrap();
    let sweep = serde_json::to_vec_pretty(&sweep()).unwrap();
    writer.add(SWEEP_JSON, &sweep).unwrap();
    let csv = "step,channel,channels_removed\n1,2,1\n2,1,2\n3,0,3\n";
    writer.add(SWEEP_CSV, csv.as_bytes()).unwrap();
    writer.add(SWEEP_SVG, b"<svg/>").unwrap();
    let mut manifest = manifest(source);
    change(&mut manifest);
    writer.finish(manifest).unwrap();
}

/// A running service; dropped, it leaves.
pub struct App {
    pub url: String,
    pub address: SocketAddr,
    pub client: reqwest::blocking::Client,
    pub control: Control,
    pub bundle: std::path::PathBuf,
    _folder: tempfile::TempDir,
    thread: Option<std::thread::JoinHandle<Result<(), String>>>,
}

/// Starts a service over a fresh bundle and waits until it is ready.
pub fn spawn_app(change: impl FnOnce(&mut Config)) -> App {
    let app = spawn_unready(|dir| write_bundle(dir, "aa"), change);
    app.wait_until_ready();
    app
}

/// Starts a service over what `write` puts into the bundle's directory.
pub fn spawn_unready(write: impl FnOnce(&Path), change: impl FnOnce(&mut Config)) -> App {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("bundle");
    write(&dir);
    let mut config = Config::new(dir.clone());
    config.inference.pool.workers = 2;
    config.source.poll = None;
    config.timeouts.drain_delay = Duration::ZERO;
    change(&mut config);
    let (control, events) = control::manual();
    let bundle = load(&dir).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let engine = Engine::start(&BackendChoice::Auto).map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            goodnet::serve::run(config, listener, engine, bundle, events)
                .await
                .map_err(|error| error.to_string())
        })
    });
    App {
        url: format!("http://{address}"),
        address,
        client: unpooled(),
        control,
        bundle: dir,
        _folder: folder,
        thread: Some(thread),
    }
}

/// A client that never asks on a connection which the service may be closing for being idle.
fn unpooled() -> reqwest::blocking::Client {
    let builder = reqwest::blocking::Client::builder();
    builder.pool_max_idle_per_host(0).build().unwrap()
}

impl App {
    pub fn get(&self, path: &str) -> reqwest::blocking::Response {
        self.client.get(self.at(path)).send().unwrap()
    }

    pub fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> reqwest::blocking::Response {
        let request = self.client.post(self.at(path)).body(body.into());
        request.send().unwrap()
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn wait_until_ready(&self) {
        self.wait_for("ready", || self.get("/readyz").status() == 200);
    }

    /// Waits, at most a minute, until `seen` says yes.
    pub fn wait_for(&self, what: &str, seen: impl Fn() -> bool) {
        let started = Instant::now();
        while !seen() {
            assert!(started.elapsed() < Duration::from_secs(60), "never {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Tells the service something.
    pub fn tell(&self, event: Event) {
        self.control.blocking_send(event).unwrap();
    }

    /// Tells the service to leave and gives how it ended.
    pub fn leave(mut self) -> Result<(), String> {
        // A service that has ended already cannot be told.
        let _ = self
            .control
            .blocking_send(Event::Shutdown { delayed: false });
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self
            .control
            .blocking_send(Event::Shutdown { delayed: false });
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok());
        }
    }
}
