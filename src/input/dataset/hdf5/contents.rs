//! What a file holds, for who is told that it is not what is wanted.

use super::links::{self, Link};
use hdf5_pure::{Dataset, File, Group};
use std::collections::BTreeSet;
use std::path::Path;

/// Data sets that are listed.
const MAX_LISTED: usize = 20;

/// What a file holds: the data sets of its groups with shapes and types.
pub(super) fn contents(path: &Path, file: &File) -> String {
    let mut listed = Vec::new();
    list(path, &file.root(), "", 4, &mut listed);
    let more = listed.len() > MAX_LISTED;
    listed.truncate(MAX_LISTED);
    match (listed.is_empty(), more) {
        (true, _) => "no data sets".to_owned(),
        (false, true) => format!("{} and more", listed.join(", ")),
        (false, false) => listed.join(", "),
    }
}

fn list(path: &Path, group: &Group, within: &str, depth: usize, listed: &mut Vec<String>) {
    let links = links::names(path, within);
    let mut names: BTreeSet<String> = links.keys().cloned().collect();
    // The library knows more forms of groups, but lists none that holds a soft link in files of the oldest format.
    names.extend(group.datasets().unwrap_or_default());
    names.extend(group.groups().unwrap_or_default());
    for name in names {
        if listed.len() > MAX_LISTED {
            return;
        }
        if let Some(Link::Soft(target)) = links.get(&name) {
            listed.push(format!("{within}{name} -> {target}"));
        } else if let Ok(data) = group.dataset(&name) {
            listed.push(format!("{within}{name} {}", about(&data)));
        } else if depth > 0
            && let Ok(inner) = group.group(&name)
        {
            list(path, &inner, &format!("{within}{name}/"), depth - 1, listed);
        }
    }
}

/// Shape and type.
pub(super) fn about(data: &Dataset) -> String {
    let kind = data
        .dtype()
        .map_or_else(|error| error.to_string(), |kind| kind.to_string());
    format!("{:?} of {kind}", data.shape().unwrap_or_default())
}
