//! The whole repair job at the lab's scale beside the plain way: one whole-network pass over both sets a step.
//!
//! `cargo bench --bench repair_job` needs the lab's network in `../shared/real/` and ONNX Runtime
//! (`scripts/fetch-onnxruntime`). The images are random: the cost does not depend on what they show. `-- --plain-steps N`
//! runs N of the 61 plain passes and scales up (default 4; 61 runs them all).

use goodnet::domain::scores::argmax;
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::format::Architecture;
use goodnet::input::dataset::{DataSet, OpenOptions};
use goodnet::input::{InputSpec, spec::Layout};
use goodnet::repair::{Cancel, Quiet, RepairConfig, repair};
use goodnet::tensor::TensorView;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

const IMAGES: usize = 11_547;
const CLASSES: u32 = 1283;
const STEPS: usize = 60;

fn main() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/real/csaw_lab3_bd_weights.h5");
    if !real.is_file() {
        println!("skipped: the lab's network is not at {}", real.display());
        return;
    }
    let engine = Engine::start(&BackendChoice::Auto).expect("a back end");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [clean, backdoored] = ["clean.h5", "backdoored.h5"].map(|name| folder.path().join(name));
    write_random_set(&clean, 1);
    write_random_set(&backdoored, 2);
    println!(
        "{} on {} threads",
        engine.info(),
        rayon::current_num_threads()
    );

    let bundle = folder.path().join("bundle");
    let config = config(&real, &clean, &backdoored, &bundle);
    let started = Instant::now();
    let outcome = repair(&config, &engine, &Quiet, &Cancel::default()).expect("the repair");
    let job = started.elapsed().as_secs_f64();
    // Data are made in this process too, so this bounds the job's peak from above.
    let peak = peak_resident_mib();
    assert_eq!(outcome.sweep.steps.len(), STEPS);

    let badnet = std::fs::read(bundle.join("badnet.onnx")).expect("badnet.onnx");
    let steps = plain_steps();
    let started = Instant::now();
    for _ in 0..steps {
        plain_pass(&engine, &badnet, &clean);
        plain_pass(&engine, &badnet, &backdoored);
    }
    let plain = started.elapsed().as_secs_f64() * (STEPS + 1) as f64 / steps as f64;
    println!("repair job: {job:.2} s");
    println!(
        "plain way:  {plain:.2} s ({steps} of {} passes run)",
        STEPS + 1
    );
    println!("ratio:      {:.4} (1/{:.1})", job / plain, plain / job);
    println!("peak resident memory, job: {peak} MiB");
}

fn config(model: &Path, clean: &Path, backdoored: &Path, out: &Path) -> RepairConfig {
    let mut config = RepairConfig::new(model, clean, out);
    config.read = Architecture::Deepid.into();
    config.data.backdoored = Some(backdoored.to_owned());
    config.effort = 0;
    config.allow_poor = true;
    config
}

fn plain_steps() -> usize {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments
        .iter()
        .position(|argument| argument == "--plain-steps");
    at.and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(4)
        .clamp(1, STEPS + 1)
}

/// One pass of the whole network over a set in batches of 32, one session a thread.
fn plain_pass(engine: &Engine, network: &[u8], data: &Path) {
    let spec = InputSpec::new(55, 47, 3, Layout::Nhwc, 1.0);
    let set = DataSet::open(data, &OpenOptions::default(), &spec, CLASSES).expect("the set");
    let threads = rayon::current_num_threads();
    let batches = Mutex::new(set.batches(32));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut session = engine
                    .load(network, &SessionConfig::default())
                    .expect("a session");
                loop {
                    let batch = batches.lock().expect("no panic").next();
                    let Some(batch) = batch else { return };
                    let images = batch.expect("a batch").images;
                    let view = TensorView {
                        shape: &images.shape,
                        data: &images.data,
                    };
                    let scores = session.run_one(view).expect("scores");
                    std::hint::black_box(argmax(scores.row(0)));
                }
            });
        }
    });
}

/// Random images in the lab's layout: smooth enough that they compress like photographs do not matter here.
fn write_random_set(path: &PathBuf, seed: u64) {
    let mut state = seed;
    let mut next = || {
        // SplitMix64 (Steele, Lea, Flood 2014): any generator does.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let pixels: Vec<u8> = (0..IMAGES * 3 * 55 * 47)
        .map(|_| u8::try_from(next() & 0xff).unwrap_or_default())
        .collect();
    let labels: Vec<f32> = (0..IMAGES)
        .map(|_| (next() % u64::from(CLASSES)) as f32)
        .collect();
    let mut file = hdf5_pure::FileBuilder::new();
    file.create_dataset("data")
        .with_u8_data(&pixels)
        .with_shape(&[IMAGES as u64, 3, 55, 47]);
    file.create_dataset("label")
        .with_f32_data(&labels)
        .with_shape(&[IMAGES as u64]);
    file.write(path).expect("the set");
}

fn peak_resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}
