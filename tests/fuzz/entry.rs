//! What every fuzz target does with the bytes it is given; `tests/it/fuzz_replay.rs` does the same with the committed corpora.
//!
//! Nothing here may panic, hang or take memory beyond the stated bounds, whatever the bytes.

use axum::http::HeaderValue;
use bytes::Bytes;
use goodnet::bundle::manifest::{MANIFEST_FILE, Manifest};
use goodnet::bundle::{Bundle, BundleError, sha256_hex};
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{BackendChoice, Engine};
use goodnet::format::{Architecture, read_model};
use goodnet::input::dataset::{DataSet, OpenOptions};
use goodnet::input::image::{Detail, Limits, decode_within};
use goodnet::input::preprocess::Preprocess;
use goodnet::input::spec::{InputSpec, Layout};
use goodnet::onnx::cut::cut;
use goodnet::onnx::describe::describe;
use goodnet::onnx::prune::{prune, prune_tail};
use goodnet::onnx::shape::ShapedModel;
use goodnet::onnx::site::{Site, candidates, default_site};
use goodnet::onnx::{Model, fuse, ports, prepare};
use goodnet::serve::config::Config;
use goodnet::serve::fuzz;
use goodnet::serve::inference::decode::Decoder;
use goodnet::serve::state::AppState;
use rustix::time::{ClockId, clock_gettime};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Small, so that the fuzzer spends its time on formats and not on pixels.
const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_side: 512,
    max_pixels: 1 << 16,
};

/// A network's input of 8 x 8 pixels.
fn spec(layout: Layout) -> InputSpec {
    InputSpec::new(8, 8, 3, layout, 1.0 / 255.0)
}

/// CPU time that this thread has used.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// What any file may cost, a byte of it, and a sample that was counted: a sample takes about 6 ns (docs/SECURITY.md), and the rest is
/// room for sanitizers, unoptimised code and a busy machine.
const ANY: Duration = Duration::from_millis(100);
const BYTE: Duration = Duration::from_micros(10);
const SAMPLE: Duration = Duration::from_nanos(300);

/// Image file to tensor, whole and as a network sees it; fails where that costs more than was counted.
pub fn image(bytes: &[u8]) {
    let input = spec(Layout::Nchw);
    for detail in [Detail::Whole, Detail::new(&input, false)] {
        decode_and_scale(bytes, &input, detail);
    }
}

fn decode_and_scale(bytes: &[u8], input: &InputSpec, detail: Detail) {
    let budget = LIMITS.budget();
    let started = cpu();
    let decoded = decode_within(bytes, &LIMITS, &budget, detail);
    let cost = cpu() - started;
    let samples = (LIMITS.budget().left() - budget.left()) as u32;
    let expected = ANY + BYTE * bytes.len() as u32 + SAMPLE * samples;
    assert!(
        cost < expected,
        "{cost:?} for {samples} samples, {decoded:?}"
    );
    let Ok(picture) = decoded else {
        return;
    };
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    assert!(pixels > 0 && pixels <= LIMITS.max_pixels);
    assert!(picture.width.max(picture.height) <= LIMITS.max_side);
    assert_eq!(picture.pixels.len() as u64, 3 * pixels);
    let values = Preprocess::new(input).rgb8(&picture).unwrap();
    assert_eq!(values.len(), 3 * 8 * 8);
    assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
}

/// The settings of a service with short bodies.
fn config() -> Config {
    let mut config = Config::new(PathBuf::new());
    config.limits.body = 4096;
    config.limits.batch_body = 8192;
    config.limits.batch_images = 4;
    config.limits.side = LIMITS.max_side;
    config.limits.pixels = LIMITS.max_pixels;
    config
}

/// A request's body: a byte that says how long its pieces are, a line that is its content type, the body.
pub fn form(bytes: &[u8]) {
    let Some((&piece, rest)) = bytes.split_first() else {
        return;
    };
    let line = rest.iter().position(|&byte| byte == b'\n');
    let (kind, body) = rest.split_at(line.unwrap_or(rest.len()));
    let Ok(kind) = HeaderValue::from_bytes(kind) else {
        return;
    };
    let body = body.get(1..).unwrap_or_default();
    let pieces = body.chunks(usize::from(piece).max(1));
    let pieces: Vec<Bytes> = pieces.map(Bytes::copy_from_slice).collect();
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        static STATE: AppState = {
            let engine = Engine::start(&BackendChoice::Auto).unwrap();
            fuzz::state(config(), engine)
        };
    }
    let limits = config().limits;
    for (batch, most, limit) in [
        (false, 1, limits.body),
        (true, limits.batch_images, limits.batch_body),
    ] {
        let state = STATE.with(Clone::clone);
        let reading = fuzz::images(&state, kind.clone(), pieces.clone(), batch);
        let Ok(images) = RUNTIME.with(|runtime| runtime.block_on(reading)) else {
            continue;
        };
        assert!((1..=most).contains(&images.len()));
        let total: usize = images.iter().map(Bytes::len).sum();
        assert!(total <= body.len() && body.len() <= limit);
    }
}

/// A JSON body with an image in base64, to tensor.
pub fn json(bytes: &[u8]) {
    let Ok(image) = fuzz::json(bytes) else {
        return;
    };
    assert!(image.len() <= bytes.len());
    let decoder = Decoder::new(&spec(Layout::Nhwc), &config().limits);
    let mut values = vec![0.5];
    let decoded = decoder.decode(&image, &mut values).is_ok();
    assert_eq!(values.len(), if decoded { 1 + 3 * 8 * 8 } else { 1 });
}

/// A v2 request: a line that is the header of the JSON's length (none where it is empty), the body.
pub fn tensors(bytes: &[u8]) {
    let line = bytes.iter().position(|&byte| byte == b'\n');
    let (length, body) = bytes.split_at(line.unwrap_or(bytes.len()));
    let Ok(length) = HeaderValue::from_bytes(length) else {
        return;
    };
    let length = Some(length).filter(|length| !length.is_empty());
    let body = body.get(1..).unwrap_or_default();
    let spec = InputSpec::new(1, 2, 3, Layout::Nhwc, 1.0);
    let Ok((images, outputs)) = fuzz::tensors(length.as_ref(), body, &spec, 4) else {
        return;
    };
    assert!((1..=4).contains(&images.rows()) && (1..=3).contains(&outputs));
    assert_eq!(images.shape, spec.batch_shape(images.rows()));
    assert_eq!(images.data.len(), images.rows() * spec.image_len());
    assert!(images.data.iter().all(|value| value.is_finite()));
}

/// ONNX file to graph, and everything that `repair` does to a graph before a network runs.
pub fn onnx(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes(bytes) else {
        return;
    };
    let written = model.to_bytes();
    let again = Model::from_bytes(&written).expect("what was written can be read");
    assert!(again.to_bytes() == written, "writing is stable");
    graph(&model);
}

fn graph(model: &Model) {
    let _ = describe(model);
    let Ok(model) = prepare(model) else {
        return;
    };
    let ports = ports(&model).expect("a prepared network is a classifier");
    assert!(ports.classes > 0);
    if let Ok(site) = default_site(&model) {
        at_site(&model, &site);
    }
    if let Some(site) = candidates(&model).first() {
        at_site(&model, site);
    }
}

/// Site lengths for which every step is tried; a longer one costs the fuzzer only time.
const MAX_CHANNELS: usize = 64;

fn at_site(model: &Model, site: &Site) {
    if site.channels > MAX_CHANNELS {
        return;
    }
    let even: Vec<usize> = (0..site.channels).step_by(2).collect();
    let mask = ChannelMask::removing(site.channels, &even).unwrap();
    let pruned = prune(model, site, &mask);
    Model::from_bytes(&pruned.model.to_bytes()).expect("a pruned network can be read");
    if let Ok(parts) = cut(model, site) {
        let _ = prune_tail(&ShapedModel::new(&parts.tail), &mask);
    }
    if let Ok(fused) = fuse(model, site, &[mask]) {
        Model::from_bytes(&fused.model.to_bytes()).expect("a fused network can be read");
    }
}

/// Files that readers want by their path live in memory, one folder a thread.
fn scratch() -> PathBuf {
    thread_local! {
        static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|folder| {
        let make = || {
            let memory = Path::new("/dev/shm");
            let made = match memory.is_dir() {
                true => tempfile::tempdir_in(memory),
                false => tempfile::tempdir(),
            };
            made.unwrap()
        };
        folder.get_or_init(make).path().to_owned()
    })
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Keras HDF5 to graph: a whole model, and weights for the lab's architecture.
pub fn keras(bytes: &[u8]) {
    let path = file("network.h5", bytes);
    for architecture in [None, Some(Architecture::Deepid)] {
        if let Ok(imported) = read_model(&path, architecture) {
            graph(&imported.model);
        }
    }
}

/// A data set in HDF5: opened, read through, told.
pub fn dataset(bytes: &[u8]) {
    let path = file("data.h5", bytes);
    let spec = InputSpec::new(2, 3, 3, Layout::Nchw, 1.0);
    let Ok(set) = DataSet::open(&path, &OpenOptions::default(), &spec, 10) else {
        return;
    };
    assert!(!set.is_empty() && set.labels().iter().all(|&label| label < 10));
    let mut images = 0;
    for batch in set.batches(16).take(64) {
        let Ok(batch) = batch else { break };
        assert_eq!(batch.labels.len(), batch.images.rows());
        assert!(batch.images.data.iter().all(|value| value.is_finite()));
        images += batch.images.rows();
    }
    assert!(images as u64 <= set.len());
    let _ = set.raw8(set.len() - 1);
    assert_eq!(set.sha256().unwrap().len(), 64);
}

/// Files that the bundle of [`manifest`] has.
const FILES: [(&str, &[u8]); 5] = [
    ("badnet.onnx", b"badnet"),
    ("goodnet.onnx", b"goodnet"),
    ("pruned_2.onnx", b"pruned"),
    ("red.png", b"red"),
    ("sweep.json", include_bytes!("sweep.json")),
];

/// A bundle's manifest: as it came, and with its digest and the hashes of the files that are there made right.
pub fn manifest(bytes: &[u8]) {
    let folder = scratch();
    for (name, content) in FILES {
        file(name, content);
    }
    file(MANIFEST_FILE, bytes);
    assert_inside(goodnet::bundle::load(&folder));
    let Ok(mut manifest) = serde_json::from_slice::<Manifest>(bytes) else {
        return;
    };
    for (name, content) in FILES {
        if let Some(record) = manifest.files.get_mut(name) {
            record.bytes = content.len() as u64;
            record.sha256 = sha256_hex(content);
        }
    }
    let Ok(sealed) = manifest.to_json() else {
        return;
    };
    file(MANIFEST_FILE, &sealed);
    assert_inside(goodnet::bundle::load(&folder));
}

fn assert_inside(loaded: Result<Bundle, BundleError>) {
    let Ok(bundle) = loaded else { return };
    for name in bundle.manifest().files.keys() {
        assert!(FILES.iter().any(|(known, _)| known == name), "{name}");
    }
}
