//! Network files of any kind to the one internal form.
//!
//! The kind is told by content, not by name: ONNX, a whole Keras model in HDF5 or in a `.keras` archive, or Keras weights alone for an
//! architecture that the caller names.

mod exports;
mod keras;

use crate::files::{open_plain, open_unlinked};
use crate::{Model, OnnxError};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Architectures that files with weights alone can be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Architecture {
    /// The face network of the NYU CSAW-HackML-2020 lab 3: 55 x 47 RGB, conv_1 to conv_4, fc_1 and fc_2.
    Deepid,
    /// What `model.to_json()` of Keras wrote, or `config.json` of a `.keras` archive.
    File(PathBuf),
}

impl FromStr for Architecture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "deepid" {
            return Ok(Self::Deepid);
        }
        match text.ends_with(".json") {
            true => Ok(Self::File(PathBuf::from(text))),
            false => Err(format!(
                "expected deepid or a .json file that model.to_json() wrote, found {text:?}"
            )),
        }
    }
}

/// What the caller says of a network file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// The architecture of a file that holds weights alone.
    pub architecture: Option<Architecture>,
    /// The output that holds the scores, where there are several.
    pub output: Option<String>,
    /// Height and width of the images, where the file leaves them open.
    pub input_size: Option<[usize; 2]>,
}

impl From<Architecture> for ReadOptions {
    fn from(architecture: Architecture) -> Self {
        Self {
            architecture: Some(architecture),
            ..Self::default()
        }
    }
}

/// A network that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The network.
    pub model: Model,
    /// `onnx`, `keras` or `keras-weights`.
    pub format: &'static str,
    /// The files beside it that were read too: weights of an ONNX network, the layers' description of Keras weights.
    pub beside: Vec<PathBuf>,
}

impl Imported {
    /// SHA-256, lower-case hex, of the network's file at `path`, followed by the bytes of the files beside it in the order of
    /// their names.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn sha256(&self, path: &Path) -> std::io::Result<String> {
        let mut digest = Sha256::new();
        let mut files = vec![open_plain(path)?];
        for path in &self.beside {
            files.push(open_unlinked(path)?);
        }
        for mut file in files {
            let mut buffer = vec![0; 1 << 16];
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    count => digest.update(&buffer[..count]),
                }
            }
        }
        Ok(hex::encode(digest.finalize()))
    }
}

/// A network file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct FormatError {
    /// The file.
    pub path: PathBuf,
    /// What was expected and what was found.
    pub reason: String,
}

impl FormatError {
    fn new(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Reads the network in `path`, with the output and the size that `options` choose.
///
/// # Errors
/// As [`read_model`]; if the network has no such output, or its images are of another size.
pub fn read_network(path: &Path, options: &ReadOptions) -> Result<Imported, FormatError> {
    let mut imported = read_model(path, options.architecture.clone())?;
    let fail = |error: OnnxError| FormatError::new(path, error);
    if let Some(output) = &options.output {
        imported.model.choose_output(output).map_err(fail)?;
    }
    if let Some(size) = options.input_size {
        imported.model.choose_input_size(size).map_err(fail)?;
    }
    Ok(imported)
}

/// Reads the network in `path`; `architecture` is needed for (and only used with) files of Keras weights alone.
///
/// # Errors
/// If the file is neither ONNX nor Keras HDF5, is damaged, or uses a layer that goodnet does not know.
pub fn read_model(
    path: &Path,
    architecture: Option<Architecture>,
) -> Result<Imported, FormatError> {
    if path.join("saved_model.pb").is_file() {
        return Err(FormatError::new(path, exports::saved_model(path)));
    }
    let head = head(path)?;
    if head[head.len().min(4)..].starts_with(b"TFL3") {
        return Err(FormatError::new(path, exports::tflite(path)));
    }
    if head.is_empty() {
        return Err(FormatError::new(
            path,
            "expected a network, found an empty file",
        ));
    }
    if head.starts_with(b"\x89HDF\r\n\x1a\n") {
        return keras::read(path, architecture).map_err(|reason| FormatError::new(path, reason));
    }
    if head.starts_with(b"PK\x03\x04") {
        return keras::read_archive(path).map_err(|reason| FormatError::new(path, reason));
    }
    let (model, beside) = Model::load_with_files(path).map_err(|error| match error {
        OnnxError::NotOnnx(found) => {
            FormatError::new(path, format!("expected ONNX or Keras HDF5, found {found}"))
        }
        other => FormatError::new(path, other),
    })?;
    Ok(Imported {
        model,
        format: "onnx",
        beside,
    })
}

fn head(path: &Path) -> Result<Vec<u8>, FormatError> {
    let io = |error: std::io::Error| FormatError::new(path, error);
    let file = open_plain(path).map_err(io)?;
    let mut head = Vec::new();
    file.take(8).read_to_end(&mut head).map_err(io)?;
    Ok(head)
}
