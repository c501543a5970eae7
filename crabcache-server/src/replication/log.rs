//! The one log of changes.
//!
//! A change enters it while the stripes of its keys are still held, so the order per key is the same
//! for everybody who reads it. It has two readers, each with a buffer of its own:
//!
//! ```text
//!             /--> bytes for the append-only file --> the thread that writes it
//!  changes --+
//!             \--> backlog --> connections of replicas
//! ```
//!
//! Both get commands in RESP, with SELECT where the database is another one than before. While neither
//! is wanted, handlers do not even tell what is to be replicated ([`Interest::PROPAGATION`]).
//!
//! What this is not: it does no I/O.
//!
//! [`Interest::PROPAGATION`]: crate::server::interest::Interest::PROPAGATION

use super::backlog::Backlog;
use super::unit::{self, Collected, Unit};
use crabcache_resp::request;
use parking_lot::{Condvar, Mutex};
use std::cell::Cell;
use std::time::Duration;

bitflags::bitflags! {
    /// Who gets a command.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Targets: u8 {
        /// The append-only file.
        const AOF = 1;
        /// Replicas.
        const REPLICAS = 2;
    }
}

/// Where the readers' streams end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends {
    /// Bytes ever given to the append-only file since the start of the server.
    pub aof: u64,
    /// The replication offset.
    pub replicas: u64,
}

thread_local! {
    /// The ends of the streams behind the last change that this thread has appended.
    static LAST: Cell<Option<Ends>> = const { Cell::new(None) };
}

/// The ends of the streams behind what this thread has appended since it asked the last time.
#[inline]
pub fn take_last() -> Option<Ends> {
    LAST.take()
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Log {
    state: Mutex<State>,
    /// Told when there is something for the append-only file and its writer waits.
    has_aof_bytes: Condvar,
}

#[derive(Debug, Default)]
struct State {
    aof: Option<AofBuffer>,
    backlog: Option<ReplicaStream>,
    ends: Ends,
    /// Where commands are encoded that go to both.
    scratch: Vec<u8>,
}

/// What the append-only file has not been given yet.
#[derive(Debug, Default)]
struct AofBuffer {
    bytes: Vec<u8>,
    db: Option<usize>,
    writer_waits: bool,
}

/// The replication stream.
#[derive(Debug)]
struct ReplicaStream {
    backlog: Backlog,
    db: Option<usize>,
}

impl Default for Targets {
    fn default() -> Self {
        Targets::all()
    }
}

impl Log {
    /// Begins a unit: what this thread appends until it is dropped enters the log as one.
    pub fn unit(&self) -> Unit<'_> {
        Unit::open(self)
    }

    /// Appends a command that concerns a database, or none.
    pub fn append<'w>(
        &self,
        targets: Targets,
        db: Option<usize>,
        words: impl ExactSizeIterator<Item = &'w [u8]> + Clone,
    ) {
        if unit::collect(db, targets, |out| request::write(out, words.clone())) {
            return;
        }
        let mut state = self.state.lock();
        let mut scratch = std::mem::take(&mut state.scratch);
        scratch.clear();
        request::write(&mut scratch, words);
        state.put(targets, db, &scratch);
        scratch.shrink_to(64 * 1024);
        state.scratch = scratch;
        self.tell(&mut state);
    }

    pub(super) fn append_unit(&self, unit: &Collected) {
        let mut state = self.state.lock();
        for target in [Targets::AOF, Targets::REPLICAS] {
            let n_commands = unit.commands.iter().filter(|c| c.targets.contains(target)).count();
            if n_commands > 1 {
                state.put(target, None, b"*1\r\n$5\r\nMULTI\r\n");
            }
            let mut start = 0;
            for command in &unit.commands {
                if command.targets.contains(target) {
                    state.put(target, command.db, &unit.bytes[start..command.end]);
                }
                start = command.end;
            }
            if n_commands > 1 {
                state.put(target, None, b"*1\r\n$4\r\nEXEC\r\n");
            }
        }
        self.tell(&mut state);
    }

    /// Wakes the readers that wait.
    fn tell(&self, state: &mut State) {
        if let Some(aof) = &mut state.aof
            && std::mem::take(&mut aof.writer_waits)
        {
            self.has_aof_bytes.notify_one();
        }
        LAST.set(Some(state.ends));
    }

    /// Begins or ends collecting bytes for the append-only file. What was collected before is given
    /// back.
    pub fn collect_for_aof(&self, is_wanted: bool) -> Vec<u8> {
        let mut state = self.state.lock();
        let old = std::mem::replace(&mut state.aof, is_wanted.then(AofBuffer::default));
        self.has_aof_bytes.notify_one();
        old.map(|aof| aof.bytes).unwrap_or_default()
    }

    /// Gives the writer of the append-only file what it has not got yet, and where the stream ends
    /// behind it. Waits for at most `wait` if there is nothing. `out` must be empty.
    pub fn take_aof(&self, out: &mut Vec<u8>, wait: Duration) -> u64 {
        let mut state = self.state.lock();
        if state.aof.as_ref().is_some_and(|aof| aof.bytes.is_empty()) && !wait.is_zero() {
            if let Some(aof) = &mut state.aof {
                aof.writer_waits = true;
            }
            self.has_aof_bytes.wait_for(&mut state, wait);
        }
        if let Some(aof) = &mut state.aof {
            aof.writer_waits = false;
            std::mem::swap(&mut aof.bytes, out);
        }
        state.ends.aof
    }

    /// Has the next command for the append-only file begin with SELECT: it goes to another file.
    /// Gives back what belongs to the one before, and the end of the stream behind it. To be called
    /// while all gates are held.
    pub fn turn_aof(&self) -> (Vec<u8>, u64) {
        let mut state = self.state.lock();
        let bytes = state.aof.as_mut().map(|aof| {
            aof.db = None;
            std::mem::take(&mut aof.bytes)
        });
        (bytes.unwrap_or_default(), state.ends.aof)
    }

    /// Where the streams end.
    pub fn ends(&self) -> Ends {
        self.state.lock().ends
    }
}

impl State {
    fn put(&mut self, targets: Targets, db: Option<usize>, bytes: &[u8]) {
        if targets.contains(Targets::AOF)
            && let Some(aof) = &mut self.aof
        {
            let len = aof.bytes.len();
            aof.bytes.extend_from_slice(&select(&mut aof.db, db));
            aof.bytes.extend_from_slice(bytes);
            self.ends.aof += (aof.bytes.len() - len) as u64;
        }
        if targets.contains(Targets::REPLICAS)
            && let Some(stream) = &mut self.backlog
        {
            stream.backlog.extend(&select(&mut stream.db, db));
            stream.backlog.extend(bytes);
            self.ends.replicas = stream.backlog.end();
        }
    }
}

/// The command that selects `db`, if it is another one than before.
fn select(selected: &mut Option<usize>, db: Option<usize>) -> Vec<u8> {
    let mut command = Vec::new();
    if let Some(db) = db
        && *selected != Some(db)
    {
        *selected = Some(db);
        request::write(&mut command, [&b"SELECT"[..], db.to_string().as_bytes()].into_iter());
    }
    command
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;
    use std::time::Duration;

    /// What the append-only file is given for these commands, a command a line.
    #[track_caller]
    fn check(t: &mut TestServer, lines: &[&str], expected: &[&str]) {
        for line in lines {
            t.run(line);
        }
        let mut bytes = Vec::new();
        let end = t.server.log.take_aof(&mut bytes, Duration::ZERO);
        assert_eq!(end, t.server.log.ends().aof);
        assert_eq!(crate::testing::request_lines(&bytes), expected);
    }

    #[test]
    fn changes_enter_in_their_order() {
        let mut t = TestServer::new();
        check(&mut t, &["SET a 1"], &[]);
        assert_eq!(super::take_last(), Some(super::Ends::default()));
        t.server.log.collect_for_aof(true);
        check(&mut t, &["SET a 1", "GET a", "INCR a"], &["SELECT 0", "SET a 1", "INCR a"]);
        let ends = super::take_last().unwrap();
        assert!(ends.aof > 0 && ends == t.server.log.ends() && super::take_last().is_none());
        check(
            &mut t,
            &["SELECT 3", "DEL x", "SET b 2", "SET c 3"],
            &["SELECT 3", "SET b 2", "SET c 3"],
        );
        check(&mut t, &["SELECT 0", "INCR a", "PUBLISH x y"], &["SELECT 0", "INCR a"]);
        t.server.log.turn_aof();
        check(&mut t, &["INCR a"], &["SELECT 0", "INCR a"]);
    }

    #[test]
    fn what_belongs_together_enters_as_one() {
        let mut t = TestServer::new();
        t.server.log.collect_for_aof(true);
        let multi = ["MULTI", "SET a 1", "SELECT 2", "SET b 2", "GET b", "EXEC"];
        check(&mut t, &multi, &["MULTI", "SELECT 0", "SET a 1", "SELECT 2", "SET b 2", "EXEC"]);
        check(&mut t, &["MULTI", "SET b 3", "EXEC"], &["SET b 3"]);
        check(&mut t, &["MULTI", "GET b", "EXEC"], &[]);
        let script = r#"EVAL "redis.call('set', KEYS[1], 1); redis.call('incr', KEYS[1])" 1 k"#;
        check(&mut t, &[script], &["MULTI", "set k 1", "incr k", "EXEC"]);
        check(
            &mut t,
            &["MULTI", script, "DEL k", "EXEC"],
            &["MULTI", "set k 1", "incr k", "DEL k", "EXEC"],
        );
        let muted = r#"EVAL "redis.set_repl(redis.REPL_REPLICA); redis.call('set', 'k', 1)" 1 k"#;
        check(&mut t, &[muted], &[]);
        let muted = r#"EVAL "redis.set_repl(redis.REPL_AOF); redis.call('set', 'k', 2)" 1 k"#;
        check(&mut t, &[muted], &["set k 2"]);
        check(&mut t, &["PEXPIREAT k 99999999999999"], &["PEXPIREAT k 99999999999999"]);
        t.run("PEXPIRE k 1");
        t.advance_ms(2);
        t.server.log.turn_aof();
        check(&mut t, &["INCR k"], &["MULTI", "SELECT 2", "DEL k", "INCR k", "EXEC"]);
    }
}
