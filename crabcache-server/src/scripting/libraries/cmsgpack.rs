//! `cmsgpack`: values as MessagePack.

use super::add;
use super::arguments::Arguments;
use crate::error::LuaError;
use crate::scripting::engine::Raised;
use crate::scripting::value::number;
use mlua::{Lua, MultiValue, Result, Table, Value};

/// Tables nested deeper than this are written as nil.
const ENCODE_DEPTH_MAX: usize = 16;
/// Data nested deeper than this is refused.
const DECODE_DEPTH_MAX: usize = 1900;
/// Values that one call may give: as many as fit Lua's stack.
const N_RESULTS_MAX: usize = 7900;

/// Makes the library.
pub(super) fn table(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    add(lua, &table, "pack", pack)?;
    add(lua, &table, "unpack", |arguments| unpack(arguments, 0, 0))?;
    add(lua, &table, "unpack_one", |arguments| unpack(arguments, 1, arguments.integer_or(2, 0)?))?;
    add(lua, &table, "unpack_limit", |arguments| {
        unpack(arguments, arguments.integer(2)?, arguments.integer_or(3, 0)?)
    })?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(table)
}

/// `cmsgpack.pack(...)`
fn pack(arguments: &Arguments<'_>) -> Result<mlua::String> {
    if arguments.len() == 0 {
        return Err(arguments.wrong(0, "MessagePack pack needs input."));
    }
    let mut out = Vec::new();
    for value in arguments.values {
        put(&mut out, value, 0)?;
    }
    arguments.lua.create_string(out)
}

fn put(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<()> {
    match value {
        Value::String(bytes) => put_string(out, &bytes.as_bytes()),
        Value::Boolean(yes) => out.push(if *yes { 0xc3 } else { 0xc2 }),
        Value::Integer(number) => put_integer(out, *number),
        Value::Number(number) => put_number(out, *number),
        Value::Table(table) if depth < ENCODE_DEPTH_MAX => put_table(out, table, depth)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

/// A header whose length has 8, 16 or 32 bits; without a byte for 8, it begins with 16.
fn put_length(out: &mut Vec<u8>, len: usize, bytes8: Option<u8>, byte16: u8, byte32: u8) {
    match (u8::try_from(len), u16::try_from(len), bytes8) {
        (Ok(len), _, Some(byte)) => out.extend_from_slice(&[byte, len]),
        (_, Ok(len), _) => {
            out.push(byte16);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.push(byte32);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() < 32 {
        out.push(0xa0 | bytes.len() as u8);
    } else {
        put_length(out, bytes.len(), Some(0xd9), 0xda, 0xdb);
    }
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) && number == number.trunc() {
        return put_integer(out, number as i64);
    }
    let short = number as f32;
    if f64::from(short) == number {
        out.push(0xca);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    let (byte, n_bytes) = match number {
        -32..=127 => return out.push(number as u8),
        128..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -128..=-33 => (0xd0, 1),
        -0x8000..=-129 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(byte);
    out.extend_from_slice(&number.to_be_bytes()[8 - n_bytes..]);
}

fn put_table(out: &mut Vec<u8>, table: &Table, depth: usize) -> Result<()> {
    let (mut n_pairs, mut max, mut is_array) = (0usize, 0.0, true);
    for pair in table.pairs::<Value, Value>() {
        n_pairs += 1;
        match number(&pair?.0) {
            Some(key) if key > 0.0 && key == f64::from(key as i32) => max = f64::max(max, key),
            _ => is_array = false,
        }
    }
    if is_array && max == n_pairs as f64 {
        if n_pairs <= 15 {
            out.push(0x90 | n_pairs as u8);
        } else {
            put_length(out, n_pairs, None, 0xdc, 0xdd);
        }
        for index in 1..=n_pairs {
            put(out, &table.raw_get(index)?, depth + 1)?;
        }
        return Ok(());
    }
    if n_pairs <= 15 {
        out.push(0x80 | n_pairs as u8);
    } else {
        put_length(out, n_pairs, None, 0xde, 0xdf);
    }
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        put(out, &key, depth + 1)?;
        put(out, &value, depth + 1)?;
    }
    Ok(())
}

/// Why data cannot be read.
enum Bad {
    Lua(mlua::Error),
    Data(LuaError),
}

impl From<mlua::Error> for Bad {
    fn from(error: mlua::Error) -> Bad {
        Bad::Lua(error)
    }
}

/// `cmsgpack.unpack(data)` and its siblings. A `limit` and `offset` of 0: everything.
fn unpack(arguments: &Arguments<'_>, limit: i64, offset: i64) -> Result<MultiValue> {
    let data = arguments.string(1)?;
    let data = data.as_bytes();
    let is_all = limit == 0 && offset == 0;
    let (Ok(max), Ok(start)) = (usize::try_from(limit), usize::try_from(offset)) else {
        let error = LuaError::UnpackRequest(offset as i32, data.len());
        return Err(arguments.error(&error));
    };
    if start > data.len() {
        return Err(arguments.error(&LuaError::UnpackOffset(start, data.len())));
    }
    let mut reader = Reader { lua: arguments.lua, rest: &data[start..] };
    let mut values = Vec::new();
    while !reader.rest.is_empty() && (is_all || values.len() < max) {
        if values.len() >= N_RESULTS_MAX {
            return Err(arguments.error(&LuaError::TooManyUnpacked));
        }
        match reader.value(0) {
            Ok(value) => values.push(value),
            Err(Bad::Lua(error)) => return Err(error),
            Err(Bad::Data(error @ (LuaError::NilIndex | LuaError::NanIndex))) => {
                return Err(Raised::plain(&error.to_string()));
            }
            Err(Bad::Data(error)) => return Err(arguments.error(&error)),
        }
    }
    let next = data.len() - reader.rest.len();
    let next = if reader.rest.is_empty() { -1.0 } else { next as f64 };
    let first = (!is_all).then_some(Value::Number(next));
    Ok(first.into_iter().chain(values).collect())
}

struct Reader<'r> {
    lua: &'r Lua,
    rest: &'r [u8],
}

impl<'r> Reader<'r> {
    fn take(&mut self, len: usize) -> std::result::Result<&'r [u8], Bad> {
        if len > self.rest.len() {
            return Err(Bad::Data(LuaError::MissingBytes));
        }
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(bytes)
    }

    fn unsigned(&mut self, n_bytes: usize) -> std::result::Result<u64, Bad> {
        Ok(self.take(n_bytes)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, n_bytes: usize) -> std::result::Result<f64, Bad> {
        let n_unused = 64 - n_bytes * 8;
        Ok((self.unsigned(n_bytes)?.cast_signed() << n_unused >> n_unused) as f64)
    }

    fn length(&mut self, n_bytes: usize) -> std::result::Result<usize, Bad> {
        Ok(usize::try_from(self.unsigned(n_bytes)?).unwrap_or(usize::MAX))
    }

    fn string(&mut self, len: usize) -> std::result::Result<Value, Bad> {
        let bytes = self.take(len)?;
        Ok(Value::String(self.lua.create_string(bytes)?))
    }

    fn value(&mut self, depth: usize) -> std::result::Result<Value, Bad> {
        if depth > DECODE_DEPTH_MAX {
            return Err(Bad::Data(LuaError::TooManyUnpacked));
        }
        let byte = self.take(1)?[0];
        Ok(match byte {
            0..=0x7f => Value::Number(byte.into()),
            0x80..=0x8f => self.map((byte & 15).into(), depth)?,
            0x90..=0x9f => self.array((byte & 15).into(), depth)?,
            0xa0..=0xbf => self.string((byte & 31).into())?,
            0xc0 => Value::Nil,
            0xc2 | 0xc3 => Value::Boolean(byte == 0xc3),
            0xca => Value::Number(f32::from_bits(self.unsigned(4)? as u32).into()),
            0xcb => Value::Number(f64::from_bits(self.unsigned(8)?)),
            0xcc..=0xce => Value::Number(self.unsigned(1 << (byte - 0xcc))? as f64),
            // As the reference, which takes it for a signed number.
            0xcf => Value::Number(self.unsigned(8)?.cast_signed() as f64),
            0xd0..=0xd3 => Value::Number(self.signed(1 << (byte - 0xd0))?),
            0xd9..=0xdb => {
                let len = self.length(1 << (byte - 0xd9))?;
                self.string(len)?
            }
            0xdc | 0xdd => {
                let len = self.length(2 << (byte - 0xdc))?;
                self.array(len, depth)?
            }
            0xde | 0xdf => {
                let len = self.length(2 << (byte - 0xde))?;
                self.map(len, depth)?
            }
            0xe0.. => Value::Number(byte.cast_signed().into()),
            _ => return Err(Bad::Data(LuaError::BadFormat)),
        })
    }

    fn array(&mut self, len: usize, depth: usize) -> std::result::Result<Value, Bad> {
        let table = self.lua.create_table()?;
        for index in 1..=len {
            table.raw_set(index, self.value(depth + 1)?)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: usize, depth: usize) -> std::result::Result<Value, Bad> {
        let table = self.lua.create_table()?;
        for _ in 0..len {
            let (key, value) = (self.value(depth + 1)?, self.value(depth + 1)?);
            if key.is_nil() {
                return Err(Bad::Data(LuaError::NilIndex));
            }
            if number(&key).is_some_and(f64::is_nan) {
                return Err(Bad::Data(LuaError::NanIndex));
            }
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }
}
