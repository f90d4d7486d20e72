//! The first picture of a GIF (GIF89a), read from its headers.

use super::picture::RgbImage8;
use std::ops::Range;

/// Where the first picture lies on the canvas, and its colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FirstPicture {
    left: u16,
    top: u16,
    pub(super) width: u16,
    pub(super) height: u16,
    /// The colour that is not painted.
    transparent: Option<u8>,
    /// Bytes of the palette within the file; empty where there is none.
    palette: Range<usize>,
}

impl FirstPicture {
    /// The first image descriptor, whatever extensions stand before it; none where there is none.
    pub(super) fn read(gif: &[u8]) -> Option<Self> {
        let mut palette = palette(*gif.get(10)?, 13);
        let mut at = palette.end;
        let mut transparent = None;
        loop {
            match *gif.get(at)? {
                0x2C => {
                    let &[_, a, b, c, d, e, f, g, h, flags] = gif.get(at..)?.first_chunk()?;
                    let local = self::palette(flags, at + 10);
                    if !local.is_empty() {
                        palette = local;
                    }
                    return Some(Self {
                        left: u16::from_le_bytes([a, b]),
                        top: u16::from_le_bytes([c, d]),
                        width: u16::from_le_bytes([e, f]),
                        height: u16::from_le_bytes([g, h]),
                        transparent,
                        palette,
                    });
                }
                // An extension: a label, and blocks up to an empty one.
                0x21 => {
                    // A graphic control extension: flags, a delay of two bytes, the transparent index.
                    if let Some(&[0xF9, 4, flags, _, _, index]) =
                        gif.get(at + 1..).and_then(|rest| rest.first_chunk())
                    {
                        transparent = (flags & 1 != 0).then_some(index);
                    }
                    at += 2;
                    while let length @ 1.. = *gif.get(at)? {
                        at += 1 + usize::from(length);
                    }
                    at += 1;
                }
                _ => return None,
            }
        }
    }

    /// Paints what the picture leaves open of its canvas with the colour that is not painted, or with the first of the
    /// palette where every colour is: decoders leave it black, data sets are read by Pillow.
    pub(super) fn fill_around(&self, gif: &[u8], canvas: &mut RgbImage8) {
        let index = usize::from(self.transparent.unwrap_or(0));
        let palette = gif.get(self.palette.clone()).unwrap_or_default();
        let Some(&colour) = palette.as_chunks::<3>().0.get(index) else {
            return;
        };
        let columns = span(self.left, self.width);
        let rows = span(self.top, self.height);
        let width = canvas.width.max(1) as usize;
        for (at, pixel) in canvas.pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            if !columns.contains(&(at % width)) || !rows.contains(&(at / width)) {
                *pixel = colour;
            }
        }
    }
}

/// The palette that begins `at` if there is one, by the flags of its header.
fn palette(flags: u8, at: usize) -> Range<usize> {
    match flags & 0x80 {
        0 => at..at,
        _ => at..at + (3 << (1 + (flags & 7))),
    }
}

fn span(first: u16, length: u16) -> Range<usize> {
    usize::from(first)..usize::from(first) + usize::from(length)
}
