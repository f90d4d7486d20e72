//! JPEG files (ITU-T T.81), decoded by libjpeg as mozjpeg carries it: the pixels are those of libjpeg-turbo.
//!
//! The library reports by unwinding, which ends here: damage is an error like any other. What it only warns of, and paints
//! over in grey, is damage too.

use super::detail::Detail;
use super::picture::{ImageError, Limits, RgbImage8, check_sides, too_large};
use super::work::{Budget, RGB, Work, area};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use mozjpeg::{ColorSpace, ColorSpaceExt, Decompress, Marker};
use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr, msg_parm_union};
use std::io::{self, BufRead};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::null;

/// Rows that are decoded before somebody is asked whether the picture is still wanted.
const ROWS: usize = 64;

/// Decodes a JPEG of grey, RGB, YCbCr, CMYK or YCCK, upright by its EXIF orientation; at a half, a quarter or an eighth of its
/// size where that leaves the `detail` that is asked for.
///
/// A file without Huffman tables, a frame of a webcam's stream, is read with the standard ones. Ink is taken to be stored
/// upside down, as Adobe stores it and Pillow reads it, whoever wrote the file: CMYK becomes R = (255 - C)(255 - K) / 255, and
/// so on.
///
/// # Errors
/// If the file is damaged, passes `limits` or is of a kind that nobody but archives has: arithmetic coding, 12 bits.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    budget: &Budget,
    detail: Detail,
) -> Result<RgbImage8, ImageError> {
    let segments = Segments::read(bytes);
    let decoding = || read(bytes, &segments, limits, budget, detail);
    match catch_unwind(AssertUnwindSafe(decoding)) {
        Ok(Ok(picture)) => Ok(picture),
        Ok(Err(Failure::Refused(error))) => Err(error),
        Ok(Err(Failure::Io(error))) => Err(segments.refusal(&error.to_string())),
        Err(_) => Err(segments.refusal("its data do not follow the standard")),
    }
}

/// Why there is no picture.
enum Failure {
    Refused(ImageError),
    Io(io::Error),
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn read(
    bytes: &[u8],
    segments: &Segments,
    limits: &Limits,
    budget: &Budget,
    detail: Detail,
) -> Result<RgbImage8, Failure> {
    let exif = [Marker::APP(1)];
    let decoder = Decompress::with_err(strict()).with_markers(&exif);
    let mut decoder = decoder.from_reader(budget.scans(bytes))?;
    let (width, height) = (decoder.width() as u32, decoder.height() as u32);
    check_sides(width, height, limits)?;
    // Orientation is a hint: a damaged EXIF block does not spoil the picture.
    let exif = decoder
        .markers()
        .find_map(|marker| marker.data.strip_prefix(b"Exif\0\0"));
    let orientation = exif.and_then(Orientation::from_exif_chunk);
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let turn = Turn::new(orientation);
    let (upright_width, upright_height) = turn.sides((width, height));
    let parts = detail.parts(upright_width, upright_height);
    check_part((width, height), parts, limits)?;
    budget.take(&segments.work(bytes, (width, height), parts, turn))?;
    decoder.scale((8 / parts) as u8);
    let pixels = pixels(decoder, budget)?;
    let covered = turn.sides((width * (8 / parts), height * (8 / parts)));
    let picture = RgbImage::from_raw(width.div_ceil(parts), height.div_ceil(parts), pixels)
        .ok_or_else(|| ImageError::Damaged("it has fewer pixels than it says".to_owned()))?;
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    let rgb = picture.into_rgb8();
    Ok(RgbImage8 {
        columns: span(covered.0, rgb.width(), turn.columns_reversed),
        rows: span(covered.1, rgb.height(), turn.rows_reversed),
        ..RgbImage8::new(rgb.width(), rgb.height(), rgb.into_raw())
    })
}

/// Checks that the pixels of one of `parts` of each side are not too many.
fn check_part((width, height): (u32, u32), parts: u32, limits: &Limits) -> Result<(), ImageError> {
    let (part_width, part_height) = (width.div_ceil(parts), height.div_ceil(parts));
    if area(part_width, part_height) <= limits.max_pixels {
        return Ok(());
    }
    let part = match parts {
        1 => String::new(),
        _ => format!(" of {width} x {height}"),
    };
    Err(too_large(
        format!("{} pixels", limits.max_pixels),
        format!("{part_width} x {part_height} pixels{part}"),
    ))
}

/// What makes a picture upright.
#[derive(Clone, Copy)]
struct Turn {
    /// Rows become columns.
    transposed: bool,
    /// The last column, or row, is the first then.
    columns_reversed: bool,
    rows_reversed: bool,
}

impl Turn {
    fn new(orientation: Orientation) -> Self {
        let (transposed, columns_reversed, rows_reversed) = match orientation {
            Orientation::NoTransforms => (false, false, false),
            Orientation::FlipHorizontal => (false, true, false),
            Orientation::FlipVertical => (false, false, true),
            Orientation::Rotate180 => (false, true, true),
            Orientation::Rotate90FlipH => (true, false, false),
            Orientation::Rotate90 => (true, true, false),
            Orientation::Rotate270 => (true, false, true),
            Orientation::Rotate270FlipH => (true, true, true),
        };
        Self {
            transposed,
            columns_reversed,
            rows_reversed,
        }
    }

    /// Most bytes that a picture of so many pixels takes while it is turned: only one whose rows become columns is copied.
    fn bytes(self, pixels: u64) -> u64 {
        let pictures = if self.transposed { 2 } else { 1 };
        pictures * RGB * pixels
    }

    /// Width and height once it is upright.
    fn sides<T>(self, (width, height): (T, T)) -> (T, T) {
        match self.transposed {
            true => (height, width),
            false => (width, height),
        }
    }
}

/// The eighths that `covered` of them are in a line of `count` places, at its end if `reversed`.
fn span(covered: u32, count: u32, reversed: bool) -> Range<u32> {
    match reversed {
        true => 8 * count - covered..8 * count,
        false => 0..covered,
    }
}

/// The pixels in RGB, row by row.
fn pixels<R: BufRead>(decoder: Decompress<R>, budget: &Budget) -> Result<Vec<u8>, Failure> {
    let inked = matches!(
        decoder.color_space(),
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK
    );
    let space = match inked {
        true => ColorSpace::JCS_CMYK,
        false => ColorSpace::JCS_RGB,
    };
    let mut started = decoder.to_colorspace(space)?;
    let row = started.width() * space.num_components();
    let mut pixels = vec![0; row * started.height()];
    for rows in pixels.chunks_mut(row * ROWS) {
        if budget.is_cancelled() {
            return Err(ImageError::Cancelled.into());
        }
        started.read_scanlines_into(rows)?;
    }
    Ok(match inked {
        true => from_cmyk(&pixels),
        false => pixels,
    })
}

/// Red, green and blue of ink that is stored upside down.
fn from_cmyk(pixels: &[u8]) -> Vec<u8> {
    let (colours, _) = pixels.as_chunks::<4>();
    let rgb = colours.iter().flat_map(|&[c, m, y, k]| {
        [c, m, y].map(|ink| {
            let light = u32::from(ink) * u32::from(k);
            u8::try_from((light + 127) / 255).unwrap_or(u8::MAX)
        })
    });
    rgb.collect()
}

/// A handler of errors that unwinds, for warnings too once the headers are read (`global_state` of jpegint.h): libjpeg warns
/// of bytes too many between segments, which cameras write, and of data that it cannot follow.
fn strict() -> jpeg_error_mgr {
    const DSTATE_READY: i32 = 202;

    extern "C-unwind" fn exit(_: &mut jpeg_common_struct) {
        resume_unwind(Box::new(()));
    }
    extern "C-unwind" fn message(decoder: &mut jpeg_common_struct, level: i32) {
        if level < 0 && decoder.global_state > DSTATE_READY {
            exit(decoder);
        }
    }
    extern "C-unwind" fn nothing(_: &mut jpeg_common_struct) {}

    jpeg_error_mgr {
        error_exit: Some(exit),
        emit_message: Some(message),
        output_message: Some(nothing),
        format_message: None,
        reset_error_mgr: Some(nothing),
        msg_code: 0,
        msg_parm: msg_parm_union::default(),
        trace_level: 0,
        num_warnings: 0,
        jpeg_message_table: null(),
        last_jpeg_message: 0,
        addon_message_table: null(),
        first_addon_message: 0,
        last_addon_message: 0,
    }
}

/// Most blocks of a group of 4 x 4 blocks, the largest (T.81, B.2.3), of four components: of a frame that cannot be told.
const MOST_BLOCKS: u64 = 4 * 16;

/// A component of a frame.
struct Component {
    id: u8,
    /// Sampling factors, horizontal and vertical.
    across: u8,
    down: u8,
}

/// What the segments before the first scan say.
#[derive(Default)]
struct Segments {
    /// The marker of the frame; 0 where there is none.
    frame: u8,
    /// Bits of a sample.
    bits: u8,
    /// The components of the frame.
    components: Vec<Component>,
}

impl Segments {
    fn read(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        let mut at = 2;
        while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
            let length = usize::from(u16::from_be_bytes([high, low]));
            match marker {
                // No marker, or the first scan: what the decoder skips until the next marker is not followed here.
                0x00 | 0xDA => break,
                // A fill byte.
                0xFF => {
                    at += 1;
                    continue;
                }
                // Tables of Huffman codes, the extension, conditions of arithmetic coding (T.81, table B.1).
                0xC4 | 0xC8 | 0xCC => {}
                0xC0..=0xCF => {
                    found.frame = marker;
                    found.read_frame(bytes.get(at + 4..).unwrap_or_default());
                }
                _ => {}
            }
            at += 2 + length.max(2);
        }
        found
    }

    /// Reads a frame header behind its length (T.81, B.2.2).
    fn read_frame(&mut self, header: &[u8]) {
        if let Some(&[bits, _, _, _, _, count]) = header.first_chunk() {
            self.bits = bits;
            let components = header[6..].as_chunks::<3>().0.iter();
            let component = |&[id, factors, _]: &[u8; 3]| Component {
                id,
                across: factors >> 4,
                down: factors & 15,
            };
            self.components = components.map(component).take(usize::from(count)).collect();
        }
    }

    /// Why the file is not read: its kind by name, else `what` is damaged.
    fn refusal(&self, what: &str) -> ImageError {
        match (self.frame, self.bits) {
            (0xC9.., _) => ImageError::OtherFormat("a JPEG with arithmetic coding"),
            (0xC5..=0xC7, _) => ImageError::OtherFormat("a hierarchical JPEG"),
            (0xC0..=0xC3, 9..) => ImageError::OtherFormat("a JPEG of more than 8 bits"),
            (0xC3, _) => ImageError::OtherFormat("a lossless JPEG"),
            _ => ImageError::Damaged(what.to_owned()),
        }
    }

    /// What decoding to one of `parts` of each side costs: every scan goes over all blocks of its components, however little it
    /// says of them, which takes a quarter of a sample a coefficient, whatever part is made of them; and every byte takes 3, in a
    /// progressive picture 8.
    ///
    /// Whatever may be the start of a scan counts as one, so that nothing that hides a scan from this count can hide it less
    /// from the decoder.
    fn work(&self, whole: &[u8], (width, height): (u32, u32), parts: u32, turn: Turn) -> Work {
        let scans = whole.windows(2).enumerate();
        let scans = scans.filter(|(_, pair)| *pair == [0xFF, 0xDA]);
        let (mut passes, mut coded) = (0, 0_u64);
        // Is there a scan that leaves a component to another one?
        let mut partial = false;
        for (at, _) in scans {
            let header = whole.get(at + 4..).unwrap_or_default();
            passes += 1;
            coded = coded.saturating_add(self.scanned(header, width, height));
            let components = header.first().map_or(0, |&count| usize::from(count));
            partial |= components < self.components.len();
        }
        let kept = passes > 1 || partial || self.frame == 0xC2;
        let part = area(width.div_ceil(parts), height.div_ceil(parts));
        let byte = if self.frame == 0xC2 { 8 } else { 3 };
        Work {
            width,
            height,
            pixels: part,
            passes,
            coded: coded / 4 + byte * whole.len() as u64,
            bytes: self
                .bytes(area(width, height), part, kept)
                .max(turn.bytes(part)),
        }
    }

    /// Most bytes that decoding `part` of the `pixels` takes: the coefficients of all of them, two bytes each, where they are
    /// `kept` from scan to scan; and of the part all components, and the picture where those are not it.
    fn bytes(&self, pixels: u64, part: u64, kept: bool) -> u64 {
        let samples =
            |component: &Component| u64::from(component.across) * u64::from(component.down);
        if self.components.is_empty() {
            // A frame that is hidden from here: four components with their coefficients.
            return pixels * 4 * 2 + part * (4 + RGB);
        }
        let components = self.components.iter().take(4);
        let (planes, largest) = components.fold((0, 1), |(sum, largest), component| {
            let factors = samples(component);
            (sum + factors, largest.max(factors))
        });
        let coefficients = if kept { 2 } else { 0 };
        let converted = if self.components.len() == 3 { 0 } else { RGB };
        let count = self.components.len().min(4) as u64;
        (pixels * planes).div_ceil(largest) * coefficients + part * (count + converted)
    }

    /// Samples of the blocks of the components that a scan header behind its length names (T.81, B.2.3).
    fn scanned(&self, header: &[u8], width: u32, height: u32) -> u64 {
        let largest = |factor: fn(&Component) -> u8| {
            let factors = self.components.iter().map(factor);
            u32::from(factors.max().unwrap_or(4).max(1))
        };
        let (across, down) = (largest(|c| c.across), largest(|c| c.down));
        // Blocks of 8 x 8 in whole groups of what the sampling factors say (T.81, A.2.4).
        let groups = u64::from(width.div_ceil(8 * across)) * u64::from(height.div_ceil(8 * down));
        let blocks =
            |component: &Component| u64::from(component.across) * u64::from(component.down);
        let named = header.split_first().map_or(&[][..], |(&count, rest)| {
            // The decoder refuses a scan of more than four components (T.81, B.2.3).
            rest.get(..2 * usize::from(count.min(4)))
                .unwrap_or_default()
        });
        // The decoder refuses a scan of a component that the frame lacks.
        let component = |id: u8| self.components.iter().find(|component| component.id == id);
        let ids = named.as_chunks::<2>().0.iter();
        let named = ids.filter_map(|&[id, _]| component(id)).map(blocks).sum();
        let sum = match self.components.is_empty() {
            true => MOST_BLOCKS,
            false => named,
        };
        groups * 64 * sum
    }
}
