//! Weights that lie in a file beside the network (ONNX's external data), as PyTorch's exporter writes them by default.
//!
//! A network from a stranger names that file, so it is held to a plain name in the network's own folder, and to what the
//! file and the tensor's shape allow.

use super::error::OnnxError;
use super::model::element_size;
use super::proto::TensorProto;
use crate::files::open_unlinked;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Value of `TensorProto.data_location` for weights in another file.
const EXTERNAL: i32 = 1;
/// Bytes of weights in other files: what goodnet writes is one file, and protobuf ends there.
const MAX_BYTES: u64 = 2 << 30;
/// Other files of one network; exporters write one, or one a tensor.
const MAX_FILES: usize = 10_000;
/// What to do where a file cannot be had.
const CURE: &str =
    "save the network with its weights inside (torch.onnx.export(..., external_data=False))";

/// Does `tensor` say that its values lie in another file?
pub(super) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(EXTERNAL) || !tensor.external_data.is_empty()
}

/// The files beside a network.
#[derive(Debug)]
pub(super) struct Beside {
    folder: Option<PathBuf>,
    left: u64,
    open: Option<(String, File)>,
    names: BTreeSet<String>,
}

impl Beside {
    /// For bytes without a path: there is nothing beside them.
    pub(super) fn nothing() -> Self {
        Self::new(None)
    }

    /// The folder of the network at `path`.
    pub(super) fn file(path: &Path) -> Self {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Self::new(Some(folder.to_owned()))
    }

    fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            left: MAX_BYTES,
            open: None,
            names: BTreeSet::new(),
        }
    }

    /// The files that were read, in the order of their names.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let folder = self.folder.as_deref().unwrap_or(Path::new(""));
        self.names.iter().map(|name| folder.join(name)).collect()
    }

    /// The bytes of the weight `name`, whose declared shape holds `count` values.
    pub(super) fn read(
        &mut self,
        name: &str,
        tensor: &TensorProto,
        count: usize,
    ) -> Result<Vec<u8>, OnnxError> {
        let fail = |reason: String| OnnxError::External {
            tensor: name.to_owned(),
            reason,
        };
        let Some(folder) = self.folder.clone() else {
            return Err(fail(format!("{CURE}, or give the network's file")));
        };
        let location = Location::new(tensor).map_err(&fail)?;
        let bytes = element_size(tensor.data_type.unwrap_or_default())
            .and_then(|size| (count as u64).checked_mul(size as u64))
            .ok_or_else(|| fail("its element type is not read".to_owned()))?;
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            fail(format!(
                "expected at most {MAX_BYTES} bytes of weights in all, found more"
            ))
        })?;
        self.slice(&folder, &location, bytes).map_err(fail)
    }

    fn slice(&mut self, folder: &Path, location: &Location, bytes: u64) -> Result<Vec<u8>, String> {
        let file = self.opened(folder, &location.name)?;
        let io = |error: std::io::Error| format!("`{}`: {error}", location.name);
        let size = file.metadata().map_err(io)?.len();
        let rest = size.checked_sub(location.offset).ok_or_else(|| {
            format!(
                "expected it at byte {} of `{}`, found {size} bytes",
                location.offset, location.name
            )
        })?;
        let length = location.length.unwrap_or(rest);
        if length != bytes {
            return Err(format!(
                "expected {bytes} bytes for its shape, found a length of {length}"
            ));
        }
        if length > rest {
            return Err(format!(
                "expected {length} bytes from byte {} of `{}`, found {rest}",
                location.offset, location.name
            ));
        }
        file.seek(SeekFrom::Start(location.offset)).map_err(io)?;
        let mut data = Vec::new();
        file.take(length).read_to_end(&mut data).map_err(io)?;
        if data.len() as u64 != length {
            return Err(format!(
                "expected {length} bytes of `{}`, found {}",
                location.name,
                data.len()
            ));
        }
        Ok(data)
    }

    /// The file of this name; the one that was used last stays open.
    fn opened(&mut self, folder: &Path, name: &str) -> Result<&mut File, String> {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            let file = open_unlinked(&folder.join(name)).map_err(|error| {
                format!(
                    "expected `{name}` beside the network, found: {error}; put it there, or {CURE}"
                )
            })?;
            self.names.insert(name.to_owned());
            if self.names.len() > MAX_FILES {
                return Err(format!("expected at most {MAX_FILES} files, found more"));
            }
            self.open = Some((name.to_owned(), file));
        }
        match &mut self.open {
            Some((_, file)) => Ok(file),
            None => Err("no file is open".to_owned()),
        }
    }
}

/// Where a weight lies.
struct Location {
    name: String,
    offset: u64,
    length: Option<u64>,
}

impl Location {
    fn new(tensor: &TensorProto) -> Result<Self, String> {
        let entry = |wanted: &str| {
            let entry = tensor.external_data.iter();
            let mut entry = entry.filter(|entry| entry.key.as_deref() == Some(wanted));
            entry.next().and_then(|entry| entry.value.clone())
        };
        let number = |key: &str| {
            entry(key)
                .map(|text| {
                    text.parse::<u64>()
                        .map_err(|_| format!("expected a number as its {key}, found {text:?}"))
                })
                .transpose()
        };
        let name = entry("location").unwrap_or_default();
        if !is_plain_name(&name) {
            return Err(format!(
                "expected a file in the network's own folder, found {name:?}; {CURE}"
            ));
        }
        Ok(Self {
            name,
            offset: number("offset")?.unwrap_or(0),
            length: number("length")?,
        })
    }
}

/// One name, on any system: no folder, no drive, no way up.
fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::is_plain_name;

    #[test]
    fn only_names_in_the_same_folder_are_plain() {
        for name in ["net.onnx.data", "weights", "..data", "a b.bin"] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "/etc/passwd",
            "../a",
            "sub/a",
            "a/..",
            "..\\a",
            "C:a",
            "a\0b",
        ] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
