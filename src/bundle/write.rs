//! Writing a bundle: into a temporary directory beside the target, synced, then moved into place in one step.

use super::manifest::{FileRecord, MANIFEST_FILE, Manifest};
use super::sha256_hex;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a bundle was not written. Whatever was at the target before is still there.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The target is taken.
    #[error("{0}: already exists; --force replaces it")]
    Exists(PathBuf),
    /// The target is taken by something that is not a bundle.
    #[error(
        "{0}: exists and is not a bundle (no {MANIFEST_FILE}); it is not replaced, not even with --force"
    )]
    NotABundle(PathBuf),
    /// The target cannot be a directory name.
    #[error("{0}: expected the name of a directory to write")]
    BadTarget(PathBuf),
    /// The disk is full, or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A figure is not finite.
    #[error("the manifest cannot be written: {0}")]
    Manifest(#[from] serde_json::Error),
}

/// A bundle in the making. Dropped before [`BundleWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct BundleWriter {
    target: PathBuf,
    replace: bool,
    folder: tempfile::TempDir,
    files: BTreeMap<String, FileRecord>,
}

const TEMPORARY_SUFFIX: &str = ".goodnet-tmp";

impl BundleWriter {
    /// Starts a bundle for `target`, which must not exist unless `force`, and then must be a bundle or empty.
    ///
    /// # Errors
    /// If the target is taken or the directory above it cannot be written to.
    pub fn create(target: &Path, force: bool) -> Result<Self, WriteError> {
        let name = target
            .file_name()
            .ok_or_else(|| WriteError::BadTarget(target.to_owned()))?
            .to_string_lossy()
            .into_owned();
        let replace = check_target(target, force)?;
        let parent = parent_of(target);
        fs::create_dir_all(&parent).map_err(at(&parent))?;
        remove_leftovers(&parent, &name);
        let folder = tempfile::Builder::new()
            .prefix(&format!(".{name}.{}-", std::process::id()))
            .suffix(TEMPORARY_SUFFIX)
            .tempdir_in(&parent)
            .map_err(at(&parent))?;
        Ok(Self {
            target: target.to_owned(),
            replace,
            folder,
            files: BTreeMap::new(),
        })
    }

    /// Adds a file by its path relative to the bundle, `/` between folders.
    ///
    /// # Errors
    /// If the disk is full or writing fails.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.folder.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        write_synced(&path, bytes)?;
        let record = FileRecord {
            bytes: bytes.len() as u64,
            sha256: sha256_hex(bytes),
        };
        self.files.insert(name.to_owned(), record);
        Ok(())
    }

    /// The bytes of a file that was added.
    ///
    /// # Errors
    /// If it was not, or reading fails.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, WriteError> {
        let path = self.folder.path().join(name);
        fs::read(&path).map_err(at(&path))
    }

    /// Seals the bundle: fills in the manifest's file list and digest, and moves the whole into place.
    ///
    /// # Errors
    /// If writing or renaming fails; what was at the target before is untouched then.
    pub fn finish(self, mut manifest: Manifest) -> Result<Manifest, WriteError> {
        manifest.files = self.files;
        let bytes = manifest.to_json()?;
        write_synced(&self.folder.path().join(MANIFEST_FILE), &bytes)?;
        make_readable(self.folder.path())?;
        sync_folder(self.folder.path())?;
        // The manifest as a reader will see it, digest included.
        let manifest = serde_json::from_slice(&bytes)?;
        move_into_place(self.folder, &self.target, self.replace)?;
        sync_folder(&parent_of(&self.target))?;
        Ok(manifest)
    }
}

/// Is there something to replace?
fn check_target(target: &Path, force: bool) -> Result<bool, WriteError> {
    if fs::symlink_metadata(target).is_err() {
        return Ok(false);
    }
    if !force {
        return Err(WriteError::Exists(target.to_owned()));
    }
    let mut entries = fs::read_dir(target).map_err(at(target))?;
    if entries.next().is_some() && !target.join(MANIFEST_FILE).is_file() {
        return Err(WriteError::NotABundle(target.to_owned()));
    }
    Ok(true)
}

fn parent_of(target: &Path) -> PathBuf {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Removes temporary directories of processes that were killed while they wrote the same target.
fn remove_leftovers(parent: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let process = file_name
            .strip_prefix(&format!(".{name}."))
            .and_then(|rest| rest.strip_suffix(TEMPORARY_SUFFIX))
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(process, _)| process.parse::<u32>().ok());
        if process.is_some_and(|id| !is_running(id)) {
            // Only tidying up: a leftover that cannot be removed does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Where there is no /proc, every process counts as running and leftovers stay.
fn is_running(process: u32) -> bool {
    let proc = Path::new("/proc");
    !proc.join("self").exists() || proc.join(process.to_string()).exists()
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let mut file = File::create(path).map_err(at(path))?;
    file.write_all(bytes).map_err(at(path))?;
    file.sync_all().map_err(at(path))
}

/// Temporary directories are private to their owner; a bundle is read by the service's user.
#[cfg(unix)]
fn make_readable(folder: &Path) -> Result<(), WriteError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(at(folder))
}

#[cfg(not(unix))]
fn make_readable(_folder: &Path) -> Result<(), WriteError> {
    Ok(())
}

fn sync_folder(folder: &Path) -> Result<(), WriteError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(at(folder))
}

fn move_into_place(
    folder: tempfile::TempDir,
    target: &Path,
    replace: bool,
) -> Result<(), WriteError> {
    if replace {
        // The temporary directory then holds the old bundle and is removed with it.
        return exchange(folder.path(), target);
    }
    fs::rename(folder.path(), target).map_err(at(target))?;
    // The directory has moved away: there is nothing left to clean up.
    let _ = folder.keep();
    Ok(())
}

/// Swaps two directories in one step, so that at every moment one whole bundle is at the target.
#[cfg(target_os = "linux")]
fn exchange(new: &Path, target: &Path) -> Result<(), WriteError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, new, CWD, target, RenameFlags::EXCHANGE)
        .map_err(|error| at(target)(io::Error::from(error)))
}

/// Elsewhere two renames must do; a crash between them leaves the old bundle under the temporary name.
#[cfg(not(target_os = "linux"))]
fn exchange(new: &Path, target: &Path) -> Result<(), WriteError> {
    let aside = new.with_extension("old");
    fs::rename(target, &aside).map_err(at(target))?;
    fs::rename(new, target).map_err(at(target))?;
    fs::rename(&aside, new).map_err(at(&aside))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError::Io { path, source }
}
