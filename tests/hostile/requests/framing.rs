//! Lengths and chunks.

use super::{Case, case};
use crate::service::{RED, png};
use crate::wire::post;

fn with_length(length: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /classify HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

pub(super) fn lengths() -> Vec<Case> {
    let red = png(RED);
    let length = red.len();
    let twice = |first: usize, second: usize| {
        with_length(&format!("{first}\r\ncontent-length: {second}"), &red)
    };
    vec![
        case(
            "a length that is too short",
            with_length(&(length / 2).to_string(), &red),
            &[422],
            "a cut image; the rest is no request",
        ),
        case(
            "a length that is too long",
            with_length(&(length + 1).to_string(), &red),
            &[408],
            "the rest never comes",
        ),
        case(
            "a length of nothing",
            with_length("0", b""),
            &[400],
            "no image",
        ),
        case(
            "a negative length",
            with_length("-1", &red),
            &[400],
            "no length",
        ),
        case(
            "a length with a sign",
            with_length(&format!("+{length}"), &red),
            &[400],
            "no length",
        ),
        case(
            "a length in hexadecimal",
            with_length("0x10", &red),
            &[400],
            "no length",
        ),
        case(
            "a length beyond 64 bits",
            with_length("99999999999999999999", &red),
            &[400],
            "no length",
        ),
        case(
            "a length of 1 TiB",
            with_length("1099511627776", &red),
            &[413],
            "refused unread",
        ),
        case(
            "the same length twice",
            twice(length, length),
            &[200, 400],
            "they agree",
        ),
        case(
            "two lengths",
            twice(length, length - 1),
            &[400],
            "which one is meant?",
        ),
        case(
            "no length and no chunks",
            b"POST /classify HTTP/1.1\r\nhost: a\r\n\r\n".as_slice(),
            &[400],
            "no image",
        ),
        case(
            "a length beside chunks",
            post("/classify", "transfer-encoding: chunked\r\n", b"0\r\n\r\n"),
            &[400],
            "which one is meant?",
        ),
    ]
}

fn chunked(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /classify HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub(super) fn chunks() -> Vec<Case> {
    let red = png(RED);
    let bytewise: Vec<u8> = red
        .iter()
        .flat_map(|&byte| [b"1\r\n".as_slice(), &[byte], b"\r\n"].concat())
        .collect();
    let whole = [format!("{:x}\r\n", red.len()).as_bytes(), &red, b"\r\n"].concat();
    let end = |tail: &[u8]| [&whole, tail].concat();
    let coded = |coding: &str| {
        [
            format!("POST /classify HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {coding}\r\n\r\n")
                .as_bytes(),
            &end(b"0\r\n\r\n"),
        ]
        .concat()
    };
    vec![
        case(
            "a chunk a byte",
            chunked("", &[&bytewise[..], b"0\r\n\r\n"].concat()),
            &[200],
            "as it may be",
        ),
        case(
            "chunks with a trailer",
            chunked("", &end(b"0\r\nx: y\r\n\r\n")),
            &[200],
            "trailers are not read",
        ),
        case(
            "chunks with an extension",
            chunked(
                "",
                &[
                    format!("{:x};a=b\r\n", red.len()).as_bytes(),
                    &red,
                    b"\r\n0\r\n\r\n",
                ]
                .concat(),
            ),
            &[200],
            "extensions are not read",
        ),
        case(
            "a chunk extension of 100,000 bytes",
            chunked(
                "",
                format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(100_000)).as_bytes(),
            ),
            &[400],
            "extensions are bounded",
        ),
        case(
            "trailers of 100,000 bytes",
            chunked(
                "",
                &end(format!("0\r\n{}\r\n", "x: y\r\n".repeat(16_667)).as_bytes()),
            ),
            &[400],
            "trailers are bounded",
        ),
        case(
            "a chunk size that is no number",
            chunked("", b"zz\r\n"),
            &[400],
            "no chunk",
        ),
        case(
            "a chunk size beyond 64 bits",
            chunked("", b"fffffffffffffffff\r\n"),
            &[400],
            "no chunk",
        ),
        case(
            "the largest chunk size there is",
            chunked("", b"ffffffffffffffff\r\nabc"),
            &[400, 408, 413],
            "nothing is reserved for it",
        ),
        case(
            "a negative chunk size",
            chunked("", b"-1\r\n"),
            &[400],
            "no chunk",
        ),
        case(
            "a chunk that is longer than it says",
            chunked("", b"1\r\nabc\r\n0\r\n\r\n"),
            &[400],
            "no chunk",
        ),
        case(
            "chunks without an end",
            chunked("", &whole),
            &[408],
            "the end never comes",
        ),
        case(
            "no chunk at all",
            chunked("", b"0\r\n\r\n"),
            &[400],
            "no image",
        ),
        case(
            "chunks beyond the limit",
            chunked(
                "",
                &[
                    b"900000\r\n".as_slice(),
                    &vec![0; 0x90_0000],
                    b"\r\n0\r\n\r\n",
                ]
                .concat(),
            ),
            &[413],
            "longer than a body may be",
        ),
        case(
            "gzip, then chunked",
            coded("gzip, chunked"),
            &[200, 400, 415, 422, 501],
            "the coding is not known",
        ),
        case(
            "chunked, then gzip",
            coded("chunked, gzip"),
            &[400],
            "the length is not known",
        ),
        case(
            "chunked twice",
            coded("chunked, chunked"),
            &[200, 400],
            "the same twice",
        ),
        case(
            "chunks in HTTP/1.0",
            String::from_utf8_lossy(&chunked("", b"0\r\n\r\n")).replace("HTTP/1.1", "HTTP/1.0"),
            &[400],
            "no chunks there",
        ),
        case(
            "an identity transfer",
            coded("identity"),
            &[400],
            "the length is not known",
        ),
    ]
}
