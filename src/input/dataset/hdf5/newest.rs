//! Files of HDF5 2.0's newest format: their data layout messages (version 5) are read as those of version 4.
//!
//! Version 5 differs in one thing: the sizes of filtered chunks take 8 bytes in an index. The index says so itself (the size
//! of its elements), so that a reader of version 4 reads it right. Source: HDF5 File Format Specification 4.0, IV.A.2.i, and
//! the release notes of HDF5 2.0.0.

use crate::files::open_plain;
use hdf5_pure::{FormatError, Source};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Longest object header that is looked at.
const MAX_HEADER: usize = 64 << 10;
/// Bytes searched at a time.
const WINDOW: usize = 1 << 20;

const DATA_LAYOUT: u8 = 0x08;
const CONTINUATION: u8 = 0x10;
const NEWEST: u8 = 5;
const KNOWN: u8 = 4;

/// A file some bytes of which are read as others.
#[derive(Debug)]
pub(super) struct Overlay {
    file: Mutex<File>,
    len: u64,
    /// Bytes by their place in the file.
    patches: BTreeMap<u64, u8>,
}

impl Overlay {
    /// The file at `path` with every layout message of version 5 as one of version 4; none where there is no such message.
    pub(super) fn open(path: &Path) -> std::io::Result<Option<Self>> {
        let mut file = open_plain(path)?;
        let len = file.metadata()?.len();
        let mut patches = BTreeMap::new();
        for at in headers(&mut file)? {
            patch_header(&mut file, at, &mut patches)?;
        }
        let file = Mutex::new(file);
        Ok((!patches.is_empty()).then_some(Self { file, len, patches }))
    }
}

impl Source for Overlay {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FormatError> {
        let end = offset.saturating_add(buf.len() as u64);
        if end > self.len {
            return Err(FormatError::UnexpectedEof {
                expected: usize::try_from(end).unwrap_or(usize::MAX),
                available: usize::try_from(self.len).unwrap_or(usize::MAX),
            });
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        read_at(&mut file, offset, buf).map_err(|error| FormatError::Source(error.to_string()))?;
        for (&at, &byte) in self.patches.range(offset..end) {
            buf[(at - offset) as usize] = byte;
        }
        Ok(())
    }
}

fn read_at(file: &mut File, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buf)
}

/// At most `len` bytes from `offset` on.
fn some_at(file: &mut File, offset: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.by_ref().take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where the signature of an object header stands; data may hold it too, whose checksum then fails.
fn headers(file: &mut File) -> std::io::Result<Vec<u64>> {
    const SIGNATURE: &[u8; 4] = b"OHDR";
    let mut found = Vec::new();
    let mut offset = 0;
    loop {
        // Windows overlap, so that no signature lies across an end.
        let window = some_at(file, offset, WINDOW + SIGNATURE.len() - 1)?;
        let places = window.windows(SIGNATURE.len()).enumerate();
        let places = places.filter(|(_, bytes)| bytes == SIGNATURE);
        found.extend(places.map(|(at, _)| offset + at as u64));
        if window.len() < WINDOW {
            return Ok(found);
        }
        offset += WINDOW as u64;
    }
}

/// A message of an object header.
pub(super) struct Message {
    pub(super) kind: u8,
    /// Where its content begins in the header.
    pub(super) at: usize,
    pub(super) content: Vec<u8>,
}

/// A block of messages of an object header of version 2, whose checksum holds.
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Do messages carry the order in which they were made?
    ordered: bool,
    /// Where the messages begin.
    first: usize,
}

impl Block {
    /// The first block of the header at `offset`.
    pub(super) fn first(file: &mut File, offset: u64) -> std::io::Result<Option<Self>> {
        let bytes = some_at(file, offset, MAX_HEADER)?;
        Ok(Self::parse(bytes))
    }

    fn parse(mut bytes: Vec<u8>) -> Option<Self> {
        if bytes.get(..5)? != b"OHDR\x02" {
            return None;
        }
        let flags = *bytes.get(5)?;
        let mut at = 6;
        if flags & 0x20 != 0 {
            at += 16;
        }
        if flags & 0x10 != 0 {
            at += 4;
        }
        let width = 1 << (flags & 3);
        let size = number(bytes.get(at..at + width)?);
        let first = at + width;
        let end = first.checked_add(usize::try_from(size).ok()?)?;
        bytes.truncate(end.checked_add(4)?);
        Self::checked(bytes, flags & 4 != 0, first)
    }

    /// The block of `len` bytes at `offset` that goes on where another one ends.
    fn next(&self, file: &mut File, offset: u64, len: u64) -> std::io::Result<Option<Self>> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > MAX_HEADER {
            return Ok(None);
        }
        let bytes = some_at(file, offset, len)?;
        if bytes.len() < len || !bytes.starts_with(b"OCHK") {
            return Ok(None);
        }
        Ok(Self::checked(bytes, self.ordered, 4))
    }

    fn checked(bytes: Vec<u8>, ordered: bool, first: usize) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        (body.len() >= first && lookup3(body) == u32::from_le_bytes(*sum)).then_some(Self {
            bytes,
            ordered,
            first,
        })
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        let end = self.bytes.len() - 4;
        let head = if self.ordered { 6 } else { 4 };
        let mut at = self.first;
        let mut found = Vec::new();
        while at + head <= end {
            let kind = self.bytes[at];
            let size = usize::from(u16::from_le_bytes([self.bytes[at + 1], self.bytes[at + 2]]));
            let content = at + head;
            let Some(bytes) = self.bytes.get(content..content + size) else {
                break;
            };
            found.push(Message {
                kind,
                at: content,
                content: bytes.to_vec(),
            });
            at = content + size;
        }
        found
    }
}

fn patch_header(
    file: &mut File,
    offset: u64,
    patches: &mut BTreeMap<u64, u8>,
) -> std::io::Result<()> {
    let Some(first) = Block::first(file, offset)? else {
        return Ok(());
    };
    let mut blocks = vec![(offset, first)];
    let mut seen = 0;
    while let Some((offset, block)) = blocks.pop() {
        // A header has few blocks; a hostile one may lead round in circles.
        seen += 1;
        if seen > 64 {
            break;
        }
        let mut bytes = block.bytes.clone();
        for message in block.messages() {
            match (message.kind, message.content.as_slice()) {
                (DATA_LAYOUT, [NEWEST, ..]) => {
                    bytes[message.at] = KNOWN;
                    patches.insert(offset + message.at as u64, KNOWN);
                }
                (CONTINUATION, content) if content.len() == 16 => {
                    let (at, len) = (number(&content[..8]), number(&content[8..]));
                    blocks.extend(block.next(file, at, len)?.map(|next| (at, next)));
                }
                _ => {}
            }
        }
        if bytes != block.bytes {
            let end = bytes.len() - 4;
            let sum = lookup3(&bytes[..end]).to_le_bytes();
            patches.extend((offset + end as u64..).zip(sum));
        }
    }
    Ok(())
}

/// A little-endian number of at most 8 bytes.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// `hashlittle` of Bob Jenkins' lookup3.c (public domain) with the initial value 0: the checksum of HDF5's metadata.
fn lookup3(data: &[u8]) -> u32 {
    let start = 0xDEAD_BEEF_u32.wrapping_add(data.len() as u32);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = data;
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        a = a.wrapping_add(number(&block[..4]) as u32);
        b = b.wrapping_add(number(&block[4..8]) as u32);
        c = c.wrapping_add(number(&block[8..]) as u32);
        for (x, y, z, turn) in [
            (0, 2, 1, 4),
            (1, 0, 2, 6),
            (2, 1, 0, 8),
            (0, 2, 1, 16),
            (1, 0, 2, 19),
            (2, 1, 0, 4),
        ] {
            let mut words = [a, b, c];
            words[x] = words[x].wrapping_sub(words[y]) ^ words[y].rotate_left(turn);
            words[y] = words[y].wrapping_add(words[z]);
            [a, b, c] = words;
        }
        rest = after;
    }
    if rest.is_empty() {
        return c;
    }
    let mut last = [0; 12];
    last[..rest.len()].copy_from_slice(rest);
    a = a.wrapping_add(number(&last[..4]) as u32);
    b = b.wrapping_add(number(&last[4..8]) as u32);
    c = c.wrapping_add(number(&last[8..]) as u32);
    for (x, y, turn) in [
        (2, 1, 14),
        (0, 2, 11),
        (1, 0, 25),
        (2, 1, 16),
        (0, 2, 4),
        (1, 0, 14),
        (2, 1, 24),
    ] {
        let mut words = [a, b, c];
        words[x] = (words[x] ^ words[y]).wrapping_sub(words[y].rotate_left(turn));
        [a, b, c] = words;
    }
    c
}

#[cfg(test)]
mod tests {
    use super::lookup3;

    #[test]
    fn the_checksum_is_that_of_lookup3() {
        // driver5 of lookup3.c.
        assert_eq!(lookup3(b""), 0xDEAD_BEEF);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}
