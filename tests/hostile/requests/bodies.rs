//! Bodies of a wrong type, and broken forms and JSON.

use super::{Case, case, typed};
use crate::service::{RED, png};
use crate::wire::post;

pub(super) fn types() -> Vec<Case> {
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

pub(super) fn forms() -> Vec<Case> {
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

pub(super) fn jsons() -> Vec<Case> {
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
