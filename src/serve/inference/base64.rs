//! Base64 as clients have it: with or without padding, of the URL alphabet, in lines, behind a `data:` URL's head, escaped by
//! percent signs.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes base64 of either alphabet (RFC 4648, sections 4 and 5), white space left out, padded or not; what stands before
/// the comma of a `data:` URL (RFC 2397) is passed over. Spaces within a line are plus signs where there is no plus sign.
///
/// # Errors
/// If it is no base64, or a `data:` URL of another encoding.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim_ascii_start();
    let is_url = text
        .get(..5)
        .is_some_and(|head| head.eq_ignore_ascii_case("data:"));
    let encoded = match is_url {
        true => after_head(text)?,
        false => text,
    };
    let text = unescaped(encoded);
    let has_plus = text.iter().any(|byte| matches!(byte, b'+' | b'-'));
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let bytes: Vec<u8> = lines
        .flatten()
        .filter_map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            // What reads forms makes a space of every plus sign.
            b' ' if !has_plus => Some(b'+'),
            byte if byte.is_ascii_whitespace() => None,
            byte => Some(*byte),
        })
        .collect();
    ENGINE.decode(bytes).map_err(|error| error.to_string())
}

/// With `%2B` and the like (RFC 3986, 2.1) as the bytes that they stand for: base64 has no percent sign of its own.
fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        let digits = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let escaped = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        found.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    found
}

fn after_head(url: &str) -> Result<&str, String> {
    let (head, data) = url
        .split_once(',')
        .ok_or("a data: URL without a comma".to_owned())?;
    let encoding = head.rsplit(';').next().unwrap_or_default().trim();
    match encoding.eq_ignore_ascii_case("base64") {
        true => Ok(data),
        false => Err("a data: URL that is not in base64".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn what_clients_send_is_read() {
        for text in [
            "+/+/AQ==",
            "+/+/AQ",
            "-_-_AQ",
            "-_-_AQ==",
            "+/+/\r\nAQ==\r\n",
            " data:image/png;base64,+/+/AQ==",
            "DATA:;Base64,+/+/AQ",
            "data:image/png;base64,%2B/%2b%2FAQ%3D%3D",
            "+/+/ AQ==",
            "  +/+/\n  AQ==",
        ] {
            assert_eq!(decode(text), Ok(vec![0xFB, 0xFF, 0xBF, 1]), "{text:?}");
        }
        for text in [
            "data:image/png,abc",
            "data:image/png;base64",
            "a",
            "AQ=A",
            "AQ%3",
            "AQ%zz",
            "Ä",
        ] {
            assert!(decode(text).is_err(), "{text:?}");
        }
        assert_eq!(decode(""), Ok(Vec::new()));
        assert_eq!(decode(" AA A/w "), decode("AA+A/w=="));
    }
}
