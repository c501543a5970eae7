//! The slow log: the last commands that took longer than `slowlog-log-slower-than`.

use crate::client::ClientHandle;
use crate::command::{Args, CommandRow};
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Words of a request that are kept; the last tells how many more there were.
const N_WORDS_MAX: usize = 32;
/// Bytes of a word that are kept.
const WORD_BYTES_MAX: usize = 128;

/// A slow command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slow {
    /// Unique in the server's life.
    pub id: i64,
    /// Unix time in seconds.
    pub at_s: i64,
    /// How long it took.
    pub took_us: i64,
    /// Its words, shortened, without secrets.
    pub words: Vec<Vec<u8>>,
    /// Address of the client.
    pub addr: String,
    /// Name of the client.
    pub name: String,
}

#[derive(Debug, Default)]
struct Log {
    next_id: i64,
    /// Newest first.
    entries: VecDeque<Slow>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct SlowLog(Mutex<Log>);

impl SlowLog {
    /// Adds a command; old ones make room if there are more than `len_max`.
    pub fn add(
        &self,
        row: &CommandRow,
        args: Args<'_>,
        client: &ClientHandle,
        (at_s, took_us): (i64, i64),
        len_max: usize,
    ) {
        let addr = client.peer.addr.clone();
        let name = client.names.lock().name.clone();
        let words = shorten(row, args);
        let mut log = self.0.lock();
        let id = log.next_id;
        log.next_id += 1;
        log.entries.push_front(Slow { id, at_s, took_us, words, addr, name });
        log.entries.truncate(len_max);
    }

    /// Forgets old commands if there are more than `len_max`.
    pub fn truncate(&self, len_max: usize) {
        self.0.lock().entries.truncate(len_max);
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest commands, newest first.
    pub fn newest(&self, count: usize) -> Vec<Slow> {
        self.0.lock().entries.iter().take(count).cloned().collect()
    }

    /// Forgets all commands.
    pub fn reset(&self) {
        self.0.lock().entries.clear();
    }
}

/// A request's words, at a length that is fit to be kept.
fn shorten(row: &CommandRow, args: Args<'_>) -> Vec<Vec<u8>> {
    let n_kept = if args.len() > N_WORDS_MAX { N_WORDS_MAX - 1 } else { args.len() };
    let mut words: Vec<Vec<u8>> = (0..n_kept)
        .map(|index| {
            let word = row.shown_word(args, index);
            match word.len().checked_sub(WORD_BYTES_MAX) {
                None | Some(0) => word.to_vec(),
                Some(n_more) => {
                    let note = format!("... ({n_more} more bytes)");
                    [&word[..WORD_BYTES_MAX], note.as_bytes()].concat()
                }
            }
        })
        .collect();
    if n_kept < args.len() {
        words.push(format!("... ({} more arguments)", args.len() - n_kept).into_bytes());
    }
    words
}
