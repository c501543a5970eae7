//! Random commands, the same to the reference and to CrabCache.
//!
//! A run consists of rounds. A round begins with empty servers, sends some hundred commands over two
//! connections, some of them many in one write, compares each reply, and at the end all that is in
//! the databases. Everything follows from a printed seed. A round in which something differs is
//! shrunk to the few commands that are needed, and these are printed as a case.

mod changes;
mod families;
mod keyspace;
mod round;
mod shrink;
mod slots;
mod syntax;

pub use changes::RandomCommands;
pub use families::{FAMILIES, Family, Row};

use crate::compare::Strictness;
use crate::runner::Pair;
use crate::server::StartError;
use crate::skip::protocol_name;
use crate::wire::{Connection, Received};
use crabcache_resp::Protocol;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use round::Step;
use slots::Slots;
use std::io;
use syntax::Syntax;

/// Commands of a round: many enough that they meet, few enough to be shrunk quickly.
const ROUND_LEN: usize = 300;

/// A command that can be made, with all that this takes.
struct Source {
    syntax: Syntax,
    strictness: Strictness,
    slots: Slots,
    weight: f64,
    /// Which of the families it is of.
    family: usize,
}

/// A run of random commands.
pub struct Differential {
    pair: Pair,
    sources: Vec<Source>,
    /// Commands of the tables that CrabCache does not have.
    pub missing: Vec<String>,
    seed: u64,
    n_rounds: u64,
    /// Commands sent so far.
    pub n_commands: u64,
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A server cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A server does not serve.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The servers differ; a text for people.
    #[error("{0}")]
    Differs(String),
}

impl Differential {
    /// Starts both servers.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn start(seed: u64) -> Result<Differential, Failure> {
        let pair = Pair::start(&[])?;
        let [reference, ours] = pair.servers();
        let mut reference = reference.connect(Protocol::Resp2)?;
        let mut ours = ours.connect(Protocol::Resp2)?;
        let mut sources = Vec::new();
        let mut missing = Vec::new();
        for (index, family) in FAMILIES.iter().enumerate() {
            for row in family.rows {
                let syntax = Syntax::parse(row.syntax);
                let [full_name, name] = syntax.names();
                let command = if exists(&mut reference, &full_name)? { full_name } else { name };
                if !exists(&mut ours, &command)? {
                    missing.push(command);
                    continue;
                }
                let weight = f64::from(family.weight) / family.rows.len() as f64;
                let slots = Slots::new(family.prefix);
                sources.push(Source {
                    syntax,
                    strictness: row.strictness,
                    slots,
                    weight,
                    family: index,
                });
            }
        }
        missing.dedup();
        Ok(Differential { pair, sources, missing, seed, n_rounds: 0, n_commands: 0 })
    }

    /// Sends one round of commands; each begins where its number and the seed put it.
    ///
    /// # Errors
    /// [`Failure::Differs`] if something differs.
    pub fn round(&mut self) -> Result<(), Failure> {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_add(self.n_rounds));
        // RESP2 and RESP3 in turn.
        let protocol =
            if self.n_rounds.is_multiple_of(2) { Protocol::Resp2 } else { Protocol::Resp3 };
        let steps: Vec<Step> = self.commands(&mut random);
        self.n_rounds += 1;
        self.n_commands += steps.len() as u64;
        let Some(difference) = round::run(&mut self.pair, &steps, protocol)? else { return Ok(()) };
        let steps = shrink::shrink(steps, |steps| {
            matches!(round::run(&mut self.pair, steps, protocol), Ok(Some(_)))
        });
        let last = round::run(&mut self.pair, &steps, protocol)?;
        let note = if last.is_some() { "" } else { "\n(it did not come again)" };
        Err(Failure::Differs(format!(
            "seed {}, round {}, {}:{note}\n{}\n{}",
            self.seed,
            self.n_rounds - 1,
            protocol_name(protocol),
            last.unwrap_or(difference),
            round::as_case(&steps)
        )))
    }

    /// Goes to a round without sending the commands before it.
    pub fn skip_to_round(&mut self, n: u64) {
        self.n_rounds = n;
    }

    fn commands(&self, random: &mut StdRng) -> Vec<Step> {
        // Half of a round's commands are of one family, so that they meet on its few keys.
        let family = random.random_range(0..FAMILIES.len());
        let is_of = |source: &&Source| source.family == family;
        let total = |sources: &[&Source]| -> f64 { sources.iter().map(|s| s.weight).sum() };
        let all: Vec<&Source> = self.sources.iter().collect();
        let some: Vec<&Source> = self.sources.iter().filter(is_of).collect();
        let mut steps = Vec::new();
        let mut connection = 1;
        while steps.len() < ROUND_LEN {
            if random.random_bool(0.1) {
                connection = 3 - connection;
            }
            let sources = if random.random_bool(0.5) && !some.is_empty() { &some } else { &all };
            let mut at = random.random_range(0.0..total(sources));
            let found = sources.iter().find(|source| {
                at -= source.weight;
                at < 0.0
            });
            let Some(source) = found else { continue };
            let mut words = source.syntax.generate(&source.slots, random);
            if random.random_bool(0.03) {
                spoil(&mut words, random);
            }
            let is_pipelined = random.random_bool(0.7);
            let strictness = source.strictness;
            steps.push(Step { connection, words, strictness, is_pipelined });
        }
        steps
    }
}

/// Whether a server has a command.
fn exists(connection: &mut Connection, command: &str) -> io::Result<bool> {
    let reply = connection.call(&["COMMAND", "INFO", command])?;
    match &reply {
        Received::Reply(bytes) if bytes.starts_with(b"*1\r\n") => {
            Ok(!matches!(&bytes[4..], b"$-1\r\n" | b"*-1\r\n"))
        }
        _ => Err(io::Error::other(format!("COMMAND INFO was answered {}", reply.show()))),
    }
}

/// Makes a mistake.
fn spoil(words: &mut Vec<Vec<u8>>, random: &mut StdRng) {
    let at = random.random_range(0..words.len());
    match random.random_range(0..4) {
        0 if words.len() > 1 && at > 0 => {
            words.remove(at);
        }
        1 => words.push(b"extra".to_vec()),
        2 if at > 0 => words[at] = b"nonsense".to_vec(),
        _ => words[0] = words[0].to_ascii_lowercase(),
    }
}
