//! What decoding a file costs, counted from its headers before any pixel is decoded.
//!
//! The unit is a *sample*: about what one number of one pixel costs to convert, 6 ns where this was measured. Every format's
//! pixels, passes and bytes are counted as so many of them (`benches/decode_cost.rs`, figures in docs/SECURITY.md). A file of
//! a few bytes can ask for billions, by its size or by the number of its passes; [`Budget`] is what it may ask for, of memory too.

use super::gif::FirstPicture;
use super::memory::{Held, Memory};
use super::picture::ImageError;
use crate::progress::Cancel;
use std::fmt::Write;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Samples that the decoding of one image, or of all images of a request, may still visit. Clones share what is left.
#[derive(Debug, Clone)]
pub struct Budget {
    whole: u64,
    left: Arc<AtomicU64>,
    bytes: u64,
    exceeded: Arc<AtomicBool>,
    cancel: Cancel,
    memory: Option<Memory>,
    held: Arc<OnceLock<Held>>,
}

impl Budget {
    /// A budget of `samples`, for images of which none takes more than `bytes` of memory.
    #[must_use]
    pub fn new(samples: u64, bytes: u64) -> Self {
        Self::until(samples, bytes, Cancel::default())
    }

    /// As [`Budget::new`], for work that nobody wants any more once `cancel` says so: decoding ends then, inside an image too,
    /// when its decoder next asks for bytes of the file.
    #[must_use]
    pub fn until(samples: u64, bytes: u64, cancel: Cancel) -> Self {
        Self {
            whole: samples,
            left: Arc::new(AtomicU64::new(samples)),
            bytes,
            exceeded: Arc::default(),
            cancel,
            memory: None,
            held: Arc::default(),
        }
    }

    /// The same samples for one picture, which waits for the bytes that it takes of `memory` and gives them back when the last
    /// clone of this is dropped.
    #[must_use]
    pub fn one_within(&self, memory: &Memory) -> Self {
        Self {
            memory: Some(memory.clone()),
            held: Arc::default(),
            ..self.clone()
        }
    }

    /// Samples that are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.load(Relaxed)
    }

    /// Was there work that did not fit?
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.exceeded.load(Relaxed)
    }

    /// Does nobody want the work any more?
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// `bytes` to read for as long as the work is wanted.
    pub(super) fn reader<'a>(&'a self, bytes: &'a [u8]) -> WantedReader<'a> {
        WantedReader {
            bytes: Cursor::new(bytes),
            budget: self,
            piece: |rest| rest.len().min(PIECE),
        }
    }

    /// As [`Budget::reader`], for a JPEG: a piece ends where a scan may begin, however short the scans are.
    pub(super) fn scans<'a>(&'a self, bytes: &'a [u8]) -> WantedReader<'a> {
        WantedReader {
            piece: |rest| {
                let most = rest.len().min(SCAN_PIECE);
                let markers = rest[..most].windows(2).skip(1);
                let scan = markers.into_iter().position(|pair| pair == [0xFF, 0xDA]);
                scan.map_or(most, |at| at + 1)
            },
            ..self.reader(bytes)
        }
    }

    /// Takes what `work` costs, and waits for its memory; what does not fit takes nothing.
    pub(super) fn take(&self, work: &Work) -> Result<(), ImageError> {
        if work.bytes > self.bytes {
            self.exceeded.store(true, Relaxed);
            return Err(ImageError::TooLarge {
                limit: format!("{} bytes of memory to decode", self.bytes),
                found: format!("{} ({})", work.bytes, work.described()),
            });
        }
        let samples = work.samples();
        let less = |left: u64| left.checked_sub(samples);
        match self.left.fetch_update(Relaxed, Relaxed, less) {
            Ok(_) => {
                if let Some(memory) = &self.memory {
                    self.held.get_or_init(|| memory.take(work.bytes));
                }
                Ok(())
            }
            Err(left) => {
                self.exceeded.store(true, Relaxed);
                Err(self.refusal(work, samples, left))
            }
        }
    }

    fn refusal(&self, work: &Work, samples: u64, left: u64) -> ImageError {
        let mut found = format!("{samples} ({})", work.described());
        if left < self.whole {
            // Writing into a string cannot fail.
            let _ = write!(found, " with {left} left");
        }
        ImageError::TooLarge {
            limit: format!("{} samples to decode", self.whole),
            found,
        }
    }
}

/// Bytes that a decoder is given at once, so that it has to come back for more.
const PIECE: usize = 512;
/// The same of a JPEG, whose decoder is slow at the end of a piece.
const SCAN_PIECE: usize = 64 << 10;

/// The bytes of a file, which end with an error once nobody wants the picture any more.
pub(super) struct WantedReader<'a> {
    bytes: Cursor<&'a [u8]>,
    budget: &'a Budget,
    /// How many of the bytes that are left are given at once.
    piece: fn(&[u8]) -> usize,
}

impl WantedReader<'_> {
    fn check(&self) -> io::Result<()> {
        match self.budget.is_cancelled() {
            true => Err(io::Error::other("nobody wants the picture any more")),
            false => Ok(()),
        }
    }
}

impl Read for WantedReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.bytes.read(into)
    }
}

impl BufRead for WantedReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..(self.piece)(rest)])
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Seek for WantedReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// The work on one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Pixels that are made of it.
    pub(super) pixels: u64,
    /// How often the decoder goes over the picture.
    pub(super) passes: u64,
    /// Samples that this costs beside what every pixel costs.
    pub(super) coded: u64,
    /// Most bytes that the decoder and its picture take, beside the file.
    pub(super) bytes: u64,
}

/// Bytes of a pixel of the picture that comes out.
pub(super) const RGB: u64 = 3;

/// Samples that a pixel costs in every format: its colours are converted, and it is scaled.
const PIXEL: u64 = 3;

impl Work {
    fn described(&self) -> String {
        let size = format!("{} x {} pixels", self.width, self.height);
        match self.passes {
            1 => size,
            passes => format!("{size} in {passes} passes"),
        }
    }

    fn samples(&self) -> u64 {
        self.coded.saturating_add(self.pixels.saturating_mul(PIXEL))
    }

    /// A PNG whose pixels are decoded to so many bytes each: a sample for four of them, twice where they are interlaced, and
    /// four a byte of the file.
    pub(super) fn from_png(png: &[u8], width: u32, height: u32, pixel_bytes: u8) -> Self {
        // The last byte of the header chunk (ISO 15948, 11.2.2).
        let interlaced = png.get(28).is_some_and(|&method| method != 0);
        let pixel = u64::from(pixel_bytes.div_ceil(4)) * (1 + u64::from(interlaced));
        Self {
            width,
            height,
            pixels: area(width, height),
            passes: if interlaced { 7 } else { 1 },
            coded: area(width, height) * pixel + 4 * png.len() as u64,
            bytes: area(width, height) * u64::from(pixel_bytes)
                + converted(width, height, pixel_bytes),
        }
    }

    /// A GIF: a sample a pixel of its canvas, four a pixel of its first picture, which may be larger, and two a byte.
    pub(super) fn from_gif(gif: &[u8], width: u32, height: u32) -> Self {
        let first = FirstPicture::read(gif);
        let first = first.map_or(0, |first| area(first.width.into(), first.height.into()));
        Self {
            width,
            height,
            pixels: area(width, height),
            passes: 1,
            coded: area(width, height) + 4 * first + 2 * gif.len() as u64,
            bytes: 4 * first + area(width, height) * (4 + RGB),
        }
    }

    /// A WebP: a sample a pixel, five a byte, and 20 more a byte of a lossy picture; `tables` are the bytes of its prefix codes.
    pub(super) fn from_webp(webp: &[u8], width: u32, height: u32, tables: u64) -> Self {
        let chunks = riff_chunks(webp.get(12..).unwrap_or_default());
        let lossy = chunks.filter(|(kind, _)| kind == b"VP8 " || kind == b"ANMF");
        let lossy: u64 = lossy.map(|(_, content)| content.len() as u64).sum();
        // Planes, or four bytes, and the picture; one of the extended format may have a canvas and a plane of alpha beside them.
        let pixel = match webp.get(12..16) {
            Some(b"VP8X") => 4 + 4 + RGB,
            _ => 4 + RGB,
        };
        Self {
            width,
            height,
            pixels: area(width, height),
            passes: 1,
            coded: area(width, height) + 5 * webp.len() as u64 + 20 * lossy,
            bytes: tables + area(width, height) * pixel,
        }
    }

    /// A BMP: a sample a pixel, which is decoded to so many bytes.
    pub(super) fn from_bmp(width: u32, height: u32, pixel_bytes: u8) -> Self {
        Self {
            width,
            height,
            pixels: area(width, height),
            passes: 1,
            coded: area(width, height),
            bytes: area(width, height) * u64::from(pixel_bytes)
                + converted(width, height, pixel_bytes),
        }
    }
}

pub(super) fn area(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Bytes that a picture takes while its pixels are converted from so many bytes each, or turned; more than five are converted in
/// place.
fn converted(width: u32, height: u32, pixel_bytes: u8) -> u64 {
    match pixel_bytes {
        6.. => 0,
        _ => area(width, height) * RGB,
    }
}

/// Kind and content of every chunk of a RIFF file (RFC 9649, 2.3), padded to even lengths; `chunks` are what follows its header.
pub(super) fn riff_chunks(chunks: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = chunks;
    std::iter::from_fn(move || {
        let (&[k0, k1, k2, k3, ref length @ ..], content) = rest.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let padded = length.saturating_add(1) & !1;
        rest = content.get(padded..).unwrap_or_default();
        Some(([k0, k1, k2, k3], content.get(..length).unwrap_or(content)))
    })
}
