//! Which folder is which class, and why.

use super::super::batch::{OpenOptions, OtherOrder};
use super::super::error::DataError;
use super::names::ClassNames;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Classes whose names are printed.
const SHOWN: usize = 6;

/// The class of every folder, and why.
pub(super) struct Order {
    /// One a folder.
    pub(super) labels: Vec<u32>,
    /// Names of the classes, where the folders or a file give them.
    pub(super) names: Option<Vec<String>>,
    rule: String,
}

impl Order {
    /// The rule and the first classes, for a person.
    pub(super) fn told(&self, folders: &[String]) -> String {
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
    pub(super) fn other(&self, folders: &[String], classes: u32) -> Option<OtherOrder> {
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

/// The order of `folders`, as [`read`](super::classes::read) says.
pub(super) fn order(
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
        // Numbers tell an order without names.
        let is_other_numbering = known.file.is_none() && none && numbered(folders).is_some();
        if numbers.contains(&None) && !is_other_numbering {
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
}
