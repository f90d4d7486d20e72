//! Answers of `/quarantine`.

use crate::quarantine::Entry;
use crate::serve::dto::Classification;
use serde::Serialize;
use utoipa::ToSchema;

/// A flagged input that was kept.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QuarantineEntry {
    /// `GET /quarantine/{id}` is its image.
    pub id: u64,
    /// When it was answered (RFC 3339, UTC).
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    pub time: String,
    /// Media type of the image, told by its content.
    #[schema(example = "image/png")]
    pub media_type: String,
    /// Length of the image file.
    pub bytes: u64,
    /// SHA-256 of the image file.
    pub image_sha256: String,
    /// The answer that was given.
    #[schema(value_type = Classification)]
    pub answer: serde_json::Value,
}

impl From<Entry> for QuarantineEntry {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            time: entry.time(),
            media_type: entry.media_type,
            bytes: entry.bytes,
            image_sha256: entry.image_sha256,
            answer: entry.answer,
        }
    }
}

/// A page of flagged inputs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QuarantineAnswer {
    /// The entries.
    pub entries: Vec<QuarantineEntry>,
    /// `before` of the next page; null on the last one.
    pub next: Option<u64>,
    /// Entries that are kept in all.
    pub count: u64,
    /// Bytes that they take in the store.
    pub bytes: u64,
    /// Bytes that they may take; the oldest are removed to make room.
    pub max_bytes: u64,
    /// Seconds after which an entry is removed.
    pub max_age_seconds: u64,
}
