//! What belongs together in the log: a transaction, a script, a command that is replicated as several.
//!
//! While a thread has a unit open, all that it replicates is collected; when the unit ends, it enters
//! the log at once, between MULTI and EXEC if it is more than one command. The stripes of all keys
//! are held until then, so nobody can come between, and no reader of the log sees a part of it.

use super::log::{Log, Targets};
use std::cell::RefCell;

thread_local! {
    /// The unit of this thread.
    static OPEN: RefCell<Collected> = RefCell::default();
}

/// Encoded commands.
#[derive(Default)]
pub(super) struct Collected {
    /// Units within units are one.
    depth: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) commands: Vec<Collectible>,
}

/// One of them.
pub(super) struct Collectible {
    pub(super) db: Option<usize>,
    pub(super) targets: Targets,
    /// Where it ends in the bytes.
    pub(super) end: usize,
}

/// A unit that is open; it ends when this is dropped.
#[must_use]
pub struct Unit<'l> {
    log: &'l Log,
}

impl<'l> Unit<'l> {
    pub(super) fn open(log: &'l Log) -> Unit<'l> {
        OPEN.with_borrow_mut(|open| open.depth += 1);
        Unit { log }
    }
}

impl Drop for Unit<'_> {
    /// What a command has changed that panicked stays, so it is replicated too.
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| {
            open.depth -= 1;
            if open.depth == 0 && !open.commands.is_empty() {
                self.log.append_unit(open);
                open.commands.clear();
                open.bytes.clear();
                // One huge transaction must not stay for ever.
                open.bytes.shrink_to(64 * 1024);
            }
        });
    }
}

/// Has `put` write a command into the thread's unit. `false`: none is open.
pub(super) fn collect(db: Option<usize>, targets: Targets, put: impl FnOnce(&mut Vec<u8>)) -> bool {
    OPEN.with_borrow_mut(|open| {
        if open.depth == 0 {
            return false;
        }
        put(&mut open.bytes);
        open.commands.push(Collectible { db, targets, end: open.bytes.len() });
        true
    })
}
