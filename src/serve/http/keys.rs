//! The keys that open the service.

use sha2::{Digest, Sha256};
use std::path::Path;
use subtle::{Choice, ConstantTimeEq};

/// Shortest key that is accepted from a file: shorter ones can be guessed.
const MIN_KEY_LEN: usize = 16;

/// The keys that open the service, as SHA-256 digests: equally long, and no secret is kept.
#[derive(Clone)]
pub struct Keys(Vec<[u8; 32]>);

/// Why a key file is refused.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// It holds no key.
    #[error("{0}: expected a key a line, found none")]
    Empty(String),
    /// A key is too short.
    #[error("{path}:{line}: expected a key of at least {MIN_KEY_LEN} characters, found {found}")]
    Short {
        /// The file.
        path: String,
        /// Number of the line.
        line: usize,
        /// Characters.
        found: usize,
    },
}

impl Keys {
    /// Reads one key a line; blank lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// If the file cannot be read, holds no key, or one of fewer than 16 characters.
    pub fn from_file(path: &Path) -> Result<Self, KeysError> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| KeysError::Io(name(), error))?;
        let mut digests = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let key = line.trim();
            if key.is_empty() || key.starts_with('#') {
                continue;
            }
            if key.len() < MIN_KEY_LEN {
                return Err(KeysError::Short {
                    path: name(),
                    line: number,
                    found: key.len(),
                });
            }
            digests.push(Sha256::digest(key).into());
        }
        if digests.is_empty() {
            return Err(KeysError::Empty(name()));
        }
        Ok(Self(digests))
    }

    /// Is `key` one of them? Takes as long whichever it is, and whether it is or not.
    #[must_use]
    pub fn admit(&self, key: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let found = self
            .0
            .iter()
            .fold(Choice::from(0), |found, known| found | known.ct_eq(&digest));
        found.into()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Keys, KeysError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Keys::from_file(file.path())
    }

    #[test]
    fn every_key_of_the_file_opens_and_nothing_else_does() {
        let keys = read("# ours\nfirst-key-0123456789\n\n  second-key-0123456789  \n").unwrap();
        assert!(keys.admit("first-key-0123456789"));
        assert!(keys.admit("second-key-0123456789"));
        for wrong in ["", "# ours", "first-key-012345678", "first-key-0123456789 "] {
            assert!(!keys.admit(wrong), "{wrong:?}");
        }
        assert_eq!(format!("{keys:?}"), "Keys(2)");
    }

    #[test]
    fn files_without_a_usable_key_are_refused() {
        assert!(matches!(read("# nothing\n"), Err(KeysError::Empty(_))));
        assert!(matches!(
            read("\nshort\n"),
            Err(KeysError::Short { line: 2, .. })
        ));
    }
}
