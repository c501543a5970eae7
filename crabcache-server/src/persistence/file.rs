//! A file that takes another one's place only when it is complete and on disk.
//!
//! It is written under a temporary name in the same directory, forced to disk, renamed, and the
//! directory is forced to disk. Whatever fails before leaves the old file as it is.

use crate::config::apply::system_text;
use crate::error::Logged;
use crabcache_store::algorithms::crc64;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// After so many bytes a file is forced to disk bit by bit.
const SYNC_BYTES: u64 = 4 << 20;

/// See the module's text. Removes what it has written unless it is finished.
pub struct TempFile {
    file: File,
    path: PathBuf,
    /// Of all that was written, if it is wanted.
    crc: Option<u64>,
    n_bytes: u64,
    is_finished: bool,
}

impl TempFile {
    /// Creates the file; `has_checksum`: that of all bytes is computed.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: PathBuf, has_checksum: bool) -> io::Result<TempFile> {
        let file = File::create(&path)?;
        let crc = has_checksum.then_some(0);
        Ok(TempFile { file, path, crc, n_bytes: 0, is_finished: false })
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// If the disk is full, or the like.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.n_bytes += bytes.len() as u64;
        if let Some(crc) = &mut self.crc {
            *crc = crc64::update(*crc, bytes);
        }
        Ok(())
    }

    /// The checksum of all bytes so far; 0 if it is not wanted.
    pub fn checksum(&self) -> u64 {
        self.crc.unwrap_or(0)
    }

    /// Bytes written so far.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The file once more, for reading it while it is written; its name is not needed for that.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn reader(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// The same file once more, for forcing it to disk while others write.
    ///
    /// # Errors
    /// If the process has too many files open.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Forces the file to disk and gives it its name.
    ///
    /// # Errors
    /// Which step failed, and why; the log says it.
    pub fn finish(mut self, target: &Path) -> Result<(), Logged> {
        self.file.sync_all().map_err(|error| write_failed("fsync", &error))?;
        std::fs::rename(&self.path, target).map_err(|error| {
            tracing::warn!(
                "Error moving temp DB file {} on the final destination {} (in server root dir {}): \
                 {}",
                self.path.display(),
                target.display(),
                directory().display(),
                system_text(&error)
            );
            Logged
        })?;
        self.is_finished = true;
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_dir(directory.unwrap_or(Path::new("."))).map_err(|error| {
            tracing::warn!("Failed to fsync directory while saving DB: {}", system_text(&error));
            Logged
        })
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // Nobody needs it; should it stay, the next one has the same name.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Forces a file to disk again and again as it grows.
#[derive(Default)]
pub struct IncrementalSync {
    file: Option<File>,
    n_synced: u64,
}

impl IncrementalSync {
    /// For a file, if that is wanted.
    pub fn new(file: &TempFile, is_wanted: bool) -> IncrementalSync {
        // It is a help only: without a handle all is forced to disk at the end.
        let file = if is_wanted { file.handle().ok() } else { None };
        IncrementalSync { file, n_synced: 0 }
    }

    /// Tells how long the file is by now.
    ///
    /// # Errors
    /// If forcing it to disk fails.
    pub fn grown_to(&mut self, n_bytes: u64) -> io::Result<()> {
        match &self.file {
            Some(file) if n_bytes >= self.n_synced + SYNC_BYTES => {
                self.n_synced = n_bytes;
                file.sync_data()
            }
            _ => Ok(()),
        }
    }
}

/// Forces a directory to disk: what was created and renamed in it.
///
/// # Errors
/// If the system cannot.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Says in the log that writing has failed at a step.
pub fn write_failed(step: &str, error: &io::Error) -> Logged {
    tracing::warn!("Write error while saving DB to the disk({step}): {}", system_text(error));
    Logged
}

/// The working directory, for messages.
pub fn directory() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_stays_until_the_new_one_is_complete() {
        let dir = crate::testing::temp_dir("file");
        let (target, temp) = (dir.path().join("target"), dir.path().join("temp"));
        std::fs::write(&target, "old").unwrap();
        let mut file = TempFile::create(temp.clone(), true).unwrap();
        file.write(b"ne").unwrap();
        drop(file);
        assert!(!temp.exists());
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        let mut file = TempFile::create(temp.clone(), true).unwrap();
        file.write(b"1234").unwrap();
        file.write(b"56789").unwrap();
        assert_eq!((file.checksum(), file.n_bytes()), (crc64::checksum(b"123456789"), 9));
        file.finish(&target).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"123456789");
        assert!(!temp.exists());
        let file = TempFile::create(temp.clone(), false).unwrap();
        assert_eq!(file.checksum(), 0);
        assert_eq!(file.finish(&dir.path().join("missing/target")), Err(Logged));
        assert!(!temp.exists());
    }
}
