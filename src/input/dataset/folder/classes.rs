//! One sub-folder a class: which folder is which class.

use super::super::batch::{OpenOptions, OtherOrder};
use super::super::error::DataError;
use super::tree::{self, LeftOut};
use crate::files::read_plain;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What to do where the sub-folders are no classes but the parts that a data set is split into.
fn parts_of_a_set(root: &Path, folders: &[String]) -> String {
    const PARTS: [&str; 7] = [
        "train",
        "training",
        "val",
        "valid",
        "validation",
        "test",
        "testing",
    ];
    let is_part = |name: &String| PARTS.contains(&name.to_ascii_lowercase().as_str());
    match folders.iter().find(|name| is_part(name)) {
        Some(part) => format!(
            "; name the part that is meant: {}",
            root.join(part).display()
        ),
        None => String::new(),
    }
}

/// Files that name the classes, one a line in the order of their numbers, if they lie in the folder.
const NAME_FILES: [&str; 3] = ["classes.txt", "labels.txt", "class_names.txt"];
const MAX_NAMES_BYTES: u64 = 64 << 20;
/// Classes whose names are printed.
const SHOWN: usize = 6;

/// Names of the classes, from a file beside them or from who opens the folder.
#[derive(Debug)]
pub(super) struct ClassNames {
    /// The file; none where they were given.
    file: Option<&'static str>,
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
    fn rule(&self) -> String {
        match self.file {
            Some(file) => format!("in the order of {file}"),
            None => "by the names of the network's classes".to_owned(),
        }
    }

    /// Why folders of which one has no known name are refused.
    fn unknown(&self, root: &Path, folders: &[String]) -> DataError {
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

fn order(
    root: &Path,
    folders: &[String],
    options: &OpenOptions,
    classes: u32,
) -> Result<Order, DataError> {
    let numbers: Vec<Option<u32>> = folders.iter().map(|name| name.parse().ok()).collect();
    if let Some(known) = ClassNames::find(root, options)? {
        let labels: Vec<Option<u32>> = folders.iter().map(|name| known.index(name)).collect();
        if let Some(labels) = labels.iter().copied().collect() {
            return Ok(Order {
                labels,
                names: known.names(classes),
                rule: known.rule(),
            });
        }
        let none = labels.iter().all(Option::is_none);
        if numbers.contains(&None) && (known.file.is_some() || !none) {
            return Err(known.unknown(root, folders));
        }
        if known.file.is_some() {
            return by_number(root, folders, &numbers, known.names(classes));
        }
    }
    if numbers.iter().any(Option::is_some) {
        return by_number(root, folders, &numbers, None);
    }
    if folders.len() != classes as usize {
        return Err(DataError::new(
            root,
            format!(
                "expected {classes} sub-folders, one a class, found {}: {}{}",
                folders.len(),
                some(&folders.iter().map(String::as_str).collect::<Vec<_>>()),
                parts_of_a_set(root, folders)
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

/// The places by value of the numbers that names begin with, or end with and are the same but for; none where two are equal.
fn numbered(folders: &[String]) -> Option<Vec<u32>> {
    let at_end = |name: &String| {
        let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = name[stem.len()..].parse::<u64>().ok()?;
        Some((stem.to_owned(), number))
    };
    let at_start = |name: &String| {
        let rest = name.trim_start_matches(|letter: char| letter.is_ascii_digit());
        name[..name.len() - rest.len()].parse::<u64>().ok()
    };
    let ends: Option<Vec<(String, u64)>> = folders.iter().map(at_end).collect();
    let same = |parts: &Vec<(String, u64)>| parts.windows(2).all(|pair| pair[0].0 == pair[1].0);
    let numbers: Vec<u64> = match ends.filter(same) {
        Some(parts) => parts.into_iter().map(|(_, number)| number).collect(),
        None => folders.iter().map(at_start).collect::<Option<_>>()?,
    };
    let sorted: BTreeMap<u64, u32> = {
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.into_iter().zip(0..).collect()
    };
    let places = numbers.iter().map(|number| sorted.get(number).copied());
    (sorted.len() == numbers.len()).then(|| places.collect())?
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
pub(in crate::input::dataset) fn some(names: &[&str]) -> String {
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
    fn names_that_begin_or_end_in_numbers_are_classes_by_number() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(numbered(&names(&["c0", "c1", "c2"])), Some(vec![0, 1, 2]));
        assert_eq!(numbered(&names(&["c1", "c10", "c2"])), Some(vec![0, 2, 1]));
        assert_eq!(numbered(&names(&["s10", "s4"])), Some(vec![1, 0]));
        assert_eq!(
            numbered(&names(&["0_cat", "10_elk", "2_dog"])),
            Some(vec![0, 2, 1])
        );
        assert_eq!(numbered(&names(&["1_cat", "01_dog"])), None);
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
