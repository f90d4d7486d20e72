//! Every kind of attack of docs/SECURITY.md beside a client that asks at a moderate rate: it goes on being served, and the
//! service's memory stays where it was.
//!
//! In reading order: [`kinds`] (the attacks), [`requests`] and [`images`] (what they send).

mod images;
mod kinds;
mod requests;

use crate::drive::{Drive, End, Plan, Tally, quantile};
use crate::service::{Service, Usage};
use crate::{Args, Result, bound, soak};
use clap::Args as ClapArgs;
use goodnet::bundle::Bundle;
use kinds::{Attack, Target};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Connections of the good client, and the time between the requests of one: 40 a second.
const CONNECTIONS: usize = 4;
const PACE: Duration = Duration::from_millis(100);
/// How often the service's memory is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How much longer than its time a run may take before the service counts as stuck.
const STUCK: Duration = Duration::from_secs(20);
/// Descriptors that the attacks and the service need, each.
const DESCRIPTORS: u64 = 4096;

/// What the good client may lose, and the service take.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct Bounds {
    /// Least answers a second, as a share of those without an attack.
    #[arg(long, default_value_t = 0.9, value_name = "SHARE")]
    goodput: f64,
    /// Most p99, as a multiple of that without an attack.
    #[arg(long, default_value_t = 3.0, value_name = "RATIO")]
    p99: f64,
    /// A p99 that is always allowed, in milliseconds: below it lies the noise of the machine.
    #[arg(long, default_value_t = 10.0, value_name = "MS")]
    p99_floor: f64,
    /// Most memory above that before the attack, in MiB.
    #[arg(long, default_value_t = 64.0, value_name = "MIB")]
    memory: f64,
}

/// How long the client asks, alone and beside an attack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) calm: Duration,
    pub(crate) attack: Duration,
}

/// What was seen of one attack.
struct Seen {
    calm: Tally,
    attacked: Tally,
    /// Before the attack.
    before: Usage,
    /// Most memory while it ran, in KiB.
    peak_kib: u64,
    /// What it sent: connections or requests.
    made: usize,
}

pub(crate) async fn run(
    args: &Args,
    bundle: &Bundle,
    times: Times,
    only: Option<&str>,
    bounds: Bounds,
) -> Result<()> {
    raise_descriptors()?;
    let chosen: Vec<&Attack> = kinds::ALL
        .iter()
        .filter(|attack| only.is_none_or(|name| name == attack.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = kinds::ALL.iter().map(|attack| attack.name).collect();
        return Err(format!("expected one of {}", names.join(", ")).into());
    }
    let mut broken = Vec::new();
    for attack in chosen {
        println!("attack {}: {}", attack.name, attack.what);
        if let Err(error) = one(args, bundle, attack, times, bounds).await {
            println!("  BROKEN: {error}");
            broken.push(attack.name);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("bounds are broken by {}", broken.join(", ")).into())
}

async fn one(
    args: &Args,
    bundle: &Bundle,
    attack: &Attack,
    times: Times,
    bounds: Bounds,
) -> Result<()> {
    let workers = args.workers.to_string();
    let options = ["--workers", &workers, "--drain-delay", "0"];
    let service = Service::start_logging(&args.goodnet, &args.bundle, &options, attack.log)?;
    let drive = Drive::new(service.address, soak::cases(service.address, bundle).await?);
    let seen = measure(&service, &drive, attack, times).await?;
    judge(seen, times, bounds)?;
    service.stop()
}

async fn measure(
    service: &Service,
    drive: &Arc<Drive>,
    attack: &Attack,
    times: Times,
) -> Result<Seen> {
    let calm = ask(drive, times.calm).await?;
    let before = service.usage()?;
    let target = Target::new(service.address);
    let mut tasks = JoinSet::new();
    (attack.begin)(&target, &mut tasks);
    let asking = ask(drive, times.attack);
    let (attacked, peak_kib) = tokio::select! {
        (attacked, peak) = async { tokio::join!(asking, peak(service, times.attack)) } => (attacked?, peak?),
        // An attack goes on until it is stopped: its task ends only by a panic.
        Some(ended) = tasks.join_next() => return Err(format!("the attack ended: {ended:?}").into()),
    };
    tasks.shutdown().await;
    Ok(Seen {
        calm,
        attacked,
        before,
        peak_kib,
        made: target.made(),
    })
}

/// The good client's requests for `time`.
async fn ask(drive: &Arc<Drive>, time: Duration) -> Result<Tally> {
    let plan = Plan {
        connections: CONNECTIONS,
        pace: Some(PACE),
        end: End::After(time),
    };
    let asking = tokio::time::timeout(time + STUCK, Arc::clone(drive).run(plan));
    asking
        .await
        .map_err(|_| "the good client waits for an answer that does not come")?
}

/// The most memory that the service takes during `time`, in KiB.
async fn peak(service: &Service, time: Duration) -> Result<u64> {
    let end = tokio::time::Instant::now() + time;
    let mut peak = 0;
    while tokio::time::Instant::now() < end {
        peak = peak.max(service.usage()?.resident_kib);
        tokio::time::sleep(LOOK).await;
    }
    Ok(peak)
}

fn judge(mut seen: Seen, times: Times, bounds: Bounds) -> Result<()> {
    let p99 = |tally: &mut Tally| quantile(&mut tally.accepted, 0.99).as_secs_f64() * 1e3;
    let rate = |tally: &Tally, time: Duration| tally.accepted.len() as f64 / time.as_secs_f64();
    let (calm, attacked) = (p99(&mut seen.calm), p99(&mut seen.attacked));
    let (asked, answered) = (
        rate(&seen.calm, times.calm),
        rate(&seen.attacked, times.attack),
    );
    println!(
        "  {} sent; alone {asked:.1}/s, p99 {calm:.1} ms; attacked {answered:.1}/s, p99 {attacked:.1} ms, refused {}, lost {}; memory {} MiB, at most {} MiB",
        seen.made,
        seen.attacked.refused.len(),
        seen.attacked.lost,
        seen.before.resident_kib >> 10,
        seen.peak_kib >> 10,
    );
    seen.calm.check()?;
    bound("sent", seen.made as f64, |x| x > 0.0, "more than 0")?;
    bound("wrong", seen.attacked.wrong as f64, |x| x == 0.0, "0")?;
    bound(
        "goodput",
        answered / asked,
        |x| x >= bounds.goodput,
        &format!("at least {}", bounds.goodput),
    )?;
    let allowed = (calm * bounds.p99).max(bounds.p99_floor);
    bound(
        "p99 in ms",
        attacked,
        |x| x <= allowed,
        &format!("at most {allowed:.1}"),
    )?;
    bound(
        "memory in MiB",
        (seen.peak_kib as f64 - seen.before.resident_kib as f64) / 1024.0,
        |x| x <= bounds.memory,
        &format!("at most {} more", bounds.memory),
    )
}

/// As many descriptors as the attacks need, for this process and the services that it starts.
fn raise_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= DESCRIPTORS) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(DESCRIPTORS),
        ..limit
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| format!("expected {DESCRIPTORS} descriptors: {error}").into())
}
