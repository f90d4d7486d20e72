//! Requests that break the rules of HTTP or of the interface, each with the status that it must get.

mod bodies;
mod framing;
mod heads;

use crate::wire::post;

/// A request, the statuses that are right for it, and why. 0 stands for a connection closed without an answer.
pub struct Case {
    pub name: &'static str,
    pub request: Vec<u8>,
    pub statuses: &'static [u16],
    pub why: &'static str,
}

fn case(
    name: &'static str,
    request: impl Into<Vec<u8>>,
    statuses: &'static [u16],
    why: &'static str,
) -> Case {
    Case {
        name,
        request: request.into(),
        statuses,
        why,
    }
}

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = bodies::types();
    cases.extend(bodies::forms());
    cases.extend(bodies::jsons());
    cases.extend(framing::lengths());
    cases.extend(framing::chunks());
    cases.extend(heads::heads());
    cases.extend(heads::floods());
    cases.extend(heads::no_http());
    cases
}

fn typed(kind: &str, body: &[u8]) -> Vec<u8> {
    post("/classify", &format!("content-type: {kind}\r\n"), body)
}

fn get(line: &str, headers: &str) -> Vec<u8> {
    format!("{line}\r\n{headers}\r\n").into_bytes()
}
