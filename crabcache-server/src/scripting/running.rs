//! The scripts under way: who has been running for too long, what others may do about it.
//!
//! A worker that runs a script cannot be interrupted by other threads, but its interpreter calls a
//! hook every so many instructions, and the hook looks here. So others leave what they want of it:
//! that it ends (SCRIPT KILL), that the process is about to end (SHUTDOWN NOSAVE). The worker's own
//! connections have nobody else: the hook has them served from time to time.

use parking_lot::Mutex;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

thread_local! {
    static STAND_IN: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Has `serve` called on this thread from time to time while a script of its is over its time.
pub fn set_stand_in(serve: impl Fn() + 'static) {
    STAND_IN.set(Some(Rc::new(serve)));
}

/// Serves the connections of the calling thread, if it has any.
pub(super) fn stand_in() {
    if let Some(serve) = STAND_IN.with_borrow(Clone::clone) {
        serve();
    }
}

/// What others know about a script that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Name of the script (its hash) or function.
    pub name: String,
    /// The request.
    pub words: Vec<Vec<u8>>,
    /// Whether it is a function.
    pub is_function: bool,
    /// When it began, on the clock that counts from the start: nanoseconds.
    pub began_ns: u64,
}

/// One worker's place.
#[derive(Debug, Default)]
struct Slot {
    /// When the script began, on the clock that counts from the start; 0: none runs.
    began_ns: AtomicU64,
    state: AtomicU8,
    /// Filled when the script is over its time.
    call: Mutex<Option<Call>>,
}

/// It is to end.
const KILLED: u8 = 1;
/// It has changed data: it cannot end without leaving something half done.
const WRITTEN: u8 = 1 << 1;
/// It is over its time.
const OVERTIME: u8 = 1 << 2;
/// It is a function.
const FUNCTION: u8 = 1 << 3;

/// What became of an attempt to end a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// It will end soon.
    Killed,
    /// None runs.
    NotBusy,
    /// It has changed data.
    Unkillable,
    /// It is of the other kind: a function, or a script.
    OtherKind,
}

/// See the module's text.
#[derive(Debug)]
pub struct Running {
    slots: Box<[Slot]>,
    n_overtime: AtomicUsize,
}

impl Running {
    /// Places for `n_workers` threads.
    pub fn new(n_workers: usize) -> Running {
        let slots = (0..n_workers).map(|_| Slot::default()).collect();
        Running { slots, n_overtime: AtomicUsize::new(0) }
    }

    /// A script begins on the calling worker.
    pub fn begin(&self, worker: usize, now_ns: u64, is_function: bool) {
        let slot = &self.slots[worker];
        slot.state.store(if is_function { FUNCTION } else { 0 }, Ordering::Relaxed);
        slot.began_ns.store(now_ns.max(1), Ordering::Release);
    }

    /// It has ended. Whether it was over its time.
    pub fn end(&self, worker: usize) -> bool {
        let slot = &self.slots[worker];
        slot.began_ns.store(0, Ordering::Release);
        let was_overtime = slot.state.swap(0, Ordering::AcqRel) & OVERTIME != 0;
        if was_overtime {
            *slot.call.lock() = None;
            self.n_overtime.fetch_sub(1, Ordering::AcqRel);
        }
        was_overtime
    }

    /// The script of the calling worker is about to change data. `false`: it must not, it is to end.
    #[inline]
    pub fn note_write(&self, worker: usize) -> bool {
        let old = self.slots[worker].state.fetch_or(WRITTEN, Ordering::AcqRel);
        old & KILLED == 0 || old & WRITTEN != 0
    }

    /// Whether the script of the calling worker is to end.
    #[inline]
    pub fn is_killed(&self, worker: usize) -> bool {
        self.slots[worker].state.load(Ordering::Acquire) & KILLED != 0
    }

    /// The script of the calling worker is over its time from now on.
    pub fn note_overtime(&self, worker: usize, call: Call) {
        let slot = &self.slots[worker];
        *slot.call.lock() = Some(call);
        if slot.state.fetch_or(OVERTIME, Ordering::AcqRel) & OVERTIME == 0 {
            self.n_overtime.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether a worker's script is over its time.
    pub fn is_overtime(&self, worker: usize) -> bool {
        self.slots.get(worker).is_some_and(|s| s.state.load(Ordering::Acquire) & OVERTIME != 0)
    }

    /// Whether any script is over its time.
    pub fn any_overtime(&self) -> bool {
        self.n_overtime.load(Ordering::Acquire) > 0
    }

    /// The first script that is over its time.
    pub fn overtime_call(&self) -> Option<Call> {
        self.slots.iter().find_map(|slot| slot.call.lock().clone())
    }

    /// Ends a script, or function, that is over its time.
    pub fn kill(&self, functions: bool) -> Kill {
        let mut outcome = Kill::NotBusy;
        for slot in self.slots.iter().filter(|slot| slot.is(OVERTIME)) {
            outcome = slot.kill(functions);
            if outcome == Kill::Killed {
                break;
            }
        }
        outcome
    }
}

impl Slot {
    fn is(&self, flag: u8) -> bool {
        self.state.load(Ordering::Acquire) & flag != 0
    }

    fn kill(&self, functions: bool) -> Kill {
        loop {
            let state = self.state.load(Ordering::Acquire);
            if state & OVERTIME == 0 {
                return Kill::NotBusy;
            }
            if state & WRITTEN != 0 {
                return Kill::Unkillable;
            }
            if (state & FUNCTION != 0) != functions {
                return Kill::OtherKind;
            }
            // In one step: a script that begins to write in between must not be ended.
            let new = state | KILLED;
            let exchanged =
                self.state.compare_exchange(state, new, Ordering::AcqRel, Ordering::Acquire);
            if exchanged.is_ok() {
                return Kill::Killed;
            }
        }
    }
}
