//! Pages from elsewhere (CORS): none but those of the origins that are named, and these exactly.

use crate::serve::http::context::REQUEST_ID;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use std::time::Duration;
use tower_http::cors::CorsLayer;

/// Bytes of JSON before the values of tensors: v2 clients send and read it.
const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// How long a browser may remember what a page is allowed.
const MAX_AGE: Duration = Duration::from_secs(600);

/// An origin as browsers send it: a scheme, a host, a port where it is not the scheme's own, and nothing after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl Origin {
    /// Reads `https://example.org` and the like.
    ///
    /// # Errors
    /// If a browser would never send it so: another scheme, a path, a slash at the end, capitals, a user, the scheme's own port.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("expected an origin like https://example.org, found {text:?}");
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.authority()) else {
            return Err(expected());
        };
        let own_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(expected()),
        };
        let exact = format!("{scheme}://{host}").to_ascii_lowercase();
        let redundant = host.port_u16() == Some(own_port);
        if exact != text || redundant || host.as_str().contains('@') {
            return Err(expected());
        }
        HeaderValue::from_str(text)
            .map(Self)
            .map_err(|_| expected())
    }

    /// Is this the origin that a request names?
    #[must_use]
    pub fn is(&self, named: &HeaderValue) -> bool {
        self.0 == named
    }
}

/// Lets pages of `origins` ask, with a key where they have one; none where no origin is named.
pub(crate) fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins.iter().map(|origin| origin.0.clone());
    let layer = CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, HEADER_LENGTH])
        .expose_headers([RETRY_AFTER, HEADER_LENGTH, REQUEST_ID])
        .max_age(MAX_AGE);
    Some(layer)
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for text in [
            "https://example.org",
            "http://localhost:3000",
            "http://[::1]:8000",
        ] {
            assert!(Origin::parse(text).is_ok(), "{text}");
        }
        for text in [
            "*",
            "null",
            "example.org",
            "https://example.org/",
            "https://example.org/page",
            "https://Example.org",
            "https://example.org:443",
            "https://user@example.org",
            "ftp://example.org",
            "",
        ] {
            let error = Origin::parse(text).unwrap_err();
            assert!(error.contains("https://example.org"), "{text}: {error}");
        }
    }
}
