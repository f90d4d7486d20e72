//! `labels.csv`: a file and a label a line, as tools and people write it.

use super::super::DataError;
use super::names::ClassNames;
use super::tree;
use crate::files::read_plain;
use csv::{ReaderBuilder, StringRecord, Trim};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// A list of a million files has a tenth of this.
const MAX_LIST_BYTES: u64 = 512 << 20;
/// Column names of the file and of the label, in lower case; of several in a header, the first here counts.
const FILE_COLUMNS: [&str; 8] = [
    "file",
    "filename",
    "file_name",
    "path",
    "image",
    "image_path",
    "img",
    "name",
];
const LABEL_COLUMNS: [&str; 7] = [
    "class_id", "classid", "label_id", "label", "class", "target", "y",
];

/// Files with their labels, sorted by name.
///
/// Fields may be quoted (RFC 4180) and are separated by commas, semicolons or tabs. The first line is a header only if its
/// label is no number and its file does not exist. `names` gives the labels that are written as names.
pub(super) fn read(
    list: &Path,
    names: Option<&ClassNames>,
) -> Result<Vec<(String, u32)>, DataError> {
    let bytes = read_plain(list, MAX_LIST_BYTES).map_err(|error| DataError::new(list, error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        DataError::new(
            list,
            format!("expected UTF-8, found {error}: save it as CSV UTF-8"),
        )
    })?;
    // Spreadsheets write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let root = list.parent().unwrap_or(Path::new("."));
    let lines = Lines { list, root, names };
    let mut columns = Columns::Two;
    let mut entries = BTreeMap::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| DataError::new(list, error))?;
        let record = unquoted(&record);
        let line = record.position().map_or(0, csv::Position::line);
        if index == 0
            && let Some(header) = lines.header(&record)
        {
            columns = header;
            continue;
        }
        if record.iter().all(str::is_empty) {
            continue;
        }
        let (file, label) = lines.entry(&record, &columns, line)?;
        match entries.insert(file.clone(), label) {
            Some(known) if known != label => {
                return Err(DataError::new(
                    list,
                    format!(
                        "expected one label for {file:?}, found {known} and, in line {line}, {label}"
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(entries.into_iter().collect())
}

/// Where file and label stand in a line.
enum Columns {
    /// The label is the last field, the file all before it.
    Two,
    /// Named by a header.
    Named { file: usize, label: usize },
}

struct Lines<'a> {
    list: &'a Path,
    root: &'a Path,
    names: Option<&'a ClassNames>,
}

impl Lines<'_> {
    /// The columns, if `record` is a header.
    fn header(&self, record: &StringRecord) -> Option<Columns> {
        let any = |fields: &[&str]| {
            let place = |name: &&str| {
                let mut found = record.iter();
                found.position(|field| field.eq_ignore_ascii_case(name))
            };
            fields.iter().find_map(place)
        };
        if let Some((file, label)) = any(&FILE_COLUMNS).zip(any(&LABEL_COLUMNS)) {
            return Some(Columns::Named { file, label });
        }
        let (file, label) = split(record, &Columns::Two)?;
        let is_data = self.label(label).is_some() || self.root.join(file).exists();
        (!is_data).then_some(Columns::Two)
    }

    fn label(&self, text: &str) -> Option<u32> {
        let number = text.parse::<u32>().ok();
        // Tables with gaps write whole numbers as 3.0.
        let whole = || text.strip_suffix(".0")?.parse::<u32>().ok();
        let named = || self.names?.index(text);
        number.or_else(whole).or_else(named)
    }

    fn entry(
        &self,
        record: &StringRecord,
        columns: &Columns,
        line: u64,
    ) -> Result<(String, u32), DataError> {
        let fail = |reason: String| Err(DataError::new(self.list, reason));
        let found = record.iter().collect::<Vec<_>>().join(",");
        let Some((file, text)) = split(record, columns) else {
            return fail(format!(
                "expected `file,label` in line {line}, found {found:?}"
            ));
        };
        let Some(label) = self.label(text) else {
            return fail(format!(
                "expected `file,label` with the number of a class (or a name of classes.txt) in line {line}, found {found:?}"
            ));
        };
        let Some(file) = within(&file) else {
            return fail(format!(
                "expected a file in this folder in line {line}, found {file:?}"
            ));
        };
        if let Some(link) = tree::link_on_the_way(self.root, &file) {
            return fail(format!(
                "expected a file in this folder in line {line}, found {file:?}, where {link}"
            ));
        }
        Ok((plain_name(file), label))
    }
}

fn split<'r>(record: &'r StringRecord, columns: &Columns) -> Option<(String, &'r str)> {
    match *columns {
        Columns::Named { file, label } => Some((record.get(file)?.to_owned(), record.get(label)?)),
        Columns::Two => {
            let mut fields: Vec<&str> = record.iter().collect();
            while fields.len() > 2 && fields.last().is_some_and(|field| field.is_empty()) {
                fields.pop();
            }
            let label = fields.pop()?;
            // A name may hold a comma that nobody quoted.
            (!fields.is_empty()).then(|| (fields.join(","), label))
        }
    }
}

/// Without the quotes that the reader keeps: behind a space, or single ones.
fn unquoted(record: &StringRecord) -> StringRecord {
    let bare = |field: &'_ str| -> String {
        let inside = ['"', '\''].iter().find_map(|&quote| {
            let rest = field.strip_prefix(quote)?;
            rest.strip_suffix(quote)
        });
        inside.unwrap_or(field).to_owned()
    };
    let mut found: StringRecord = record.iter().map(bare).collect();
    found.set_position(record.position().cloned());
    found
}

/// The name as the walk over the folder has it: `./a.png` is `a.png`.
fn plain_name(file: String) -> String {
    match file.strip_prefix("./") {
        Some(rest) => rest.to_owned(),
        None => file,
    }
}

/// Comma, or what separates the fields of the first line that has no comma.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    match first {
        _ if first.contains(',') => b',',
        _ if first.contains(';') => b';',
        _ if first.contains('\t') => b'\t',
        _ => b',',
    }
}

/// The one spelling of a name of the list, which may be a stranger's; none where it names nothing or leads out of the folder.
fn within(file: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in Path::new(file).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn a_file_has_one_spelling() {
        for spelling in ["a/b.png", "./a/b.png", "a//b.png", "a/./././b.png"] {
            assert_eq!(within(spelling).as_deref(), Some("a/b.png"), "{spelling}");
        }
        for outside in ["", ".", "../b.png", "a/../b.png", "/a/b.png"] {
            assert_eq!(within(outside), None, "{outside}");
        }
    }
}
