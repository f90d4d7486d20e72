//! A load generator: one thread a connection, keep-alive, the same request over and over.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// `POST {path}` with `body` as an image, keep-alive.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    request
}

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self {
            stream: BufReader::with_capacity(1 << 14, stream),
            line: String::new(),
            body: Vec::new(),
        })
    }

    /// Sends `request`, reads the answer, and demands that it is a 200.
    pub fn send(&mut self, request: &[u8]) -> &[u8] {
        let status = self.exchange(request).unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&self.body));
        &self.body
    }

    /// Sends `request` and reads the answer into the buffer; its status.
    pub fn exchange(&mut self, request: &[u8]) -> std::io::Result<u16> {
        self.stream.get_mut().write_all(request)?;
        let status = self
            .head()?
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut length = 0;
        while let line = self.head()?
            && !line.is_empty()
        {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        status.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))
    }

    fn head(&mut self) -> std::io::Result<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.line.trim_end())
    }
}

/// Requests a second of `connections` clients that each send as soon as they are answered.
pub fn closed(address: SocketAddr, request: &[u8], connections: usize, during: Duration) -> f64 {
    let answered = AtomicU64::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut client = Client::connect(address).unwrap();
                while started.elapsed() < during {
                    client.send(request);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    answered.into_inner() as f64 / started.elapsed().as_secs_f64()
}

/// Sends `count` requests as fast as `connections` clients are answered.
pub fn count(address: SocketAddr, request: &[u8], connections: usize, count: u64) {
    let left = AtomicU64::new(count);
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut client = Client::connect(address).unwrap();
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
                {
                    client.send(request);
                }
            });
        }
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
    let next = AtomicU64::new(0);
    let total = (rate * during.as_secs_f64()) as u64;
    let started = Instant::now();
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::connect(address).unwrap();
                    let mut latencies = Vec::new();
                    loop {
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        if turn >= total {
                            return latencies;
                        }
                        let due = Duration::from_secs_f64(turn as f64 / rate);
                        if let Some(wait) = due.checked_sub(started.elapsed()) {
                            std::thread::sleep(wait);
                        }
                        client.send(request);
                        latencies.push((started.elapsed() - due).as_secs_f64());
                    }
                })
            })
            .collect();
        for client in clients {
            all.extend(client.join().unwrap());
        }
    });
    all.sort_by(f64::total_cmp);
    all
}

/// The value that a share of `sorted` stays under.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}
