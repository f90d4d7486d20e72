//! Names of the classes: from a file in the folder, or from who opens it.

use super::super::batch::OpenOptions;
use super::super::error::DataError;
use super::order::some;
use crate::files::read_plain;
use std::collections::HashMap;
use std::path::Path;

/// Files that name the classes, one a line in the order of their numbers, if they lie in the folder.
const NAME_FILES: [&str; 3] = ["classes.txt", "labels.txt", "class_names.txt"];
const MAX_NAMES_BYTES: u64 = 64 << 20;

/// Names of the classes, from a file beside them or from who opens the folder.
#[derive(Debug)]
pub(super) struct ClassNames {
    /// The file; none where they were given.
    pub(super) file: Option<&'static str>,
    /// In the order of the classes.
    names: Vec<String>,
    index: HashMap<String, u32>,
}

impl ClassNames {
    /// From the first of the known files that lies in `root`, else those that are given.
    pub(super) fn find(root: &Path, options: &OpenOptions) -> Result<Option<Self>, DataError> {
        let listed = Self::read(root)?;
        let given = || {
            let names = options.names.clone()?;
            let index = names.iter().cloned().zip(0..).collect();
            Some(Self {
                file: None,
                names,
                index,
            })
        };
        Ok(listed.or_else(given))
    }

    /// From the first of the known files that lies in `root`.
    ///
    /// A line holds a name, or the number of the line (from 0 or 1) and a name.
    fn read(root: &Path) -> Result<Option<Self>, DataError> {
        let mut files = NAME_FILES.into_iter();
        let Some(file) = files.find(|file| root.join(file).is_file()) else {
            return Ok(None);
        };
        let path = root.join(file);
        let bytes =
            read_plain(&path, MAX_NAMES_BYTES).map_err(|error| DataError::new(&path, error))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| DataError::new(&path, format!("expected UTF-8, found {error}")))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let names = unnumbered(&lines)
            .unwrap_or_else(|| lines.iter().map(|&line| line.to_owned()).collect());
        let mut index = HashMap::new();
        for (number, name) in (0..).zip(&names) {
            if index.insert(name.clone(), number).is_some() {
                return Err(DataError::new(
                    &path,
                    format!("expected every name once, found {name:?} twice"),
                ));
            }
        }
        Ok(Some(Self {
            file: Some(file),
            names,
            index,
        }))
    }

    /// The class of this name.
    pub(super) fn index(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }

    /// The order that the folders are in, for a person.
    pub(super) fn rule(&self) -> String {
        match self.file {
            Some(file) => format!("in the order of {file}"),
            None => "by the names of the network's classes".to_owned(),
        }
    }

    /// Why folders of which one has no known name are refused.
    pub(super) fn unknown(&self, root: &Path, folders: &[String]) -> DataError {
        let unknown = folders.iter().find(|name| self.index(name).is_none());
        let unknown = unknown.map_or("", String::as_str);
        match self.file {
            Some(file) => DataError::new(
                &root.join(file),
                format!("expected the name of every sub-folder, found none for {unknown:?}"),
            ),
            None => {
                let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
                let names = some(&names);
                DataError::new(
                    root,
                    format!(
                        "expected sub-folders named as the network's classes ({names}), found {unknown:?} among them"
                    ),
                )
            }
        }
    }

    /// The names, if there is one for each class.
    pub(super) fn names(&self, classes: u32) -> Option<Vec<String>> {
        (self.names.len() == classes as usize).then(|| self.names.clone())
    }
}

/// The names of lines that all begin with their number, from 0 or from 1.
fn unnumbered(lines: &[&str]) -> Option<Vec<String>> {
    let parts: Vec<(usize, &str)> = lines
        .iter()
        .map(|line| {
            let (number, name) = line.split_once([' ', '\t', ',', ':'])?;
            Some((number.parse().ok()?, name.trim()))
        })
        .collect::<Option<_>>()?;
    let first = parts.first()?.0;
    let counted = parts.iter().enumerate();
    let in_order = counted
        .clone()
        .all(|(index, (number, _))| *number == first + index);
    (first <= 1 && in_order).then(|| parts.iter().map(|(_, name)| (*name).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_begin_with_its_number() {
        assert_eq!(unnumbered(&["0 cat", "1 dog"]).unwrap(), ["cat", "dog"]);
        assert_eq!(unnumbered(&["1: cat", "2: dog"]).unwrap(), ["cat", "dog"]);
        assert_eq!(unnumbered(&["3 cats", "1 dog"]), None);
        assert_eq!(unnumbered(&["cat", "dog"]), None);
    }
}
