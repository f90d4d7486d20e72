//! Looking into a store.

use super::{
    CACHE_BYTES, COUNTERS, ENTRIES, Entry, IMAGES, QuarantineError, SHARING, STORE_FILE, USED,
};
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTableMetadata};
use std::path::{Path, PathBuf};

/// A store that is looked into without being changed, beside a running service too.
pub struct Reader {
    path: PathBuf,
    database: Box<dyn ReadableDatabase>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({})", self.path.display())
    }
}

impl Reader {
    /// Opens the store in `dir`. One whose process was killed is put in order first.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, QuarantineError> {
        let path = dir.join(STORE_FILE);
        let mut builder = Database::builder();
        builder
            .set_cache_size(CACHE_BYTES)
            .set_concurrency_mode(SHARING);
        let database: Box<dyn ReadableDatabase> = match builder.open_read_only(&path) {
            Ok(database) => Box::new(database) as Box<dyn ReadableDatabase>,
            Err(DatabaseError::RepairAborted) => Box::new(
                builder
                    .open(&path)
                    .map_err(|error| QuarantineError::store(&path, error))?,
            ),
            Err(error) => return Err(QuarantineError::store(&path, error)),
        };
        Ok(Self { path, database })
    }

    /// What is kept now.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self) -> Result<Snapshot, QuarantineError> {
        snapshot(self.database.as_ref(), &self.path)
    }
}

pub(super) fn snapshot(
    database: &(impl ReadableDatabase + ?Sized),
    path: &Path,
) -> Result<Snapshot, QuarantineError> {
    let transaction = database
        .begin_read()
        .map_err(|error| QuarantineError::store(path, error))?;
    Ok(Snapshot {
        path: path.to_owned(),
        transaction,
    })
}

/// The store as it was at one moment; later writes do not change it. It ends with the [`Reader`] or store it came from.
#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    transaction: ReadTransaction,
}

/// An entry's JSON, and its image.
type Row = (Vec<u8>, Vec<u8>);

/// Some entries, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Ask for the entries before this id to go on; `None`: there are no more.
    pub next: Option<u64>,
}

impl Snapshot {
    /// At most `limit` entries with ids below `before`, newest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn page(&self, before: Option<u64>, limit: usize) -> Result<Page, QuarantineError> {
        let mut page = Page {
            entries: Vec::new(),
            next: None,
        };
        for (id, text) in self.newest_first(before.unwrap_or(u64::MAX), limit.saturating_add(1))? {
            if page.entries.len() == limit {
                page.next = page.entries.last().map(|entry| entry.id);
                break;
            }
            page.entries.push(self.parse(id, &text)?);
        }
        Ok(page)
    }

    /// The entry `id` and its image; `None` where there is none (any more).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn get(&self, id: u64) -> Result<Option<(Entry, Vec<u8>)>, QuarantineError> {
        let row = self.try_get(id).map_err(|error| self.refuse(error))?;
        let Some((text, image)) = row else {
            return Ok(None);
        };
        Ok(Some((self.parse(id, &text)?, image)))
    }

    /// Number of entries, and the bytes that they take in the file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn totals(&self) -> Result<(u64, u64), QuarantineError> {
        self.try_totals().map_err(|error| self.refuse(error))
    }

    fn newest_first(&self, end: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, QuarantineError> {
        let read = || -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
            let table = self.transaction.open_table(ENTRIES)?;
            let rows = table.range(..end)?.rev().take(limit);
            rows.map(|row| {
                let (id, text) = row?;
                Ok((id.value(), text.value().to_vec()))
            })
            .collect()
        };
        read().map_err(|error| self.refuse(error))
    }

    fn try_get(&self, id: u64) -> Result<Option<Row>, redb::Error> {
        let entries = self.transaction.open_table(ENTRIES)?;
        let images = self.transaction.open_table(IMAGES)?;
        let (entry, image) = (entries.get(id)?, images.get(id)?);
        let row = entry.zip(image);
        Ok(row.map(|(text, image)| (text.value().to_vec(), image.value().to_vec())))
    }

    fn try_totals(&self) -> Result<(u64, u64), redb::Error> {
        let entries = self.transaction.open_table(ENTRIES)?.len()?;
        let counters = self.transaction.open_table(COUNTERS)?;
        let used = counters.get(USED)?.map_or(0, |used| used.value());
        Ok((entries, used))
    }

    fn parse(&self, id: u64, text: &[u8]) -> Result<Entry, QuarantineError> {
        serde_json::from_slice(text)
            .map_err(|error| QuarantineError::Entry(self.path.clone(), id, error))
    }

    fn refuse(&self, error: redb::Error) -> QuarantineError {
        QuarantineError::store(&self.path, error)
    }
}
