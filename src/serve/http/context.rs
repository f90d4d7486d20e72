//! What a request carries from the outermost layer to its handler: its id and its trace.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Header of the request id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Header of the W3C trace context of a request.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Header of that of an answer.
pub const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Longest request id that is taken over from a client.
const MAX_ID_LEN: usize = 128;

/// The id of a request: the client's where it sent a usable one, else a new UUID (version 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the id over from `headers` if it is 1 to 128 visible ASCII characters.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let usable = |value: &&HeaderValue| {
            (1..=MAX_ID_LEN).contains(&value.len())
                && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        match headers.get(REQUEST_ID).filter(usable) {
            Some(value) => Self(value.clone()),
            None => Self::new(),
        }
    }

    fn new() -> Self {
        let mut buffer = uuid::Uuid::encode_buffer();
        let text = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        // Hexadecimal digits and hyphens are always a valid header value.
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")))
    }

    /// The id as a header value.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The place of a request in its caller's trace, and the span that it is there.
///
/// Source: W3C Trace Context, version 00 and the rule for later versions; `traceresponse` as its working draft has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The trace: 32 lower-case hex digits, not all 0.
    pub id: String,
    /// The caller's span: 16 lower-case hex digits, not all 0.
    pub parent: String,
    /// This request's span, made here: the same form.
    pub span: String,
    /// The caller's flags: two lower-case hex digits; 01 where it records the trace.
    flags: String,
}

impl Trace {
    /// The trace of a valid `traceparent` header; `None` without one.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(TRACEPARENT)?.to_str().ok()?;
        let mut parts = value.split('-');
        let (version, id) = (parts.next()?, parts.next()?);
        let (parent, flags) = (parts.next()?, parts.next()?);
        let hex = |part: &str, len: usize| {
            part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let zero = |part: &str| part.bytes().all(|b| b == b'0');
        let valid = hex(version, 2)
            && version != "ff"
            && (version != "00" || parts.next().is_none())
            && hex(id, 32)
            && !zero(id)
            && hex(parent, 16)
            && !zero(parent)
            && hex(flags, 2);
        // The random half of a UUID: its first two bits are 10.
        let (_, span) = uuid::Uuid::now_v7().as_u64_pair();
        valid.then(|| Self {
            id: id.to_owned(),
            parent: parent.to_owned(),
            span: format!("{span:016x}"),
            flags: flags.to_owned(),
        })
    }

    /// Does the caller record the trace?
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        u8::from_str_radix(&self.flags, 16).is_ok_and(|flags| flags & 1 == 1)
    }

    /// `00-TRACE-SPAN-FLAGS`, for the answer.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("00-{}-{}-{}", self.id, self.span, self.flags)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_usable_id_is_taken_over_and_any_other_replaced() {
        assert_eq!(
            RequestId::from_headers(&headers(REQUEST_ID, "abc-1")).as_str(),
            "abc-1"
        );
        assert_eq!(
            RequestId::from_headers(&headers(REQUEST_ID, "a b"))
                .as_str()
                .len(),
            36
        );
        assert_eq!(
            RequestId::from_headers(&headers(REQUEST_ID, ""))
                .as_str()
                .len(),
            36
        );
        assert_eq!(
            RequestId::from_headers(&HeaderMap::new()).as_str().len(),
            36
        );
    }

    #[test]
    fn only_a_well_formed_traceparent_names_a_trace() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let cases = [
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                Some(trace),
            ),
            (
                "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                Some(trace),
            ),
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                None,
            ),
            (
                "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                None,
            ),
            (
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                None,
            ),
            (
                "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                None,
            ),
            ("nonsense", None),
        ];
        for (value, expected) in cases {
            let found = Trace::from_headers(&headers(TRACEPARENT, value));
            let found = found.map(|found| found.id);
            assert_eq!(found.as_deref(), expected, "{value}");
        }
    }
}
