//! Content negotiation: which of the offered types a client would rather have.

use axum::http::{HeaderMap, header};

/// The offered type that `Accept` prefers; the first of equals, the first at all where there is no such header.
///
/// The most specific range that matches a type gives its weight; weight 0 refuses it. Source: RFC 9110, section 12.5.1.
#[must_use]
pub(crate) fn prefer(headers: &HeaderMap, offered: &[&'static str]) -> Option<&'static str> {
    let values: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if values.is_empty() {
        return offered.first().copied();
    }
    let ranges: Vec<Range<'_>> = values
        .iter()
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse)
        .collect();
    let mut best: Option<(&'static str, f32)> = None;
    for &kind in offered {
        let weight = weight(kind, &ranges);
        if weight > best.map_or(0.0, |(_, weight)| weight) {
            best = Some((kind, weight));
        }
    }
    best.map(|(kind, _)| kind)
}

struct Range<'a> {
    kind: &'a str,
    weight: f32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().filter(|kind| kind.contains('/'))?;
        // Parameter names are case-insensitive (RFC 9110, section 5.6.6).
        let weight = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let is_weight = name.trim_end().eq_ignore_ascii_case("q");
            is_weight.then(|| value.trim_start())
        });
        Some(Self {
            kind,
            weight: weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)),
        })
    }

    /// 2 for the very type, 1 for its family, 0 for anything; `None` where it does not match.
    fn specificity(&self, kind: &str) -> Option<u8> {
        if self.kind.eq_ignore_ascii_case(kind) {
            return Some(2);
        }
        if self.kind == "*/*" {
            return Some(0);
        }
        let family = self.kind.strip_suffix("/*")?;
        let (found, _) = kind.split_once('/')?;
        family.eq_ignore_ascii_case(found).then_some(1)
    }
}

fn weight(kind: &str, ranges: &[Range<'_>]) -> f32 {
    ranges
        .iter()
        .filter_map(|range| Some((range.specificity(kind)?, range.weight)))
        .max_by_key(|(specificity, _)| *specificity)
        .map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const OFFERED: [&str; 3] = ["application/json", "text/csv", "image/svg+xml"];

    #[test]
    fn the_preferred_type_is_the_one_of_greatest_weight_by_its_most_specific_range() {
        let cases = [
            ("text/csv", Some("text/csv")),
            ("*/*", Some("application/json")),
            ("image/*;q=0.5, text/csv;q=0.4", Some("image/svg+xml")),
            ("text/html, */*;q=0.1", Some("application/json")),
            ("*/*, application/json;q=0", Some("text/csv")),
            ("application/json;Q=0.1, text/csv;Q=0.9", Some("text/csv")),
            ("text/html", None),
            ("nonsense", None),
        ];
        for (accept, expected) in cases {
            let headers =
                HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefer(&headers, &OFFERED), expected, "{accept}");
        }
        assert_eq!(
            prefer(&HeaderMap::new(), &OFFERED),
            Some("application/json")
        );
    }
}
