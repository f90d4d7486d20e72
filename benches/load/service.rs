//! `goodnet serve` as a process, and what the system says of it.

use crate::Result;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A running service; killed when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    reloads: Arc<AtomicUsize>,
    errors: Arc<AtomicUsize>,
    /// Its log, where nobody reads it: open, and full sooner or later.
    _unread: Option<Lines<BufReader<ChildStderr>>>,
}

/// What becomes of a service's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// It is read; requests write nothing.
    Read,
    /// It is read until the service has started and no further; every request writes a line.
    Stopped,
}

/// What a process holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Resident memory in KiB.
    pub(crate) resident_kib: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
}

impl Service {
    /// Starts the service and waits until it has a bundle in service.
    pub(crate) fn start(goodnet: &Path, bundle: &Path, options: &[&str]) -> Result<Self> {
        Self::start_logging(goodnet, bundle, options, Log::Read)
    }

    /// As [`Service::start`], with a say in what becomes of its log.
    pub(crate) fn start_logging(
        goodnet: &Path,
        bundle: &Path,
        options: &[&str],
        log: Log,
    ) -> Result<Self> {
        let filter = match log {
            Log::Read => "goodnet::request=error,info",
            Log::Stopped => "info",
        };
        let mut child = Command::new(goodnet)
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--log", filter, "--reload-interval", "0"])
            .arg("--bundle")
            .arg(bundle)
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", goodnet.display()))?;
        let stderr = child.stderr.take().ok_or("the service has no log")?;
        let mut lines = BufReader::new(stderr).lines();
        let (mut address, mut last) = (None, String::new());
        for line in lines.by_ref().map_while(std::io::Result::ok) {
            if let Some(url) = field(&line, "url") {
                address = url
                    .trim_start_matches("http://")
                    .trim_end_matches('/')
                    .parse()
                    .ok();
            }
            if line.contains(IN_SERVICE) {
                break;
            }
            last = line;
        }
        let Some(address) = address else {
            return Err(format!("the service did not start: {last}").into());
        };
        let (reloads, errors) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let unread = match log {
            Log::Stopped => Some(lines),
            Log::Read => {
                let counters = (Arc::clone(&reloads), Arc::clone(&errors));
                std::thread::spawn(move || count(lines, &counters.0, &counters.1));
                None
            }
        };
        Ok(Self {
            child,
            address,
            reloads,
            errors,
            _unread: unread,
        })
    }

    /// Bundles put into service after the first.
    pub(crate) fn reloads(&self) -> usize {
        self.reloads.load(Relaxed)
    }

    /// Errors in its log.
    pub(crate) fn errors(&self) -> usize {
        self.errors.load(Relaxed)
    }

    /// Tells it to load its bundle again.
    pub(crate) fn reload(&self) -> Result<()> {
        self.signal("-HUP")
    }

    /// Tells it to leave, and fails unless it leaves in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal("-INT")?;
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(format!("the service ended with {status}").into())
    }

    fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status()?;
        if status.success() {
            return Ok(());
        }
        Err("the service is not there any more".into())
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        let folder = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Ok(Usage {
            resident_kib: value("VmRSS:"),
            threads: value("Threads:"),
            descriptors: fs::read_dir(format!("{folder}/fd"))?.count() as u64,
        })
    }

    /// Its sockets that are neither its listener nor a loopback connection to it, as the system lists them.
    pub(crate) fn foreign_sockets(&self) -> Result<Vec<String>> {
        let folder = format!("/proc/{}", self.child.id());
        let mut own = BTreeSet::new();
        for entry in fs::read_dir(format!("{folder}/fd"))? {
            // A descriptor may close while it is looked at.
            let Ok(target) = fs::read_link(entry?.path()) else {
                continue;
            };
            let target = target.to_string_lossy().into_owned();
            if let Some(inode) = target.strip_prefix("socket:[") {
                own.insert(inode.trim_end_matches(']').to_owned());
            }
        }
        let port = format!(":{:04X}", self.address.port());
        let mut foreign = Vec::new();
        for table in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
            let text = fs::read_to_string(format!("{folder}/net/{table}")).unwrap_or_default();
            for line in text.lines().skip(1) {
                let columns: Vec<&str> = line.split_whitespace().collect();
                let (Some(local), Some(remote), Some(inode)) =
                    (columns.get(1), columns.get(2), columns.get(9))
                else {
                    continue;
                };
                let expected = table == "tcp"
                    && local.ends_with(&port)
                    && (remote.starts_with(LOOPBACK) || *remote == "00000000:0000");
                if own.contains(*inode) && !expected {
                    foreign.push(format!("{table} {local} -> {remote}"));
                }
            }
        }
        Ok(foreign)
    }
}

/// Counts what the log tells, to its end.
fn count(lines: Lines<BufReader<ChildStderr>>, reloads: &AtomicUsize, errors: &AtomicUsize) {
    for line in lines.map_while(std::io::Result::ok) {
        if line.contains(IN_SERVICE) {
            reloads.fetch_add(1, Relaxed);
        } else if line.contains("\"ERROR\"") {
            eprintln!("service: {line}");
            errors.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const IN_SERVICE: &str = "a bundle is in service";
/// 127.0.0.1 as `/proc/net/tcp` writes it.
const LOOPBACK: &str = "0100007F:";

fn field(line: &str, name: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(line.get(name)?.as_str()?.to_owned())
}
