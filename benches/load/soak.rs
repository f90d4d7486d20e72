//! Full load for a long time: every answer right, nothing grows, nothing is called.

use crate::drive::{Case, Drive, End, Plan, quantile};
use crate::expect::{Answer, Question, samples};
use crate::service::{Service, Usage};
use crate::{Args, Result, bound};
use goodnet::bundle::Bundle;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests after which the service should hold all the memory that it will ever need.
const SETTLED: usize = 10_000;
/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(250);

pub(crate) async fn run(args: &Args, bundle: &Bundle, end: End, memory: f64) -> Result<()> {
    let workers = args.workers.to_string();
    let service = Service::start(&args.goodnet, &args.bundle, &["--workers", &workers])?;
    let drive = Drive::new(service.address, cases(service.address, bundle).await?);
    let plan = Plan {
        connections: 4 * args.workers,
        pace: None,
        end,
    };
    let started = Instant::now();
    let load = tokio::spawn(Arc::clone(&drive).run(plan));
    let mut looks = Vec::new();
    while !load.is_finished() {
        looks.push(Look::take(&service, &drive)?);
        tokio::time::sleep(LOOK).await;
    }
    let mut tally = load.await??;
    let seconds = started.elapsed().as_secs_f64();
    tally.check()?;
    let answers = tally.accepted.len();
    println!(
        "soak: {workers} workers, {} connections, {seconds:.0} s",
        plan.connections
    );
    println!(
        "  {answers} answers ({:.0}/s), all right; refused {}, wrong 0, lost 0; p50 {:.1?}, p99 {:.1?}",
        answers as f64 / seconds,
        tally.refused.len(),
        quantile(&mut tally.accepted, 0.5),
        quantile(&mut tally.accepted, 0.99)
    );
    judge(&looks, memory)?;
    let errors = service.errors() as f64;
    bound("errors in the log", errors, |x| x == 0.0, "0")?;
    service.stop()
}

/// The process at one moment.
struct Look {
    requests: usize,
    usage: Usage,
    foreign: Vec<String>,
}

impl Look {
    fn take(service: &Service, drive: &Drive) -> Result<Self> {
        Ok(Self {
            requests: drive.begun(),
            usage: service.usage()?,
            foreign: service.foreign_sockets()?,
        })
    }
}

fn judge(looks: &[Look], most_memory: f64) -> Result<()> {
    let settled = looks.iter().find(|look| look.requests >= SETTLED);
    let (Some(settled), Some(last)) = (settled, looks.last()) else {
        return Err(format!("expected at least {SETTLED} requests in that time").into());
    };
    println!(
        "  memory {} KiB after {} requests, {} KiB after {}; {} threads; at most {} descriptors",
        settled.usage.resident_kib,
        settled.requests,
        last.usage.resident_kib,
        last.requests,
        last.usage.threads,
        most(looks, |usage| usage.descriptors)
    );
    let memory = last.usage.resident_kib as f64 / settled.usage.resident_kib as f64;
    bound(
        "memory at the end / after 10,000 requests",
        memory,
        |x| x <= most_memory,
        &format!("at most {most_memory}"),
    )?;
    let late = &looks[looks.len() / 2..];
    let early = &looks[..looks.len() / 2];
    for (what, of) in [
        ("threads", (|usage| usage.threads) as fn(Usage) -> u64),
        ("descriptors", |usage| usage.descriptors),
    ] {
        let growth = most(late, of) as f64 - most(early, of) as f64;
        bound(
            &format!("{what}: most in the second half - in the first"),
            growth,
            |x| x <= 0.0,
            "at most 0",
        )?;
    }
    let foreign: Vec<&String> = looks.iter().flat_map(|look| &look.foreign).collect();
    if let Some(first) = foreign.first() {
        return Err(format!("a socket that is not a client's: {first}").into());
    }
    println!(
        "  sockets: the listener and its clients on loopback, at {} looks",
        looks.len()
    );
    Ok(())
}

fn most(looks: &[Look], of: impl Fn(Usage) -> u64) -> u64 {
    looks.iter().map(|look| of(look.usage)).max().unwrap_or(0)
}

/// The bundle's samples and what its manifest says of them.
pub(crate) async fn cases(address: SocketAddr, bundle: &Bundle) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (sample, bytes) in samples(bundle)? {
        let question = Question::new(&bytes);
        let answer = Answer::learn(address, &question).await?;
        answer.check(bundle, &sample)?;
        cases.push(Case {
            question,
            answers: vec![answer],
        });
    }
    Ok(cases)
}
