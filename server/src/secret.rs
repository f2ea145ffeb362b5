//! The server's one secret, and the keys that are derived from it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The shortest text that may be a secret, in bytes.
pub(crate) const SHORTEST: usize = 16;

/// The file that keeps the secret of a server with an embedded store, inside the data folder.
const FILE: &str = ".windlass-secret";

/// What ids are signed with. It never shows itself.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A secret from the operator's own words, or `None` if they are too short.
    pub fn from_text(text: &str) -> Option<Self> {
        (text.len() >= SHORTEST).then(|| Self(Sha256::digest(text).into()))
    }

    /// The secret that belongs to a data folder, made at the first start.
    pub fn of_folder(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::from_text(text.trim()).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is too short; delete it", path.display()),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::write_new(&path),
            Err(error) => Err(error),
        }
    }

    fn write_new(path: &Path) -> io::Result<Self> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let text = BASE64_URL_SAFE_NO_PAD.encode(random);
        let mut file = create_private(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(Self(Sha256::digest(&text).into()))
    }

    /// A key for one purpose; keys of different purposes tell nothing about each other.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        keyed(&self.0).chain_update(purpose).finalize().into_bytes().into()
    }
}

/// HMAC-SHA256 under a key of 32 bytes.
///
/// The type wants its key as a whole block, and HMAC itself pads a shorter key with zeros, so this is the
/// same function without an error that cannot happen.
pub(crate) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new(&block.into())
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_hmac_sha256() {
        let tag: [u8; 32] = keyed(&[0x0b; 32]).chain_update("windlass").finalize().into_bytes().into();
        let by_slice: [u8; 32] = Hmac::<Sha256>::new_from_slice(&[0x0b; 32])
            .unwrap()
            .chain_update("windlass")
            .finalize()
            .into_bytes()
            .into();
        assert_eq!(tag, by_slice);
    }

    #[test]
    fn a_folder_keeps_its_secret_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secret::of_folder(folder.path()).unwrap();
        let second = Secret::of_folder(folder.path()).unwrap();
        assert_eq!(first.derive("a"), second.derive("a"));
        assert_ne!(first.derive("a"), first.derive("b"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_short_text_is_no_secret_and_a_secret_does_not_show() {
        assert!(Secret::from_text("fifteen bytes..").is_none());
        let secret = Secret::from_text("sixteen bytes...").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
