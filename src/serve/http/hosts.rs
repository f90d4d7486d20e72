//! Whose names the service answers to: `Host` and `Origin` are checked, so that a page from elsewhere, or a name that is made to
//! lead here (DNS rebinding), gets nothing.

use crate::serve::http::cors::Origin;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::routes::health;
use crate::serve::state::AppState;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;

/// The names of this machine for itself.
pub const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Refuses requests without exactly one host (RFC 9112, section 3.2), and those meant for hosts that the service does not answer
/// to (RFC 9110, section 7.4).
pub(crate) async fn check(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let host = host(&request)?;
    let access = &state.config().access;
    let allowed = &access.allowed_hosts;
    // A probe names the address that it found, and learns nothing.
    let is_probe = health::is_probe(request.uri().path());
    if let Some(allowed) = allowed.as_ref().filter(|_| !is_probe) {
        admit(
            host.as_ref(),
            request.headers(),
            allowed,
            &access.cors_origins,
        )?;
    }
    Ok(next.run(request).await)
}

/// The host that the request is meant for; none in HTTP/1.0, which need not name one.
fn host(request: &Request) -> Result<Option<Authority>, Problem> {
    let malformed = |found: &str| {
        Problem::new(
            Code::MalformedHost,
            format!("expected one Host header with a host and perhaps a port, found {found}"),
        )
    };
    let mut named = request.headers().get_all(header::HOST).iter();
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        return Err(malformed("several"));
    }
    let parsed = first.map(|value| authority(value).ok_or_else(|| malformed("another text")));
    let parsed = parsed.transpose()?;
    if let Some(authority) = request.uri().authority() {
        return Ok(Some(authority.clone()));
    }
    if parsed.is_none() && request.version() >= Version::HTTP_11 {
        return Err(malformed("none"));
    }
    Ok(parsed)
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    let authority: Authority = value.to_str().ok()?.parse().ok()?;
    // User names have no place in a Host header.
    (!authority.as_str().contains('@')).then_some(authority)
}

fn admit(
    host: Option<&Authority>,
    headers: &HeaderMap,
    allowed: &[String],
    origins: &[Origin],
) -> Result<(), Problem> {
    let known = |host: &str| allowed.iter().any(|name| name.eq_ignore_ascii_case(host));
    let refused = |what: &str| {
        Problem::new(
            Code::Misdirected,
            format!(
                "expected {what} among {}; --allowed-host adds one",
                allowed.join(", ")
            ),
        )
    };
    if host.is_some_and(|host| !known(host.host())) {
        return Err(refused("a host"));
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    if origins.iter().any(|known| known.is(origin)) {
        return Ok(());
    }
    let origin = origin.to_str().unwrap_or_default();
    let (_, rest) = origin.split_once("://").unwrap_or_default();
    let authority: Option<Authority> = rest.parse().ok();
    match authority.is_some_and(|authority| known(authority.host())) {
        true => Ok(()),
        false => Err(refused("an origin with a host")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn request(version: Version, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().uri("/info").version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn one_host_is_needed_from_http_1_1_on() {
        let named = |headers: &[(&str, &str)]| host(&request(Version::HTTP_11, headers));
        assert_eq!(named(&[("host", "a:80")]).unwrap().unwrap().host(), "a");
        for headers in [
            &[][..],
            &[("host", "a"), ("host", "a")],
            &[("host", "a b")],
            &[("host", "u@a")],
            &[("host", "")],
        ] {
            let problem = named(headers).unwrap_err();
            assert_eq!(problem.code(), Code::MalformedHost, "{headers:?}");
        }
        assert!(host(&request(Version::HTTP_10, &[])).unwrap().is_none());
    }

    #[test]
    fn hosts_and_origins_from_elsewhere_are_refused() {
        let allowed = LOOPBACK.map(str::to_owned);
        let admitted = |headers: &[(&str, &str)]| {
            let request = request(Version::HTTP_11, headers);
            let host = host(&request).unwrap();
            admit(host.as_ref(), request.headers(), &allowed, &[]).is_ok()
        };
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080"] {
            assert!(admitted(&[("host", host)]), "{host}");
            let origin = format!("http://{host}");
            assert!(admitted(&[("host", host), ("origin", &origin)]), "{origin}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.2",
            "localhost.",
        ] {
            assert!(!admitted(&[("host", host)]), "{host}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://localhost.evil.example",
            "x",
        ] {
            assert!(
                !admitted(&[("host", "localhost"), ("origin", origin)]),
                "{origin}"
            );
        }
    }
}
