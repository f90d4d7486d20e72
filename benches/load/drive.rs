//! Many connections that ask and check.

use crate::Result;
use crate::expect::{Answer, Question, request_id};
use crate::http::{Connection, Response};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A question, and an answer for each bundle that may be in service.
pub(crate) struct Case {
    pub(crate) question: Question,
    pub(crate) answers: Vec<Answer>,
}

/// What the connections share.
pub(crate) struct Drive {
    address: SocketAddr,
    cases: Vec<Case>,
    stop: AtomicBool,
    begun: AtomicUsize,
}

/// How the load is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    /// Time between the beginnings of a connection's requests; `None`: the next as soon as the last is answered.
    pub(crate) pace: Option<Duration>,
    pub(crate) end: End,
}

/// When it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    After(Duration),
    Requests(usize),
    /// When [`Drive::stop`] says so.
    Told,
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Times of right answers.
    pub(crate) accepted: Vec<Duration>,
    /// Times of refusals because the queue was full.
    pub(crate) refused: Vec<Duration>,
    /// Answers by bundle.
    pub(crate) by_bundle: Vec<usize>,
    /// Answers other than the expected one.
    pub(crate) wrong: usize,
    /// Requests without a whole response.
    pub(crate) lost: usize,
    /// The first of either.
    pub(crate) first: Option<String>,
}

impl Drive {
    pub(crate) fn new(address: SocketAddr, cases: Vec<Case>) -> Arc<Self> {
        Arc::new(Self {
            address,
            cases,
            stop: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
        })
    }

    /// Requests begun in this run.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Relaxed)
    }

    /// Ends the run: what has begun is still answered.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Makes the load; one run at a time.
    pub(crate) async fn run(self: Arc<Self>, plan: Plan) -> Result<Tally> {
        self.stop.store(false, Relaxed);
        self.begun.store(0, Relaxed);
        let tasks: Vec<_> = (0..plan.connections)
            .map(|number| tokio::spawn(Arc::clone(&self).connection(number, plan)))
            .collect();
        if let End::After(time) = plan.end {
            tokio::time::sleep(time).await;
            self.stop();
        }
        let mut total = Tally::default();
        for task in tasks {
            total.add(task.await?);
        }
        Ok(total)
    }

    async fn connection(self: Arc<Self>, number: usize, plan: Plan) -> Tally {
        let mut tally = Tally::default();
        let mut connection = None;
        // Paced connections begin one after the other, not all at once.
        let share = number as f64 / plan.connections as f64;
        let mut due = Instant::now() + plan.pace.unwrap_or_default().mul_f64(share);
        for turn in 0.. {
            if let Some(pace) = plan.pace {
                tokio::time::sleep_until(due.into()).await;
                // What could not be sent in time is not made up for.
                due = (due + pace).max(Instant::now());
            }
            if self.is_over(plan.end) {
                break;
            }
            let id = request_id(number, turn);
            let case = &self.cases[(number + turn) % self.cases.len()];
            let begun = Instant::now();
            match self.ask(&mut connection, case, turn, &id).await {
                Ok(response) => tally.take(case, &response, &id, begun.elapsed()),
                Err(error) => {
                    connection = None;
                    tally.lost += 1;
                    tally.first.get_or_insert(error.to_string());
                }
            }
        }
        tally
    }

    /// Takes the place of one more request, unless there is to be none.
    fn is_over(&self, end: End) -> bool {
        let before = self.begun.fetch_add(1, Relaxed);
        let over = match end {
            End::Requests(most) => before >= most,
            End::After(_) | End::Told => self.stop.load(Relaxed),
        };
        if over {
            self.begun.fetch_sub(1, Relaxed);
        }
        over
    }

    async fn ask(
        &self,
        connection: &mut Option<Connection>,
        case: &Case,
        turn: usize,
        id: &str,
    ) -> std::io::Result<Response> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(Connection::open(self.address).await?),
        };
        // Every connection sends every question in every form.
        let form = turn / self.cases.len();
        case.question.ask(connection, form, id).await
    }
}

impl Tally {
    fn take(&mut self, case: &Case, response: &Response, id: &str, time: Duration) {
        if response.status == 429 && response.retry_after {
            self.refused.push(time);
            return;
        }
        let mut answers = case.answers.iter();
        let bundle = answers.position(|answer| answer.is(&response.body, id));
        match bundle.filter(|_| response.status == 200) {
            Some(bundle) => {
                self.by_bundle
                    .resize(self.by_bundle.len().max(bundle + 1), 0);
                self.by_bundle[bundle] += 1;
                self.accepted.push(time);
            }
            None => {
                self.wrong += 1;
                let body = String::from_utf8_lossy(&response.body).into_owned();
                let found = format!("{} {body}", response.status);
                self.first.get_or_insert(found);
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.accepted.extend(other.accepted);
        self.refused.extend(other.refused);
        self.wrong += other.wrong;
        self.lost += other.lost;
        self.first = self.first.take().or(other.first);
        let len = self.by_bundle.len().max(other.by_bundle.len());
        self.by_bundle.resize(len, 0);
        for (count, more) in self.by_bundle.iter_mut().zip(other.by_bundle) {
            *count += more;
        }
    }

    /// Fails if an answer was wrong or missing.
    pub(crate) fn check(&self) -> Result<()> {
        if self.wrong + self.lost == 0 {
            return Ok(());
        }
        let first = self.first.as_deref().unwrap_or_default();
        Err(format!(
            "{} wrong, {} lost; the first: {first}",
            self.wrong, self.lost
        )
        .into())
    }
}

/// The time that a share `q` of `times` stays under; zero where there are none.
pub(crate) fn quantile(times: &mut [Duration], q: f64) -> Duration {
    times.sort_unstable();
    let rank = (times.len() as f64 * q).ceil() as usize;
    let at = rank.saturating_sub(1).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}
