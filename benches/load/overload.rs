//! Ten times as many requests as the service can answer.

use crate::drive::{Case, Drive, End, Plan, Tally, quantile};
use crate::expect::{Answer, Question, samples};
use crate::service::{Service, Usage};
use crate::{Args, Result, bound};
use goodnet::bundle::Bundle;
use image::imageops::FilterType;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

/// Requests for every one that can be answered.
const FACTOR: f64 = 10.0;
/// Requests planned for every one that has to be made: connections that wait for an answer miss their turns.
const RESERVE: f64 = 1.25;
/// How long the maximum is measured, before and after.
const CALM: Duration = Duration::from_secs(4);
/// Images that may wait in the service.
const QUEUE: usize = 32;
/// Side of the images: decoding them is the work, so that the load costs less to make than to serve.
const SIDE: u32 = 1500;

/// What was seen.
struct Seen {
    /// Answers a second without overload, before and after.
    most: [f64; 2],
    calm: Tally,
    overload: Tally,
    /// From one to two seconds after the overload, under the load of `calm`.
    after: Tally,
    early: Usage,
    late: Usage,
}

/// What the caller demands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Least answers a second, as a share of those without overload.
    pub(crate) goodput: f64,
    /// Most memory at the end, as a multiple of that after a quarter of the time.
    pub(crate) memory: f64,
}

pub(crate) async fn run(args: &Args, bundle: &Bundle, seconds: u64, bounds: Bounds) -> Result<()> {
    let workers = args.workers.to_string();
    let queue = QUEUE.to_string();
    let options = ["--workers", &workers, "--queue", &queue];
    let service = Service::start(&args.goodnet, &args.bundle, &options)?;
    let drive = Drive::new(service.address, large_cases(&service, bundle).await?);
    let places = args.workers + QUEUE;
    let time = Duration::from_secs(seconds);
    let seen = measure(&service, &drive, args.workers, time).await?;
    println!("overload: {workers} workers, queue {QUEUE}, images of {SIDE} x {SIDE}, {seconds} s");
    judge(seen, places, time, bounds)?;
    service.stop()
}

async fn measure(
    service: &Service,
    drive: &Arc<Drive>,
    workers: usize,
    time: Duration,
) -> Result<Seen> {
    let calm = |time: Duration| Plan {
        connections: 2 * workers,
        pace: None,
        end: End::After(time),
    };
    load(drive, calm(CALM / 4)).await?;
    let before = load(drive, calm(CALM)).await?;
    let most = rate(&before, CALM);
    let connections = 4 * (workers + QUEUE);
    let plan = Plan {
        connections,
        pace: Some(Duration::from_secs_f64(
            connections as f64 / (most * FACTOR * RESERVE),
        )),
        end: End::After(time),
    };
    let (overload, early) = tokio::join!(load(drive, plan), usage_after(service, time / 4));
    let late = service.usage()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = load(drive, calm(Duration::from_secs(1))).await?;
    let again = load(drive, calm(CALM)).await?;
    Ok(Seen {
        most: [most, rate(&again, CALM)],
        calm: before,
        overload: overload?,
        after,
        early: early?,
        late,
    })
}

async fn load(drive: &Arc<Drive>, plan: Plan) -> Result<Tally> {
    let tally = Arc::clone(drive).run(plan).await?;
    tally.check()?;
    Ok(tally)
}

fn rate(tally: &Tally, time: Duration) -> f64 {
    tally.accepted.len() as f64 / time.as_secs_f64()
}

async fn usage_after(service: &Service, time: Duration) -> Result<Usage> {
    tokio::time::sleep(time).await;
    service.usage()
}

fn judge(mut seen: Seen, places: usize, time: Duration, bounds: Bounds) -> Result<()> {
    let most = f64::midpoint(seen.most[0], seen.most[1]);
    let (answers, refusals) = (seen.overload.accepted.len(), seen.overload.refused.len());
    let offered = (answers + refusals) as f64 / time.as_secs_f64();
    let turn = places as f64 / most;
    let seconds = |times: &mut [Duration], q: f64| quantile(times, q).as_secs_f64();
    let p99 = seconds(&mut seen.overload.accepted, 0.99);
    let refused = seconds(&mut seen.overload.refused, 0.99);
    let recovered = seconds(&mut seen.after.accepted, 0.5) / seconds(&mut seen.calm.accepted, 0.5);
    let memory = seen.late.resident_kib as f64 / seen.early.resident_kib as f64;
    println!(
        "  maximum {:.0}/s before and {:.0}/s after; {answers} answers, {refusals} refusals, wrong 0, lost 0",
        seen.most[0], seen.most[1]
    );
    println!(
        "  p99: answers {:.0} ms, refusals {:.1} ms",
        p99 * 1e3,
        refused * 1e3
    );
    bound(
        "offered / maximum",
        offered / most,
        |x| x >= FACTOR,
        "at least 10",
    )?;
    let goodput = rate(&seen.overload, time) / most;
    bound(
        "goodput / maximum",
        goodput,
        |x| x >= bounds.goodput,
        &format!("at least {}", bounds.goodput),
    )?;
    bound(
        "p99 of the answers / time of a full queue",
        p99 / turn,
        |x| x <= 2.0,
        "at most 2",
    )?;
    bound(
        "p99 of the refusals / p99 of the answers",
        refused / p99,
        |x| x <= 0.5,
        "at most 0.5",
    )?;
    bound(
        "memory at the end / at a quarter",
        memory,
        |x| x <= bounds.memory,
        &format!("at most {}", bounds.memory),
    )?;
    bound(
        "refused a second after",
        seen.after.refused.len() as f64,
        |x| x == 0.0,
        "0",
    )?;
    bound(
        "p50 a second after / before",
        recovered,
        |x| x <= 1.5,
        "at most 1.5",
    )
}

/// The samples, enlarged; what is right for them is what the idle service answers.
async fn large_cases(service: &Service, bundle: &Bundle) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (_, bytes) in samples(bundle)? {
        let picture = image::load_from_memory(&bytes)?;
        let large = picture.resize_exact(SIDE, SIDE, FilterType::Nearest);
        let mut file = Cursor::new(Vec::new());
        large.write_to(&mut file, image::ImageFormat::Png)?;
        let question = Question::new(file.get_ref());
        let answers = vec![Answer::learn(service.address, &question).await?];
        cases.push(Case { question, answers });
    }
    Ok(cases)
}
