//! What long work shows: bars on a terminal, lines elsewhere.

use crate::plain::plain;
use crate::repair::{Cancel, Progress, Stage};
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Without a terminal, a stage that lasts tells how far it is this often.
const EVERY: Duration = Duration::from_secs(10);
/// On a terminal, the elapsed time moves this often.
const TICK: Duration = Duration::from_millis(200);

/// Tells on standard error how far a job is, unless the person asked for quiet.
///
/// On a terminal a bar is there from the first stage until the job is dropped; elsewhere every stage is a line, and one more
/// every 10 seconds.
#[derive(Debug)]
pub(super) struct Bars {
    quiet: bool,
    terminal: bool,
    current: Mutex<Shown>,
}

#[derive(Debug)]
enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines(Lines),
}

impl Bars {
    /// Tells unless `quiet`; warnings are told all the same.
    #[must_use]
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal(),
            current: Mutex::new(Shown::Nothing),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shown) -> T) -> T {
        act(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn say(&self, line: &str) {
        let line = plain(line);
        self.with(|shown| match shown {
            Shown::Bar(bar) => bar.suspend(|| eprintln!("{line}")),
            Shown::Nothing | Shown::Lines(_) => eprintln!("{line}"),
        });
    }
}

impl Progress for Bars {
    fn start(&self, stage: Stage, total: u64) {
        if self.quiet {
            return;
        }
        self.with(|shown| {
            if let Shown::Bar(old) = shown {
                old.finish_and_clear();
            }
            *shown = match self.terminal {
                true => Shown::Bar(bar(stage, total)),
                false => Shown::Lines(Lines::start(stage, total)),
            };
        });
    }

    fn advance(&self, images: u64) {
        self.with(|shown| match shown {
            Shown::Bar(bar) => bar.inc(images),
            Shown::Lines(lines) => lines.advance(images),
            Shown::Nothing => {}
        });
    }

    /// A bar stays, its clock running, until the next stage has one: what comes between takes its time too.
    fn finish(&self) {
        self.with(|shown| {
            if let Shown::Lines(_) = shown {
                *shown = Shown::Nothing;
            }
        });
    }

    fn warn(&self, message: &str) {
        self.say(&format!("goodnet: warning: {message}"));
    }

    fn tell(&self, message: &str) {
        if !self.quiet {
            self.say(&format!("goodnet: {message}"));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.with(|shown| {
            if let Shown::Bar(bar) = shown {
                bar.finish_and_clear();
            }
        });
    }
}

fn bar(stage: Stage, total: u64) -> ProgressBar {
    let template = match total {
        0 => "{msg:<18} {spinner} {human_pos} {elapsed}",
        _ => "{msg:<18} {bar:32} {human_pos:>9}/{human_len} {rate:>9} {elapsed} (left {eta})",
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            // A rate that cannot be written is left out.
            let _ = write!(out, "{}", rate(state.per_sec()));
        });
    let bar = ProgressBar::new(total)
        .with_style(style)
        .with_message(stage.title());
    bar.enable_steady_tick(TICK);
    bar
}

/// A rate as a person reads it: `216/s`, `3.4/s`.
fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 10.0 => format!("{}/s", HumanCount(rate.round() as u64)),
        rate => format!("{rate:.1}/s"),
    }
}

/// A stage told in lines.
#[derive(Debug)]
struct Lines {
    done: Arc<AtomicU64>,
    /// Dropped at the end of the stage: that ends the thread.
    _end: Sender<()>,
}

impl Lines {
    fn start(stage: Stage, total: u64) -> Self {
        match total {
            0 => eprintln!("goodnet: {}", stage.title()),
            _ => eprintln!("goodnet: {} ({})", stage.title(), HumanCount(total)),
        }
        let done = Arc::new(AtomicU64::new(0));
        let (end, ended) = channel::<()>();
        let counted = Arc::clone(&done);
        std::thread::spawn(move || {
            let started = Instant::now();
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let count = counted.load(Ordering::Relaxed);
                eprintln!("goodnet: {}", line(stage, count, total, started.elapsed()));
            }
        });
        Self { done, _end: end }
    }

    fn advance(&self, images: u64) {
        self.done.fetch_add(images, Ordering::Relaxed);
    }
}

fn line(stage: Stage, done: u64, total: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let mut line = match (done, total) {
        (0, 0) => stage.title().to_owned(),
        (_, 0) => format!("{}: {}", stage.title(), HumanCount(done)),
        _ => format!(
            "{}: {} of {}",
            stage.title(),
            HumanCount(done),
            HumanCount(total)
        ),
    };
    line += &format!(" after {} s", elapsed.as_secs());
    if done > 0 {
        line += &format!(", {}", rate(done as f64 / seconds.max(0.001)));
    }
    if done > 0 && total > done {
        let left = seconds * (total - done) as f64 / done as f64;
        line += &format!(", about {left:.0} s left");
    }
    line
}

/// A stop request that Ctrl-C and termination signals raise.
#[must_use]
pub fn cancel_on_signal() -> Cancel {
    let cancel = Cancel::default();
    let asked = cancel.clone();
    // A second handler in the same process is refused; the first one stays and does the same.
    let _ = ctrlc::set_handler(move || asked.cancel());
    cancel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_lines_are_readable() {
        assert_eq!(rate(216.4), "216/s");
        assert_eq!(rate(12_345.6), "12,346/s");
        assert_eq!(rate(3.42), "3.4/s");
        let told = line(Stage::Search, 8_000, 24_000, Duration::from_secs(30));
        assert_eq!(
            told,
            "searching: 8,000 of 24,000 after 30 s, 267/s, about 60 s left"
        );
        let done = line(Stage::Search, 24_000, 24_000, Duration::from_secs(30));
        assert_eq!(done, "searching: 24,000 of 24,000 after 30 s, 800/s");
        let first = line(Stage::Search, 0, 24_000, Duration::from_secs(30));
        assert_eq!(first, "searching: 0 of 24,000 after 30 s");
        let uncounted = line(Stage::Refit, 0, 0, Duration::from_secs(30));
        assert_eq!(uncounted, "refitting after 30 s");
    }
}
