//! Requests that break the rules of HTTP or of the interface, each with the status that it must get.

use super::service::{RED, png};
use super::wire::post;

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
    let mut cases = types();
    cases.extend(forms());
    cases.extend(jsons());
    cases.extend(lengths());
    cases.extend(chunks());
    cases.extend(heads());
    cases.extend(floods());
    cases.extend(no_http());
    cases
}

fn typed(kind: &str, body: &[u8]) -> Vec<u8> {
    post("/classify", &format!("content-type: {kind}\r\n"), body)
}

fn types() -> Vec<Case> {
    let red = png(RED);
    let encoded = |encoding: &str| {
        post(
            "/classify",
            &format!("content-encoding: {encoding}\r\n"),
            &red,
        )
    };
    vec![
        case(
            "a PNG said to be a JPEG",
            typed("image/jpeg", &red),
            &[200],
            "content says what it is",
        ),
        case(
            "a PNG said to be an unknown image",
            typed("image/x-unheard-of", &red),
            &[200],
            "content says what it is",
        ),
        case(
            "a PNG said to be text",
            typed("text/plain", &red),
            &[415],
            "not a type that the route takes",
        ),
        case(
            "a PNG said to be XML",
            typed("application/xml", &red),
            &[415],
            "not a type that the route takes",
        ),
        case(
            "a PNG said to be JSON",
            typed("application/json", &red),
            &[400],
            "no JSON",
        ),
        case(
            "a PNG said to be a URL-encoded form",
            typed("application/x-www-form-urlencoded", &red),
            &[415],
            "not a type that the route takes",
        ),
        case(
            "a content type that is not ASCII",
            typed("\u{e4}", &red),
            &[200],
            "a type that says nothing is like none",
        ),
        case(
            "two content types",
            post(
                "/classify",
                "content-type: image/png\r\ncontent-type: application/json\r\n",
                &red,
            ),
            &[200],
            "the first one counts",
        ),
        case(
            "a gzip body",
            encoded("gzip"),
            &[415],
            "compressed bodies are not taken",
        ),
        case(
            "a gzip body in two layers",
            encoded("gzip, gzip"),
            &[415],
            "compressed bodies are not taken",
        ),
        case(
            "an unknown encoding",
            encoded("x"),
            &[415],
            "compressed bodies are not taken",
        ),
        case(
            "an identity body",
            encoded("identity"),
            &[200],
            "it says nothing",
        ),
    ]
}

fn forms() -> Vec<Case> {
    let part = "--b\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n";
    let body = |open: &str, close: &str| [open.as_bytes(), &png(RED), close.as_bytes()].concat();
    let whole = body(part, "\r\n--b--\r\n");
    let form = |path: &str, kind: &str, body: &[u8]| {
        post(
            path,
            &format!("content-type: multipart/form-data{kind}\r\n"),
            body,
        )
    };
    let one = |kind: &str, body: &[u8]| form("/classify", kind, body);
    let many = [part.as_bytes().repeat(65).as_slice(), b"\r\n--b--\r\n"].concat();
    let flood = format!("--b\r\n{}\r\n\r\n\r\n--b--\r\n", "x: y\r\n".repeat(20_000));
    vec![
        case(
            "a whole form",
            one("; boundary=b", &whole),
            &[200],
            "as it should be",
        ),
        case(
            "a form without a boundary",
            one("", &whole),
            &[400],
            "cannot be taken apart",
        ),
        case(
            "a form with an empty boundary",
            one("; boundary=", &whole),
            &[400],
            "cannot be taken apart",
        ),
        case(
            "a form with another boundary",
            one("; boundary=c", &whole),
            &[400],
            "no part in it",
        ),
        case(
            "a form with a boundary of 60,000 bytes",
            one(&format!("; boundary={}", "b".repeat(60_000)), &whole),
            &[431],
            "headers longer than allowed",
        ),
        case(
            "a form that breaks off",
            one("; boundary=b", &body(part, "")),
            &[400],
            "the end is missing",
        ),
        case(
            "a form that breaks off in a boundary",
            one("; boundary=b", &body(part, "\r\n--")),
            &[400],
            "the end is missing",
        ),
        case(
            "a form without parts",
            one("; boundary=b", b"--b--\r\n"),
            &[400],
            "no image",
        ),
        case(
            "a form with an empty part",
            one(
                "; boundary=b",
                &[part.as_bytes(), b"\r\n--b--\r\n"].concat(),
            ),
            &[400],
            "no image",
        ),
        case(
            "a part without a name",
            one("; boundary=b", &body("--b\r\n\r\n", "\r\n--b--\r\n")),
            &[200, 400],
            "the name is not needed",
        ),
        case(
            "a file name that climbs",
            one(
                "; boundary=b",
                &body(
                    "--b\r\ncontent-disposition: form-data; name=\"i\"; filename=\"../../etc/passwd\"\r\n\r\n",
                    "\r\n--b--\r\n",
                ),
            ),
            &[200],
            "names are not used as paths",
        ),
        case(
            "two images where one is expected",
            one(
                "; boundary=b",
                &[&body(part, "\r\n")[..], &body(part, "\r\n--b--\r\n")].concat(),
            ),
            &[413],
            "more than one image",
        ),
        case(
            "a part with 20,000 headers",
            one("; boundary=b", flood.as_bytes()),
            &[400],
            "more than a part may have",
        ),
        case(
            "a batch of 65 parts that are no images",
            form("/classify/batch", "; boundary=b", &many),
            &[200, 400, 413],
            "a problem for each, or too many",
        ),
        case(
            "a batch that is no form",
            post("/classify/batch", "content-type: image/png\r\n", &png(RED)),
            &[415],
            "not a type that the route takes",
        ),
    ]
}

fn jsons() -> Vec<Case> {
    let json = |body: &str| typed("application/json", body.as_bytes());
    let deep = "[".repeat(200_000);
    let long = format!("{{\"image\":\"{}\"}}", "A".repeat(1 << 20));
    vec![
        case(
            "JSON cut off",
            json("{\"image\":\"aGk"),
            &[400],
            "no whole JSON",
        ),
        case(
            "JSON of another shape",
            json("[1,2,3]"),
            &[400],
            "no image in it",
        ),
        case(
            "JSON whose image is a number",
            json("{\"image\":1e999}"),
            &[400],
            "no image in it",
        ),
        case(
            "JSON with the image twice",
            json("{\"image\":\"\",\"image\":\"\"}"),
            &[400],
            "which one is meant?",
        ),
        case(
            "JSON nested 200,000 deep",
            json(&deep),
            &[400],
            "nesting is bounded",
        ),
        case(
            "JSON nested deep where it is not read",
            json(&format!("{{\"x\":{deep}")),
            &[400],
            "nesting is bounded",
        ),
        case(
            "JSON that is not UTF-8",
            typed("application/json", b"{\"image\":\"\xFF\xFE\"}"),
            &[400],
            "no JSON",
        ),
        case(
            "base64 with a wrong letter",
            json("{\"image\":\"a!b?\"}"),
            &[400],
            "no base64",
        ),
        case(
            "base64 of no image",
            json("{\"image\":\"aGVsbG8=\"}"),
            &[422],
            "another format",
        ),
        case(
            "base64 of a million zero bits",
            json(&long),
            &[422],
            "another format",
        ),
        case(
            "base64 of nothing",
            json("{\"image\":\"\"}"),
            &[400],
            "no image",
        ),
    ]
}

fn with_length(length: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /classify HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn lengths() -> Vec<Case> {
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

fn chunks() -> Vec<Case> {
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

fn get(line: &str, headers: &str) -> Vec<u8> {
    format!("{line}\r\n{headers}\r\n").into_bytes()
}

fn heads() -> Vec<Case> {
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

fn floods() -> Vec<Case> {
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

fn no_http() -> Vec<Case> {
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
