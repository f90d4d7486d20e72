//! The service as clients see it, over real sockets.

mod access;
mod answers;
mod documents;
mod lifecycle;
mod refusals;

use crate::service::App;
use reqwest::blocking::Response;
use reqwest::blocking::multipart::{Form, Part};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PROBLEM: &str = "application/problem+json";

fn form(images: &[Vec<u8>]) -> Form {
    images
        .iter()
        .enumerate()
        .fold(Form::new(), |form, (index, image)| {
            let part = Part::bytes(image.clone()).file_name(format!("{index}.png"));
            form.part("image", part)
        })
}

/// Checks that `response` is a whole problem document and gives its status and code.
fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|v| v.to_str().unwrap().to_owned())
    };
    assert_eq!(header("content-type").as_deref(), Some(PROBLEM), "{status}");
    let id = header("x-request-id").unwrap();
    let body: Value = response.json().unwrap();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["request_id"], id, "{body}");
    for key in ["type", "title", "detail", "error"] {
        assert!(
            body[key].as_str().is_some_and(|text| !text.is_empty()),
            "{body}"
        );
    }
    (status, body["code"].as_str().unwrap().to_owned())
}

/// Sends `text` and reads until the service closes or says no more for two seconds.
fn raw(app: &App, text: &str) -> String {
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..length]);
        if answer.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}
