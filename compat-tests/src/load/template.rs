//! Requests with places for random numbers.
//!
//! As with redis-benchmark, `__rand_int__` in a word becomes a number of twelve digits, each time
//! another one. So all batches of a template have the same length, and only digits change.

use crate::wire;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};
use std::sync::Arc;

const PLACE: &[u8] = b"__rand_int__";

/// One request: a command, or several that belong together (a transaction).
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    /// Where the numbers stand.
    places: Vec<usize>,
    n_commands: usize,
}

impl Template {
    /// Of the words of a command, or of several with a word `;` between them.
    pub fn new(words: &[impl AsRef<[u8]>]) -> Template {
        let commands = words.split(|word| word.as_ref() == b";");
        let n_commands = commands.clone().count();
        let bytes: Vec<u8> = commands.flat_map(wire::request).collect();
        let places = memchr::memmem::find_iter(&bytes, PLACE).collect();
        Template { bytes, places, n_commands }
    }

    /// Length of a request.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A batch of so many requests.
    pub fn batch(&self, n_requests: usize) -> Batch {
        let place_of =
            |index| self.places.iter().map(move |place| index * self.bytes.len() + place);
        Batch {
            bytes: self.bytes.repeat(n_requests),
            places: (0..n_requests).flat_map(place_of).collect(),
            n_replies: (n_requests * self.n_commands) as u64,
        }
    }
}

/// Requests that are sent together.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    places: Vec<usize>,
    n_replies: u64,
}

impl Batch {
    /// Replies that it gets.
    pub fn n_replies(&self) -> u64 {
        self.n_replies
    }

    /// The bytes, with other numbers than the last time.
    pub fn draw(&mut self, numbers: &mut Draw) -> &[u8] {
        for place in &self.places {
            let digits = &mut self.bytes[*place..*place + PLACE.len()];
            write_digits(digits, numbers.draw());
        }
        &self.bytes
    }
}

fn write_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// How numbers are drawn.
#[derive(Debug, Clone)]
pub enum Numbers {
    /// Each number below this one alike; 0 always is 0.
    Uniform(u64),
    /// By Zipf's law; many samples that were drawn before.
    Zipf(Arc<[u32]>),
}

impl Numbers {
    /// Numbers below `n_numbers`, of which the one of rank `k` comes in proportion to
    /// `k ^ -exponent`. `None` if there is no such law.
    pub fn zipf(n_numbers: u32, exponent: f64) -> Option<Numbers> {
        const N_SAMPLES: usize = 1 << 22;
        let law = Zipf::new(f64::from(n_numbers), exponent).ok()?;
        let mut random = SmallRng::seed_from_u64(1);
        // Ranks are scattered over the numbers: those that are wanted are no neighbours.
        let number = |rank: f64| (rank as u64).wrapping_mul(0x9e37_79b9) % u64::from(n_numbers);
        let samples = (0..N_SAMPLES).map(|_| number(law.sample(&mut random)) as u32);
        Some(Numbers::Zipf(samples.collect()))
    }

    /// Draws them, each thread on its own.
    pub fn draw(&self, seed: u64) -> Draw {
        Draw { numbers: self.clone(), random: SmallRng::seed_from_u64(seed) }
    }
}

/// Draws numbers.
#[derive(Debug)]
pub struct Draw {
    numbers: Numbers,
    random: SmallRng,
}

impl Draw {
    /// A number.
    pub fn draw(&mut self) -> u64 {
        match &self.numbers {
            Numbers::Uniform(0) => 0,
            Numbers::Uniform(end) => self.random.random_range(0..*end),
            Numbers::Zipf(samples) => {
                u64::from(samples[self.random.next_u32() as usize % samples.len()])
            }
        }
    }

    /// A number below `end`, whatever the law.
    pub fn below(&mut self, end: u32) -> u32 {
        self.random.random_range(0..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_change() {
        let template = Template::new(&["GET", "k:__rand_int__"]);
        let mut batch = template.batch(2);
        let mut numbers = Numbers::Uniform(10).draw(7);
        let first = batch.draw(&mut numbers).to_vec();
        assert_eq!(first.len(), 2 * template.len());
        assert!(first.starts_with(b"*2\r\n$3\r\nGET\r\n$14\r\nk:00000000000"));
        let is_other = (0..50).any(|_| batch.draw(&mut numbers) != first);
        assert!(is_other);
        assert_eq!(Template::new(&["MULTI", ";", "EXEC"]).batch(3).n_replies(), 6);
    }

    #[test]
    fn some_numbers_come_more_often() {
        let mut numbers = Numbers::zipf(1000, 0.99).unwrap().draw(3);
        let mut counts = vec![0u32; 1000];
        (0..100_000).for_each(|_| counts[numbers.draw() as usize] += 1);
        counts.sort_unstable();
        assert!(counts[999] > 50 * counts[500].max(1), "{:?}", &counts[990..]);
    }
}
