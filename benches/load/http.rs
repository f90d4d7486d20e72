//! A keep-alive HTTP/1.1 client that does no more than the load needs.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection to the service.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response, as far as the load looks at it.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) retry_after: bool,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(8 << 10),
        })
    }

    /// Sends a whole request and reads the whole response.
    pub(crate) async fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<Response> {
        self.stream.write_all(head).await?;
        self.stream.write_all(body).await?;
        self.buffer.clear();
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more().await?;
        };
        let head = parse_head(&self.buffer[..end])?;
        while self.buffer.len() < end + head.length {
            self.read_more().await?;
        }
        Ok(Response {
            status: head.status,
            retry_after: head.retry_after,
            body: self.buffer[end..end + head.length].to_vec(),
        })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

struct Head {
    status: u16,
    length: usize,
    retry_after: bool,
}

fn parse_head(bytes: &[u8]) -> io::Result<Head> {
    let malformed = || io::Error::other("a response that is not understood");
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let mut head = Head {
        status: status
            .and_then(|status| status.parse().ok())
            .ok_or_else(malformed)?,
        length: 0,
        retry_after: false,
    };
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        match name {
            "content-length" => head.length = value.parse().map_err(|_| malformed())?,
            "retry-after" => head.retry_after = true,
            _ => {}
        }
    }
    Ok(head)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
