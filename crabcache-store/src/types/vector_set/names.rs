//! From the name of an element to its number: open addressing with the hash beside each number.
//!
//! The names themselves stand with the elements; whoever asks says how to compare them.

/// Fewest slots.
const N_SLOTS_MIN: usize = 8;

/// A number, and enough of the hash to move it without looking at its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    hash: u32,
    /// The number + 1, or 0.
    number: u32,
}

const FREE: Slot = Slot { hash: 0, number: 0 };

/// See the module's text.
///
/// Invariant: between the slot that a hash names and the slot where it stands, none is free.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    slots: Box<[Slot]>,
    len: usize,
}

impl Names {
    /// The number with this hash that `is_it`.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let at = self.locate(hash as u32, is_it)?;
        Some(self.slots[at].number - 1)
    }

    /// Adds a number whose name is not there yet.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        if self.len * 4 >= self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(N_SLOTS_MIN));
        }
        self.put(Slot { hash: hash as u32, number: number + 1 });
        self.len += 1;
    }

    /// Removes a number that is there.
    pub(super) fn remove(&mut self, hash: u64, number: u32) {
        let found = self.locate(hash as u32, |other| other == number);
        let mut free = found.expect("the number is there");
        let mut next = self.after(free);
        while self.slots[next].number != 0 {
            // What stands behind moves up, unless that would be before its own place.
            let home = self.home(self.slots[next].hash);
            let mask = self.slots.len() - 1;
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(free) & mask {
                self.slots[free] = self.slots[next];
                free = next;
            }
            next = self.after(next);
        }
        self.slots[free] = FREE;
        self.len -= 1;
        if self.slots.len() > N_SLOTS_MIN && self.len * 8 < self.slots.len() {
            self.resize(self.slots.len() / 2);
        }
    }

    /// Gives a number that is there another value.
    pub(super) fn renumber(&mut self, hash: u64, from: u32, to: u32) {
        let found = self.locate(hash as u32, |other| other == from);
        self.slots[found.expect("the number is there")].number = to + 1;
    }

    /// Bytes of memory.
    pub(super) fn mem_bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    fn locate(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            let number = slot.number.checked_sub(1)?;
            if slot.hash == hash && is_it(number) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.hash);
        while self.slots[at].number != 0 {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    fn resize(&mut self, n_slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![FREE; n_slots].into());
        old.into_iter().filter(|slot| slot.number != 0).for_each(|slot| self.put(slot));
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn names_find_what_a_map_finds(
            steps in proptest::collection::vec((0u64..40, any::<bool>()), 0..300),
            mask in prop_oneof![Just(0u64), Just(3), Just(u64::MAX)],
        ) {
            // The name of number n is known by the model; hashes collide as `mask` wants.
            let hash = |name: u64| name.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20 & mask;
            let mut names = Names::default();
            let mut model: BTreeMap<u64, u32> = BTreeMap::new();
            let mut next = 0;
            for (name, adds) in steps {
                match (model.get(&name).copied(), adds) {
                    (None, true) => {
                        names.insert(hash(name), next);
                        model.insert(name, next);
                        next += 1;
                    }
                    (Some(number), true) => {
                        names.renumber(hash(name), number, next);
                        model.insert(name, next);
                        next += 1;
                    }
                    (Some(number), false) => {
                        names.remove(hash(name), number);
                        model.remove(&name);
                    }
                    (None, false) => {}
                }
                for name in 0..40 {
                    let expected = model.get(&name).copied();
                    let found = names.find(hash(name), |number| Some(number) == expected);
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
