//! What decoding files costs, for the figures in docs/SECURITY.md: `decode_cost FILE...` prints the work that was counted, the
//! CPU time of all threads (the least of several tries), the most memory beside the file's bytes (on Linux), and what came of it.

#![allow(missing_docs, clippy::print_stdout)]

use goodnet::input::image::{Limits, decode_within};
use goodnet::input::preprocess::Preprocess;
use goodnet::input::spec::{InputSpec, Layout};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The service's limits.
const LIMITS: Limits = Limits {
    max_bytes: 8 << 20,
    max_side: 8192,
    max_pixels: 4_000_000,
};

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Tries of each file: what else the machine does makes one slower, never faster.
const TRIES: usize = 5;

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

/// What one try found: work in samples, CPU time, memory in KiB, and what came of it.
fn decode(bytes: &[u8], preprocess: &Preprocess) -> (u64, Duration, u64, String) {
    let budget = LIMITS.budget();
    forget();
    let (_, held) = resident();
    let before = cpu();
    let picture = decode_within(bytes, &LIMITS, &budget);
    let outcome = match &picture {
        Ok(picture) => {
            let scaled = preprocess.rgb8(picture).is_ok();
            format!("{} x {}, scaled: {scaled}", picture.width, picture.height)
        }
        Err(error) => error.to_string(),
    };
    let spent = cpu() - before;
    let work = LIMITS.budget().left() - budget.left();
    (work, spent, resident().0.saturating_sub(held), outcome)
}

fn main() -> std::io::Result<()> {
    let preprocess = Preprocess::new(&InputSpec::new(55, 47, 3, Layout::Nchw, 1.0));
    for file in std::env::args_os().skip(1) {
        let bytes = std::fs::read(&file)?;
        let (work, mut least, memory, outcome) = decode(&bytes, &preprocess);
        for _ in 1..TRIES {
            least = least.min(decode(&bytes, &preprocess).1);
        }
        println!(
            "{}\t{} bytes\t{work} samples\t{:.0} ms\t{:.1} MiB\t{outcome}",
            file.display(),
            bytes.len(),
            least.as_secs_f64() * 1e3,
            memory as f64 / 1024.0,
        );
    }
    Ok(())
}
