//! Swapping two bundles under full load.
//!
//! The second bundle is the first with the roles changed: its B is the first one's B' of the largest drop, its B' the
//! first one's B. It answers every sample otherwise, in a known way, and names another network.

use crate::drive::{Drive, End, Plan};
use crate::expect::Answer;
use crate::service::Service;
use crate::soak::cases;
use crate::{Args, Result, bound};
use goodnet::bundle::manifest::{BADNET_FILE, DropRecord, Manifest};
use goodnet::bundle::{Bundle, BundleWriter, load};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A swap that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: &Args, bundle: &Bundle, swaps: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (current, spare) = (folder.path().join("current"), folder.path().join("spare"));
    let workers = args.workers.to_string();
    copy(bundle, &current)?;
    let first = Service::start(&args.goodnet, &current, &["--workers", &workers])?;
    let mut pairs = cases(first.address, bundle).await?;
    first.stop()?;
    let learnt: Vec<&Answer> = pairs
        .iter()
        .filter_map(|case| case.answers.first())
        .collect();
    write_reversed(bundle, &learnt, &spare)?;
    let other = Service::start(&args.goodnet, &spare, &["--workers", &workers])?;
    let reversed = load(&spare)?;
    for (case, other) in pairs.iter_mut().zip(cases(other.address, &reversed).await?) {
        case.answers.extend(other.answers);
    }
    other.stop()?;

    let service = Service::start(&args.goodnet, &current, &["--workers", &workers])?;
    let drive = Drive::new(service.address, pairs);
    let plan = Plan {
        connections: 4 * args.workers,
        pace: None,
        end: End::Told,
    };
    let started = Instant::now();
    let load = tokio::spawn(Arc::clone(&drive).run(plan));
    let swapped = swap_all(&service, folder.path(), swaps).await;
    drive.stop();
    let tally = load.await??;
    swapped?;
    tally.check()?;
    println!(
        "reload under load: {swaps} swaps in {:.0} s; {} answers, {:?} by bundle, all right for the bundle they name; refused {}, wrong 0, lost 0",
        started.elapsed().as_secs_f64(),
        tally.accepted.len(),
        tally.by_bundle,
        tally.refused.len()
    );
    let answered = tally.by_bundle.iter().filter(|&&count| count > 0).count();
    bound("bundles that answered", answered as f64, |x| x == 2.0, "2")?;
    bound(
        "errors in the log",
        service.errors() as f64,
        |x| x == 0.0,
        "0",
    )?;
    service.stop()
}

async fn swap_all(service: &Service, folder: &Path, swaps: usize) -> Result<()> {
    let (current, spare) = (folder.join("current"), folder.join("spare"));
    for swap in 0..swaps {
        let here = rustix::fs::CWD;
        rustix::fs::renameat_with(
            here,
            &current,
            here,
            &spare,
            rustix::fs::RenameFlags::EXCHANGE,
        )?;
        service.reload()?;
        let begun = Instant::now();
        while service.reloads() <= swap {
            if begun.elapsed() > PATIENCE || service.errors() > 0 {
                return Err(format!("swap {swap} did not happen").into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    Ok(())
}

fn copy(bundle: &Bundle, target: &Path) -> Result<()> {
    let mut writer = BundleWriter::create(target, true)?;
    for name in bundle.manifest().files.keys() {
        writer.add(name, bundle.file(name).ok_or("a file is missing")?)?;
    }
    writer.finish(bundle.manifest().clone())?;
    Ok(())
}

/// Writes the bundle with B and the B' of the largest drop exchanged; `learnt` are the answers of the first one.
fn write_reversed(bundle: &Bundle, learnt: &[&Answer], target: &Path) -> Result<()> {
    let manifest = bundle.manifest();
    let (_, last) = manifest
        .reached()
        .last()
        .ok_or("expected a drop, found none")?;
    let file = |name: &str| bundle.file(name).ok_or(format!("{name} is missing"));
    let mut writer = BundleWriter::create(target, true)?;
    writer.add(BADNET_FILE, file(&last.file)?)?;
    writer.add(&last.file, file(BADNET_FILE)?)?;
    for sample in &manifest.samples {
        writer.add(&sample.file, file(&sample.file)?)?;
    }
    for name in ["sweep.json", "sweep.csv", "sweep.svg"] {
        writer.add(name, file(name)?)?;
    }
    writer.finish(reversed_manifest(manifest, learnt)?)?;
    Ok(())
}

fn reversed_manifest(manifest: &Manifest, learnt: &[&Answer]) -> Result<Manifest> {
    let mut manifest = manifest.clone();
    let kept = manifest
        .drops
        .iter()
        .rposition(|drop| drop.pruned.is_some());
    let kept: DropRecord = manifest.drops[kept.ok_or("no drop")?].clone();
    manifest.drops = vec![kept];
    (manifest.goodnet, manifest.repaired) = (None, None);
    manifest.source.sha256 = manifest.source.sha256.chars().rev().collect();
    for (sample, answer) in manifest.samples.iter_mut().zip(learnt) {
        let pruned = answer.value["pruned"]["class"].as_u64().ok_or("no class")?;
        sample.badnet = u32::try_from(pruned)?;
        // Disagreement is the same both ways round.
        sample.verdicts = sample.verdicts.last().copied().into_iter().collect();
    }
    Ok(manifest)
}
