//! JPEG files (ITU-T T.81): the decoder, and what files lack that the decoder wants.

use super::picture::{ImageError, Limits, RgbImage8, check_size};
use super::work::{Budget, RGB, Work};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use jpeg_decoder::{ColorTransform, Decoder, Error, PixelFormat, UnsupportedFeature};
use std::borrow::Cow;

/// Bytes that decoding one pixel may take.
const BYTES_PER_PIXEL: u64 = 16;

/// Decodes a JPEG of grey, RGB, YCbCr, CMYK or YCCK, upright by its EXIF orientation.
///
/// Chroma is upsampled with the triangle filter, that of pictures up to four pixels wide by repetition, as libjpeg does. A file without Huffman tables, a frame of a webcam's
/// stream, is read with the standard ones. CMYK becomes R = (255 - C)(255 - K) / 255, and so on.
///
/// # Errors
/// If the file is damaged, passes `limits` or is of a kind that nobody but archives has: arithmetic coding, 12 bits.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    budget: &Budget,
) -> Result<RgbImage8, ImageError> {
    let segments = Segments::read(bytes);
    let whole = segments.with_tables(bytes);
    let mut decoder = Decoder::new(budget.reader(&whole));
    let most = limits.max_pixels.saturating_mul(BYTES_PER_PIXEL);
    decoder.set_max_decoding_buffer_size(usize::try_from(most).unwrap_or(usize::MAX));
    decoder.read_info().map_err(refused)?;
    let narrow = segments.is_narrow();
    if narrow {
        // Y, Cb and Cr as they are.
        decoder.set_color_transform(ColorTransform::RGB);
    }
    let info = decoder
        .info()
        .ok_or_else(|| ImageError::Damaged("it has no frame".to_owned()))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    check_size(width, height, limits)?;
    budget.take(&segments.work(&whole, width, height))?;
    let mut pixels = decoder.decode().map_err(refused)?;
    if narrow {
        from_narrow(&mut pixels, width as usize, segments.halves_rows());
    }
    let rgb = match info.pixel_format {
        PixelFormat::RGB24 => pixels,
        PixelFormat::L8 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        PixelFormat::CMYK32 => from_cmyk(&pixels),
        PixelFormat::L16 => return Err(ImageError::OtherFormat("a lossless JPEG of 16 bits")),
    };
    let picture = RgbImage::from_raw(width, height, rgb)
        .ok_or_else(|| ImageError::Damaged("it has fewer pixels than it says".to_owned()))?;
    let mut picture = DynamicImage::ImageRgb8(picture);
    // Orientation is a hint: a damaged EXIF block does not spoil the picture.
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    picture.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    let rgb = picture.into_rgb8();
    Ok(RgbImage8 {
        width: rgb.width(),
        height: rgb.height(),
        pixels: rgb.into_raw(),
    })
}

/// Turns Y, Cb and Cr of a picture up to four pixels wide into RGB, the chroma repeated: libjpeg applies the triangle filter
/// only where a row of chroma has more than two samples, the decoder always.
fn from_narrow(pixels: &mut [u8], width: usize, halved_rows: bool) {
    let height = pixels.len() / (3 * width);
    for channel in [1, 2] {
        let mut firsts: Vec<f32> = Vec::new();
        for half in 0..width.div_ceil(2) {
            let value = |x: usize, y: usize| f32::from(pixels[(y * width + x) * 3 + channel]);
            // The filter leaves the first and the last sample of a row as they are; of three columns the last is
            // (3 c(1) + c(0)) / 4.
            let filtered: Vec<f32> = (0..height)
                .map(|y| match (half, width) {
                    (0, _) => value(0, y),
                    (_, 3) => (4.0 * value(2, y) - firsts[y]) / 3.0,
                    _ => value(width - 1, y),
                })
                .collect();
            if half == 0 {
                firsts.clone_from(&filtered);
            }
            let samples = match halved_rows {
                true => repeated(&filtered),
                false => filtered,
            };
            for x in 2 * half..width.min(2 * half + 2) {
                for (y, &sample) in samples.iter().enumerate() {
                    pixels[(y * width + x) * 3 + channel] = level(sample);
                }
            }
        }
    }
    for pixel in pixels.as_chunks_mut::<3>().0 {
        *pixel = to_rgb(*pixel);
    }
}

/// The samples c behind rows filtered by the triangle, (3 c(r) + c(r ± 1)) / 4, each twice.
fn repeated(filtered: &[f32]) -> Vec<f32> {
    let last = filtered.len() - 1;
    let row = |at: usize| filtered[at];
    (0..=last)
        .map(|y| {
            let first = y / 2 * 2;
            // Of two neighbours o and p across a border, c = (3 o - p) / 2; at an end o = c.
            let above = match first {
                0 => row(0),
                first => (3.0 * row(first) - row(first - 1)) / 2.0,
            };
            let below = match first + 1 {
                after if after == last => row(after),
                after if after < last => (3.0 * row(after) - row(after + 1)) / 2.0,
                _ => above,
            };
            (above + below) / 2.0
        })
        .collect()
}

/// JFIF's conversion (ITU-T T.871, 7).
fn to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    let rgb = [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ];
    rgb.map(level)
}

fn level(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// Ink is taken to be stored upside down, as Adobe stores it and Pillow reads it, whoever wrote the file.
fn from_cmyk(pixels: &[u8]) -> Vec<u8> {
    let (colours, _) = pixels.as_chunks::<4>();
    let rgb = colours.iter().flat_map(|&[c, m, y, k]| {
        [c, m, y].map(|ink| {
            let light = (255 - u32::from(ink)) * (255 - u32::from(k));
            u8::try_from((light + 127) / 255).unwrap_or(u8::MAX)
        })
    });
    rgb.collect()
}

fn refused(error: Error) -> ImageError {
    match error {
        Error::Unsupported(UnsupportedFeature::ArithmeticEntropyCoding) => {
            ImageError::OtherFormat("a JPEG with arithmetic coding")
        }
        Error::Unsupported(UnsupportedFeature::SamplePrecision(_)) => {
            ImageError::OtherFormat("a JPEG of more than 8 bits")
        }
        Error::Unsupported(UnsupportedFeature::Hierarchical) => {
            ImageError::OtherFormat("a hierarchical JPEG")
        }
        other => ImageError::Damaged(other.to_string()),
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
struct Segments {
    /// Is there a table of Huffman codes, or none needed?
    tables: bool,
    /// Are the three colours R, G and B as they are?
    plain: bool,
    /// Does it come in scans that refine each other?
    progressive: bool,
    /// Width in pixels.
    width: u16,
    /// The components of the frame.
    components: Vec<Component>,
    /// Where the first scan begins.
    scan: usize,
}

impl Segments {
    fn read(bytes: &[u8]) -> Self {
        let mut found = Self {
            tables: false,
            plain: false,
            progressive: false,
            width: 0,
            components: Vec::new(),
            scan: 0,
        };
        let mut at = 2;
        while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
            let length = usize::from(u16::from_be_bytes([high, low]));
            match marker {
                // No marker: what the decoder skips until the next one is not followed here.
                0x00 => break,
                // A fill byte.
                0xFF => {
                    at += 1;
                    continue;
                }
                0xC4 => found.tables = true,
                // Other frames than those of Huffman codes need other tables.
                0xC3 | 0xC5..=0xC7 | 0xC9..=0xCF => found.tables = true,
                0xC0..=0xC2 => {
                    found.progressive = marker == 0xC2;
                    found.frame(bytes.get(at + 4..).unwrap_or_default());
                }
                0xEE if bytes.get(at + 4..at + 9) == Some(b"Adobe") => {
                    found.plain = bytes.get(at + 15) == Some(&0);
                }
                0xDA => {
                    found.scan = at;
                    return found;
                }
                _ => {}
            }
            at += 2 + length.max(2);
        }
        found.tables = true;
        found
    }

    /// Reads a frame header behind its length (T.81, B.2.2).
    fn frame(&mut self, header: &[u8]) {
        if let Some(&[_, _, _, high, low, count]) = header.first_chunk() {
            self.width = u16::from_be_bytes([high, low]);
            let components = header[6..].as_chunks::<3>().0.iter();
            let component = |&[id, factors, _]: &[u8; 3]| Component {
                id,
                across: factors >> 4,
                down: factors & 15,
            };
            self.components = components.map(component).take(usize::from(count)).collect();
        }
    }

    /// Is it a picture whose chroma has half the columns, two at most?
    fn is_narrow(&self) -> bool {
        let factors = |component: &Component| (component.across, component.down);
        let factors: Vec<(u8, u8)> = self.components.iter().map(factors).collect();
        let halved = matches!(factors.as_slice(), [(2, 1 | 2), (1, 1), (1, 1)]);
        halved && (1..=4).contains(&self.width) && !self.plain
    }

    /// Has the chroma half the rows too?
    fn halves_rows(&self) -> bool {
        self.components.first().is_some_and(|first| first.down == 2)
    }

    /// What decoding costs: every scan goes over all blocks of its components, however little it says of them, which takes a
    /// quarter of a sample a coefficient; and every byte takes 3, in a progressive picture 6.
    ///
    /// Whatever may be the start of a scan counts as one, so that nothing that hides a scan from this count can hide it less
    /// from the decoder. `whole` is the file as the decoder sees it.
    fn work(&self, whole: &[u8], width: u32, height: u32) -> Work {
        let scans = whole.windows(2).enumerate();
        let scans = scans.filter(|(_, pair)| *pair == [0xFF, 0xDA]);
        let (mut passes, mut coded) = (0, 0_u64);
        for (at, _) in scans {
            let header = whole.get(at + 4..).unwrap_or_default();
            passes += 1;
            coded = coded.saturating_add(self.scanned(header, width, height));
        }
        let byte = if self.progressive { 6 } else { 3 };
        Work {
            width,
            height,
            passes,
            coded: coded / 4 + byte * whole.len() as u64,
            bytes: self.bytes(width, height),
        }
    }

    /// Most bytes that decoding takes: a component's plane, its coefficients of two bytes where scans refine each other, all
    /// components of all pixels, and the picture where those are not it.
    fn bytes(&self, width: u32, height: u32) -> u64 {
        let pixels = u64::from(width) * u64::from(height);
        let samples =
            |component: &Component| u64::from(component.across) * u64::from(component.down);
        if self.components.is_empty() {
            // A frame that is hidden from here: four components with their coefficients.
            return pixels * (4 * 3 + 4 + RGB);
        }
        let components = self.components.iter().take(4);
        let (planes, largest) = components.fold((0, 1), |(sum, largest), component| {
            let factors = samples(component);
            (sum + factors, largest.max(factors))
        });
        let coefficients = if self.progressive { 2 } else { 0 };
        let converted = if self.components.len() == 3 { 0 } else { RGB };
        let count = self.components.len().min(4) as u64;
        (pixels * planes).div_ceil(largest) * (1 + coefficients) + pixels * (count + converted)
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

    /// The file, with the standard tables before the first scan where there are none.
    fn with_tables<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match bytes.split_at_checked(self.scan) {
            Some((head, scan)) if !self.tables => {
                Cow::Owned([head, &STANDARD_TABLES, scan].concat())
            }
            _ => Cow::Borrowed(bytes),
        }
    }
}

/// The segment that defines the typical Huffman tables: ITU-T T.81, K.3.3, tables K.3 to K.6.
#[rustfmt::skip]
const STANDARD_TABLES: [u8; 420] = [
    0xFF, 0xC4, 0x01, 0xA2, 0x00, 0x00, 0x01, 0x05, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A,
    0x0B, 0x10, 0x00, 0x02, 0x01, 0x03, 0x03, 0x02, 0x04, 0x03, 0x05, 0x05, 0x04, 0x04, 0x00, 0x00,
    0x01, 0x7D, 0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51,
    0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52,
    0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26,
    0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47,
    0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67,
    0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5,
    0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
    0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
    0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6,
    0xF7, 0xF8, 0xF9, 0xFA, 0x01, 0x00, 0x03, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A,
    0x0B, 0x11, 0x00, 0x02, 0x01, 0x02, 0x04, 0x04, 0x03, 0x04, 0x07, 0x05, 0x04, 0x04, 0x00, 0x01,
    0x02, 0x77, 0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07,
    0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33,
    0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19,
    0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46,
    0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66,
    0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83, 0x84, 0x85,
    0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
    0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
    0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8,
    0xD9, 0xDA, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6,
    0xF7, 0xF8, 0xF9, 0xFA,
];
