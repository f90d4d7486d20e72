//! What is asked, and what has to be answered.

use crate::Result;
use crate::http::{Connection, Response};
use base64::Engine as _;
use goodnet::bundle::Bundle;
use goodnet::bundle::manifest::SampleRecord;
use serde_json::Value;
use std::net::SocketAddr;

/// Length of the ids that requests carry.
const ID_LEN: usize = 20;

/// An image in the three forms in which it can be sent.
pub(crate) struct Question {
    forms: Vec<(String, Vec<u8>)>,
}

impl Question {
    pub(crate) fn new(image: &[u8]) -> Self {
        let text = base64::engine::general_purpose::STANDARD.encode(image);
        let json = format!("{{\"image\": \"{text}\"}}").into_bytes();
        let mut form =
            b"--cut\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n"
                .to_vec();
        form.extend_from_slice(image);
        form.extend_from_slice(b"\r\n--cut--\r\n");
        let forms = [
            ("application/octet-stream", image.to_vec()),
            ("multipart/form-data; boundary=cut", form),
            ("application/json", json),
        ];
        let head = |(kind, body): (&str, Vec<u8>)| {
            let head = format!(
                "POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nx-request-id: ",
                body.len()
            );
            (head, body)
        };
        Self {
            forms: forms.map(head).into(),
        }
    }

    /// Sends it in one of its forms under an id of its own.
    pub(crate) async fn ask(
        &self,
        connection: &mut Connection,
        form: usize,
        id: &str,
    ) -> std::io::Result<Response> {
        let (head, body) = &self.forms[form % self.forms.len()];
        let head = format!("{head}{id}\r\n\r\n");
        connection.send(head.as_bytes(), body).await
    }
}

/// An id that no other request has.
pub(crate) fn request_id(connection: usize, number: usize) -> String {
    format!("load-{connection:05}-{number:09}")
}

/// What a bundle has to answer to a question: every byte of the body but the request's id, which stands at its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    body: Vec<u8>,
    pub(crate) value: Value,
}

impl Answer {
    /// Asks for it once.
    pub(crate) async fn learn(address: SocketAddr, question: &Question) -> Result<Self> {
        let mut connection = Connection::open(address).await?;
        let response = question.ask(&mut connection, 0, &request_id(0, 0)).await?;
        if response.status != 200 {
            return Err(format!("expected an answer, found {}", response.status).into());
        }
        let value: Value = serde_json::from_slice(&response.body)?;
        let tail = ID_LEN + "\"}".len();
        let id = response
            .body
            .len()
            .checked_sub(tail)
            .map(|at| at..at + ID_LEN);
        let (Some(id), true) = (id, value["request_id"] == request_id(0, 0)) else {
            return Err("expected the request's id at the end of an answer".into());
        };
        let mut body = response.body;
        body[id].fill(0);
        Ok(Self { body, value })
    }

    /// Is `body` this very answer, to the request `id`?
    pub(crate) fn is(&self, body: &[u8], id: &str) -> bool {
        let Some(at) = body.len().checked_sub(id.len() + 2) else {
            return false;
        };
        let (start, end) = (&body[..at], &body[at + id.len()..]);
        body.len() == self.body.len()
            && start == &self.body[..at]
            && &body[at..at + id.len()] == id.as_bytes()
            && end == b"\"}"
    }

    /// Fails unless it is what the bundle's manifest says of the sample that was asked about.
    pub(crate) fn check(&self, bundle: &Bundle, sample: &SampleRecord) -> Result<()> {
        let verdicts = self.value["verdicts"].as_array().ok_or("no verdicts")?;
        let verdicts: Vec<u64> = verdicts
            .iter()
            .filter_map(|verdict| verdict["class"].as_u64())
            .collect();
        let expected: Vec<u64> = sample.verdicts.iter().map(|&class| class.into()).collect();
        let right = verdicts == expected
            && self.value["badnet"]["class"] == sample.badnet
            && self.value["model_sha256"] == bundle.manifest().source.sha256.as_str();
        if right {
            return Ok(());
        }
        Err(format!(
            "{}: expected B {} and {expected:?}, found {}",
            sample.file, sample.badnet, self.value
        )
        .into())
    }
}

/// The samples of a bundle.
pub(crate) fn samples(bundle: &Bundle) -> Result<Vec<(SampleRecord, Vec<u8>)>> {
    let samples = &bundle.manifest().samples;
    if samples.is_empty() {
        return Err("expected a bundle with samples, found none".into());
    }
    let read = |sample: &SampleRecord| {
        let bytes = bundle.file(&sample.file).ok_or("a sample is missing")?;
        Ok((sample.clone(), bytes.to_vec()))
    };
    samples.iter().map(read).collect()
}
