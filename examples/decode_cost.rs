//! What decoding files costs, for the figures in docs/SECURITY.md: `decode_cost FILE...` prints the work that was counted, the
//! CPU time of all threads and what came of it.

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

fn main() -> std::io::Result<()> {
    let preprocess = Preprocess::new(&InputSpec::new(55, 47, 3, Layout::Nchw, 1.0));
    for file in std::env::args_os().skip(1) {
        let bytes = std::fs::read(&file)?;
        let budget = LIMITS.budget();
        let before = cpu();
        let picture = decode_within(&bytes, &LIMITS, &budget);
        let outcome = match &picture {
            Ok(picture) => {
                let scaled = preprocess.rgb8(picture).is_ok();
                format!("{} x {}, scaled: {scaled}", picture.width, picture.height)
            }
            Err(error) => error.to_string(),
        };
        let spent = cpu() - before;
        let work = LIMITS.budget().left() - budget.left();
        println!(
            "{}\t{} bytes\t{work} samples\t{:.0} ms\t{outcome}",
            file.display(),
            bytes.len(),
            spent.as_secs_f64() * 1e3
        );
    }
    Ok(())
}
