//! Files to upload: made once per run, distinct in every 4 KiB, and known by their SHA-256.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use tokio::sync::Mutex;

/// One mebibyte.
pub(crate) const MIB: u64 = 1 << 20;

const BLOCK: usize = 8 << 20;
const STAMP_EVERY: usize = 4096;

/// A file on disk and what has to arrive.
#[derive(Debug, Clone)]
pub(crate) struct TestFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name, as the page shows it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// Makes files and keeps them for the next engine.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    block: Arc<Vec<u8>>,
    made: Mutex<HashMap<(String, u64), TestFile>>,
}

impl Files {
    /// Puts its files into `dir`.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self { dir: dir.to_owned(), block: Arc::new(noise(BLOCK)), made: Mutex::new(HashMap::new()) })
    }

    /// The file of this name and size, made now or by an earlier scenario. It must not be changed.
    pub(crate) async fn shared(&self, name: &str, size: u64) -> Result<TestFile> {
        let mut made = self.made.lock().await;
        let key = (name.to_owned(), size);
        if let Some(file) = made.get(&key) {
            return Ok(file.clone());
        }
        let dir = self.dir.join(format!("shared-{size}"));
        let file = self.write(&dir, name, size).await?;
        made.insert(key, file.clone());
        Ok(file)
    }

    /// A file in a folder of its own, for a scenario that changes or deletes it.
    pub(crate) async fn own(&self, folder: &str, name: &str, size: u64) -> Result<TestFile> {
        self.write(&self.dir.join(folder), name, size).await
    }

    async fn write(&self, dir: &Path, name: &str, size: u64) -> Result<TestFile> {
        let path = dir.join(name);
        let seed = name.bytes().fold(size, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let (block, target, folder) = (Arc::clone(&self.block), path.clone(), dir.to_owned());
        tokio::task::spawn_blocking(move || {
            fs::create_dir_all(&folder)?;
            write_distinct(&block, &target, size, seed)
        })
        .await?
        .with_context(|| format!("cannot write {}", path.display()))?;
        let sha256 = sha256(&path).await?;
        Ok(TestFile { path, name: name.to_owned(), size, sha256 })
    }
}

/// Writes `size` bytes of which no two pages of 4 KiB are alike, so that a swapped or doubled part shows.
pub(crate) fn write_distinct(block: &[u8], path: &Path, size: u64, seed: u64) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut work = block.to_vec();
    let mut offset = 0_u64;
    while offset < size {
        for (page, at) in (0..work.len() - 8).step_by(STAMP_EVERY).enumerate() {
            let stamp = offset.wrapping_add((page * STAMP_EVERY) as u64) ^ seed.rotate_left(32);
            work[at..at + 8].copy_from_slice(&stamp.to_le_bytes());
        }
        let take = (size - offset).min(work.len() as u64);
        out.write_all(&work[..take as usize])?;
        offset += take;
    }
    out.flush()
}

/// Bytes that no compression and no deduplication shortens; the same ones in every run.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The SHA-256 by `sha256sum`: an oracle that shares no code with what is tested.
pub(crate) async fn sha256(path: &Path) -> Result<String> {
    let out = Command::new("sha256sum").arg("--").arg(path).output().await.context("cannot run sha256sum")?;
    ensure!(
        out.status.success(),
        "sha256sum {}: {}",
        path.display(),
        String::from_utf8_lossy(&out.stderr).trim()
    );
    // A name with a backslash or a newline makes sha256sum put a backslash before the sum.
    let line = String::from_utf8_lossy(&out.stdout).trim_start_matches('\\').to_owned();
    let sum = line.split_whitespace().next().unwrap_or_default().to_owned();
    ensure!(sum.len() == 64, "sha256sum answered {line:?}");
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_pages_are_alike_and_the_size_is_exact() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let size = 3 * 64 * 1024 + 5;
        write_distinct(&noise(64 * 1024), &path, size, 7).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, size);
        let pages: std::collections::HashSet<&[u8]> = bytes.chunks(STAMP_EVERY).collect();
        assert_eq!(pages.len(), bytes.len().div_ceil(STAMP_EVERY));
    }

    #[tokio::test]
    async fn sha256_is_the_known_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("back\\slash");
        fs::write(&path, "abc").unwrap();
        let sum = sha256(&path).await.unwrap();
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
