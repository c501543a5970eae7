//! `bit`: operations on the bits of 32-bit integers.

use super::{Arguments, add};
use mlua::{Lua, Result, Table};

type Operation = fn(u32, u32) -> u32;

/// Makes the library.
pub(super) fn table(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    add(lua, &table, "tobit", |a| Ok(number(bits(a, 1)?)))?;
    add(lua, &table, "bnot", |a| Ok(number(!bits(a, 1)?)))?;
    add(lua, &table, "bswap", |a| Ok(number(bits(a, 1)?.swap_bytes())))?;
    add(lua, &table, "tohex", tohex)?;
    let folds: [(&str, Operation); 3] =
        [("band", |a, b| a & b), ("bor", |a, b| a | b), ("bxor", |a, b| a ^ b)];
    for (name, fold) in folds {
        add(lua, &table, name, move |a| {
            let first = bits(a, 1)?;
            let rest = (2..=a.len()).rev();
            rest.map(|index| bits(a, index)).try_fold(first, |b, c| Ok(fold(b, c?))).map(number)
        })?;
    }
    let shifts: [(&str, Operation); 5] = [
        ("lshift", |b, n| b << n),
        ("rshift", |b, n| b >> n),
        ("arshift", |b, n| (b.cast_signed() >> n).cast_unsigned()),
        ("rol", u32::rotate_left),
        ("ror", u32::rotate_right),
    ];
    for (name, shift) in shifts {
        add(lua, &table, name, move |a| Ok(number(shift(bits(a, 1)?, bits(a, 2)? & 31))))?;
    }
    Ok(table)
}

/// The low bits of a number, rounded to an integer as the processor rounds.
fn bits(arguments: &Arguments<'_>, index: usize) -> Result<u32> {
    const ROUNDS: f64 = 6_755_399_441_055_744.0;
    Ok((arguments.number(index)? + ROUNDS).to_bits() as u32)
}

fn number(bits: u32) -> f64 {
    f64::from(bits.cast_signed())
}

/// `bit.tohex(x [, n])`
fn tohex(arguments: &Arguments<'_>) -> Result<String> {
    let value = bits(arguments, 1)?;
    let n_digits = if arguments.len() < 2 { 8 } else { bits(arguments, 2)?.cast_signed() };
    let kept = usize::try_from(n_digits.unsigned_abs().min(8)).unwrap_or(8);
    let text = if n_digits < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    Ok(text[8 - kept..].to_string())
}
