//! An optional signature over the manifest, and through the manifest's hashes over every byte of the bundle.
//!
//! Keys and signatures are minisign's (Ed25519, pre-hashed), so that its own tools can make and check them.

use super::manifest::{MANIFEST_FILE, SIGNATURE_FILE};
use minisign::{KeyPair, PublicKey, PublicKeyBox, SecretKeyBox, SignatureBox};
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

/// A key or signature was refused.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bundle carries no signature.
    #[error("{}: expected a signature ({SIGNATURE_FILE}), found none", .0.display())]
    Unsigned(PathBuf),
    /// A key or signature is not in minisign's form, or does not fit.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Makes a key pair: `secret` (readable by its owner only) and `public`. Neither may exist.
///
/// # Errors
/// If a file exists or cannot be written.
pub fn generate_keys(secret: &Path, public: &Path) -> Result<(), SignatureError> {
    let pair = KeyPair::generate_unencrypted_keypair().map_err(refused(secret))?;
    let secret_box = pair.sk.to_box(None).map_err(refused(secret))?;
    let public_box = pair.pk.to_box().map_err(refused(public))?;
    write_new(secret, &secret_box.to_bytes(), true)?;
    write_new(public, &public_box.to_bytes(), false)
}

/// Does the key in `secret` need a password?
///
/// # Errors
/// If the file cannot be read or holds no key.
pub fn is_protected(secret: &Path) -> Result<bool, SignatureError> {
    let text = read_text(secret)?;
    let key = SecretKeyBox::from_string(&text).map_err(refused(secret))?;
    Ok(key.into_unencrypted_secret_key().is_err())
}

/// Signs the manifest of the bundle in `dir` with the key in `secret`; `password` opens a protected key.
///
/// # Errors
/// If the key cannot be used or the signature cannot be written.
pub fn sign(dir: &Path, secret: &Path, password: Option<String>) -> Result<(), SignatureError> {
    let manifest = read(&dir.join(MANIFEST_FILE))?;
    let text = read_text(secret)?;
    let parse = || SecretKeyBox::from_string(&text).map_err(refused(secret));
    let key = match password {
        Some(password) => parse()?.into_secret_key(Some(password)),
        None => parse()?.into_unencrypted_secret_key(),
    }
    .map_err(refused(secret))?;
    // The default comment is the time of day; the same bundle should carry the same comment.
    let signature = minisign::sign(
        None,
        &key,
        Cursor::new(&manifest),
        Some(concat!("goodnet ", env!("CARGO_PKG_VERSION"))),
        None,
    )
    .map_err(refused(secret))?;
    replace(&dir.join(SIGNATURE_FILE), &signature.to_bytes())
}

/// A public key that bundles must be signed with.
#[derive(Debug, Clone)]
pub struct Verifier {
    key: PublicKey,
}

impl Verifier {
    /// Reads the public key from a file.
    ///
    /// # Errors
    /// If the file is not a minisign public key.
    pub fn from_file(path: &Path) -> Result<Self, SignatureError> {
        let text = read_text(path)?;
        let key = PublicKeyBox::from_string(&text)
            .and_then(PublicKeyBox::into_public_key)
            .map_err(refused(path))?;
        Ok(Self { key })
    }

    /// Checks the signature of the bundle in `dir` over the manifest's bytes as they were loaded.
    ///
    /// # Errors
    /// If there is no signature, or it is not this key's over these bytes.
    pub fn verify(&self, dir: &Path, manifest: &[u8]) -> Result<(), SignatureError> {
        let path = dir.join(SIGNATURE_FILE);
        if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
            return Err(SignatureError::Unsigned(dir.to_owned()));
        }
        let signature = SignatureBox::from_string(&read_text(&path)?).map_err(refused(&path))?;
        minisign::verify(
            &self.key,
            &signature,
            Cursor::new(manifest),
            true,
            false,
            false,
        )
        .map_err(refused(&path))
    }
}

/// Keys and signatures are a few hundred bytes; a stranger's file may be anything.
const MAX_BYTES: u64 = 64 << 10;

fn read_text(path: &Path) -> Result<String, SignatureError> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(at(path))?;
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(at(path))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(SignatureError::Refused {
            path: path.to_owned(),
            reason: format!("expected at most {MAX_BYTES} bytes, found more"),
        });
    }
    Ok(text)
}

fn read(path: &Path) -> Result<Vec<u8>, SignatureError> {
    fs::read(path).map_err(at(path))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), SignatureError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(at(path))?;
    fs::write(file.path(), bytes).map_err(at(path))?;
    make_readable(file.path())?;
    file.persist(path).map_err(|error| at(path)(error.error))?;
    Ok(())
}

#[cfg(unix)]
fn make_readable(path: &Path) -> Result<(), SignatureError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(at(path))
}

#[cfg(not(unix))]
fn make_readable(_path: &Path) -> Result<(), SignatureError> {
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8], private: bool) -> Result<(), SignatureError> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if private { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = private;
    let mut file = options.open(path).map_err(at(path))?;
    file.write_all(bytes).map_err(at(path))
}

fn refused(path: &Path) -> impl Fn(minisign::PError) -> SignatureError {
    let path = path.to_owned();
    move |error| SignatureError::Refused {
        path: path.clone(),
        reason: error.to_string(),
    }
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> SignatureError {
    let path = path.to_owned();
    move |source| SignatureError::Io {
        path: path.clone(),
        source,
    }
}
