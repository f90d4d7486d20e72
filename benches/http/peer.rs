//! Requests a second over another server's, on the same models, image, cores and connections.

use crate::bundle::{lab_bundle, smooth_jpeg};
use crate::load::{closed, post, post_with};
use crate::process::{Server, free};
use goodnet::engine::Engine;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const ROUNDS: usize = 7;
const DURING: Duration = Duration::from_millis(1500);

/// The server that `benches/peers/run NAME BUNDLE PORT CORES` starts, and the service with `workers` inference threads: `bundle`, else
/// that of the lab's network.
pub fn compare(engine: &Engine, workers: usize, cores: usize, name: &str, bundle: Option<&Path>) {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let known = peers.join(name).join("app.py");
    assert!(
        known.is_file(),
        "expected a peer, found none at {}",
        known.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle.map_or_else(
        || lab_bundle(engine, folder.path()),
        |bundle| bundle.canonicalize().unwrap(),
    );
    let input = goodnet::bundle::load(&bundle)
        .unwrap()
        .manifest()
        .input
        .clone();
    let image = smooth_jpeg(input.width as usize, input.height as usize);
    let address = free();
    let mut command = Command::new(peers.join("run"));
    command
        .arg(name)
        .arg(&bundle)
        .arg(address.port().to_string())
        .arg(cores.to_string());
    let (theirs, request) = (asked_of(name, &image), post("/classify", &image));
    let other = Server::start(command, address, &theirs);
    let ours = Server::goodnet(&bundle, Some(workers));
    println!("connections  goodnet/s  {name}/s  ratio (lowest to highest)");
    for connections in [1, 32] {
        let mut rounds: Vec<[f64; 3]> = (0..=ROUNDS)
            .map(|_| {
                let them = closed(other.address, &theirs, connections, DURING);
                let us = closed(ours.address, &request, connections, DURING);
                [us / them, us, them]
            })
            // The first round warms both sides up.
            .skip(1)
            .collect();
        rounds.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let [ratio, us, them] = rounds[ROUNDS / 2];
        let (low, high) = (rounds[0][0], rounds[ROUNDS - 1][0]);
        println!("{connections:>11}  {us:>9.0}  {them:>8.0}  {ratio:.2} ({low:.2} to {high:.2})");
    }
}

/// The image as the peer of that name is sent it.
fn asked_of(name: &str, image: &[u8]) -> Vec<u8> {
    match name {
        // Triton's extension for raw bytes: all of the body is the one input.
        "pytriton" => post_with(
            "/v2/models/classify/infer",
            "Inference-Header-Content-Length: 0\r\n",
            image,
        ),
        _ => post("/classify", image),
    }
}
