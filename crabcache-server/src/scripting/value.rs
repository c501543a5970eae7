//! Values on their way from replies into Lua.

use crabcache_resp::number::parse_i64;
use mlua::{Lua, Result, Table, Value};

/// Above every 64-bit integer: two to the power of 63.
const INTEGER_LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// A number without its fraction; what no integer can be is the smallest one, as x86 converts.
pub(super) fn truncated(number: f64) -> i64 {
    if (-INTEGER_LIMIT..INTEGER_LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}

/// The same for integers without a sign, as compilers for x86 make it of the other conversion.
pub(super) fn truncated_unsigned(number: f64) -> u64 {
    if number >= INTEGER_LIMIT {
        truncated(number - INTEGER_LIMIT).cast_unsigned() ^ 1 << 63
    } else {
        truncated(number).cast_unsigned()
    }
}

/// The first reply in `bytes`, as scripts see it. A command wrote it, so it is well formed.
pub(super) fn from_reply(lua: &Lua, bytes: &[u8]) -> Result<Value> {
    Reader { lua, rest: bytes }.value()
}

struct Reader<'r> {
    lua: &'r Lua,
    rest: &'r [u8],
}

impl<'r> Reader<'r> {
    /// The next line, without its end; the first byte tells its kind.
    fn line(&mut self) -> (u8, &'r [u8]) {
        let end = memchr::memchr(b'\r', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(2..).unwrap_or_default();
        line.split_first().map_or((b'_', line), |(kind, text)| (*kind, text))
    }

    fn bulk(&mut self, len: &[u8]) -> Option<&'r [u8]> {
        let len = usize::try_from(parse_i64(len)?).ok()?.min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest.get(2..).unwrap_or_default();
        Some(bytes)
    }

    fn value(&mut self) -> Result<Value> {
        let lua = self.lua;
        let (kind, text) = self.line();
        let len = || usize::try_from(parse_i64(text).unwrap_or(0)).ok();
        Ok(match kind {
            b':' => Value::Number(parse_i64(text).unwrap_or(0) as f64),
            b'$' => match self.bulk(text) {
                Some(bytes) => Value::String(lua.create_string(bytes)?),
                None => Value::Boolean(false),
            },
            b'+' => match std::str::from_utf8(text) {
                Ok(text) => Value::Table(lua.create_table_from([("ok", text)])?),
                Err(_) => self.single("ok", Value::String(lua.create_string(text)?))?,
            },
            b'-' => Value::Table(error_table(lua, text, true)?),
            b'*' | b'>' => match len() {
                Some(len) => self.array(len)?,
                None => Value::Boolean(false),
            },
            b'%' => {
                let map = lua.create_table()?;
                for _ in 0..len().unwrap_or(0) {
                    let (key, value) = (self.value()?, self.value()?);
                    set_unless_nil(&map, key, value)?;
                }
                self.single("map", Value::Table(map))?
            }
            b'~' => {
                let set = lua.create_table()?;
                for _ in 0..len().unwrap_or(0) {
                    let member = self.value()?;
                    set_unless_nil(&set, member, Value::Boolean(true))?;
                }
                self.single("set", Value::Table(set))?
            }
            b'#' => Value::Boolean(text == b"t"),
            b',' => self.single("double", Value::Number(double(text)))?,
            b'(' => self.single("big_number", Value::String(lua.create_string(text)?))?,
            b'=' => {
                let bytes = self.bulk(text).unwrap_or_default();
                let (format, text) = bytes.split_at(bytes.len().min(3));
                let parts = lua.create_table_with_capacity(0, 2)?;
                parts.raw_set("format", lua.create_string(format)?)?;
                parts.raw_set("string", lua.create_string(text.get(1..).unwrap_or_default())?)?;
                self.single("verbatim_string", Value::Table(parts))?
            }
            b'|' => {
                for _ in 0..len().unwrap_or(0) * 2 {
                    self.value()?;
                }
                self.value()?
            }
            _ => Value::Nil,
        })
    }

    fn array(&mut self, len: usize) -> Result<Value> {
        let array = self.lua.create_table_with_capacity(len.min(1 << 16), 0)?;
        for index in 1..=len {
            array.raw_set(index, self.value()?)?;
        }
        Ok(Value::Table(array))
    }

    fn single(&self, field: &str, value: Value) -> Result<Value> {
        let table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(field, value)?;
        Ok(Value::Table(table))
    }
}

/// Neither nil nor what is no number can be a key of a table.
fn set_unless_nil(table: &Table, key: Value, value: Value) -> Result<()> {
    let is_key = !key.is_nil() && !number(&key).is_some_and(f64::is_nan);
    if is_key { table.raw_set(key, value) } else { Ok(()) }
}

fn double(text: &[u8]) -> f64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// What scripts see of an error: its line, without `-`. `is_counted`: it is in the statistics
/// already.
pub(super) fn error_table(lua: &Lua, line: &[u8], is_counted: bool) -> Result<Table> {
    let table = lua.create_table_with_capacity(0, 2)?;
    let text = crate::error::with_some_code(line);
    table.raw_set("err", lua.create_string(text)?)?;
    if is_counted {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(table)
}

/// A number, whole or not.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}
