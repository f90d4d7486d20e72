//! All cases of a suite, several at a time.

use super::error::BenchError;
use super::measure::measure;
use super::prepare::prepare;
use super::record::{Record, append, read};
use super::suite::{Case, Suite};
use goodnet::engine::{Engine, EngineError};
use goodnet::repair::{Cancel, RepairError};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Where the work is kept and how much of it is done at a time.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// Folder of trained networks, bundles and the raw results.
    pub work: PathBuf,
    /// Networks at a time, one thread each.
    pub at_once: usize,
}

/// Raw results in the work folder, one JSON line a network.
pub const RESULTS_FILE: &str = "results.jsonl";

/// Runs every case that the results do not hold yet, and gives the records of all cases, in their order.
///
/// `start` gives the runtime; it is asked only where something is left to measure. `progress` is told of every record
/// when it is measured, with the number of cases still to do.
///
/// # Errors
/// The first error of a case; what was measured before stays in the results.
pub fn run(
    suite: &Suite,
    jobs: &Jobs,
    start: impl FnOnce() -> Result<Engine, EngineError>,
    cancel: &Cancel,
    progress: &(dyn Fn(&Record, usize) + Sync),
) -> Result<Vec<Record>, BenchError> {
    std::fs::create_dir_all(&jobs.work).map_err(BenchError::at(&jobs.work))?;
    let results = jobs.work.join(RESULTS_FILE);
    let done = read(&results)?;
    let known = |case: &Case| done.iter().any(|record| record.is_of(*case, suite));
    let mut open: Vec<Case> = suite.cases();
    open.retain(|case| !known(case));
    if !open.is_empty() {
        measure_all(suite, jobs, open, &start()?, cancel, progress)?;
    }
    let records = read(&results)?;
    let of_case = |case: Case| records.iter().find(|record| record.is_of(case, suite));
    Ok(suite
        .cases()
        .into_iter()
        .filter_map(of_case)
        .cloned()
        .collect())
}

/// Measures the cases in `open`, in their order, and appends their records to the results.
fn measure_all(
    suite: &Suite,
    jobs: &Jobs,
    mut open: Vec<Case>,
    engine: &Engine,
    cancel: &Cancel,
    progress: &(dyn Fn(&Record, usize) + Sync),
) -> Result<(), BenchError> {
    let results = jobs.work.join(RESULTS_FILE);
    // The next case is taken from the end.
    open.reverse();
    let open = Mutex::new(open);
    let writing = Mutex::new(());
    let work = || -> Result<(), BenchError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        while let Some(case) = next(&open) {
            if cancel.is_cancelled() {
                return Err(RepairError::Cancelled.into());
            }
            let record = pool.install(|| {
                let prepared = prepare(suite, case, engine, &jobs.work, cancel)?;
                measure(suite, case, &prepared, engine, cancel)
            });
            let _turn = lock(&writing);
            let record = record.inspect_err(|_| lock(&open).clear())?;
            append(&results, &record)?;
            progress(&record, lock(&open).len());
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.at_once.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}

/// Takes a case; the lock is held no longer than that.
fn next(open: &Mutex<Vec<Case>>) -> Option<Case> {
    lock(open).pop()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
