//! What files cost from bytes to the values of a network of 47 x 55 pixels, for the figures in docs/BENCHMARKS.md and
//! docs/SECURITY.md: `cargo bench --bench decode_cost -- FILE...`.
//!
//! A file a line: its bytes; for decoding the whole, the work that was counted, the CPU time of all threads and the most
//! memory beside the file's bytes (on Linux); work and time for decoding what the network sees of it; the time of the
//! `image` crate's own decoder and filter; the outcome. Times are medians of seven, taken in turn.

#![allow(missing_docs, clippy::print_stdout)]

use goodnet::input::image::{Detail, Limits, decode_within};
use goodnet::input::preprocess::Preprocess;
use goodnet::input::spec::{InputSpec, Layout};
use image::imageops::{self, FilterType};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;

const WIDTH: usize = 47;
const HEIGHT: usize = 55;
const ROUNDS: usize = 7;

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// The samples that decoding took and what came of it.
fn read(bytes: &[u8], preprocess: &Preprocess, detail: Detail) -> (u64, String) {
    let limits = Limits::default();
    let budget = limits.budget();
    let outcome = match decode_within(bytes, &limits, &budget, detail) {
        Ok(picture) => {
            black_box(preprocess.rgb8(&picture).is_ok());
            format!("{} x {}", picture.width, picture.height)
        }
        Err(error) => error.to_string(),
    };
    (limits.budget().left() - budget.left(), outcome)
}

/// Most resident memory since [`forget`], and that of now, in KiB; 0 where the system does not say.
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    (value("VmHWM:"), value("VmRSS:"))
}

/// Has the system count the most resident memory from now on (proc_pid_clear_refs(5)).
fn forget() {
    // Where it cannot, the figure is that of the most costly file so far.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peer(bytes: &[u8]) {
    if let Ok(picture) = image::load_from_memory(bytes) {
        let (width, height) = (WIDTH as u32, HEIGHT as u32);
        let rgb = picture.into_rgb8();
        black_box(imageops::resize(&rgb, width, height, FilterType::Triangle));
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let before = cpu();
    work();
    cpu() - before
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn main() -> std::io::Result<()> {
    let input = InputSpec::new(HEIGHT, WIDTH, 3, Layout::Nchw, 1.0);
    let preprocess = Preprocess::new(&input);
    let part = Detail::new(&input, false);
    // Cargo adds `--bench`.
    let files = std::env::args_os().skip(1).filter(|arg| arg != "--bench");
    for file in files {
        let bytes = std::fs::read(&file)?;
        forget();
        let (_, held) = resident();
        read(&bytes, &preprocess, Detail::Whole);
        let memory = resident().0.saturating_sub(held) as f64 / 1024.0;
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(timed(|| drop(read(&bytes, &preprocess, Detail::Whole))));
            times[1].push(timed(|| drop(read(&bytes, &preprocess, part))));
            times[2].push(timed(|| peer(&bytes)));
        }
        let [whole_ms, part_ms, peer_ms] = times.map(median);
        let (samples, _) = read(&bytes, &preprocess, Detail::Whole);
        let (part_samples, outcome) = read(&bytes, &preprocess, part);
        println!(
            "{}\t{} bytes\twhole: {samples} samples, {whole_ms:.2} ms, {memory:.1} MiB\tpart: {part_samples} samples, {part_ms:.2} ms\timage: {peer_ms:.2} ms\t{outcome}",
            file.display(),
            bytes.len(),
        );
    }
    Ok(())
}
