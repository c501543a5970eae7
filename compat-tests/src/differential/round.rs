//! One round: commands sent, replies compared, databases compared.

use super::keyspace;
use crate::compare::{Strictness, agree};
use crate::frame::Frame;
use crate::runner::{Pair, command_text};
use crate::wire::{Connection, REPLY_TIMEOUT, Received, request};
use crabcache_resp::Protocol;
use std::fmt::Write as _;
use std::io;

/// Longest run of commands in one write.
const PIPELINE_LEN_MAX: usize = 64;

/// One command.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) connection: usize,
    pub(super) words: Vec<Vec<u8>>,
    pub(super) strictness: Strictness,
    /// Sent in one write with the command before it, if that is on the same connection.
    pub(super) is_pipelined: bool,
}

/// One connection of the test, on both servers.
struct Both {
    connections: [Connection; 2],
    /// How the replies of the queued commands are to be compared, between MULTI and EXEC.
    queued: Option<Vec<Strictness>>,
}

/// Runs the commands on empty servers; tells the first difference.
pub(super) fn run(
    pair: &mut Pair,
    steps: &[Step],
    protocol: Protocol,
) -> io::Result<Option<String>> {
    pair.reset().map_err(|error| io::Error::other(error.to_string()))?;
    let mut both: Vec<Both> = Vec::new();
    for _ in 0..2 {
        let [reference, ours] = pair.servers();
        let connections = [reference.connect(protocol)?, ours.connect(protocol)?];
        both.push(Both { connections, queued: None });
    }
    let mut at = 0;
    while at < steps.len() {
        let n = n_together(&steps[at..]);
        let together = &steps[at..at + n];
        if let Some(difference) = both[steps[at].connection - 1].run(together)? {
            return Ok(Some(difference));
        }
        at += n;
    }
    drop(both);
    keyspace::compare(pair)
}

/// How many commands at the front go into one write.
fn n_together(steps: &[Step]) -> usize {
    let connection = steps[0].connection;
    let more = steps[1..]
        .iter()
        .take_while(|step| step.is_pipelined && step.connection == connection)
        .take(PIPELINE_LEN_MAX - 1);
    1 + more.count()
}

impl Both {
    fn run(&mut self, steps: &[Step]) -> io::Result<Option<String>> {
        let bytes: Vec<u8> = steps.iter().flat_map(|step| request(&step.words)).collect();
        for connection in &mut self.connections {
            connection.send(&bytes)?;
        }
        for step in steps {
            let [reference, ours] = &mut self.connections;
            let (reference, ours) = (reference.receive(REPLY_TIMEOUT), ours.receive(REPLY_TIMEOUT));
            if !self.are_equal(step, &reference, &ours) {
                return Ok(Some(format!(
                    "{}: {}\n  reference {}\n  crabcache {}\n",
                    step.connection,
                    command_text(&step.words),
                    reference.show(),
                    ours.show()
                )));
            }
        }
        Ok(None)
    }

    /// Compares two replies, and keeps account of transactions.
    fn are_equal(&mut self, step: &Step, reference: &Received, ours: &Received) -> bool {
        let Received::Reply(bytes) = reference else { return false };
        let name = step.words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        if bytes == b"+QUEUED\r\n" {
            if let Some(queued) = &mut self.queued {
                queued.push(step.strictness);
            }
            return reference == ours;
        }
        match &name[..] {
            b"MULTI" if bytes.starts_with(b"+") => self.queued = Some(Vec::new()),
            b"DISCARD" | b"RESET" if bytes.starts_with(b"+") => self.queued = None,
            // Anything but a refusal to even look at it ends the transaction.
            b"EXEC" if !bytes.starts_with(b"-ERR") => {
                let queued = self.queued.take().unwrap_or_default();
                return results_are_equal(&queued, reference, ours);
            }
            _ => {}
        }
        agree(reference, ours, step.strictness)
    }
}

/// Compares the replies of EXEC, each as its command asks.
fn results_are_equal(queued: &[Strictness], reference: &Received, ours: &Received) -> bool {
    let (Received::Reply(left), Received::Reply(right)) = (reference, ours) else { return false };
    let (Ok(left), Ok(right)) = (Frame::parse(left), Frame::parse(right)) else { return false };
    if left.children.len() != queued.len() || right.children.len() != queued.len() {
        return left.raw == right.raw;
    }
    let reply = |frame: &Frame<'_>| Received::Reply(frame.raw.to_vec());
    let mut pairs = left.children.iter().zip(&right.children).zip(queued);
    pairs.all(|((left, right), strictness)| agree(&reply(left), &reply(right), *strictness))
}

/// The commands as a case that can be put into a file.
pub(super) fn as_case(steps: &[Step]) -> String {
    let mut text = "--- found by random commands\n".to_string();
    for step in steps {
        match step.strictness {
            Strictness::Exact => {}
            Strictness::Unordered => text.push_str("%unordered\n"),
            Strictness::Approximate(n) => {
                let _ = writeln!(text, "%approx {n}");
            }
            Strictness::Kind => text.push_str("%type\n"),
            Strictness::Ignored => text.push_str("%ignore\n"),
        }
        if step.connection != 1 {
            let _ = write!(text, "{}: ", step.connection);
        }
        let _ = writeln!(text, "{}", command_text(&step.words));
    }
    text
}
