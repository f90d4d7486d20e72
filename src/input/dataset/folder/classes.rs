//! One sub-folder a class: which folder is which class.

use super::super::batch::OtherOrder;
use super::super::error::DataError;
use super::tree::{self, LeftOut};
use crate::files::read_plain;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Files that name the classes, one a line in the order of their numbers, if they lie in the folder.
const NAME_FILES: [&str; 3] = ["classes.txt", "labels.txt", "class_names.txt"];
const MAX_NAMES_BYTES: u64 = 64 << 20;
/// Classes whose names are printed.
const SHOWN: usize = 6;

/// Names of the classes, from a file beside them.
#[derive(Debug)]
pub(super) struct ClassNames {
    /// The file.
    file: &'static str,
    /// In the order of the classes.
    names: Vec<String>,
    index: HashMap<String, u32>,
}

impl ClassNames {
    /// From the first of the known files that lies in `root`.
    ///
    /// A line holds a name, or the number of the line (from 0 or 1) and a name.
    pub(super) fn read(root: &Path) -> Result<Option<Self>, DataError> {
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
        Ok(Some(Self { file, names, index }))
    }

    /// The class of this name.
    pub(super) fn index(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
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
/// A folder's class is, in this order: its place in `classes.txt` (or `labels.txt`); its name, if all names are numbers; the
/// number at the end of its name, if all names are the same but for numbers 0 to N-1; its place among the names as text.
pub(super) fn read(root: &Path, classes: u32) -> Result<Classes, DataError> {
    let names = tree::names(root)?;
    let folders: Vec<String> = names
        .into_iter()
        .filter(|name| root.join(name).is_dir())
        .collect();
    let (strays, folders): (Vec<String>, Vec<String>) =
        folders.into_iter().partition(|name| tree::is_stray(name));
    if folders.is_empty() {
        return Err(DataError::new(
            root,
            "expected one sub-folder a class, or labels.csv, found neither",
        ));
    }
    let order = order(root, &folders, classes)?;
    let mut notes = vec![order.told(&folders)];
    if !strays.is_empty() {
        notes.push(format!("ignored: {}", strays.join(", ")));
    }
    let mut entries = Vec::new();
    let mut left_out = Vec::new();
    let mut empty = Vec::new();
    for (name, &label) in folders.iter().zip(&order.labels) {
        let found = tree::files(root, name)?;
        if found.images.is_empty() {
            empty.push(name.as_str());
        }
        entries.extend(found.images.into_iter().map(|file| (file, label)));
        left_out.extend(found.left_out);
    }
    if !empty.is_empty() {
        notes.push(format!("no image of class: {}", some(&empty)));
    }
    Ok(Classes {
        entries,
        label_names: order.names.clone(),
        left_out,
        notes,
        other_order: order.other(&folders, classes),
    })
}

/// Which folder is which class, and why.
struct Order {
    /// One a folder.
    labels: Vec<u32>,
    /// Names of the classes, where the folders or a file give them.
    names: Option<Vec<String>>,
    rule: String,
}

impl Order {
    /// The rule and the first classes, for a person.
    fn told(&self, folders: &[String]) -> String {
        let mut pairs: Vec<(u32, &str)> = self
            .labels
            .iter()
            .copied()
            .zip(folders.iter().map(String::as_str))
            .collect();
        pairs.sort_unstable();
        let told: Vec<String> = pairs
            .iter()
            .map(|(label, name)| format!("{label} is {name}"))
            .collect();
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        format!("classes {}: {}", self.rule, some(&told))
    }

    /// The order that another tool would have taken: text where this one is by number, and the other way round.
    fn other(&self, folders: &[String], classes: u32) -> Option<OtherOrder> {
        if folders.len() != classes as usize {
            return None;
        }
        let mut by_number: Vec<&String> = folders.iter().collect();
        by_number.sort_by_key(|name| natural(name));
        let as_text = folders.iter().collect::<Vec<_>>();
        let candidates = [
            (
                "as text (0, 1, 10, 11, ...), as torchvision and others sort folders",
                as_text,
            ),
            ("by the numbers in their names", by_number),
        ];
        candidates.into_iter().find_map(|(told, order)| {
            let place: BTreeMap<&str, u32> =
                order.iter().map(|name| name.as_str()).zip(0..).collect();
            let mut labels: Vec<u32> = (0..classes).collect();
            for (name, &label) in folders.iter().zip(&self.labels) {
                *labels.get_mut(label as usize)? = *place.get(name.as_str())?;
            }
            let differs = labels.iter().zip(0..).any(|(&label, own)| label != own);
            differs.then(|| OtherOrder {
                told: told.to_owned(),
                labels,
            })
        })
    }
}

fn order(root: &Path, folders: &[String], classes: u32) -> Result<Order, DataError> {
    let numbers: Vec<Option<u32>> = folders.iter().map(|name| name.parse().ok()).collect();
    if let Some(listed) = ClassNames::read(root)? {
        let labels: Option<Vec<u32>> = folders.iter().map(|name| listed.index(name)).collect();
        if let Some(labels) = labels {
            return Ok(Order {
                labels,
                names: listed.names(classes),
                rule: format!("in the order of {}", listed.file),
            });
        }
        if numbers.contains(&None) {
            let unknown = folders.iter().find(|name| listed.index(name).is_none());
            return Err(DataError::new(
                &root.join(listed.file),
                format!(
                    "expected the name of every sub-folder, found none for {:?}",
                    unknown.map_or("", String::as_str)
                ),
            ));
        }
        return by_number(root, folders, &numbers, listed.names(classes));
    }
    if numbers.iter().any(Option::is_some) {
        return by_number(root, folders, &numbers, None);
    }
    if folders.len() != classes as usize {
        return Err(DataError::new(
            root,
            format!(
                "expected {classes} sub-folders, one a class, found {}: {}",
                folders.len(),
                some(&folders.iter().map(String::as_str).collect::<Vec<_>>())
            ),
        ));
    }
    if let Some(labels) = numbered(folders) {
        let mut names = folders.to_vec();
        for (name, &label) in folders.iter().zip(&labels) {
            names[label as usize].clone_from(name);
        }
        return Ok(Order {
            labels,
            names: Some(names),
            rule: "by the numbers in the names of the folders".to_owned(),
        });
    }
    Ok(Order {
        labels: (0..classes).collect(),
        names: Some(folders.to_vec()),
        rule: "in the order of the names of the folders".to_owned(),
    })
}

/// Folders whose names are numbers; a mixture is refused.
fn by_number(
    root: &Path,
    folders: &[String],
    numbers: &[Option<u32>],
    names: Option<Vec<String>>,
) -> Result<Order, DataError> {
    let mut labels = Vec::with_capacity(folders.len());
    let others: Vec<&str> = folders
        .iter()
        .zip(numbers)
        .filter(|(_, number)| number.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    if !others.is_empty() {
        return Err(DataError::new(
            root,
            format!(
                "expected sub-folders whose names are all numbers or all words, found both: {} beside {} numbers; \
                 move what is no class away",
                some(&others),
                folders.len() - others.len()
            ),
        ));
    }
    let mut known: HashMap<u32, &str> = HashMap::new();
    for (name, &number) in folders.iter().zip(numbers) {
        let number = number.unwrap_or_default();
        if let Some(other) = known.insert(number, name) {
            return Err(DataError::new(
                root,
                format!("expected one sub-folder for class {number}, found {other:?} and {name:?}"),
            ));
        }
        labels.push(number);
    }
    Ok(Order {
        labels,
        names,
        rule: "by the numbers that the folders are named".to_owned(),
    })
}

/// The numbers 0 to N-1 at the end of names that are otherwise the same.
fn numbered(folders: &[String]) -> Option<Vec<u32>> {
    let split = |name: &str| {
        let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = name[stem.len()..].parse::<u32>().ok()?;
        Some((stem.to_owned(), number))
    };
    let parts: Vec<(String, u32)> = folders
        .iter()
        .map(|name| split(name))
        .collect::<Option<_>>()?;
    let stem = &parts.first()?.0;
    let mut numbers: Vec<u32> = parts.iter().map(|(_, number)| *number).collect();
    let labels = numbers.clone();
    numbers.sort_unstable();
    let complete = numbers
        .iter()
        .zip(0..)
        .all(|(&number, index)| number == index);
    (complete && parts.iter().all(|(other, _)| other == stem)).then_some(labels)
}

/// A key that sorts numbers inside names by value.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|letter: char| letter.is_ascii_digit());
        let (text, after) = rest.split_at(text.unwrap_or(rest.len()));
        let digits = after.find(|letter: char| !letter.is_ascii_digit());
        let (digits, after) = after.split_at(digits.unwrap_or(after.len()));
        key.push((0, text.to_owned()));
        if !digits.is_empty() {
            key.push((digits.parse().unwrap_or(u64::MAX), String::new()));
        }
        rest = after;
    }
    key
}

/// The first names and the last, where there are many.
fn some(names: &[&str]) -> String {
    match names {
        [.., last] if names.len() > SHOWN => {
            let first = names[..SHOWN - 2].join(", ");
            format!("{first}, ..., {last} ({} in all)", names.len())
        }
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_sort_by_value() {
        let mut names = ["c10", "c9", "c1b2", "c1a10", "b"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["b", "c1a10", "c1b2", "c9", "c10"]);
    }

    #[test]
    fn names_that_end_in_all_numbers_are_classes_by_number() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(numbered(&names(&["c0", "c1", "c2"])), Some(vec![0, 1, 2]));
        assert_eq!(numbered(&names(&["c1", "c2"])), None);
        assert_eq!(numbered(&names(&["c0", "d1"])), None);
        assert_eq!(numbered(&names(&["cat", "dog"])), None);
    }

    #[test]
    fn a_line_may_begin_with_its_number() {
        assert_eq!(unnumbered(&["0 cat", "1 dog"]).unwrap(), ["cat", "dog"]);
        assert_eq!(unnumbered(&["1: cat", "2: dog"]).unwrap(), ["cat", "dog"]);
        assert_eq!(unnumbered(&["3 cats", "1 dog"]), None);
        assert_eq!(unnumbered(&["cat", "dog"]), None);
    }
}
