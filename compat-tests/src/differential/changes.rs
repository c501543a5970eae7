//! Random commands without a comparison: for those who need a stream of changes of all types.

use super::FAMILIES;
use super::slots::Slots;
use super::syntax::Syntax;
use crate::server::Which;
use rand::RngExt;
use rand::rngs::StdRng;

/// All commands of the tables.
pub struct RandomCommands {
    sources: Vec<(Syntax, Slots, f64)>,
}

impl Default for RandomCommands {
    fn default() -> Self {
        let mut sources = Vec::new();
        for family in FAMILIES {
            for row in family.rows {
                let weight = f64::from(family.weight) / family.rows.len() as f64;
                sources.push((Syntax::parse(row.syntax), Slots::new(family.prefix), weight));
            }
        }
        RandomCommands { sources }
    }
}

impl RandomCommands {
    /// The words of one command that such a primary brings to its replicas, and that snapshots bring
    /// back bit for bit.
    pub fn next_replicated(&self, primary: Which, random: &mut StdRng) -> Vec<Vec<u8>> {
        loop {
            let mut words = self.next(random);
            let name = words[0].to_ascii_lowercase();
            // Redis 8.2.3 does not replicate some changes of vector sets, and none of a BITFIELD that
            // fails when it has made the string longer.
            let has_failing = words.iter().any(|word| word.eq_ignore_ascii_case(b"fail"));
            let is_forgotten = name.starts_with(b"v") || (name == b"bitfield" && has_failing);
            if is_forgotten && primary != Which::CrabCache {
                continue;
            }
            // A small sorted set has no negative zero once it was in a snapshot.
            for word in words.iter_mut().filter(|word| word.starts_with(b"-0")) {
                *word = b"0".to_vec();
            }
            return words;
        }
    }

    /// The words of one command.
    pub fn next(&self, random: &mut StdRng) -> Vec<Vec<u8>> {
        let total: f64 = self.sources.iter().map(|(_, _, weight)| weight).sum();
        loop {
            let mut at = random.random_range(0.0..total);
            let found = self.sources.iter().find(|(_, _, weight)| {
                at -= weight;
                at < 0.0
            });
            if let Some((syntax, slots, _)) = found {
                return syntax.generate(slots, random);
            }
        }
    }
}
