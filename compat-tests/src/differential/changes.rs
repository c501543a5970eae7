//! Random commands without a comparison: for those who need a stream of changes of all types.

use super::FAMILIES;
use super::slots::Slots;
use super::syntax::Syntax;
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
