//! Loading a bundle: every byte is checked against the manifest before anything is used.

use super::manifest::{
    BADNET_FILE, MANIFEST_FILE, MAX_DROPS, Manifest, SCHEMA_VERSION, SWEEP_JSON,
};
use super::sha256_hex;
use super::signature::Verifier;
use crate::domain::sweep::Sweep;
use crate::files;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A manifest larger than this is refused.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;
/// A file larger than this is refused: the ONNX format itself ends at 2 GiB.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// A bundle was refused.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct BundleError {
    /// The directory or file that is at fault.
    pub path: PathBuf,
    /// What was expected and what was found.
    pub reason: String,
}

/// A verified bundle, held in memory.
#[derive(Debug, Clone)]
pub struct Bundle {
    dir: PathBuf,
    manifest: Manifest,
    manifest_sha256: String,
    sweep: Sweep,
    files: BTreeMap<String, Vec<u8>>,
}

impl Bundle {
    /// The directory it was loaded from.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of `manifest.json`: names this very bundle.
    #[must_use]
    pub fn manifest_sha256(&self) -> &str {
        &self.manifest_sha256
    }

    /// The sweep.
    #[must_use]
    pub fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// The bytes of a file, by its path relative to the bundle.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }
}

/// Volumes of a Kubernetes ConfigMap or Secret show their files so.
const LINK: &str =
    "a link: copy the bundle with what its links lead to (cp -rL), and serve the copy";

/// Loads the bundle in `dir`.
///
/// # Errors
/// If the manifest is missing, of another schema or not as it was written; if a file is missing, of another size or
/// hash, a link, or outside the directory; if the records contradict each other.
pub fn load(dir: &Path) -> Result<Bundle, BundleError> {
    load_signed(dir, None)
}

/// Loads the bundle in `dir`, which must be signed with the key of `verifier` if there is one.
///
/// # Errors
/// As [`load`]; if the signature is missing or not the key's over this manifest.
pub fn load_signed(dir: &Path, verifier: Option<&Verifier>) -> Result<Bundle, BundleError> {
    let manifest_path = dir.join(MANIFEST_FILE);
    let bytes = read_plain(&manifest_path, MAX_MANIFEST_BYTES)?;
    if let Some(verifier) = verifier {
        verifier
            .verify(dir, &bytes)
            .map_err(|error| refuse(dir, error.to_string()))?;
    }
    let manifest = parse_manifest(&manifest_path, &bytes)?;
    let mut files = BTreeMap::new();
    for (name, record) in &manifest.files {
        let path = inside(dir, name)?;
        let found = read_plain(&path, MAX_FILE_BYTES)?;
        if found.len() as u64 != record.bytes || sha256_hex(&found) != record.sha256 {
            return Err(refuse(
                &path,
                format!(
                    "expected {} bytes with SHA-256 {}, found {} bytes with {}",
                    record.bytes,
                    record.sha256,
                    found.len(),
                    sha256_hex(&found)
                ),
            ));
        }
        files.insert(name.clone(), found);
    }
    let sweep = parse_sweep(dir, &files)?;
    check_records(&manifest_path, &manifest, &sweep)?;
    Ok(Bundle {
        dir: dir.to_owned(),
        manifest_sha256: sha256_hex(&bytes),
        manifest,
        sweep,
        files,
    })
}

fn parse_manifest(path: &Path, bytes: &[u8]) -> Result<Manifest, BundleError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let version: Version = serde_json::from_slice(bytes)
        .map_err(|error| refuse(path, format!("expected a bundle's manifest, found {error}")))?;
    if version.schema_version != SCHEMA_VERSION {
        return Err(refuse(
            path,
            format!(
                "expected schema version {SCHEMA_VERSION}, found {}",
                version.schema_version
            ),
        ));
    }
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|error| refuse(path, format!("expected a bundle's manifest, found {error}")))?;
    let written = manifest
        .to_json()
        .map_err(|error| refuse(path, error.to_string()))?;
    if written != bytes {
        return Err(refuse(
            path,
            "expected the manifest as goodnet wrote it, found one that was changed".to_owned(),
        ));
    }
    Ok(manifest)
}

fn parse_sweep(dir: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<Sweep, BundleError> {
    let path = dir.join(SWEEP_JSON);
    let bytes = files.get(SWEEP_JSON).ok_or_else(|| {
        refuse(
            &path,
            "expected it in the manifest's list of files".to_owned(),
        )
    })?;
    serde_json::from_slice(bytes)
        .map_err(|error| refuse(&path, format!("expected a sweep, found {error}")))
}

fn check_records(path: &Path, manifest: &Manifest, sweep: &Sweep) -> Result<(), BundleError> {
    let fail = |reason: String| Err(refuse(path, reason));
    if manifest.classes < 2 {
        return fail(format!(
            "expected at least 2 classes, found {}",
            manifest.classes
        ));
    }
    if let Some(labels) = &manifest.labels
        && labels.len() != manifest.classes as usize
    {
        return fail(format!(
            "expected {} class labels, found {}",
            manifest.classes,
            labels.len()
        ));
    }
    if let Err(error) = manifest.input.validate() {
        return fail(format!("input: {error}"));
    }
    if manifest.drops.len() > MAX_DROPS {
        return fail(format!(
            "expected at most {MAX_DROPS} drops, found {}",
            manifest.drops.len()
        ));
    }
    let mut needed = vec![BADNET_FILE];
    needed.extend(manifest.reached().map(|(_, pruned)| pruned.file.as_str()));
    needed.extend(manifest.goodnet.iter().map(|record| record.file.as_str()));
    needed.extend(manifest.samples.iter().map(|sample| sample.file.as_str()));
    for name in needed {
        if !manifest.files.contains_key(name) {
            return fail(format!("expected {name} in the list of files, found none"));
        }
    }
    if manifest
        .drops
        .windows(2)
        .any(|pair| pair[0].drop >= pair[1].drop)
    {
        return fail("expected drops in ascending order".to_owned());
    }
    for (drop, pruned) in manifest.reached() {
        let agrees = sweep.steps.iter().any(|step| {
            step.step == pruned.step
                && step.clean_accuracy == pruned.clean_accuracy
                && step.channels_removed == pruned.channels_removed.len()
                && step.attack_success_rate == pruned.attack_success_rate
        });
        if !agrees {
            return fail(format!("the drop {drop} contradicts {SWEEP_JSON}"));
        }
    }
    Ok(())
}

/// The path of `name` inside `dir`, with every folder on the way a plain one.
fn inside(dir: &Path, name: &str) -> Result<PathBuf, BundleError> {
    let relative = Path::new(name);
    let mut path = dir.to_owned();
    for component in relative.components() {
        let Component::Normal(part) = component else {
            return Err(refuse(
                &dir.join(name),
                "leads out of the bundle".to_owned(),
            ));
        };
        path.push(part);
        let is_link = fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_symlink());
        if is_link {
            return Err(refuse(
                &path,
                format!("expected a plain file or folder, found {LINK}"),
            ));
        }
    }
    Ok(path)
}

/// Reads a plain file of at most `limit` bytes.
fn read_plain(path: &Path, limit: u64) -> Result<Vec<u8>, BundleError> {
    let io = |error: std::io::Error| refuse(path, error.to_string());
    let meta = fs::symlink_metadata(path).map_err(io)?;
    if meta.is_symlink() {
        return Err(refuse(path, format!("expected a plain file, found {LINK}")));
    }
    files::read_plain(path, limit).map_err(io)
}

fn refuse(path: &Path, reason: String) -> BundleError {
    BundleError {
        path: path.to_owned(),
        reason,
    }
}
