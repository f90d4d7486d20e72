//! Request lines and headers, too many of them, and what is no HTTP.

use super::{Case, case, get};

pub(super) fn heads() -> Vec<Case> {
    let host = "host: a\r\n";
    let ask = |path: &str| get(&format!("GET {path} HTTP/1.1"), host);
    vec![
        case(
            "no host",
            get("GET /healthz HTTP/1.1", ""),
            &[400],
            "RFC 9112, section 3.2",
        ),
        case(
            "two hosts",
            get("GET /healthz HTTP/1.1", "host: a\r\nhost: b\r\n"),
            &[400],
            "RFC 9112, section 3.2",
        ),
        case(
            "HTTP/1.0",
            get("GET /healthz HTTP/1.0", ""),
            &[200],
            "older, and fine",
        ),
        case(
            "HTTP/3.0 in the request line",
            get("GET /healthz HTTP/3.0", host),
            &[400],
            "no such version here",
        ),
        case(
            "no version",
            get("GET /healthz", host),
            &[400],
            "no such version here",
        ),
        case(
            "a folded header",
            get("GET /healthz HTTP/1.1", "host: a\r\nx: y\r\n z\r\n"),
            &[400],
            "gone from HTTP",
        ),
        case(
            "a space before the colon",
            get("GET /healthz HTTP/1.1", "host : a\r\n"),
            &[400],
            "a way to smuggle requests",
        ),
        case(
            "a header without a name",
            get("GET /healthz HTTP/1.1", ": a\r\n"),
            &[400],
            "no header",
        ),
        case(
            "a zero byte in a header",
            get("GET /healthz HTTP/1.1", "host: a\0b\r\n"),
            &[400],
            "no header",
        ),
        case(
            "lines that end in LF alone",
            b"GET /healthz HTTP/1.1\nhost: a\n\n".as_slice(),
            &[200, 400],
            "parsers may take it",
        ),
        case(
            "an unknown method",
            get("BREW /classify HTTP/1.1", host),
            &[405],
            "the route knows POST",
        ),
        case(
            "GET where POST is meant",
            ask("/classify"),
            &[405],
            "the route knows POST",
        ),
        case(
            "a method of 10,000 letters",
            get(&format!("{} / HTTP/1.1", "A".repeat(10_000)), host),
            &[400, 404, 405],
            "no such method",
        ),
        case(
            "CONNECT",
            get("CONNECT example.test:443 HTTP/1.1", host),
            &[404, 405],
            "no proxy",
        ),
        case(
            "OPTIONS *",
            get("OPTIONS * HTTP/1.1", host),
            &[404, 405],
            "no such route",
        ),
        case(
            "an absolute address",
            ask("http://example.test/healthz"),
            &[200],
            "the path is what counts",
        ),
        case(
            "a path that climbs",
            ask("/samples/../../../etc/passwd"),
            &[404],
            "no such file",
        ),
        case(
            "a path that climbs in disguise",
            ask("/samples/%2e%2e%2f%2e%2e%2fmanifest.json"),
            &[404],
            "no such file",
        ),
        case(
            "a path with a zero byte",
            ask("/samples/red.png%00"),
            &[404],
            "no such file",
        ),
        case(
            "a path that is not UTF-8",
            ask("/samples/%FF%FE"),
            &[400, 404],
            "no such file",
        ),
        case(
            "a query that is not UTF-8",
            get("POST /classify?drop=%FF HTTP/1.1", host),
            &[400],
            "no number",
        ),
        case(
            "a drop that is no number",
            get("POST /classify?drop=NaN HTTP/1.1", host),
            &[400, 404],
            "no such drop",
        ),
        case(
            "a drop beyond all numbers",
            get("POST /classify?drop=1e999 HTTP/1.1", host),
            &[400, 404],
            "no such drop",
        ),
        case(
            "a list longer than allowed",
            get("POST /classify?top_k=4294967295 HTTP/1.1", host),
            &[400],
            "lists are bounded",
        ),
        case(
            "the same question twice",
            get("POST /classify?drop=2&drop=10 HTTP/1.1", host),
            &[400],
            "which one is meant?",
        ),
        case(
            "an upgrade to HTTP/2",
            get(
                "GET /healthz HTTP/1.1",
                "host: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
            ),
            &[200],
            "not taken up",
        ),
        case(
            "a range of all things",
            get(
                "GET /sweep HTTP/1.1",
                "host: a\r\nrange: bytes=0-0,1-1,2-2\r\n",
            ),
            &[200],
            "ranges are not taken up",
        ),
        case(
            "a trace that is no trace",
            get(
                "GET /healthz HTTP/1.1",
                "host: a\r\ntraceparent: 00-zz-zz-zz\r\n",
            ),
            &[200],
            "not taken up",
        ),
        case(
            "a request id of 8,000 bytes",
            get(
                "GET /healthz HTTP/1.1",
                &format!("host: a\r\nx-request-id: {}\r\n", "i".repeat(8000)),
            ),
            &[200],
            "ids are bounded",
        ),
    ]
}

pub(super) fn floods() -> Vec<Case> {
    let many = |count: usize| {
        get(
            "GET /healthz HTTP/1.1",
            &format!("host: a\r\n{}", "x: y\r\n".repeat(count)),
        )
    };
    let long = |bytes: usize| {
        get(
            "GET /healthz HTTP/1.1",
            &format!("host: a\r\nx: {}\r\n", "y".repeat(bytes)),
        )
    };
    vec![
        case("90 headers", many(90), &[200], "within the limit of 100"),
        case("1,000 headers", many(1000), &[431], "more than allowed"),
        case(
            "100,000 headers",
            many(100_000),
            &[431],
            "longer than allowed",
        ),
        case(
            "a header of 20,000 bytes",
            long(20_000),
            &[200],
            "within the limit of 32 KiB",
        ),
        case(
            "a header of 1 MiB",
            long(1 << 20),
            &[431],
            "longer than allowed",
        ),
        case(
            "a path of 20,000 bytes",
            get(
                &format!("GET /{} HTTP/1.1", "a".repeat(20_000)),
                "host: a\r\n",
            ),
            &[404],
            "no such route",
        ),
        case(
            "a path of 1 MiB",
            get(&format!("GET /{} HTTP/1.1", "a".repeat(1 << 20)), ""),
            &[414, 431],
            "longer than allowed",
        ),
        case(
            "a query of 20,000 questions",
            get(
                &format!("POST /classify?{} HTTP/1.1", "a&".repeat(9000)),
                "",
            ),
            &[400],
            "no image",
        ),
    ]
}

pub(super) fn no_http() -> Vec<Case> {
    let hello = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        &[7; 500],
    ]
    .concat();
    vec![
        case("the hello of TLS", hello, &[400], "another protocol"),
        case("zeros", vec![0; 10_000], &[400], "no protocol at all"),
        case(
            "noise",
            (0..10_000u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect::<Vec<u8>>(),
            &[400],
            "no protocol at all",
        ),
        case(
            "an answer",
            b"HTTP/1.1 200 OK\r\n\r\n".as_slice(),
            &[400],
            "the wrong way round",
        ),
        case(
            "empty lines",
            b"\r\n".repeat(100),
            &[0, 400],
            "no request yet",
        ),
    ]
}
