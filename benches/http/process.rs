//! A server as a process of its own.

use super::load::Client;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends the process when it is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// `goodnet serve` with `workers` inference threads (else its default), ready.
    pub fn goodnet(bundle: &Path, workers: Option<usize>) -> Self {
        let address = free();
        let mut command = Command::new(env!("CARGO_BIN_EXE_goodnet"));
        command.args(["serve", "--log", "warn", "--listen", &address.to_string()]);
        command.arg("--bundle").arg(bundle);
        if let Some(workers) = workers {
            command.args(["--workers", &workers.to_string()]);
        }
        Self::start(
            command,
            address,
            b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        )
    }

    /// Starts `command`, which listens on `address`, and waits until it answers `probe` with a 200.
    pub fn start(mut command: Command, address: SocketAddr, probe: &[u8]) -> Self {
        const PATIENCE: Duration = Duration::from_secs(300);
        let child = command.process_group(0).spawn().unwrap();
        let server = Self { child, address };
        let started = Instant::now();
        let answers = || Client::connect(address).and_then(|mut client| client.exchange(probe));
        while !answers().is_ok_and(|status| status == 200) {
            assert!(
                started.elapsed() < PATIENCE,
                "the server is not ready in time"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        server
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    /// SIGTERM, since some peers have processes of their own to end; after a while, and for those that they leave behind, harder.
    fn drop(&mut self) {
        let pid = self.child.id();
        signal("-TERM", &pid.to_string());
        let ended = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            matches!(self.child.try_wait(), Ok(Some(_)))
        });
        signal("-KILL", &format!("-{pid}"));
        if !ended {
            let _ = self.child.wait();
        }
    }
}

/// A signal to a process, or to a group that is named with a minus. It may have ended already.
fn signal(name: &str, target: &str) {
    let mut kill = Command::new("kill");
    let _ = kill
        .args([name, "--", target])
        .stderr(Stdio::null())
        .status();
}

/// A free port of loopback.
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
