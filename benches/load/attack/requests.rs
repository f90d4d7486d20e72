//! What the attacks send, byte by byte.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// How often a connection that is not read is tried.
const TRY: Duration = Duration::from_secs(1);

/// A connection whose client does as it likes.
pub(super) struct Stream(TcpStream);

impl Stream {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(TcpStream::connect(address).await?))
    }

    /// With room for few bytes that were sent and not read: what the service has to hold.
    pub(super) async fn open_narrow(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        Ok(Self(socket.connect(address).await?))
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Reads and forgets until the service closes.
    pub(super) async fn closed(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        while self.0.read(&mut buffer).await? > 0 {}
        Ok(())
    }

    /// Reads nothing; ends when the service has given the connection up, which a write finds out.
    pub(super) async fn untaken(&mut self) -> io::Result<()> {
        loop {
            tokio::time::sleep(TRY).await;
            match self.0.try_write(b"\r\n") {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => drop(written?),
            }
        }
    }
}

pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// An image as the body.
pub(super) fn classify(path: &str, host: &str, image: &[u8]) -> Vec<u8> {
    post(path, host, "application/octet-stream", image)
}

/// A batch.
pub(super) fn batch(images: &[Vec<u8>]) -> Vec<u8> {
    let mut form = Vec::new();
    for image in images {
        form.extend_from_slice(
            b"--cut\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n",
        );
        form.extend_from_slice(image);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--cut--\r\n");
    let kind = "multipart/form-data; boundary=cut";
    post("/classify/batch", "localhost", kind, &form)
}

fn post(path: &str, host: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// An HTTP/2 connection (RFC 9113) that asks `count` times for `path` and lets no byte of an answer's body be sent.
pub(super) fn zero_window(path: &str, count: u32) -> Vec<u8> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const END: u8 = 1 | 4;
    const INITIAL_WINDOW_SIZE: [u8; 6] = [0, 4, 0, 0, 0, 0];
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &INITIAL_WINDOW_SIZE));
    for number in 0..count {
        bytes.extend(frame(HEADERS, END, 2 * number + 1, &block(path)));
    }
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of a GET (RFC 7541: GET and http from the static table; host and path as literals).
fn block(path: &str) -> Vec<u8> {
    let host = "localhost";
    let mut block = vec![0x82, 0x86, 0x01, host.len() as u8];
    block.extend(host.bytes());
    block.extend([0x04, path.len() as u8]);
    block.extend(path.bytes());
    block
}
