//! One sub-folder a class: the images of every one.

use super::super::batch::{OpenOptions, OtherOrder};
use super::super::error::DataError;
use super::order::order;
use super::tree::{self, LeftOut};
use std::path::Path;

/// The images of a data set whose sub-folders are its classes.
#[derive(Debug)]
pub(super) struct Classes {
    pub(super) entries: Vec<(String, u32)>,
    pub(super) label_names: Option<Vec<String>>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) notes: Vec<String>,
    pub(super) other_order: Option<OtherOrder>,
}

/// Reads the sub-folders of `root`: one a class, images at any depth below it.
///
/// A folder's class is, in this order: its place in `classes.txt` (or `labels.txt`), or among the names that are given; its name,
/// if all names are numbers; its place by the numbers that all names begin with, or that all end with and are the same but for;
/// its place among the names as text.
pub(super) fn read(root: &Path, options: &OpenOptions, classes: u32) -> Result<Classes, DataError> {
    let (folders, files): (Vec<String>, Vec<String>) = tree::names(root)?
        .into_iter()
        .partition(|name| root.join(name).is_dir());
    let (strays, folders): (Vec<String>, Vec<String>) =
        folders.into_iter().partition(|name| tree::is_stray(name));
    if folders.is_empty() {
        return Err(DataError::new(
            root,
            "expected one sub-folder a class, or labels.csv, found neither",
        ));
    }
    for name in &folders {
        tree::check_link(root, &root.join(name))?;
    }
    let order = order(root, &folders, options, classes)?;
    let mut notes = vec![order.told(&folders)];
    if !strays.is_empty() {
        notes.push(format!("ignored: {}", strays.join(", ")));
    }
    let mut entries = Vec::new();
    let mut left_out = tree::without_class(root, &files);
    for (name, &label) in folders.iter().zip(&order.labels) {
        let found = tree::files(root, name)?;
        entries.extend(found.images.into_iter().map(|file| (file, label)));
        left_out.extend(found.left_out);
    }
    Ok(Classes {
        entries,
        label_names: order.names.clone(),
        left_out,
        notes,
        other_order: order.other(&folders, classes),
    })
}
