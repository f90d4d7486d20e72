//! Feeds a fuzz target of `tests/fuzz` with changed copies of its corpus, on a stable compiler:
//! `cargo run --example mutate -- TARGET SECONDS [SEED]`.
//!
//! No coverage guides it: it finds less than `cargo fuzz`, and runs anywhere. The input that a target fails on is written to
//! `failed-TARGET` in the current folder before it is run.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

#[allow(unreachable_pub, dead_code)]
mod entry;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest input.
const LONGEST: usize = 4096;
/// Numbers at which formats change their mind.
const EDGES: [u32; 10] = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFF_FFFF,
    u32::MAX,
];

type Target = fn(&[u8]);

fn target(name: &str) -> Option<Target> {
    Some(match name {
        "image" => entry::image,
        "form" => entry::form,
        "json" => entry::json,
        "tensors" => entry::tensors,
        "onnx" => entry::onnx,
        "keras" => entry::keras,
        "dataset" => entry::dataset,
        "manifest" => entry::manifest,
        _ => return None,
    })
}

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let seconds = args.next().and_then(|text| text.parse().ok()).unwrap_or(60);
    let seed = args.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let Some(target) = target(&name) else {
        println!(
            "expected image, form, json, tensors, onnx, keras, dataset or manifest, found {name:?}"
        );
        std::process::exit(2);
    };
    let corpus = corpus(&name);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut executions = 0_u64;
    while Instant::now() < end {
        let input = mutated(&corpus, &mut random);
        if catch_unwind(|| target(&input)).is_err() {
            fs::write(format!("failed-{name}"), &input).unwrap();
            println!(
                "{name}: failed after {executions} executions of seed {seed}; the input is failed-{name}"
            );
            std::process::exit(1);
        }
        executions += 1;
    }
    println!("{name}: {executions} executions of seed {seed} in {seconds} s, none failed");
}

/// The committed corpus, and for images the fixtures.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut folders = vec![root.join("fuzz/corpus").join(name)];
    if name == "image" {
        folders.push(root.join("fixtures/images"));
    }
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file());
    let mut corpus: Vec<Vec<u8>> = files.map(|path| fs::read(path).unwrap()).collect();
    corpus.retain(|file| file.len() <= LONGEST);
    // The order of a folder is the file system's.
    corpus.sort();
    corpus
}

fn below(random: &mut ChaCha8Rng, end: usize) -> usize {
    (random.next_u64() % end.max(1) as u64) as usize
}

/// A file of the corpus, changed in one to eight places.
fn mutated(corpus: &[Vec<u8>], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut input = corpus[below(random, corpus.len())].clone();
    for _ in 0..=below(random, 8) {
        let other = &corpus[below(random, corpus.len())];
        change(&mut input, other, random);
    }
    input.truncate(LONGEST);
    if below(random, 4) > 0 {
        mend_png(&mut input);
    }
    input
}

fn change(input: &mut Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) {
    let at = below(random, input.len());
    let length = 1 + below(random, 16);
    let end = (at + length).min(input.len());
    match below(random, 8) {
        0 if !input.is_empty() => input[at] ^= 1 << below(random, 8),
        1 if !input.is_empty() => input[at] = random.next_u32() as u8,
        2 => drop(input.drain(at..end)),
        3 => {
            let part = input[at..end].to_vec();
            input.splice(at..at, part);
        }
        4 => {
            let from = below(random, other.len());
            let part = &other[from..(from + 4 * length).min(other.len())];
            input.splice(at..end, part.iter().copied());
        }
        5 => input.truncate(at.max(1)),
        6 => {
            let bytes = vec![random.next_u32() as u8; length];
            input.splice(at..at, bytes);
        }
        _ => {
            let edge = EDGES[below(random, EDGES.len())].to_be_bytes();
            let width = [1, 2, 4][below(random, 3)];
            let mut part = edge[4 - width..].to_vec();
            if below(random, 2) == 0 {
                part.reverse();
            }
            let end = (at + width).min(input.len());
            input.splice(at..end, part);
        }
    }
}

/// Makes the checksums of a PNG right (ISO 15948, 5.3), so that what is behind them is reached.
fn mend_png(input: &mut [u8]) {
    if !input.starts_with(b"\x89PNG\r\n\x1a\n") {
        return;
    }
    let mut at = 8;
    while let Some(&[a, b, c, d]) = input.get(at..at + 4).and_then(|part| part.first_chunk()) {
        let end = (at + 8).saturating_add(u32::from_be_bytes([a, b, c, d]) as usize);
        let Some(content) = input.get(at + 4..end) else {
            return;
        };
        let sum = crc32(content).to_be_bytes();
        let Some(place) = input.get_mut(end..end + 4) else {
            return;
        };
        place.copy_from_slice(&sum);
        at = end + 4;
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, &byte: &u8| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            sum >> 1 ^ (0xEDB8_8320 * (sum & 1))
        })
    };
    !bytes.iter().fold(!0, step)
}
