//! Files that somebody else wrote: plain ones only, of a bounded size.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a plain file. A pipe or a device is refused before it can make the process wait or read for ever.
///
/// # Errors
/// If it cannot be opened or is no plain file.
pub fn open_plain(path: &Path) -> io::Result<File> {
    open(path, true)
}

/// As [`open_plain`]; a link is refused, wherever it leads.
///
/// # Errors
/// As [`open_plain`]; if it is a link.
pub fn open_unlinked(path: &Path) -> io::Result<File> {
    if path.symlink_metadata()?.is_symlink() {
        return Err(io::Error::other("a link"));
    }
    open(path, false)
}

fn open(path: &Path, follow: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        // Opening a pipe waits for somebody to write to it.
        let mut flags = OFlags::NONBLOCK;
        flags.set(OFlags::NOFOLLOW, !follow);
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    let found = if kind.is_dir() {
        "a directory"
    } else {
        "a pipe or a device"
    };
    Err(io::Error::other(format!(
        "expected a plain file, found {found}"
    )))
}

/// Reads a plain file of at most `limit` bytes.
///
/// # Errors
/// As [`open_plain`]; if it is longer, also where its length is not what its directory says.
pub fn read_plain(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_plain(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= limit {
        return Ok(bytes);
    }
    Err(io::Error::other(format!(
        "expected at most {limit} bytes, found more"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"four").unwrap();
        assert_eq!(read_plain(&path, 4).unwrap(), b"four");
        assert!(
            read_plain(&path, 3)
                .unwrap_err()
                .to_string()
                .contains("3 bytes")
        );
        let refused = |path: &Path| read_plain(path, 9).unwrap_err().to_string();
        assert!(refused(folder.path()).contains("a directory"));
        assert!(refused(&folder.path().join("none")).contains("No such file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_without_a_writer_and_an_endless_device_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [pipe.as_path(), Path::new("/dev/zero")] {
            let error = read_plain(path, 9).unwrap_err().to_string();
            assert!(error.contains("a pipe or a device"), "{error}");
        }
    }
}
