//! `struct`: values as the bytes of C structures.

use super::add;
use super::arguments::{Arguments, c_text};
use crate::error::LuaError;
use crate::scripting::value::{number, truncated_unsigned};
use mlua::{Lua, MultiValue, Result, Table, Value};

/// Bytes of the largest integer.
const INT_BYTES_MAX: usize = 32;
/// Alignment of `!` without a number.
const ALIGN_MAX: usize = 8;
/// Results of one call: more than this many values do not fit Lua's stack.
const N_RESULTS_MAX: usize = 7900;

/// Makes the library.
pub(super) fn table(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    add(lua, &table, "pack", pack)?;
    add(lua, &table, "unpack", unpack)?;
    add(lua, &table, "size", size)?;
    Ok(table)
}

/// A format being read.
struct Format<'f> {
    rest: &'f [u8],
    is_big_endian: bool,
    align: usize,
}

impl<'f> Format<'f> {
    fn new(rest: &'f [u8]) -> Format<'f> {
        Format { rest, is_big_endian: false, align: 1 }
    }

    /// The number that comes next, if there is one.
    fn number(&mut self, arguments: &Arguments<'_>, default: usize) -> Result<usize> {
        let n_digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(n_digits);
        if digits.is_empty() {
            return Ok(default);
        }
        self.rest = rest;
        let number = digits.iter().try_fold(0i32, |number, digit| {
            number.checked_mul(10)?.checked_add(i32::from(digit - b'0'))
        });
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| arguments.error(&LuaError::SizeOverflow))
    }

    /// The next option and its size; options that only change how others are read have none.
    fn option(&mut self, arguments: &Arguments<'_>) -> Result<Option<(u8, usize)>> {
        let Some((option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(arguments, 1)?,
            b'i' | b'I' => {
                let size = self.number(arguments, 4)?;
                if size > INT_BYTES_MAX {
                    return Err(arguments.error(&LuaError::IntegralSize(size, INT_BYTES_MAX)));
                }
                size
            }
            _ => 0,
        };
        Ok(Some((*option, size)))
    }

    /// Bytes that bring `at` to where an element of this size may begin.
    fn padding(&self, at: usize, option: u8, size: usize) -> usize {
        if size == 0 || option == b'c' {
            return 0;
        }
        let size = size.min(self.align);
        size.wrapping_sub(at & size.wrapping_sub(1)) & size.wrapping_sub(1)
    }

    /// Carries out an option that only changes how others are read.
    fn control(&mut self, arguments: &Arguments<'_>, option: u8) -> Result<()> {
        match option {
            b' ' => {}
            b'>' => self.is_big_endian = true,
            b'<' => self.is_big_endian = false,
            b'!' => {
                let align = self.number(arguments, ALIGN_MAX)?;
                if !align.is_power_of_two() {
                    return Err(arguments.error(&LuaError::Alignment(align)));
                }
                self.align = align;
            }
            _ => {
                let error = LuaError::FormatOption(char::from(option)).to_string();
                return Err(arguments.wrong(1, &error));
            }
        }
        Ok(())
    }

    fn ordered<const N: usize>(&self, mut bytes: [u8; N]) -> [u8; N] {
        if self.is_big_endian {
            bytes.reverse();
        }
        bytes
    }
}

/// `struct.pack(format, ...)`
fn pack(arguments: &Arguments<'_>) -> Result<mlua::String> {
    let text = arguments.string(1)?;
    let text = c_text(&text.as_bytes());
    let mut format = Format::new(&text);
    let (mut out, mut next) = (Vec::new(), 2);
    while let Some((option, size)) = format.option(arguments)? {
        let padding = format.padding(out.len(), option, size);
        out.resize(out.len() + padding, 0);
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                put_integer(&mut out, arguments.number(next)?, size, format.is_big_endian);
                next += 1;
            }
            b'x' => out.push(0),
            b'f' => {
                let bytes = (arguments.number(next)? as f32).to_le_bytes();
                out.extend_from_slice(&format.ordered(bytes));
                next += 1;
            }
            b'd' => {
                let bytes = arguments.number(next)?.to_le_bytes();
                out.extend_from_slice(&format.ordered(bytes));
                next += 1;
            }
            b'c' | b's' => {
                let string = arguments.string(next)?;
                let bytes = string.as_bytes();
                next += 1;
                let size = if size == 0 { bytes.len() } else { size };
                let Some(bytes) = bytes.get(..size) else {
                    return Err(arguments.wrong(next, "string too short"));
                };
                out.extend_from_slice(bytes);
                if option == b's' {
                    out.push(0);
                }
            }
            _ => format.control(arguments, option)?,
        }
    }
    arguments.lua.create_string(out)
}

fn put_integer(out: &mut Vec<u8>, number: f64, size: usize, is_big_endian: bool) {
    let mut bytes = [0; INT_BYTES_MAX];
    bytes[..8].copy_from_slice(&truncated_unsigned(number).to_le_bytes());
    let bytes = &mut bytes[..size];
    if is_big_endian {
        bytes.reverse();
    }
    out.extend_from_slice(bytes);
}

fn integer(bytes: &[u8], is_big_endian: bool, is_signed: bool) -> f64 {
    let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value =
        if is_big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) };
    if !is_signed {
        return value as f64;
    }
    let n_unused = 64 - (bytes.len() * 8).clamp(1, 64);
    (value.cast_signed() << n_unused >> n_unused) as f64
}

/// `struct.unpack(format, data [, position])`
fn unpack(arguments: &Arguments<'_>) -> Result<MultiValue> {
    let text = arguments.string(1)?;
    let text = c_text(&text.as_bytes());
    let data = arguments.string(2)?;
    let data = data.as_bytes();
    // What is below zero is beyond every string.
    let position = usize::try_from(arguments.integer_or(3, 1)?).unwrap_or(usize::MAX);
    if position == 0 {
        return Err(arguments.wrong(3, "offset must be 1 or greater"));
    }
    let (mut format, mut at) = (Format::new(&text), position - 1);
    let mut results: Vec<Value> = Vec::new();
    while let Some((option, mut size)) = format.option(arguments)? {
        at = at.saturating_add(format.padding(at, option, size));
        let fits = |size: usize| at.checked_add(size).is_some_and(|end| end <= data.len());
        let too_short = || arguments.wrong(2, "data string too short");
        if !fits(size) {
            return Err(too_short());
        }
        if results.len() >= N_RESULTS_MAX {
            return Err(arguments.error(&LuaError::TooManyResults));
        }
        let bytes = &data[at..at + size];
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let is_signed = option.is_ascii_lowercase();
                results.push(Value::Number(integer(bytes, format.is_big_endian, is_signed)));
            }
            b'x' => {}
            b'f' => {
                let bytes = format.ordered([bytes[0], bytes[1], bytes[2], bytes[3]]);
                results.push(Value::Number(f32::from_le_bytes(bytes).into()));
            }
            b'd' => {
                let bytes = format.ordered(bytes.try_into().unwrap_or_default());
                results.push(Value::Number(f64::from_le_bytes(bytes)));
            }
            b'c' => {
                if size == 0 {
                    let number = results.last().and_then(number);
                    let Some(number) = number else {
                        return Err(arguments.error(&LuaError::NeedsSize));
                    };
                    results.pop();
                    size = number as usize;
                    if number < 0.0 || !fits(size) {
                        return Err(too_short());
                    }
                }
                let string = arguments.lua.create_string(&data[at..at + size])?;
                results.push(Value::String(string));
            }
            b's' => {
                let Some(len) = memchr::memchr(0, &data[at..]) else {
                    return Err(arguments.error(&LuaError::UnfinishedString));
                };
                results.push(Value::String(arguments.lua.create_string(&data[at..at + len])?));
                size = len + 1;
            }
            _ => format.control(arguments, option)?,
        }
        at += size;
    }
    results.push(Value::Number((at + 1) as f64));
    Ok(results.into_iter().collect())
}

/// `struct.size(format)`
fn size(arguments: &Arguments<'_>) -> Result<f64> {
    let text = arguments.string(1)?;
    let text = c_text(&text.as_bytes());
    let (mut format, mut at) = (Format::new(&text), 0usize);
    while let Some((option, size)) = format.option(arguments)? {
        at = at.saturating_add(format.padding(at, option, size));
        if option == b's' {
            return Err(arguments.wrong(1, "option 's' has no fixed size"));
        }
        if option == b'c' && size == 0 {
            return Err(arguments.wrong(1, "option 'c0' has no fixed size"));
        }
        if !option.is_ascii_alphanumeric() {
            format.control(arguments, option)?;
        }
        at = at.saturating_add(size);
    }
    Ok(at as f64)
}
