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
use crate::client::ClientHandle;
use crate::memory::Used;
use crabcache_resp::request;
use parking_lot::{Condvar, Mutex};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

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
    /// `Ends::aof`, for those who only want to compare it.
    aof_end: AtomicU64,
    /// Bytes that wait for readers, see [`Log::bytes_waiting`].
    bytes_waiting: AtomicU64,
    /// What counts the memory of all that.
    used: Used,
}

#[derive(Debug, Default)]
struct State {
    aof: Option<AofBuffer>,
    backlog: Option<ReplicaStream>,
    ends: Ends,
    /// Whether the replication stream is a primary's, handed on as it is: what is appended here does
    /// not enter it.
    is_handed_on: bool,
    /// Where commands are encoded that go to both.
    scratch: Vec<u8>,
}

/// What the append-only file has not been given yet.
#[derive(Debug, Default)]
struct AofBuffer {
    bytes: Vec<u8>,
    db: Option<usize>,
    writer_waits: bool,
    /// The writer is to look at something else than bytes.
    is_woken: bool,
}

/// The replication stream.
#[derive(Debug)]
struct ReplicaStream {
    backlog: Backlog,
    /// The database of the last command; `None`: the next one must begin with SELECT.
    db: Option<usize>,
    /// The same, for whoever has read all.
    selected: usize,
    readers: Vec<Arc<Reader>>,
    kept: Kept,
    /// Before the stream ends here, no reader can be too far behind.
    look_at: u64,
    /// One was, since the readers were told the last time.
    has_cut: bool,
}

/// How much of the replication stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Bytes for replicas that come back.
    pub in_any_case: u64,
    /// Who is so many bytes behind gets nothing more; `None`: nobody ever is.
    pub lag_max: Option<u64>,
}

/// Who reads the replication stream, from a place of its own.
#[derive(Debug)]
pub struct Reader {
    /// The connection that it reads for.
    client: Arc<ClientHandle>,
    /// Offset of what it needs next.
    position: AtomicU64,
    /// It was too far behind: nothing is kept for it any more.
    is_cut: AtomicBool,
    /// Memory of what it has taken and not sent yet.
    buffer_bytes: AtomicUsize,
    waits: AtomicBool,
    news: Notify,
}

impl Reader {
    fn new(client: &Arc<ClientHandle>, position: u64) -> Reader {
        Reader {
            client: client.clone(),
            position: AtomicU64::new(position),
            is_cut: AtomicBool::new(false),
            buffer_bytes: AtomicUsize::new(0),
            waits: AtomicBool::new(false),
            news: Notify::new(),
        }
    }

    /// Whether it was too far behind, so that its connection has to end. That is woken then.
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.client.wake();
    }

    /// Offset of what it needs next. All from there on is kept for it.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// It does not need what comes before `position` any more.
    pub fn advance_to(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
    }

    /// Waits until [`Log::read`], which has found nothing, finds something.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

/// Bytes that wait for readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// For the append-only file.
    pub for_aof: u64,
    /// Memory for replicas, beyond what is kept for those that come back.
    pub for_replicas: u64,
}

/// The backlog, as INFO tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BacklogShown {
    /// Offset of its first byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Bytes of memory.
    pub mem_bytes: usize,
}

impl Default for Targets {
    fn default() -> Self {
        Targets::all()
    }
}

impl Log {
    /// A log that collects nothing yet, of memory that `used` counts.
    pub fn new(used: &Used) -> Log {
        Log { used: used.clone(), ..Log::default() }
    }

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
        if let Some(aof) = &mut state.aof {
            if std::mem::take(&mut aof.writer_waits) {
                self.has_aof_bytes.notify_one();
            }
            self.aof_end.store(state.ends.aof, Ordering::Release);
        }
        let mut has_cut = false;
        if let Some(stream) = &mut state.backlog {
            stream.tell_readers();
            has_cut = std::mem::take(&mut stream.has_cut);
        }
        if has_cut {
            self.note_less_waiting(state);
        } else {
            self.note_waiting(state);
        }
        LAST.set(Some(state.ends));
    }

    /// Counts what waits for readers, less than before, perhaps. What has gone is told first: in between,
    /// others would take it for memory in use.
    fn note_less_waiting(&self, state: &State) {
        self.used.note();
        self.note_waiting(state);
    }

    /// Counts what waits for readers.
    fn note_waiting(&self, state: &State) {
        let waiting = state.waiting();
        self.bytes_waiting.store(waiting.for_aof + waiting.for_replicas, Ordering::Relaxed);
    }

    /// Bytes that are kept only until the file is written and slow replicas have read them. No key has
    /// to go for them: that would make more of them.
    #[inline]
    pub fn bytes_waiting(&self) -> u64 {
        self.bytes_waiting.load(Ordering::Relaxed)
    }

    /// The same by reader.
    pub fn waiting(&self) -> Waiting {
        self.state.lock().waiting()
    }

    /// Begins or ends collecting bytes for the append-only file. What was collected before is given
    /// back.
    pub fn collect_for_aof(&self, is_wanted: bool) -> Vec<u8> {
        let mut state = self.state.lock();
        let old = std::mem::replace(&mut state.aof, is_wanted.then(AofBuffer::default));
        self.note_waiting(&state);
        self.has_aof_bytes.notify_one();
        old.map(|aof| aof.bytes).unwrap_or_default()
    }

    /// Gives the writer of the append-only file what it has not got yet, and where the stream ends
    /// behind it. Waits for at most `wait` if there is nothing. `out` must be empty.
    pub fn take_aof(&self, out: &mut Vec<u8>, wait: Duration) -> u64 {
        let mut state = self.state.lock();
        if let Some(aof) = &mut state.aof
            && aof.bytes.is_empty()
            && !std::mem::take(&mut aof.is_woken)
            && !wait.is_zero()
        {
            aof.writer_waits = true;
            self.has_aof_bytes.wait_for(&mut state, wait);
        }
        if let Some(aof) = &mut state.aof {
            aof.writer_waits = false;
            std::mem::swap(&mut aof.bytes, out);
        }
        self.note_waiting(&state);
        state.ends.aof
    }

    /// Has the next command for the append-only file begin with SELECT: it goes to another file.
    /// Gives back what belongs to the one before, and the ends of the streams behind it. To be called
    /// while all gates are held.
    pub fn turn_aof(&self) -> (Vec<u8>, Ends) {
        let mut state = self.state.lock();
        let bytes = state.aof.as_mut().map(|aof| {
            aof.db = None;
            std::mem::take(&mut aof.bytes)
        });
        (bytes.unwrap_or_default(), state.ends)
    }

    /// Goes on from a replication offset that the append-only file tells, unless a stream is collected
    /// that has one.
    pub fn go_on_from(&self, offset: u64) {
        let mut state = self.state.lock();
        if state.backlog.is_none() {
            state.ends.replicas = offset;
        }
    }

    /// Has the replication stream collected, from now on if it was not: the keyspace is held. Its
    /// next command begins with SELECT, for those who begin to read here. Returns its end.
    pub fn open_stream(&self, kept: Kept) -> u64 {
        let mut state = self.state.lock();
        let end = state.ends.replicas;
        let is_handed_on = state.is_handed_on;
        let stream = state.backlog.get_or_insert_with(|| ReplicaStream::new(end, kept));
        stream.kept = kept;
        if !is_handed_on {
            stream.db = None;
        }
        end
    }

    /// Forgets the stream and ends collecting it. Nobody reads it.
    pub fn close_stream(&self) {
        self.state.lock().backlog = None;
    }

    /// Begins the stream anew at an offset: it is another history's. The keyspace is held.
    pub fn restart_stream(&self, offset: u64, db: usize, kept: Kept) {
        let mut state = self.state.lock();
        state.ends.replicas = offset;
        let stream = ReplicaStream { selected: db, ..ReplicaStream::new(offset, kept) };
        state.backlog = Some(stream);
    }

    /// Says whether the stream is handed on from a primary, so that what is appended here does not
    /// enter it. The keyspace is held.
    pub fn hand_on(&self, is_handed_on: bool) {
        let mut state = self.state.lock();
        state.is_handed_on = is_handed_on;
        if let Some(stream) = &mut state.backlog {
            stream.db = None;
        }
    }

    /// Appends bytes of a primary's stream, which has selected the database `db` behind them.
    pub fn append_handed_on(&self, bytes: &[u8], db: usize) {
        let state = &mut *self.state.lock();
        if let Some(stream) = &mut state.backlog {
            stream.extend(bytes);
            (stream.db, stream.selected) = (Some(db), db);
            state.ends.replicas = stream.backlog.end();
        }
        self.tell(state);
    }

    /// Says how much of the stream is kept.
    pub fn keep(&self, kept: Kept) {
        if let Some(stream) = &mut self.state.lock().backlog {
            stream.kept = kept;
            stream.cut_slow_readers();
            stream.trim();
        }
    }

    /// Lets go of what all have read.
    pub fn trim(&self) {
        let mut state = self.state.lock();
        if let Some(stream) = &mut state.backlog {
            stream.trim();
        }
        self.note_less_waiting(&state);
    }

    /// Begins to read the stream for a connection, from an offset on; `None` if it is not there.
    pub fn reader_at(&self, client: &Arc<ClientHandle>, offset: u64) -> Option<Arc<Reader>> {
        let mut state = self.state.lock();
        let stream = state.backlog.as_mut().filter(|stream| stream.backlog.holds(offset))?;
        let reader = Arc::new(Reader::new(client, offset));
        stream.readers.push(reader.clone());
        stream.cut_slow_readers();
        Some(reader)
    }

    /// How many bytes a reader is behind.
    pub fn lag(&self, reader: &Reader) -> usize {
        let lag = self.ends().replicas.saturating_sub(reader.position());
        usize::try_from(lag).unwrap_or(usize::MAX)
    }

    /// Ends a reader.
    pub fn forget_reader(&self, reader: &Arc<Reader>) {
        let mut state = self.state.lock();
        if let Some(stream) = &mut state.backlog {
            stream.readers.retain(|own| !Arc::ptr_eq(own, reader));
            // What was kept for it alone goes.
            stream.trim();
        }
        self.note_less_waiting(&state);
    }

    /// Appends to `out` what the reader needs next, some kilobytes at a time. If that is nothing,
    /// [`Reader::news`] tells when there is something. `false`: the stream is not the one any more
    /// that it has read.
    #[must_use]
    pub fn read(&self, reader: &Reader, out: &mut Vec<u8>) -> bool {
        let state = self.state.lock();
        let position = reader.position();
        let Some(stream) = state.backlog.as_ref().filter(|s| s.backlog.holds(position)) else {
            return false;
        };
        stream.backlog.read(position, out);
        reader.buffer_bytes.store(out.capacity(), Ordering::Relaxed);
        reader.waits.store(out.is_empty(), Ordering::Relaxed);
        true
    }

    /// The backlog, if there is one.
    pub fn backlog(&self) -> Option<BacklogShown> {
        let state = self.state.lock();
        state.backlog.as_ref().map(|stream| {
            let backlog = &stream.backlog;
            let (start, len, mem_bytes) = (backlog.start(), backlog.len(), backlog.mem_bytes());
            BacklogShown { start, len, mem_bytes }
        })
    }

    /// Lets the writer of the append-only file go on that waits for bytes.
    pub fn wake_aof_writer(&self) {
        if let Some(aof) = &mut self.state.lock().aof {
            aof.is_woken = true;
            self.has_aof_bytes.notify_one();
        }
    }

    /// Whether bytes are collected for the append-only file.
    pub fn collects_for_aof(&self) -> bool {
        self.state.lock().aof.is_some()
    }

    /// Where the replication stream ends, and which database it has selected there.
    pub fn stream_end(&self) -> Option<(u64, usize)> {
        let state = self.state.lock();
        let stream = state.backlog.as_ref()?;
        Some((stream.backlog.end(), stream.selected))
    }

    /// Whether anybody is to get what is appended.
    pub fn is_wanted(&self) -> bool {
        let state = self.state.lock();
        state.aof.is_some() || state.backlog.is_some()
    }

    /// Where the append-only file's stream ends, or has ended a moment ago for changes of other
    /// threads.
    #[inline]
    pub fn aof_end(&self) -> u64 {
        self.aof_end.load(Ordering::Acquire)
    }

    /// Where the streams end.
    pub fn ends(&self) -> Ends {
        self.state.lock().ends
    }
}

impl State {
    fn waiting(&self) -> Waiting {
        Waiting {
            for_aof: self.aof.as_ref().map_or(0, |aof| aof.bytes.len() as u64),
            for_replicas: self.backlog.as_ref().map_or(0, ReplicaStream::bytes_waiting),
        }
    }

    fn put(&mut self, targets: Targets, db: Option<usize>, bytes: &[u8]) {
        if targets.contains(Targets::AOF)
            && let Some(aof) = &mut self.aof
        {
            let len = aof.bytes.len();
            aof.bytes.extend_from_slice(&select(&mut aof.db, db));
            aof.bytes.extend_from_slice(bytes);
            self.ends.aof += (aof.bytes.len() - len) as u64;
        }
        if !targets.contains(Targets::REPLICAS) || self.is_handed_on {
            return;
        }
        if let Some(stream) = &mut self.backlog {
            let selection = select(&mut stream.db, db);
            stream.selected = stream.db.unwrap_or(stream.selected);
            stream.extend(&selection);
            stream.extend(bytes);
            self.ends.replicas = stream.backlog.end();
        } else if self.aof.is_some() {
            // Compat: without replicas, the append-only file counts commands.
            self.ends.replicas += 1;
        }
    }
}

impl ReplicaStream {
    fn new(offset: u64, kept: Kept) -> ReplicaStream {
        ReplicaStream {
            backlog: Backlog::new(offset),
            db: None,
            selected: 0,
            readers: Vec::new(),
            kept,
            look_at: u64::MAX,
            has_cut: false,
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let begins_block = self.backlog.extend(bytes);
        if self.backlog.end() >= self.look_at {
            self.cut_slow_readers();
        }
        if begins_block {
            self.trim();
        }
    }

    /// Lets go of readers that are too far behind, and of what was kept for them alone: that must not
    /// wait until their connections have ended.
    fn cut_slow_readers(&mut self) {
        let Some(lag_max) = self.kept.lag_max else {
            self.look_at = u64::MAX;
            return;
        };
        let (end, n_readers) = (self.backlog.end(), self.readers.len());
        self.readers.retain(|reader| {
            let is_slow = reader.position().saturating_add(lag_max) <= end;
            if is_slow {
                reader.cut();
            }
            !is_slow
        });
        let slowest = self.slowest();
        self.look_at = slowest.map_or(u64::MAX, |position| position.saturating_add(lag_max));
        if self.readers.len() != n_readers {
            self.has_cut = true;
            self.trim();
        }
    }

    /// Where the slowest reader is.
    fn slowest(&self) -> Option<u64> {
        self.readers.iter().map(|reader| reader.position()).min()
    }

    fn trim(&mut self) {
        let slowest = self.slowest();
        self.backlog.trim(slowest.unwrap_or(u64::MAX), self.kept.in_any_case);
    }

    fn bytes_waiting(&self) -> u64 {
        if self.readers.is_empty() {
            return 0;
        }
        let buffer_bytes =
            |reader: &Arc<Reader>| reader.buffer_bytes.load(Ordering::Relaxed) as u64;
        (self.backlog.mem_bytes() as u64).saturating_sub(self.kept.in_any_case)
            + self.readers.iter().map(buffer_bytes).sum::<u64>()
    }

    fn tell_readers(&self) {
        for reader in &self.readers {
            if reader.waits.load(Ordering::Relaxed) && reader.position() < self.backlog.end() {
                reader.waits.store(false, Ordering::Relaxed);
                reader.news.notify_one();
            }
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
    use super::{Kept, Reader};
    use crate::testing::TestServer;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn what_waits_for_readers_is_known() {
        let mut t = TestServer::new();
        t.server.log.collect_for_aof(true);
        assert_eq!(t.server.log.bytes_waiting(), 0);
        t.run("SET k v");
        let for_aof = t.server.log.waiting().for_aof;
        assert!(for_aof > 30 && t.server.log.bytes_waiting() == for_aof);
        t.server.log.take_aof(&mut Vec::new(), Duration::ZERO);
        assert_eq!(t.server.log.bytes_waiting(), 0);
        // A replica that does not read, beyond what is kept for those that come back.
        let start = t.server.log.open_stream(Kept { in_any_case: 20_000, lag_max: None });
        let reader = reader_at(&t, start);
        let value = "x".repeat(1000);
        (0..10).for_each(|_| drop(t.run(&format!("SET k {value}"))));
        assert_eq!(t.server.log.waiting().for_replicas, 0);
        (0..90).for_each(|_| drop(t.run(&format!("SET k {value}"))));
        let for_replicas = t.server.log.waiting().for_replicas;
        assert!((85_000..100_000).contains(&for_replicas), "{for_replicas}");
        reader.advance_to(start + 50_000);
        t.server.log.trim();
        let rest = t.server.log.waiting().for_replicas;
        assert!((30_000..60_000).contains(&rest), "{rest}");
        t.server.log.forget_reader(&reader);
        assert_eq!(t.server.log.waiting().for_replicas, 0);
    }

    fn reader_at(t: &TestServer, offset: u64) -> Arc<Reader> {
        t.server.log.reader_at(&t.client().client.handle, offset).unwrap()
    }

    /// Whoever is too far behind is let go at once, not when somebody looks at the time.
    #[test]
    fn no_reader_is_further_behind_than_it_may_be() {
        let mut t = TestServer::new();
        let log = &t.server.clone().log;
        let start = log.open_stream(Kept { in_any_case: 20_000, lag_max: Some(100_000) });
        let (slow, quick) = (reader_at(&t, start), reader_at(&t, start));
        let value = "x".repeat(1000);
        let lag = |reader: &Reader| log.ends().replicas - reader.position();
        while !slow.is_cut() {
            assert!(lag(&slow) < 100_000 && log.waiting().for_replicas < 120_000);
            t.run(&format!("SET k {value}"));
            quick.advance_to(log.ends().replicas);
        }
        assert!((100_000..102_000).contains(&lag(&slow)), "{}", lag(&slow));
        assert!(log.waiting().for_replicas < 40_000, "{}", log.waiting().for_replicas);
        assert!(slow.client.has_mail() && !quick.is_cut());
        // The quick one may stand still from where it is.
        (0..90).for_each(|_| drop(t.run(&format!("SET k {value}"))));
        assert!(!quick.is_cut());
        // A limit that is lowered holds at once, and for those that begin.
        log.keep(Kept { in_any_case: 20_000, lag_max: Some(50_000) });
        assert!(quick.is_cut());
        let third = reader_at(&t, log.ends().replicas);
        (0..60).for_each(|_| drop(t.run(&format!("SET k {value}"))));
        assert!(third.is_cut());
    }

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
        t.server.log.collect_for_aof(true);
        check(&mut t, &["SET a 1", "GET a", "INCR a"], &["SELECT 0", "SET a 1", "INCR a"]);
        let mut client = t.client();
        t.run_as(&mut client, "SET d 1");
        let ends = client.client.last_write;
        assert!(ends.aof > 0 && ends == t.server.log.ends());
        t.run_as(&mut client, "GET d");
        t.run("SET d 2");
        assert_eq!(client.client.last_write, ends);
        t.server.log.take_aof(&mut Vec::new(), Duration::ZERO);
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
