//! A client that sends any bytes at all and reads what comes back, down to the last byte.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer than any timeout of the services under test.
const PATIENCE: Duration = Duration::from_secs(8);

/// One answer as it came over the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The `code` of a problem document; empty for any other answer.
    pub fn code(&self) -> String {
        let document: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails unless this is an answer as the contract promises: JSON, or a problem document of the same status, or
    /// (where what came was no HTTP) a refusal of the protocol without a body.
    pub fn assert_well_formed(&self, what: &str) {
        let kind = self.headers.get("content-type").map(String::as_str);
        match (self.status, kind) {
            (400 | 414 | 431, None) => assert!(self.body.is_empty(), "{what}: {self:?}"),
            (200, Some("application/json")) => {
                serde_json::from_slice::<Value>(&self.body).expect(what);
            }
            (200, _) => assert!(!self.body.is_empty(), "{what}: {self:?}"),
            (_, Some("application/problem+json")) => {
                let document: Value = serde_json::from_slice(&self.body).expect(what);
                assert_eq!(document["status"], self.status, "{what}");
                assert!(document["error"].is_string(), "{what}: {document}");
            }
            _ => panic!("{what}: neither an answer nor a problem document: {self:?}"),
        }
    }
}

/// A connection and what has come over it.
pub struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Wire {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends as much as the other side takes: it may have answered and closed already.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next answer (those with status 1xx are passed over); `None` where the connection was closed without one.
    pub fn answer(&mut self) -> Option<Answer> {
        loop {
            let answer = self.any_answer()?;
            if answer.status >= 200 {
                return Some(answer);
            }
        }
    }

    fn any_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at;
            }
            if !self.receive() {
                assert!(
                    self.received.is_empty(),
                    "half an answer: {:?}",
                    self.text()
                );
                return None;
            }
        };
        let head: Vec<u8> = self.received.drain(..end + 4).collect();
        let (status, headers) = parse_head(&head);
        let body = match headers.get("content-length") {
            Some(length) => self.body(length.parse().expect("a length")),
            None if status < 200 => Vec::new(),
            None => panic!("an answer without a length: {headers:?}"),
        };
        Some(Answer {
            status,
            headers,
            body,
        })
    }

    fn body(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            assert!(self.receive(), "a body that breaks off: {:?}", self.text());
        }
        self.received.drain(..length).collect()
    }

    /// Reads on; no more is to come where it gives false.
    fn receive(&mut self) -> bool {
        let mut buffer = [0; 8192];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.received.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("no answer within {PATIENCE:?}: {:?}", self.text())
            }
            // Reset: it was closed while something was still on its way there.
            Err(_) => false,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// The next `length` bytes; `None` where the connection was closed before.
    pub fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.received.len() < length {
            if !self.receive() {
                return None;
            }
        }
        Some(self.received.drain(..length).collect())
    }

    /// Was the connection closed, whatever was said, before `limit`?
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        while self.receive() {}
        started.elapsed() < limit
    }

    /// Was the connection closed, with nothing more said, before `limit`?
    pub fn closes_within(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        !self.receive() && started.elapsed() < limit
    }
}

fn parse_head(head: &[u8]) -> (u16, BTreeMap<String, String>) {
    let head = std::str::from_utf8(head).expect("a head of text");
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap_or_default();
    let status = status
        .strip_prefix("HTTP/1.1 ")
        .or(status.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").expect("a header");
        (name.to_ascii_lowercase(), value.to_owned())
    });
    (status.expect("a status line"), headers.collect())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Sends `request` over a connection of its own and gives the answer, if there is one.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut wire = Wire::open(address);
    wire.send(request);
    wire.answer()
}

/// A POST of `body` with these header lines, its length among them.
pub fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: a\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}
