//! Flagged inputs, kept for study where somebody asked for it: image, answer and time, under a size and an age limit.
//!
//! In reading order: [`Entry`] and [`RetentionLimits`] (what is kept, and how much of it), [`Moment`] (by which clock it ages), [`store`] (the file that the service
//! writes), [`read`](mod@read) (looking into it, beside a running service too), [`export`](mod@export) (an image folder to evaluate on).
//!
//! The store is one [redb](https://docs.rs/redb) file: a commit is whole or has not happened, so a killed process loses
//! at most what was still waiting to be written.

mod clock;
pub mod export;
pub mod read;
pub mod store;

pub use clock::Moment;
pub use export::{ExportError, Exported, export};
pub use read::{Page, Reader, Snapshot};
pub use store::{Appended, Store};

use redb::TableDefinition;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The file inside the quarantine's directory.
pub const STORE_FILE: &str = "quarantine.redb";

/// JSON of an [`Entry`] by id.
const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");
/// Image files by id.
const IMAGES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("images");
/// When an entry came, in milliseconds of the store's own clock, by id.
const STAMPS: TableDefinition<'static, u64, u64> = TableDefinition::new("stamps");
/// [`NEXT_ID`], [`USED`], [`CLOCK`] and [`WALL`].
const COUNTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("counters");
/// The id of the entry after the last one; ids are never used twice.
const NEXT_ID: &str = "next_id";
/// What the entries take, as [`RetentionLimits::cost`] counts it.
const USED: &str = "used";
/// The store's own clock at the last commit, in milliseconds.
const CLOCK: &str = "clock";
/// The wall clock at the last commit, in milliseconds since 1970 (UTC).
const WALL: &str = "wall";

/// Memory for pages of the store.
const CACHE_BYTES: usize = 4 << 20;
/// One process writes, any number read beside it.
const SHARING: redb::ConcurrencyMode = redb::ConcurrencyMode::SingleWriter;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionLimits {
    /// Bytes that the store's file may take.
    pub bytes: u64,
    /// Entries older than this are removed, by the store's own clock (see [`Moment`]).
    pub age: Duration,
}

impl Default for RetentionLimits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            age: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
}

impl RetentionLimits {
    /// What entries may take: the file grows by doubling, and pages that were freed are not all of use at once, so that
    /// less than half of it may be in use for it never to pass its limit.
    #[must_use]
    pub fn budget(&self) -> u64 {
        self.bytes / 8 * 3
    }

    /// What one entry may take: a larger one would make the file grow by too much at once.
    fn largest(&self) -> u64 {
        self.bytes / 16
    }

    /// Bytes that a value takes in the file: whole pages of 4 KiB, a power of two of them.
    fn cost(value: usize) -> u64 {
        const PAGE: u64 = 4096;
        const OVERHEAD: u64 = 160;
        (value as u64 + OVERHEAD)
            .div_ceil(PAGE)
            .next_power_of_two()
            .saturating_mul(PAGE)
    }
}

/// A flagged input as it comes in.
#[derive(Debug, Clone)]
pub struct Flagged {
    /// The image file.
    pub image: Vec<u8>,
    /// When it was answered.
    pub time: SystemTime,
    /// B's class: the likely target label of a backdoor.
    pub badnet: u32,
    /// SHA-256 of the network as it was delivered.
    pub model_sha256: String,
    /// The request that it came with.
    pub request_id: String,
    /// The answer that was given, as JSON.
    pub answer: serde_json::Value,
}

/// A flagged input as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up from 0 and is never used twice.
    pub id: u64,
    /// When it was answered, in milliseconds since 1970 (UTC).
    pub unix_ms: u64,
    /// B's class.
    pub badnet: u32,
    /// SHA-256 of the network as it was delivered.
    pub model_sha256: String,
    /// The request that it came with.
    pub request_id: String,
    /// Media type of the image, told by its content.
    pub media_type: String,
    /// Length of the image file.
    pub bytes: u64,
    /// SHA-256 of the image file.
    pub image_sha256: String,
    /// The answer that was given.
    pub answer: serde_json::Value,
}

impl Entry {
    fn new(id: u64, flagged: &Flagged) -> Self {
        let media_type = image::guess_format(&flagged.image)
            .map_or("application/octet-stream", |format| format.to_mime_type());
        Self {
            id,
            unix_ms: unix_ms(flagged.time),
            badnet: flagged.badnet,
            model_sha256: flagged.model_sha256.clone(),
            request_id: flagged.request_id.clone(),
            media_type: media_type.to_owned(),
            bytes: flagged.image.len() as u64,
            image_sha256: crate::bundle::sha256_hex(&flagged.image),
            answer: flagged.answer.clone(),
        }
    }

    /// When it was answered, as RFC 3339 in UTC.
    #[must_use]
    pub fn time(&self) -> String {
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(self.unix_ms));
        humantime::format_rfc3339_millis(time.unwrap_or(UNIX_EPOCH)).to_string()
    }

    /// Extension of a file that holds the image.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        let format = image::ImageFormat::from_mime_type(&self.media_type);
        let known = format.and_then(|format| format.extensions_str().first());
        known.copied().unwrap_or("bin")
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Why the quarantine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The directory or the file cannot be used.
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
    /// The store refused, or is not one.
    #[error("{0}: expected a quarantine store: {1}")]
    Store(PathBuf, redb::Error),
    /// Another service writes there.
    #[error(
        "{0}: another process writes this quarantine; give each service a directory of its own"
    )]
    Busy(PathBuf),
    /// An entry is not JSON of ours.
    #[error("{0}: entry {1} is not understood: {2}")]
    Entry(PathBuf, u64, serde_json::Error),
}

impl QuarantineError {
    fn store(path: &Path, error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(error) if error.kind() != ErrorKind::InvalidData => {
                Self::Io(path.to_owned(), error)
            }
            redb::Error::DatabaseAlreadyOpen => Self::Busy(path.to_owned()),
            error => Self::Store(path.to_owned(), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_costs_a_power_of_two_of_pages() {
        let cases = [
            (0, 1),
            (3936, 1),
            (3937, 2),
            (8033, 4),
            (16_000, 4),
            (8 << 20, 4096),
        ];
        for (value, pages) in cases {
            assert_eq!(RetentionLimits::cost(value), pages * 4096, "{value}");
        }
    }

    #[test]
    fn an_entry_names_its_time_and_its_kind_of_file() {
        let mut entry = Entry::new(
            3,
            &Flagged {
                image: b"\x89PNG\r\n\x1a\n".to_vec(),
                time: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
                badnet: 7,
                model_sha256: "aa".to_owned(),
                request_id: "r".to_owned(),
                answer: serde_json::json!({}),
            },
        );
        assert_eq!(entry.time(), "2023-11-14T22:13:20.123Z");
        assert_eq!(
            (entry.media_type.as_str(), entry.extension()),
            ("image/png", "png")
        );
        entry.media_type = "image/jpeg".to_owned();
        assert_eq!(entry.extension(), "jpg");
        entry.media_type = "text/html".to_owned();
        assert_eq!(entry.extension(), "bin");
    }
}
