//! Progress bars on a terminal; silence elsewhere.

use crate::repair::{Cancel, Progress, Stage};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

/// Bars on standard error, if that is a terminal and the person did not ask for quiet.
#[derive(Debug)]
pub(super) struct Bars {
    visible: bool,
    current: Mutex<ProgressBar>,
}

impl Bars {
    /// Bars that show unless `quiet`.
    #[must_use]
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            visible: !quiet && std::io::stderr().is_terminal(),
            current: Mutex::new(ProgressBar::hidden()),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut ProgressBar) -> T) -> T {
        act(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Progress for Bars {
    fn start(&self, stage: Stage, total: u64) {
        if !self.visible {
            return;
        }
        let style =
            ProgressStyle::with_template("{msg:<18} {bar:32} {pos:>7}/{len} {per_sec:>12} {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total)
            .with_style(style)
            .with_message(stage.title());
        self.with(|current| *current = bar);
    }

    fn advance(&self, images: u64) {
        self.with(|bar| bar.inc(images));
    }

    fn finish(&self) {
        self.with(|bar| bar.finish_and_clear());
    }

    fn warn(&self, message: &str) {
        self.with(|bar| bar.suspend(|| eprintln!("goodnet: warning: {message}")));
    }
}

/// A stop request that Ctrl-C and termination signals raise.
#[must_use]
pub(super) fn cancel_on_signal() -> Cancel {
    let cancel = Cancel::default();
    let asked = cancel.clone();
    // A second handler in the same process is refused; the first one stays and does the same.
    let _ = ctrlc::set_handler(move || asked.cancel());
    cancel
}
