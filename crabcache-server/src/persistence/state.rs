//! What is known about snapshots: the last ones, the one under way, and the data being loaded.

use super::snapshot::{Jobs, Output, Purpose};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// See the module's text.
pub struct Persistence {
    /// Snapshots begun: INFO's `rdb_saves`.
    pub rdb_saves: AtomicU64,
    /// When the last one was complete: Unix seconds.
    pub last_save_s: AtomicI64,
    /// Whether the last one succeeded.
    pub last_bgsave_ok: AtomicBool,
    /// When the last one in the background began: Unix seconds.
    pub last_bgsave_try_s: AtomicI64,
    /// How long the last one in the background took; -1 if there was none.
    pub last_bgsave_took_s: AtomicI64,
    /// Changes that the last one has, of all that were ever counted.
    pub dirty_saved: AtomicU64,
    /// Whether one in the background is to begin as soon as possible.
    pub is_scheduled: AtomicBool,
    /// The one under way.
    pub current: Mutex<Option<Current>>,
    /// Those that are written in the background.
    pub jobs: Jobs,
    /// The data being loaded.
    pub loading: Loading,
    /// Whether damaged checksums do not matter: for tests, which damage what the checksum protects.
    pub skips_checksums: AtomicBool,
}

/// A snapshot under way.
pub struct Current {
    /// Unix seconds.
    pub began_s: i64,
    /// What it is made for.
    pub purpose: Purpose,
    /// Keys that it will have.
    pub n_keys: u64,
    /// Where it goes.
    pub output: Arc<Output>,
}

/// Progress of loading.
#[derive(Debug, Default)]
pub struct Loading {
    /// Whether data is being loaded.
    pub is_under_way: AtomicBool,
    /// Unix seconds.
    pub began_s: AtomicI64,
    /// Size of all files.
    pub total_bytes: AtomicU64,
    /// Bytes read so far, of all files.
    pub loaded_bytes: AtomicU64,
    /// Bytes of files that were read before this one.
    pub earlier_bytes: AtomicU64,
    /// Memory that the data took where the file was written, if it tells.
    pub used_mem: AtomicU64,
    /// Keys of the last file that had expired.
    pub keys_expired: AtomicU64,
    /// Keys of the last file that were loaded.
    pub keys_loaded: AtomicU64,
}

impl Loading {
    /// So many bytes of the file are read.
    pub fn note_read(&self, n_bytes: u64) {
        let earlier = self.earlier_bytes.load(Ordering::Relaxed);
        self.loaded_bytes.store(earlier + n_bytes, Ordering::Relaxed);
    }
}

impl Persistence {
    /// Of a server that begins at this time without data.
    pub fn new(now_s: i64) -> Persistence {
        Persistence {
            rdb_saves: AtomicU64::new(0),
            // Compat: before the first, the start of the server counts as one.
            last_save_s: AtomicI64::new(now_s),
            last_bgsave_ok: AtomicBool::new(true),
            last_bgsave_try_s: AtomicI64::new(0),
            last_bgsave_took_s: AtomicI64::new(-1),
            dirty_saved: AtomicU64::new(0),
            is_scheduled: AtomicBool::new(false),
            current: Mutex::new(None),
            jobs: Jobs::default(),
            loading: Loading::default(),
            skips_checksums: AtomicBool::new(false),
        }
    }

    /// Whether damaged checksums do not matter.
    pub fn skips_checksums(&self) -> bool {
        self.skips_checksums.load(Ordering::Relaxed)
    }

    /// Ends the snapshot under way, if there is one for this purpose, without a file. Returns whether
    /// there was.
    pub fn abort(&self, purpose: Purpose) -> bool {
        let current = self.current.lock();
        let current = current.as_ref().filter(|current| current.purpose == purpose);
        current.inspect(|current| current.output.abort()).is_some()
    }

    /// Waits until none is under way for this purpose, but not longer than that: whoever waits may hold
    /// what it needs to end.
    pub fn await_end_of(&self, purpose: Purpose, wait_max: Duration) {
        const STEP: Duration = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        while self.current_purpose() == Some(purpose) && waited < wait_max {
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }

    /// What the snapshot under way is made for.
    pub fn current_purpose(&self) -> Option<Purpose> {
        self.current.lock().as_ref().map(|current| current.purpose)
    }

    /// Changes since the last snapshot, if there were `dirty` ever.
    pub fn changes(&self, dirty: u64) -> u64 {
        dirty.saturating_sub(self.dirty_saved.load(Ordering::Relaxed))
    }

    /// Notes a complete snapshot that has the first `dirty` changes.
    pub fn note_saved(&self, dirty: u64, now_s: i64) {
        self.dirty_saved.store(dirty, Ordering::Relaxed);
        self.last_save_s.store(now_s, Ordering::Relaxed);
        self.last_bgsave_ok.store(true, Ordering::Relaxed);
    }
}
