//! `math.random`: the generator of `lrand48`, so that a seed gives the same numbers everywhere.

use super::{Arguments, add};
use crate::error::LuaError;
use mlua::{Lua, Result, Table};
use std::cell::Cell;
use std::rc::Rc;

const MASK: u64 = (1 << 48) - 1;
/// What random numbers are divided by.
const LIMIT: u64 = i32::MAX as u64;

/// The next number of 31 bits.
fn next(state: &Cell<u64>) -> u64 {
    let x = state.get().wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & MASK;
    state.set(x);
    x >> 17
}

/// Replaces Lua's own functions, which depend on the system.
pub(super) fn replace(lua: &Lua, globals: &Table) -> Result<()> {
    let math: Table = globals.raw_get("math")?;
    // Workers must not all give the same numbers.
    let state = Rc::new(Cell::new(u64::from(rand::random::<u32>()) << 16 | 0x330E));
    let own = state.clone();
    add(lua, &math, "random", move |arguments| random(arguments, &own))?;
    add(lua, &math, "randomseed", move |arguments| {
        let seed = arguments.integer(1)? as u32;
        state.set(u64::from(seed) << 16 | 0x330E);
        Ok(())
    })
}

fn random(arguments: &Arguments<'_>, state: &Cell<u64>) -> Result<f64> {
    let fraction = (next(state) % LIMIT) as f64 / LIMIT as f64;
    let int = |index| arguments.integer(index).map(|number| number as i32);
    let is_empty = |index| Err(arguments.wrong(index, "interval is empty"));
    match arguments.len() {
        0 => Ok(fraction),
        1 => {
            let upper: i32 = int(1)?;
            if upper < 1 { is_empty(1) } else { Ok((fraction * f64::from(upper)).floor() + 1.0) }
        }
        2 => {
            let (lower, upper): (i32, i32) = (int(1)?, int(2)?);
            if lower > upper {
                return is_empty(2);
            }
            let n_numbers = f64::from(upper.wrapping_sub(lower).wrapping_add(1));
            Ok((fraction * n_numbers).floor() + f64::from(lower))
        }
        _ => Err(arguments.error(&LuaError::ArgumentCount)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_lrand48() {
        // `srand48(0)` and three calls of `lrand48()` with the C library.
        let state = Cell::new(0x330E);
        assert_eq!(
            [next(&state), next(&state), next(&state)],
            [366_850_414, 1_610_402_240, 206_956_554]
        );
    }
}
