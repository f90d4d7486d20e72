//! Errors as clients see them: RFC 9457 problem documents with a stable code and a plain `error` string.

use crate::serve::http::context::RequestId;
use crate::serve::inference::pool::PoolError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Content type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Longest detail, in bytes: it may quote the client, whose text can be as long as its body.
const MAX_DETAIL_LEN: usize = 512;

/// What went wrong; the names are part of the interface and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The query string is not understood.
    MalformedQuery,
    /// Not exactly one host is named.
    MalformedHost,
    /// The host or the origin is not one that the service answers to.
    Misdirected,
    /// The body is not what its content type says, or holds no image.
    MalformedBody,
    /// No key, or a wrong one.
    Unauthorized,
    /// The service is set up not to show it to anybody.
    Forbidden,
    /// No such route or file.
    NotFound,
    /// The bundle has no such drop.
    UnknownDrop,
    /// There is no such policy, or the bundle does not carry what it needs.
    UnknownPolicy,
    /// The route knows other methods.
    MethodNotAllowed,
    /// No representation that the client accepts.
    NotAcceptable,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body is longer than allowed.
    BodyTooLarge,
    /// More images in one request than allowed.
    TooManyImages,
    /// The content type is not one that the route takes.
    UnsupportedMediaType,
    /// The body is compressed.
    UnsupportedEncoding,
    /// The image cannot be decoded.
    UndecodableImage,
    /// The image is larger or smaller than allowed.
    ImageOutsideLimits,
    /// The queue is full.
    Overloaded,
    /// The service is at fault.
    Internal,
    /// The bundle is not loaded, warmed up and tested yet.
    NotReady,
    /// The service is about to exit.
    Draining,
    /// The answer did not come in time.
    Timeout,
}

impl Code {
    /// The code as written, its status, and its title.
    const fn describe(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedQuery => ("malformed_query", S::BAD_REQUEST, "Malformed query"),
            Self::MalformedHost => ("malformed_host", S::BAD_REQUEST, "Malformed host"),
            Self::Misdirected => ("misdirected", S::MISDIRECTED_REQUEST, "Misdirected"),
            Self::MalformedBody => ("malformed_body", S::BAD_REQUEST, "Malformed body"),
            Self::Unauthorized => ("unauthorized", S::UNAUTHORIZED, "A key is needed"),
            Self::Forbidden => ("forbidden", S::FORBIDDEN, "Forbidden"),
            Self::NotFound => ("not_found", S::NOT_FOUND, "Not found"),
            Self::UnknownDrop => ("unknown_drop", S::NOT_FOUND, "Unknown drop"),
            Self::UnknownPolicy => ("unknown_policy", S::NOT_FOUND, "Unknown policy"),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                S::METHOD_NOT_ALLOWED,
                "Method not allowed",
            ),
            Self::NotAcceptable => ("not_acceptable", S::NOT_ACCEPTABLE, "Not acceptable"),
            Self::BodyTimeout => ("body_timeout", S::REQUEST_TIMEOUT, "The body was too slow"),
            Self::BodyTooLarge => ("body_too_large", S::PAYLOAD_TOO_LARGE, "Body too large"),
            Self::TooManyImages => ("too_many_images", S::PAYLOAD_TOO_LARGE, "Too many images"),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported media type",
            ),
            Self::UnsupportedEncoding => (
                "unsupported_content_encoding",
                S::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported content encoding",
            ),
            Self::UndecodableImage => (
                "undecodable_image",
                S::UNPROCESSABLE_ENTITY,
                "Not a decodable image",
            ),
            Self::ImageOutsideLimits => (
                "image_outside_limits",
                S::UNPROCESSABLE_ENTITY,
                "Image outside the limits",
            ),
            Self::Overloaded => ("overloaded", S::TOO_MANY_REQUESTS, "Overloaded"),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "Internal error"),
            Self::NotReady => ("not_ready", S::SERVICE_UNAVAILABLE, "Not ready"),
            Self::Draining => ("draining", S::SERVICE_UNAVAILABLE, "Draining"),
            Self::Timeout => ("timeout", S::GATEWAY_TIMEOUT, "Timed out"),
        }
    }

    /// The code as written in documents and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.describe().0
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.describe().1
    }

    /// Seconds after which trying again makes sense.
    const fn retry_after(self) -> Option<&'static str> {
        match self {
            Self::Overloaded | Self::NotReady => Some("1"),
            Self::Draining => Some("5"),
            _ => None,
        }
    }
}

/// An error on its way out: what the client reads, and what only the log gets.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    internal: Option<String>,
}

impl Problem {
    /// A problem with `detail` for the client, cut to 512 bytes.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL_LEN {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL_LEN));
            detail.push('…');
        }
        Self {
            code,
            detail,
            internal: None,
        }
    }

    /// A fault of the service: the client reads a fixed text, the log gets `reason`.
    #[must_use]
    pub fn internal(reason: impl std::fmt::Display) -> Self {
        Self {
            code: Code::Internal,
            detail: "the service failed; the log names the reason under this request id".to_owned(),
            internal: Some(reason.to_string()),
        }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Code and detail in one line, for a log.
    #[must_use]
    pub fn explain(&self) -> String {
        let reason = self.internal.as_deref().unwrap_or(&self.detail);
        format!("{}: {reason}", self.code.name())
    }

    /// What only the log gets.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.internal.as_deref()
    }

    /// The document for the request `id`.
    #[must_use]
    pub fn document(&self, id: &RequestId) -> ProblemBody {
        let (code, status, title) = self.code.describe();
        ProblemBody {
            kind: format!("urn:goodnet:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            error: format!("{title}: {}", self.detail),
            detail: self.detail.clone(),
            code: code.to_owned(),
            request_id: id.to_string(),
        }
    }

    /// The response for the request `id`; `headers` of the response it stands for (`Allow`, say) are kept.
    pub(crate) fn render(&self, id: &RequestId, headers: axum::http::HeaderMap) -> Response {
        let body = serde_json::to_vec(&self.document(id)).unwrap_or_default();
        let mut response = (self.code.status(), body).into_response();
        let out = response.headers_mut();
        out.extend(headers);
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        out.remove(header::CONTENT_LENGTH);
        if let Some(seconds) = self.code.retry_after() {
            out.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if self.code == Code::Unauthorized {
            out.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.code == Code::Draining {
            out.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The outermost layer knows the request id and writes the document; until then the problem travels as an extension.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<PoolError> for Problem {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full => Self::new(Code::Overloaded, "the queue is full; try again"),
            PoolError::TooMany { .. } => Self::new(Code::TooManyImages, error.to_string()),
            PoolError::Panicked | PoolError::Thread(_) | PoolError::Engine(_) => {
                Self::internal(error)
            }
        }
    }
}

/// An error document (RFC 9457); `error` is a plain string for clients that look for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A URN made of the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:goodnet:problem:unknown_drop")]
    pub kind: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was expected and what was found.
    pub detail: String,
    /// Stable code.
    #[schema(example = "unknown_drop")]
    pub code: String,
    /// The request that it belongs to, as in the `x-request-id` header.
    pub request_id: String,
    /// Title and detail in one string.
    pub error: String,
}
