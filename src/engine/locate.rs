//! Where the ONNX Runtime library may lie.

use std::path::{Path, PathBuf};

/// Folder, relative to the working directory, that `scripts/fetch-onnxruntime` fills.
const LOCAL_FOLDER: &str = ".onnxruntime";

/// Folders that Linux distributions and containers install shared libraries to.
const SYSTEM_FOLDERS: [&str; 5] = [
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/onnxruntime/lib",
];

/// Folders of a Python environment, below `lib/python3.X`, that packages are installed to (the second one on Debian).
const PACKAGE_FOLDERS: [&str; 2] = ["site-packages", "dist-packages"];

/// The first library found: `ORT_DYLIB_PATH`, beside the executable, the package `onnxruntime` of the Python environment
/// that the executable is installed in, `./.onnxruntime/`, the system's folders.
pub(super) fn library() -> Option<PathBuf> {
    if let Some(path) = from_environment() {
        return Some(path);
    }
    folders().iter().find_map(|folder| in_folder(folder))
}

/// What [`library`] looked at, for an error message.
pub(super) fn places() -> String {
    let mut places = vec!["ORT_DYLIB_PATH".to_owned()];
    places.extend(folders().iter().map(|folder| folder.display().to_string()));
    format!("looked at {}", places.join(", "))
}

/// Checks that `path` is a file and reads the version from its full name, `libonnxruntime.so.1.32.0`.
pub(super) fn probe(path: &Path) -> Result<String, String> {
    let full = path.canonicalize().map_err(|error| error.to_string())?;
    if !full.is_file() {
        return Err("expected a file".to_owned());
    }
    Ok(version_in_name(&full).unwrap_or_else(|| "of unknown version".to_owned()))
}

fn version_in_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let version = name
        .strip_prefix("libonnxruntime.so.")
        .or_else(|| name.strip_prefix("libonnxruntime.")?.strip_suffix(".dylib"))?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.to_owned())
}

fn from_environment() -> Option<PathBuf> {
    let value = std::env::var_os("ORT_DYLIB_PATH")?;
    (!value.is_empty()).then(|| PathBuf::from(value))
}

fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(executable) = std::env::current_exe() {
        let beside = executable.parent();
        folders.extend(beside.map(Path::to_path_buf));
        folders.extend(beside.and_then(Path::parent).iter().flat_map(in_python));
    }
    folders.push(PathBuf::from(LOCAL_FOLDER));
    folders.extend(SYSTEM_FOLDERS.map(PathBuf::from));
    folders
}

/// Where the Python package `onnxruntime` keeps its library, for every Python of the environment at `prefix` that has it.
fn in_python(prefix: impl AsRef<Path>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(prefix.as_ref().join("lib"));
    let mut pythons: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("python3"))
        })
        .collect();
    pythons.sort();
    let capi = |python: &PathBuf| PACKAGE_FOLDERS.map(|p| python.join(p).join("onnxruntime/capi"));
    let folders = pythons.iter().flat_map(capi);
    folders.filter(|folder| folder.is_dir()).collect()
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && is_library_name(path))
        .collect();
    found.sort();
    found.into_iter().next()
}

fn is_library_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| {
        name == "libonnxruntime.so"
            || name.starts_with("libonnxruntime.so.")
            || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
            || name == "onnxruntime.dll"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_full_name() {
        let version = |name: &str| version_in_name(Path::new(name));
        assert_eq!(
            version("/x/libonnxruntime.so.1.32.0").as_deref(),
            Some("1.32.0")
        );
        assert_eq!(
            version("/x/libonnxruntime.1.32.0.dylib").as_deref(),
            Some("1.32.0")
        );
        assert_eq!(version("/x/libonnxruntime.so"), None);
    }

    #[test]
    fn provider_plugins_are_not_taken_for_the_runtime() {
        assert!(!is_library_name(Path::new(
            "libonnxruntime_providers_shared.so"
        )));
        assert!(is_library_name(Path::new("libonnxruntime.so.1.32.0")));
        assert!(is_library_name(Path::new("libonnxruntime.1.32.0.dylib")));
    }

    #[test]
    fn the_library_of_a_python_environment_is_found_from_its_prefix() {
        let prefix = tempfile::tempdir().unwrap();
        assert_eq!(in_python(prefix.path()), Vec::<PathBuf>::new());
        let packages = prefix.path().join("lib/python3.11/site-packages");
        std::fs::create_dir_all(packages.join("onnx")).unwrap();
        assert_eq!(in_python(prefix.path()), Vec::<PathBuf>::new());
        let capi = packages.join("onnxruntime/capi");
        std::fs::create_dir_all(&capi).unwrap();
        std::fs::write(capi.join("libonnxruntime_providers_shared.so"), "").unwrap();
        std::fs::write(capi.join("libonnxruntime.so.1.32.0"), "").unwrap();
        assert_eq!(in_python(prefix.path()), std::slice::from_ref(&capi));
        assert_eq!(
            in_folder(&capi),
            Some(capi.join("libonnxruntime.so.1.32.0"))
        );
    }
}
