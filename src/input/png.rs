//! PNG files (ISO 15948): what of them is left out before they are decoded.

use std::borrow::Cow;

/// `png` without colour profiles: they do not change a pixel here, and the decoder would inflate them, to 1032 times their bytes.
pub(super) fn without_profile(png: &[u8]) -> Cow<'_, [u8]> {
    let profiles = || chunks(png).filter(|(kind, _)| *kind == b"iCCP");
    if profiles().next().is_none() {
        return Cow::Borrowed(png);
    }
    let mut kept = Vec::with_capacity(png.len());
    let mut from = 0;
    for (_, place) in profiles() {
        kept.extend_from_slice(&png[from..place.start]);
        from = place.end;
    }
    kept.extend_from_slice(&png[from..]);
    Cow::Owned(kept)
}

/// Kind and place of every chunk (ISO 15948, 5.3), the last one as far as the file goes.
fn chunks(png: &[u8]) -> impl Iterator<Item = (&[u8; 4], std::ops::Range<usize>)> {
    /// Length, kind and checksum stand around the content.
    const AROUND: usize = 12;
    let mut start = SIGNATURE;
    std::iter::from_fn(move || {
        let (length, kind) = png.get(start..start + 8)?.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let end = start.saturating_add(AROUND).saturating_add(length);
        let place = start..end.min(png.len());
        start = end;
        Some((kind.first_chunk()?, place))
    })
}

/// Bytes before the first chunk (ISO 15948, 5.2).
const SIGNATURE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32).to_be_bytes();
        [&length, kind.as_slice(), content, b"csum"].concat()
    }

    #[test]
    fn profiles_are_left_out_and_nothing_else() {
        let signature = b"\x89PNG\r\n\x1a\n".to_vec();
        let (head, data) = (chunk(b"IHDR", b"13 bytes here"), chunk(b"IDAT", b"iCCP"));
        let (profile, end) = (chunk(b"iCCP", &[7; 300]), chunk(b"IEND", b""));
        let whole = [&signature, &head, &data, &end].map(Vec::as_slice).concat();
        assert!(matches!(without_profile(&whole), Cow::Borrowed(bytes) if bytes == whole));
        let parts = [&signature, &head, &profile, &profile, &data, &profile, &end];
        let with = parts.map(Vec::as_slice).concat();
        assert_eq!(without_profile(&with), whole);
    }

    #[test]
    fn broken_files_are_followed_to_their_end() {
        let mut long = b"\x89PNG\r\n\x1a\n\xFF\xFF\xFF\xFFiCCP".to_vec();
        assert_eq!(without_profile(&long).as_ref(), &long[..8]);
        long.truncate(11);
        assert_eq!(without_profile(&long), long);
    }
}
