//! Image files that lie, break off, or are of a rare kind, each with the status that `POST /classify` must give.
//!
//! Beside those made here, every file of `tests/fixtures/images` is sent: orientations, colour types, animations.

use super::service::{RED, encode};
use image::ImageFormat;
use serde_json::Value;
use std::path::Path;

/// A file, the statuses that are right for it, and why.
pub struct Case {
    pub name: String,
    pub file: Vec<u8>,
    pub statuses: &'static [u16],
    pub why: &'static str,
}

fn case(
    name: impl Into<String>,
    file: impl Into<Vec<u8>>,
    statuses: &'static [u16],
    why: &'static str,
) -> Case {
    Case {
        name: name.into(),
        file: file.into(),
        statuses,
        why,
    }
}

pub const FORMATS: [ImageFormat; 5] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Gif,
];

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = fixtures();
    for format in FORMATS {
        cases.extend(cut(format));
        cases.extend(flipped(format));
    }
    cases.extend(bombs());
    cases.extend(of_two_kinds());
    cases.extend(no_images());
    cases
}

/// The committed fixtures, as `expected.json` says; the service's limits are those it was written for.
fn fixtures() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images");
    let text = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let files = expected["files"].as_object().unwrap();
    let case = |(name, expected): (&String, &Value)| {
        let (statuses, why): (&[u16], _) = match expected["outcome"].as_str().unwrap() {
            "pixels" | "white" => (&[200], "an image, however rare its kind"),
            "any" => (&[200, 422], "decoders differ on it"),
            "too_large" => (&[422], "more pixels than allowed, told by the header alone"),
            "damaged" => (&[422], "no whole image"),
            "unsupported" => (&[422], "another format, whatever its name says"),
            other => panic!("{name}: {other}"),
        };
        case(
            name,
            std::fs::read(folder.join(name)).unwrap(),
            statuses,
            why,
        )
    };
    files.iter().map(case).collect()
}

fn whole(format: ImageFormat) -> Vec<u8> {
    encode(RED, 24, 16, format)
}

/// Cut off after every eighth of the file.
fn cut(format: ImageFormat) -> Vec<Case> {
    let whole = whole(format);
    let ends = (1..8).map(|eighth| whole.len() * eighth / 8);
    ends.map(|end| {
        let name = format!("{format:?} cut at {end} of {}", whole.len());
        case(name, &whole[..end], &[422], "it breaks off before its end")
    })
    .collect()
}

/// Eight bits flipped, spread over the file.
fn flipped(format: ImageFormat) -> Vec<Case> {
    let whole = whole(format);
    let places = (0..8).map(|eighth| whole.len() * eighth / 8);
    places
        .map(|at| {
            let mut file = whole.clone();
            file[at] ^= 1 << (at % 8);
            let name = format!("{format:?} with a bit of byte {at} flipped");
            case(name, file, &[200, 422], "a pixel off, or no image any more")
        })
        .collect()
}

/// A PNG chunk with its checksum, CRC-32 of ISO 3309 over kind and payload.
fn chunk(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), payload].concat();
    let mut crc = u32::MAX;
    for byte in &body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
        }
    }
    let length = (payload.len() as u32).to_be_bytes();
    [length.as_slice(), &body, &(!crc).to_be_bytes()].concat()
}

/// A PNG that declares this size and has these chunks between header and end.
fn png(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let parts = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunks.concat(),
        chunk(b"IEND", b""),
    ];
    parts.concat()
}

/// `zeros` zero bytes in a zlib stream of stored blocks, or as many as `blocks` of 32 KiB.
fn stored(blocks: usize) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    for block in 1..=blocks {
        stream.extend([u8::from(block == blocks), 0x00, 0x80, 0xFF, 0x7F]);
        stream.extend(vec![0; 0x8000]);
    }
    // Adler-32 of nothing but zeros: 1, and its running sum.
    let sum = (blocks * 0x8000 % 65_521) as u32;
    stream.extend((sum << 16 | 1).to_be_bytes());
    stream
}

fn bombs() -> Vec<Case> {
    let sizes = [
        (1, 65_535),
        (65_535, 1),
        (65_535, 65_535),
        (8193, 1),
        (4001, 4000),
        (i32::MAX as u32, i32::MAX as u32),
    ];
    let mut cases: Vec<Case> = sizes
        .into_iter()
        .map(|(width, height)| {
            let file = png(width, height, &[chunk(b"IDAT", &stored(1))]);
            case(
                format!("PNG of {width} x {height}"),
                file,
                &[422],
                "more pixels than allowed",
            )
        })
        .collect();
    let text = [b"Comment\0\0".as_slice(), &stored(100)].concat();
    let texts = vec![chunk(b"zTXt", &text); 2];
    cases.push(case(
        "PNG of text chunks alone",
        png(8, 8, &texts),
        &[422],
        "no picture in it",
    ));
    let small = chunk(b"IDAT", &stored(1));
    let flood = vec![chunk(b"tEXt", b"a\0b"); 100_000];
    cases.push(case(
        "PNG of 100,000 text chunks",
        png(8, 8, &[flood, vec![small.clone()]].concat()),
        &[200, 422],
        "metadata is not kept",
    ));
    cases.push(case(
        "PNG with more pixels than declared",
        png(8, 8, &[chunk(b"IDAT", &stored(100))]),
        &[200, 422],
        "what is left over is not decoded",
    ));
    cases.push(case(
        "PNG with fewer pixels than declared",
        png(4000, 4000, &[small]),
        &[422],
        "it breaks off before its end",
    ));
    cases
}

fn of_two_kinds() -> Vec<Case> {
    let [png, jpeg, gif] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif].map(whole);
    let script = b"<script>alert(1)</script>".as_slice();
    let zip = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".as_slice();
    vec![
        case(
            "PNG, then a script",
            [&png, script].concat(),
            &[200],
            "what follows the image is not read",
        ),
        case(
            "PNG, then a zip archive",
            [&png, zip].concat(),
            &[200],
            "what follows the image is not read",
        ),
        case(
            "JPEG, then a PNG",
            [&jpeg[..], &png].concat(),
            &[200],
            "the first bytes say what it is",
        ),
        case(
            "GIF, then a script",
            [&gif, script].concat(),
            &[200],
            "what follows the image is not read",
        ),
        case(
            "a script, then a PNG",
            [script, &png].concat(),
            &[422],
            "the first bytes say what it is",
        ),
        case(
            "PNG signature, then a JPEG",
            [&png[..8], &jpeg].concat(),
            &[422],
            "damaged, not guessed at",
        ),
        case(
            "GIF signature, then a PNG",
            [b"GIF89a".as_slice(), &png].concat(),
            &[422],
            "damaged, not guessed at",
        ),
    ]
}

fn no_images() -> Vec<Case> {
    const GZIP: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3];
    let other = "another format";
    vec![
        case("nothing", b"", &[400], "no image"),
        case("one byte", b"\0", &[422], other),
        case("a gzip stream, not said to be one", GZIP, &[422], other),
        case(
            "an SVG that reads a file",
            b"<svg><image href=\"file:///etc/passwd\"/></svg>".as_slice(),
            &[422],
            other,
        ),
        case("a TIFF", b"II*\0\x08\0\0\0".as_slice(), &[422], other),
        case("an ICO", b"\0\0\x01\0\x01\0".as_slice(), &[422], other),
        case("an AVIF", b"\0\0\0\x1Cftypavif".as_slice(), &[422], other),
        case("a PDF", b"%PDF-1.7".as_slice(), &[422], other),
        case("8 MiB of zeros", vec![0; 8 << 20], &[422], other),
        case(
            "8 MiB and a byte",
            vec![0; (8 << 20) + 1],
            &[413],
            "longer than a body may be",
        ),
    ]
}
