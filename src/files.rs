//! Files: reading what somebody else wrote, and writing whole folders.

pub(crate) use goodnet_onnx::files::{open_plain, read_plain};

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Writes `files`, by their names, to the folder `target`: into a temporary one beside it that is moved into place whole.
///
/// A target that exists is replaced only if it holds a file named `replace`.
///
/// # Errors
/// If the target is taken, or writing fails; what was there before is untouched then.
pub(crate) fn write_folder(
    target: &Path,
    files: &BTreeMap<String, Vec<u8>>,
    replace: Option<&str>,
) -> io::Result<()> {
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent)?;
    let folder = tempfile::Builder::new()
        .prefix(".goodnet-")
        .tempdir_in(parent)?;
    let new = folder.path().join("new");
    std::fs::create_dir(&new)?;
    for (name, bytes) in files {
        std::fs::write(new.join(name), bytes)?;
    }
    if target.symlink_metadata().is_ok() {
        if !replace.is_some_and(|name| target.join(name).is_file()) {
            return Err(io::Error::other(
                "already exists and is not such a folder; it is not replaced",
            ));
        }
        // The old one goes with the temporary folder.
        std::fs::rename(target, folder.path().join("old"))?;
    }
    std::fs::rename(&new, target)
}
