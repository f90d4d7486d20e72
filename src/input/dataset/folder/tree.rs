//! The files of a folder: what is an image by its content, and what is left out and why.

use super::super::DataError;
use crate::files::open_plain;
use crate::input::sniff::{self, Kind};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Folders within each other that are entered.
const MAX_DEPTH: usize = 8;

/// Folders that systems and tools leave behind.
const STRAYS: [&str; 8] = [
    "__MACOSX",
    "__pycache__",
    "@eaDir",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "CVS",
    "#recycle",
];

/// Files that systems leave behind.
const STRAY_FILES: [&str; 3] = ["Thumbs.db", "desktop.ini", "Icon\r"];

/// Extensions that promise an image: such a file is kept, so that a damaged one is named and not passed over.
const EXTENSIONS: [&str; 10] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif", "apng",
];

/// What lies in a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Relative names of the images, sorted.
    pub(super) images: Vec<String>,
    /// What is left out, with the reason.
    pub(super) left_out: Vec<LeftOut>,
}

/// A file that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Its name relative to the data set.
    pub(super) file: String,
    /// What it is.
    pub(super) kind: &'static str,
}

/// Every file below `root/within`, at any depth, told by content; hidden ones are passed over.
pub(super) fn files(root: &Path, within: &str) -> Result<Found, DataError> {
    let mut found = Found::default();
    enter(root, within, MAX_DEPTH, &mut found)?;
    found.images.sort();
    Ok(found)
}

fn enter(root: &Path, within: &str, depth: usize, found: &mut Found) -> Result<(), DataError> {
    for name in names(&root.join(within))? {
        let file = match within {
            "" => name.clone(),
            _ => format!("{within}/{name}"),
        };
        let path = root.join(&file);
        check_link(root, &path)?;
        if path.is_dir() {
            if depth == 0 {
                return Err(DataError::new(
                    &path,
                    format!("expected at most {MAX_DEPTH} folders within each other, found more"),
                ));
            }
            if !is_stray(&name) {
                enter(root, &file, depth - 1, found)?;
            }
        } else if !STRAY_FILES.contains(&name.as_str()) {
            classify(&path, file, found)?;
        }
    }
    Ok(())
}

/// The images among `files`, which lie in `root` beside the folders of the classes.
pub(super) fn without_class(root: &Path, files: &[String]) -> Vec<LeftOut> {
    let is_image = |file: &&String| matches!(head(&root.join(file)), Ok(Kind::Image(_)));
    let images = files.iter().filter(is_image);
    images
        .map(|file| LeftOut {
            file: file.clone(),
            kind: "in no class's folder",
        })
        .collect()
}

/// Refuses `path`, which lies below `root`, where it is a link that leads out of `root`, or to a folder: that would be read again
/// under another name, and links to links without end.
pub(super) fn check_link(root: &Path, path: &Path) -> Result<(), DataError> {
    match fault_of_link(root, path) {
        Some(fault) => {
            let reason = format!(
                "expected a plain file or folder, or a link to a file of this folder, found {fault}"
            );
            Err(DataError::new(path, reason))
        }
        None => Ok(()),
    }
}

fn fault_of_link(root: &Path, path: &Path) -> Option<&'static str> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    // A link that leads nowhere is refused by whoever opens it.
    let target = is_link.then(|| path.canonicalize().ok()).flatten()?;
    match root.canonicalize() {
        Ok(root) if target.is_dir() && target.starts_with(&root) => Some("a link to a folder"),
        Ok(root) if target.starts_with(&root) => None,
        _ => Some("a link that leads out of it"),
    }
}

/// The first part of `root/file` that is such a link, and why it is refused.
pub(super) fn link_on_the_way(root: &Path, file: &str) -> Option<String> {
    let mut path = root.to_owned();
    file.split('/').find_map(|part| {
        path.push(part);
        let fault = fault_of_link(root, &path)?;
        Some(format!("{part:?} is {fault}"))
    })
}

fn classify(path: &Path, file: String, found: &mut Found) -> Result<(), DataError> {
    let kind = match (head(path)?, promises_image(path)) {
        (Kind::Image(_), _) | (Kind::Other(_), true) => {
            found.images.push(file);
            return Ok(());
        }
        (Kind::OtherImage(kind) | Kind::Other(kind), _) => kind,
    };
    found.left_out.push(LeftOut { file, kind });
    Ok(())
}

fn head(path: &Path) -> Result<Kind, DataError> {
    let mut bytes = Vec::with_capacity(sniff::HEAD);
    open_plain(path)
        .and_then(|file| file.take(sniff::HEAD as u64).read_to_end(&mut bytes))
        .map_err(|error| DataError::new(path, error))?;
    Ok(sniff::kind(&bytes))
}

fn promises_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        let mut known = EXTENSIONS.iter();
        known.any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Is a folder of this name one that a system or a tool leaves behind?
pub(super) fn is_stray(name: &str) -> bool {
    STRAYS.iter().any(|stray| name.eq_ignore_ascii_case(stray))
}

/// Names in `folder`, hidden ones left out, sorted.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, DataError> {
    let fail = |error: std::io::Error| DataError::new(folder, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        names.push(name.into_string().map_err(|name| {
            DataError::new(folder, format!("expected names in UTF-8, found {name:?}"))
        })?);
    }
    names.sort();
    Ok(names)
}

/// How many files are left out, by kind; none where all are read.
pub(super) fn summary(left_out: &[LeftOut]) -> Option<String> {
    let mut kinds: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for LeftOut { file, kind } in left_out {
        kinds.entry(kind).or_insert((0, file)).0 += 1;
    }
    let told: Vec<String> = kinds
        .iter()
        .map(|(kind, (count, first))| format!("{count} {kind} ({first} first)"))
        .collect();
    let count = left_out.len();
    (count > 0).then(|| {
        format!(
            "{count} file{} left out: {} (--skip-bad lists them; PNG, JPEG, WebP, BMP and GIF in a folder of their class are read)",
            if count == 1 { "" } else { "s" },
            told.join(", ")
        )
    })
}
