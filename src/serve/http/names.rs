//! Names that a client wrote: known, or refused with the nearest one that is.

use crate::serve::http::problem::{Code, Problem};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// Least likeness (Jaro-Winkler, 0 to 1) of a name that is offered in place of another.
const ALIKE: f64 = 0.75;
/// Characters of an unknown name that a refusal repeats.
const SHOWN: usize = 64;

/// A query string whose every parameter is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KnownQuery<T>(pub(crate) T);

/// The parameters of a query string.
pub(crate) trait Parameters: DeserializeOwned {
    /// Their names.
    const NAMES: &'static [&'static str];
}

impl<S: Send + Sync, T: Parameters> FromRequestParts<S> for KnownQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let malformed = |text: String| Problem::new(Code::MalformedQuery, text);
        let text = parts.uri.query().unwrap_or_default();
        for (name, _) in form_urlencoded::parse(text.as_bytes()) {
            check(&name, T::NAMES, "query parameter").map_err(malformed)?;
        }
        let Query(query) =
            Query::try_from_uri(&parts.uri).map_err(|error| malformed(error.body_text()))?;
        Ok(Self(query))
    }
}

/// Is `name` one of `known`?
///
/// # Errors
/// What was expected and found, and the nearest name where one is alike.
pub(crate) fn check(name: &str, known: &[&str], what: &str) -> Result<(), String> {
    if known.contains(&name) {
        return Ok(());
    }
    let shown: String = name.chars().take(SHOWN).collect();
    let hint = nearest(name, known).map(|near| format!("; did you mean {near}?"));
    let expected = match known {
        [] => format!("no {what}"),
        known => format!("a {what} among {}", known.join(", ")),
    };
    let hint = hint.unwrap_or_default();
    Err(format!("expected {expected}, found {shown:?}{hint}"))
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // Its cost grows with the product of the lengths, and the name is the client's.
    let short = name.len() <= SHOWN;
    let scored = known
        .iter()
        .filter(|_| short)
        .map(|&known| (known, strsim::jaro_winkler(name, known)));
    let best = scored.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (best.1 >= ALIKE).then_some(best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_one() {
        let known = ["drop", "policy", "top_k"];
        assert_eq!(check("policy", &known, "query parameter"), Ok(()));
        let error = check("polcy", &known, "query parameter").unwrap_err();
        assert!(
            error.ends_with("found \"polcy\"; did you mean policy?"),
            "{error}"
        );
        let error = check("zzz", &known, "query parameter").unwrap_err();
        assert!(error.ends_with("found \"zzz\""), "{error}");
        let error = check(&"p".repeat(100_000), &known, "query parameter").unwrap_err();
        assert!(error.len() < 200, "{}", error.len());
        let error = check("drop", &[], "parameter").unwrap_err();
        assert_eq!(error, "expected no parameter, found \"drop\"");
    }
}
