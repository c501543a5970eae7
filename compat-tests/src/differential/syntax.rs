//! The notation in which the tables describe commands, and the random commands made from it.
//!
//! ```text
//! WORD            as it stands; also with `*` in it
//! slot            something random; the slots are in `slots.rs`
//! [item ...]      now and then
//! (A | b c)       one of them; also [A | B]
//! item...         one to four times
//! ```

use super::slots::{Slots, fill};
use rand::RngExt;
use rand::rngs::StdRng;

/// A description, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Syntax(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Word(String),
    Slot(String),
    Optional(Vec<Vec<Item>>),
    Choice(Vec<Vec<Item>>),
    Repeated(Box<Item>),
}

const REPEATED_MAX: usize = 4;

impl Syntax {
    /// Understands a description.
    ///
    /// # Panics
    /// If the brackets do not match: the tables are part of the program.
    pub(super) fn parse(text: &str) -> Syntax {
        let spaced = ["[", "]", "(", ")", "|"]
            .iter()
            .fold(text.to_string(), |text, bracket| text.replace(bracket, &format!(" {bracket} ")));
        // The marks of repetition belong to what stands before them.
        let spaced = spaced.replace(" ...", "...");
        let mut tokens = spaced.split_whitespace();
        let (alternatives, _) = parse_until("", &mut tokens);
        assert_eq!(alternatives.len(), 1, "alternatives need brackets: {text}");
        Syntax(alternatives.into_iter().next().unwrap_or_default())
    }

    /// Makes a random command.
    pub(super) fn generate(&self, slots: &Slots, random: &mut StdRng) -> Vec<Vec<u8>> {
        let mut words = Vec::new();
        generate(&self.0, slots, random, &mut words);
        words
    }

    /// The names that it may have in COMMAND: `object|encoding` if there is such a subcommand, else
    /// `object`.
    pub(super) fn names(&self) -> [String; 2] {
        let literals = self.0.iter().map_while(|item| match item {
            Item::Word(word) => Some(word.to_lowercase()),
            _ => None,
        });
        let words: Vec<String> = literals.take(2).collect();
        [words.join("|"), words[0].clone()]
    }
}

/// Reads items up to the bracket `end`, in alternatives between bars; also whether the bracket
/// repeats.
fn parse_until<'a>(
    end: &str,
    tokens: &mut impl Iterator<Item = &'a str>,
) -> (Vec<Vec<Item>>, bool) {
    let mut alternatives = Vec::new();
    let mut items = Vec::new();
    while let Some(token) = tokens.next() {
        let (token, is_repeated) = match token.strip_suffix("...") {
            Some(token) => (token, true),
            None => (token, false),
        };
        if token == end {
            alternatives.push(items);
            return (alternatives, is_repeated);
        }
        if token == "|" {
            alternatives.push(std::mem::take(&mut items));
            continue;
        }
        let (item, is_repeated) = match token {
            "[" => {
                let (inner, is_repeated) = parse_until("]", tokens);
                (Item::Optional(inner), is_repeated)
            }
            "(" => {
                let (inner, is_repeated) = parse_until(")", tokens);
                (Item::Choice(inner), is_repeated)
            }
            word if word.chars().any(char::is_lowercase) && !word.contains('*') => {
                (Item::Slot(word.to_string()), is_repeated)
            }
            word => (Item::Word(word.to_string()), is_repeated),
        };
        items.push(if is_repeated { Item::Repeated(Box::new(item)) } else { item });
    }
    assert!(end.is_empty(), "a bracket is not closed by {end}");
    alternatives.push(items);
    (alternatives, false)
}

fn generate(items: &[Item], slots: &Slots, random: &mut StdRng, words: &mut Vec<Vec<u8>>) {
    for item in items {
        match item {
            Item::Word(word) => words.push(word.clone().into_bytes()),
            Item::Slot(name) => fill(name, slots, random, words),
            Item::Optional(alternatives) => {
                if random.random_bool(0.3) {
                    let chosen = random.random_range(0..alternatives.len());
                    generate(&alternatives[chosen], slots, random, words);
                }
            }
            Item::Choice(alternatives) => {
                let chosen = random.random_range(0..alternatives.len());
                generate(&alternatives[chosen], slots, random, words);
            }
            Item::Repeated(item) => {
                for _ in 0..random.random_range(1..=REPEATED_MAX) {
                    generate(std::slice::from_ref(item), slots, random, words);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn texts(syntax: &str, n: usize) -> Vec<String> {
        let mut random = StdRng::seed_from_u64(1);
        let syntax = Syntax::parse(syntax);
        let line = |words: Vec<Vec<u8>>| {
            words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
        };
        (0..n).map(|_| line(syntax.generate(&Slots::new("s"), &mut random))).collect()
    }

    #[test]
    fn commands_follow_their_description() {
        let all = texts("A [B | C (D|E)] F...", 200);
        for text in ["A F", "A B F F", "A C D F", "A C E F F F F"] {
            assert!(all.contains(&text.to_string()), "{text} in {all:?}");
        }
        assert!(all.iter().all(|text| !text.contains("D E") && text.starts_with("A ")));
        let pairs = texts("MSET (X Y)...", 50);
        assert!(pairs.contains(&"MSET X Y X Y".to_string()));
    }

    #[test]
    fn the_command_is_named_as_in_command_info() {
        assert_eq!(Syntax::parse("GET key").names(), ["get", "get"]);
        assert_eq!(Syntax::parse("OBJECT ENCODING key").names(), ["object|encoding", "object"]);
    }

    #[test]
    fn the_same_seed_makes_the_same_commands() {
        assert_eq!(texts("SET key value", 20), texts("SET key value", 20));
    }
}
