//! What the tables of prefix codes of a lossless WebP take in memory, found before anything is decoded (RFC 9649, 3).
//!
//! Pixels are coded in up to 65,536 groups of five codes. The decoder builds a table for each code, of four kilobytes where its
//! header says so in six bytes. How many groups there are is written in an image of its own, so that and the transforms before it
//! are decoded here; the codes behind them are only read.

mod prefix;

use super::work::riff_chunks;
use prefix::{Bits, Code, blocks};

/// The decoder (image-webp 0.2) looks up so many bits in a table of 4 bytes an entry; for a longer code it holds two nodes of 16
/// bytes.
const TABLE_BITS: usize = 10;
const ENTRY: u64 = 4;
const LONG_CODE: u64 = 32;
/// What a code takes in any case.
const CODE: u64 = 64;

/// Bytes that the tables take for the lossless picture of a file and its alpha plane, counted until they are more than `most`; none
/// where a stream of them is damaged, or a picture has more than `max_pixels`.
pub(super) fn table_bytes(webp: &[u8], max_pixels: u64, most: u64) -> Option<u64> {
    let mut bytes = 0;
    for stream in streams(webp) {
        bytes += stream.table_bytes(max_pixels, most)?;
    }
    Some(bytes)
}

/// A lossless stream; where it has no header of its own, with its width and height.
struct Stream<'a> {
    bytes: &'a [u8],
    size: Option<[usize; 2]>,
}

/// The lossless picture that the decoder reads of a file, its only one or its first frame, and the alpha plane that is coded like
/// one.
fn streams(webp: &[u8]) -> impl Iterator<Item = Stream<'_>> {
    let mut chunks = Vec::new();
    let mut canvas = None;
    for (kind, payload) in riff_chunks(webp.get(12..).unwrap_or_default()) {
        match &kind {
            b"VP8X" => canvas = payload.get(4..10).and_then(size),
            b"ANMF" => {
                let frame = payload.get(6..12).and_then(size);
                let inside = riff_chunks(payload.get(16..).unwrap_or_default());
                chunks.extend(inside.map(|(kind, payload)| (kind, payload, frame)));
                break;
            }
            _ => chunks.push((kind, payload, canvas)),
        }
    }
    [b"VP8L", b"ALPH"].into_iter().filter_map(move |wanted| {
        let mut chunks = chunks.iter();
        let &(_, payload, size) = chunks.find(|(kind, ..)| kind == wanted)?;
        match (wanted, payload) {
            (b"VP8L", bytes) => Some(Stream { bytes, size: None }),
            // The lower two bits of an alpha plane's first byte: 1 for lossless (RFC 9649, 2.7.1.2).
            (_, [flags, bytes @ ..]) if flags & 3 == 1 => Some(Stream { bytes, size }),
            _ => None,
        }
    })
}

/// Width and height of a frame or canvas, three bytes each, less one.
fn size(bytes: &[u8]) -> Option<[usize; 2]> {
    let &[a, b, c, d, e, f] = bytes.first_chunk()?;
    let number = |bytes: [u8; 3]| {
        let [a, b, c] = bytes.map(usize::from);
        1 + (a | b << 8 | c << 16)
    };
    Some([number([a, b, c]), number([d, e, f])])
}

impl Stream<'_> {
    fn table_bytes(&self, max_pixels: u64, most: u64) -> Option<u64> {
        let mut bits = Bits {
            bytes: self.bytes,
            at: 0,
        };
        let [width, height] = match self.size {
            Some(size) => size,
            None => bits.header()?,
        };
        if width as u64 * height as u64 > max_pixels {
            return None;
        }
        let width = bits.transforms(width, height)?;
        let cache = bits.cache_bits()?;
        let mut groups = 1;
        if bits.read(1)? == 1 {
            let block = bits.read(3)? + 2;
            let image = bits.image(blocks(width, block), blocks(height, block))?;
            let group = |pixel: &u32| pixel >> 8 & 0xFFFF;
            groups += image.iter().map(group).max().unwrap_or(0);
        }
        let mut bytes = 0;
        for _ in 0..groups {
            bytes += bits.group(cache)?.iter().map(code_bytes).sum::<u64>();
            if bytes > most {
                break;
            }
        }
        Some(bytes)
    }
}

fn code_bytes(code: &Code) -> u64 {
    if code.symbols.len() < 2 {
        return CODE;
    }
    let longest = code.counts.iter().rposition(|&count| count > 0);
    let bits = longest.unwrap_or(0).min(TABLE_BITS);
    let long: usize = code.counts[bits + 1..].iter().sum();
    CODE + (ENTRY << bits) + LONG_CODE * long as u64
}
