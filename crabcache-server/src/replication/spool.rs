//! A snapshot on its way to replicas: a file without a name that grows while they read it.
//!
//! The disk is the buffer: a replica that reads slowly holds up neither the snapshot nor the commands
//! that hand old entries to it, and several replicas read the same file, each at its own pace.

use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// How the writing of a spool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More is to come.
    Growing,
    /// It is complete.
    Complete,
    /// It will not be completed.
    Failed,
}

/// See the module's text.
#[derive(Debug)]
pub struct Spool {
    file: OnceLock<File>,
    n_bytes: AtomicU64,
    progress: Mutex<Progress>,
    news: Notify,
}

impl Default for Spool {
    fn default() -> Self {
        Spool {
            file: OnceLock::new(),
            n_bytes: AtomicU64::new(0),
            progress: Mutex::new(Progress::Growing),
            news: Notify::new(),
        }
    }
}

impl Spool {
    /// A spool that has not begun.
    pub fn new() -> Arc<Spool> {
        Arc::default()
    }

    /// The file that it is read from.
    pub fn begin(&self, file: File) {
        // It begins once.
        let _ = self.file.set(file);
    }

    /// The file is so long now.
    pub fn grown_to(&self, n_bytes: u64) {
        self.n_bytes.store(n_bytes, Ordering::Release);
        self.news.notify_waiters();
    }

    /// Nothing more will be written.
    pub fn end(&self, is_complete: bool) {
        let mut progress = self.progress.lock();
        if *progress == Progress::Growing {
            *progress = if is_complete { Progress::Complete } else { Progress::Failed };
        }
        drop(progress);
        self.news.notify_waiters();
    }

    /// How the writing stands.
    pub fn progress(&self) -> Progress {
        *self.progress.lock()
    }

    /// Bytes that can be read.
    pub fn len(&self) -> u64 {
        self.n_bytes.load(Ordering::Acquire)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads what is there from `offset` on, at most the length of `buffer`. Returns how much that
    /// was; `None` at the end of what is complete.
    ///
    /// # Errors
    /// If the spool has failed or cannot be read.
    pub async fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            let news = self.news.notified();
            let progress = self.progress();
            let len = self.len();
            if progress == Progress::Failed {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if offset < len
                && let Some(file) = self.file.get()
            {
                let wanted = usize::try_from(len - offset).unwrap_or(usize::MAX).min(buffer.len());
                return file.read_at(&mut buffer[..wanted], offset).map(Some);
            }
            if progress == Progress::Complete {
                return Ok(None);
            }
            news.await;
        }
    }

    /// Waits until nothing more will be written. Whether it is complete.
    pub async fn completed(&self) -> bool {
        loop {
            let news = self.news.notified();
            match self.progress() {
                Progress::Growing => news.await,
                Progress::Complete => return true,
                Progress::Failed => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_was_written_is_read_while_it_grows() {
        let dir = crate::testing::temp_dir("spool");
        let path = dir.path().join("spool");
        let mut file = File::create(&path).unwrap();
        let spool = Spool::new();
        spool.begin(File::open(&path).unwrap());
        let reader = spool.clone();
        let read = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (mut all, mut buffer) = (Vec::new(), [0; 100]);
                while let Some(n) = reader.read(all.len() as u64, &mut buffer).await? {
                    all.extend_from_slice(&buffer[..n]);
                }
                io::Result::Ok(all)
            })
        });
        let mut n_bytes = 0;
        for number in 0..200u8 {
            file.write_all(&[number; 7]).unwrap();
            n_bytes += 7;
            spool.grown_to(n_bytes);
        }
        spool.end(true);
        let all = read.join().unwrap().unwrap();
        assert!(all.len() == 1400 && all.chunks(7).zip(0..).all(|(c, n)| c == [n; 7]));
        spool.end(false);
        assert_eq!(spool.progress(), Progress::Complete);
        let failed = Spool::new();
        failed.end(false);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(failed.read(0, &mut [0; 1])).is_err());
        assert!(!runtime.block_on(failed.completed()));
    }
}
