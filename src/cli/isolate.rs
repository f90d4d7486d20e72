//! Jobs that open strangers' networks: run in a process of their own, under limits, so that whatever a network does to a runtime
//! is one line and an exit code here.

use super::network::MemoryArgs;
use super::serve::seconds;
use super::{CliError, ExitCode};
use clap::Args;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Says to a process that it is the one under limits.
const ISOLATED: &str = "GOODNET_ISOLATED";
/// Address space that a process reserves without using it, in MiB: allocator, threads, the runtime's library.
const RESERVED: u64 = 4 << 10;
/// Time in which a job that has run out of time may end in order.
const GRACE: Duration = Duration::from_secs(5);
/// How often the job is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How a job is held.
#[derive(Debug, Clone, Args)]
pub struct IsolationArgs {
    /// Seconds that the job may take; after that it is stopped, and whatever was there before is untouched (default: as long as it
    /// takes).
    #[arg(long, env = "GOODNET_TIME_LIMIT", value_name = "SECONDS", value_parser = seconds)]
    pub time_limit: Option<Duration>,
    /// Run the job in a process of its own, whose memory is limited and whose crash is reported: whoever made the network may want
    /// it to crash.
    #[arg(
        long,
        env = "GOODNET_ISOLATE",
        value_name = "BOOL",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub isolate: bool,
}

impl IsolationArgs {
    /// Runs `job`: here, or this very command once more in a process under limits.
    ///
    /// # Errors
    /// As `job`; if the process crashes or takes too long.
    pub(super) fn run(
        &self,
        memory: &MemoryArgs,
        job: impl FnOnce() -> Result<ExitCode, CliError>,
    ) -> Result<std::process::ExitCode, CliError> {
        if std::env::var_os(ISOLATED).is_some() {
            self.limit(memory)?;
            return job().map(Into::into);
        }
        if self.isolate {
            return self.outside(memory);
        }
        match self.time_limit {
            Some(_) => Err(CliError::bad_input(
                "--time-limit: expected --isolate true with it: a job in this process cannot be stopped",
            )),
            None => job().map(Into::into),
        }
    }

    /// Limits this process.
    fn limit(&self, memory: &MemoryArgs) -> Result<(), CliError> {
        // With the process that reports goes the one that works.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(CliError::failed)?;
        limit(Resource::Core, 0)?;
        if let Some(megabytes) = memory.most() {
            limit(Resource::As, megabytes.saturating_add(RESERVED) << 20)?;
        }
        if let Some(time) = self.time_limit {
            let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u64;
            limit(Resource::Cpu, ((time + GRACE).as_secs() + 1) * cpus)?;
        }
        Ok(())
    }

    /// Runs this command in another process and reports how it ended.
    fn outside(&self, memory: &MemoryArgs) -> Result<std::process::ExitCode, CliError> {
        let program = std::env::current_exe().map_err(CliError::failed)?;
        let running: Arc<OnceLock<Pid>> = Arc::default();
        let asked = Arc::new(AtomicBool::new(false));
        let stop = |running: &OnceLock<Pid>, signal| {
            if let Some(&pid) = running.get() {
                // It may have ended already.
                let _ = rustix::process::kill_process(pid, signal);
            }
        };
        // Before the process is there: with this one it would be killed, whatever it had begun to write.
        let (asking, to_stop) = (Arc::clone(&asked), Arc::clone(&running));
        // A second handler in the same process is refused; there is none.
        let _ = ctrlc::set_handler(move || {
            asking.store(true, Ordering::SeqCst);
            stop(&to_stop, Signal::TERM);
        });
        let mut child = Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(ISOLATED, "1")
            .envs(super::allocator::setting().iter().copied())
            .spawn()
            .map_err(CliError::failed)?;
        running.get_or_init(|| Pid::from_child(&child));
        if asked.load(Ordering::SeqCst) {
            stop(&running, Signal::TERM);
        }
        let end = self.time_limit.map(|time| Instant::now() + time);
        let (status, late) =
            wait(&mut child, end, |signal| stop(&running, signal)).map_err(CliError::failed)?;
        // A process that had no handler yet is ended by the signal itself.
        if asked.load(Ordering::SeqCst) && status.code().is_none() {
            return Err(CliError::Interrupted);
        }
        self.outcome(status, late, memory)
    }

    fn outcome(
        &self,
        status: ExitStatus,
        late: bool,
        memory: &MemoryArgs,
    ) -> Result<std::process::ExitCode, CliError> {
        let interrupted = Some(ExitCode::Interrupted as i32);
        if late && (status.code().is_none() || status.code() == interrupted) {
            let limit = self.time_limit.unwrap_or_default().as_secs_f64();
            return Err(CliError::failed(format!(
                "expected the job to end within {limit} s, it was stopped; --time-limit allows more"
            )));
        }
        if let Some(code) = status.code() {
            return Ok(u8::try_from(code).unwrap_or(ExitCode::Failed as u8).into());
        }
        let most = memory.most().map_or_else(
            || "without a limit".to_owned(),
            |megabytes| format!("of {megabytes} MB"),
        );
        Err(CliError::failed(format!(
            "the job's process was ended by {}: the network crashes the runtime, or needs more memory than the limit {most} (--memory)",
            status.signal().map_or_else(|| status.to_string(), name)
        )))
    }
}

fn limit(resource: Resource, most: u64) -> Result<(), CliError> {
    let old = rustix::process::getrlimit(resource);
    let most = old.maximum.map_or(most, |old| old.min(most));
    let new = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    rustix::process::setrlimit(resource, new).map_err(CliError::failed)
}

/// Waits for `child`, which is told to stop at `end` and killed if it does not; was it told?
fn wait(
    child: &mut Child,
    end: Option<Instant>,
    stop: impl Fn(Signal),
) -> std::io::Result<(ExitStatus, bool)> {
    let Some(end) = end else {
        return child.wait().map(|status| (status, false));
    };
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, told));
        }
        let now = Instant::now();
        if now >= end + GRACE {
            stop(Signal::KILL);
        } else if now >= end && !told {
            told = true;
            stop(Signal::TERM);
        }
        std::thread::sleep(LOOK);
    }
}

/// A signal by its name.
fn name(signal: i32) -> String {
    match signal {
        4 => "SIGILL".to_owned(),
        6 => "SIGABRT".to_owned(),
        7 => "SIGBUS".to_owned(),
        8 => "SIGFPE".to_owned(),
        9 => "SIGKILL".to_owned(),
        11 => "SIGSEGV".to_owned(),
        24 => "SIGXCPU".to_owned(),
        other => format!("signal {other}"),
    }
}
