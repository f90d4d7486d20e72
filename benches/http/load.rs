//! A load generator: the same request over and over on keep-alive connections. One thread looks after all of them, so that
//! the load takes as little as it can from the cores that it shares with the server.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// `POST {path}` with `body` as an image, keep-alive.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    post_with(path, "", body)
}

/// The same with more header lines, each with its end.
pub fn post_with(path: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n{lines}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    request
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(1 << 14),
        })
    }

    /// Sends `request` and reads the answer, head and body, which must be a 200.
    pub fn send(&mut self, request: &[u8]) -> Cow<'_, str> {
        let status = self.exchange(request).unwrap();
        self.demand_ok(status);
        String::from_utf8_lossy(&self.received)
    }

    /// Sends `request` and reads the answer; its status.
    pub fn exchange(&mut self, request: &[u8]) -> std::io::Result<u16> {
        self.ask(request)?;
        loop {
            self.read()?;
            if let Some(status) = answered(&self.received) {
                return Ok(status);
            }
        }
    }

    fn ask(&mut self, request: &[u8]) -> std::io::Result<()> {
        self.received.clear();
        self.stream.write_all(request)
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut buffer = [0; 1 << 14];
        match self.stream.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            length => {
                self.received.extend(&buffer[..length]);
                Ok(())
            }
        }
    }

    fn demand_ok(&self, status: u16) {
        let answer = String::from_utf8_lossy(&self.received);
        assert_eq!(status, 200, "{answer}");
    }
}

/// The status of an answer that has come whole.
fn answered(received: &[u8]) -> Option<u16> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim().parse::<usize>().unwrap());
    let whole = match length {
        Some(length) => received.len() >= end + 4 + length,
        // In chunks, the last of which is empty.
        None => received.ends_with(b"\r\n0\r\n\r\n") || !head.contains("chunked"),
    };
    whole.then_some(status)
}

/// Requests a second of `connections` clients that each send as soon as they are answered.
pub fn closed(address: SocketAddr, request: &[u8], connections: usize, during: Duration) -> f64 {
    let started = Instant::now();
    let latencies = drive(address, request, connections, |_, now| {
        (now < during).then_some(now)
    });
    latencies.len() as f64 / started.elapsed().as_secs_f64()
}

/// Sends `count` requests as fast as `connections` clients are answered.
pub fn count(address: SocketAddr, request: &[u8], connections: usize, count: u64) {
    drive(address, request, connections, |turn, now| {
        (turn < count).then_some(now)
    });
}

/// Latencies in seconds, sorted, of requests that are due at a fixed `rate`, counted from when they were due: a slow
/// answer makes the ones after it late, and that is counted (no coordinated omission).
pub fn open(
    address: SocketAddr,
    request: &[u8],
    connections: usize,
    rate: f64,
    during: Duration,
) -> Vec<f64> {
    let total = (rate * during.as_secs_f64()) as u64;
    let mut latencies = drive(address, request, connections, |turn, _| {
        (turn < total).then(|| Duration::from_secs_f64(turn as f64 / rate))
    });
    latencies.sort_by(f64::total_cmp);
    latencies
}

/// Sends request after request, each on a connection that is free and not before it is due, until none is left; the
/// seconds from when each was due to its answer.
///
/// `due` is asked for a request's number and the time since the beginning.
fn drive(
    address: SocketAddr,
    request: &[u8],
    connections: usize,
    due: impl Fn(u64, Duration) -> Option<Duration>,
) -> Vec<f64> {
    let mut clients: Vec<_> = (0..connections)
        .map(|_| Client::connect(address).unwrap())
        .collect();
    let mut free: Vec<usize> = (0..connections).collect();
    let mut asked: Vec<Option<Duration>> = vec![None; connections];
    let mut latencies = Vec::new();
    let mut turn = 0;
    let started = Instant::now();
    loop {
        let now = started.elapsed();
        let next = due(turn, now);
        if let (Some(at), Some(&index)) = (next, free.last())
            && at <= now
        {
            clients[index].ask(request).unwrap();
            asked[index] = Some(at);
            free.pop();
            turn += 1;
            continue;
        }
        if next.is_none() && free.len() == connections {
            return latencies;
        }
        let patience = next
            .filter(|_| !free.is_empty())
            .map(|at| at.saturating_sub(now));
        for index in readable(&clients, &asked, patience) {
            clients[index].read().unwrap();
            let Some(status) = answered(&clients[index].received) else {
                continue;
            };
            clients[index].demand_ok(status);
            let at = asked[index].take().unwrap();
            latencies.push((started.elapsed() - at).as_secs_f64());
            free.push(index);
        }
    }
}

/// The clients that were asked and have something to read, after `patience` at the latest; for ever without.
fn readable(
    clients: &[Client],
    asked: &[Option<Duration>],
    patience: Option<Duration>,
) -> Vec<usize> {
    let waiting: Vec<usize> = (0..clients.len())
        .filter(|&index| asked[index].is_some())
        .collect();
    let mut polled: Vec<_> = waiting
        .iter()
        .map(|&index| PollFd::new(&clients[index].stream, PollFlags::IN))
        .collect();
    let patience = patience.map(|patience| Timespec::try_from(patience).unwrap());
    poll(&mut polled, patience.as_ref()).unwrap();
    let ready = waiting
        .iter()
        .zip(&polled)
        .filter(|(_, polled)| !polled.revents().is_empty());
    ready.map(|(&index, _)| index).collect()
}

/// The value that a share of `sorted` stays under.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}
