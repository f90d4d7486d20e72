//! A quarantine as an image folder.

use super::{Entry, QuarantineError, Snapshot};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Lists every image with B's class, as `goodnet evaluate` reads it.
pub const LABELS_FILE: &str = "labels.csv";
/// Holds every entry as a line of JSON.
pub const ENTRIES_FILE: &str = "entries.jsonl";

/// Entries that are read at a time.
const PAGE: usize = 256;

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Images written.
    pub images: u64,
    /// Entries of other networks, left out.
    pub skipped: u64,
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folder is taken.
    #[error("{0}: already exists; expected the name of a new folder")]
    Exists(PathBuf),
    /// Writing failed.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
}

/// Writes the entries of the network with SHA-256 `model` (of every network where `None`) to the new folder `out`: the
/// images, `labels.csv` with B's class as label (the likely target of a backdoor, as backdoored data has it), and
/// `entries.jsonl`. Newest first. The folder appears whole or not at all.
///
/// # Errors
/// If `out` exists, or reading or writing fails.
pub fn export(
    snapshot: &Snapshot,
    out: &Path,
    model: Option<&str>,
) -> Result<Exported, ExportError> {
    if out.exists() {
        return Err(ExportError::Exists(out.to_owned()));
    }
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(at(parent))?;
    let folder = tempfile::Builder::new()
        .prefix(".quarantine-")
        .tempdir_in(parent)
        .map_err(at(parent))?;
    let exported = write_into(folder.path(), snapshot, model)?;
    fs::rename(folder.path(), out).map_err(at(out))?;
    // It has moved: nothing is left to be cleaned up.
    let _ = folder.keep();
    Ok(exported)
}

fn write_into(
    folder: &Path,
    snapshot: &Snapshot,
    model: Option<&str>,
) -> Result<Exported, ExportError> {
    let mut exported = Exported::default();
    let mut lists = Lists::create(folder)?;
    let mut page = snapshot.page(None, PAGE)?;
    loop {
        for entry in &page.entries {
            if model.is_some_and(|model| model != entry.model_sha256) {
                exported.skipped += 1;
                continue;
            }
            let Some((_, image)) = snapshot.get(entry.id)? else {
                continue;
            };
            let name = format!("{:010}.{}", entry.id, entry.extension());
            let path = folder.join(&name);
            fs::write(&path, image).map_err(at(&path))?;
            lists.add(&name, entry).map_err(at(folder))?;
            exported.images += 1;
        }
        if page.next.is_none() {
            break;
        }
        page = snapshot.page(page.next, PAGE)?;
    }
    lists.finish().map_err(at(folder))?;
    Ok(exported)
}

struct Lists {
    labels: BufWriter<File>,
    entries: BufWriter<File>,
}

impl Lists {
    fn create(folder: &Path) -> Result<Self, ExportError> {
        let create = |name: &str| {
            let path = folder.join(name);
            File::create(&path).map(BufWriter::new).map_err(at(&path))
        };
        let mut lists = Self {
            labels: create(LABELS_FILE)?,
            entries: create(ENTRIES_FILE)?,
        };
        writeln!(lists.labels, "file,label").map_err(at(folder))?;
        Ok(lists)
    }

    fn add(&mut self, name: &str, entry: &Entry) -> io::Result<()> {
        writeln!(self.labels, "{name},{}", entry.badnet)?;
        serde_json::to_writer(&mut self.entries, entry)?;
        writeln!(self.entries)
    }

    fn finish(mut self) -> io::Result<()> {
        self.labels.flush()?;
        self.entries.flush()
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ExportError + use<> {
    let path = path.to_owned();
    move |error| ExportError::Io(path, error)
}
