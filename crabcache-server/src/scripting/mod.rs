//! Lua scripts: EVAL and its siblings, and functions.
//!
//! ```text
//!  EVAL --> plan: which stripes      (reach.rs: what the script's text tells)
//!       --> lock, as for any command
//!       --> engine of this worker    (engine.rs, sandbox.lua: a Lua interpreter, thread-local)
//!             redis.call --> host.rs --> run_locked, as for a command of EXEC
//! ```
//!
//! - Each worker has an interpreter of its own, so scripts with different keys run side by side.
//!   What clients can see is the server's: the script cache, the functions. Interpreters keep
//!   compiled scripts only, by the hash of their text, and globals cannot be set.
//! - A script holds all the stripes that it can reach before it begins; see `reach.rs`. So it is
//!   atomic, it never waits for a lock, and nothing it has done must ever be taken back.
//! - A script that runs for longer than `busy-reply-threshold` makes the server answer BUSY; see
//!   `running.rs`.

mod api;
pub mod cache;
mod engine;
pub mod functions;
mod host;
mod lexer;
mod libraries;
mod library_reach;
mod plan;
mod reach;
mod reply;
pub mod running;
mod shebang;
mod value;

pub use cache::{Script, ScriptCache, sha1_hex};
pub use engine::compile;
pub use host::{run, run_function};
pub use plan::{FoundScript, Plan, effective_flags, plan};
pub use shebang::ScriptFlags;

use running::Running;

/// What all workers share about scripts.
#[derive(Debug)]
pub struct Scripting {
    /// Scripts by name.
    pub cache: ScriptCache,
    /// Libraries of functions.
    pub functions: functions::Functions,
    /// The scripts under way.
    pub running: Running,
    /// Whether scripts may call commands that are denied to them otherwise: for tests.
    pub denies_nothing: std::sync::atomic::AtomicBool,
    /// Bytes that each worker's interpreter takes.
    pub vm_bytes: Box<[std::sync::atomic::AtomicUsize]>,
}

impl Scripting {
    /// No scripts yet, for `n_workers` threads.
    pub fn new(n_workers: usize) -> Scripting {
        Scripting {
            cache: ScriptCache::default(),
            functions: functions::Functions::default(),
            running: Running::new(n_workers),
            denies_nothing: std::sync::atomic::AtomicBool::new(false),
            vm_bytes: (0..n_workers).map(|_| std::sync::atomic::AtomicUsize::new(0)).collect(),
        }
    }

    /// Bytes that all interpreters take.
    pub fn vm_bytes(&self) -> usize {
        self.vm_bytes.iter().map(|bytes| bytes.load(std::sync::atomic::Ordering::Relaxed)).sum()
    }
}
