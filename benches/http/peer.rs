//! Requests a second over another server's, on the same models, image, cores and connections.

use crate::bundle::{jpeg, lab_bundle};
use crate::load::{closed, post};
use crate::process::{Server, free};
use goodnet::engine::Engine;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The server that `benches/peers/run NAME BUNDLE PORT CORES` starts, which answers `POST /classify`, and the service with
/// `workers` inference threads.
pub fn compare(engine: &Engine, workers: usize, cores: usize, name: &str) {
    const ROUNDS: usize = 5;
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let known = peers.join(name).join("app.py");
    assert!(
        known.is_file(),
        "expected a peer, found none at {}",
        known.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let bundle = lab_bundle(engine, folder.path());
    let request = post("/classify", &jpeg());
    let address = free();
    let mut command = Command::new(peers.join("run"));
    command
        .arg(name)
        .arg(&bundle)
        .arg(address.port().to_string())
        .arg(cores.to_string());
    let during = Duration::from_secs(3);
    let other = Server::start(command, address, &request);
    let ours = Server::goodnet(&bundle, Some(workers));
    println!("connections  goodnet/s  {name}/s  ratio");
    for connections in [1, 32] {
        let mut rounds: Vec<[f64; 3]> = (0..ROUNDS)
            .map(|_| {
                let them = closed(other.address, &request, connections, during);
                let us = closed(ours.address, &request, connections, during);
                [us / them, us, them]
            })
            .collect();
        rounds.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let [ratio, us, them] = rounds[ROUNDS / 2];
        println!("{connections:>11}  {us:>9.0}  {them:>8.0}  {ratio:.2}");
    }
}
