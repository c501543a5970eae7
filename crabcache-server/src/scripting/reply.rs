//! Values on their way from Lua into the reply of a script.
//!
//! Tables may be nested as deep as a script likes, and in themselves: the walk keeps its own stack
//! and gives up beyond a depth that no sensible reply has.

use super::engine::plain_text;
use super::value;
use crate::error::CommandError;
use crate::stats::Stats;
use crabcache_resp::reply::Deferred;
use crabcache_resp::{Protocol, Reply};
use mlua::{Result, Table, Value};

/// Depth of tables in a reply.
const DEPTH_MAX: usize = 2000;

/// A table whose elements are being written.
enum Open {
    Array {
        table: Table,
        n_done: usize,
        deferred: Deferred,
    },
    /// The pairs that are left, the last first; with sets, members alone.
    Pairs {
        rest: Vec<Value>,
        len: usize,
        deferred: Deferred,
        is_set: bool,
    },
}

/// Writes what a script returned. `script_protocol` is what it has chosen with `redis.setresp`.
pub(super) fn write(
    reply: &mut Reply<'_>,
    stats: &Stats,
    script_protocol: Protocol,
    value: Value,
) -> Result<()> {
    let mut writer = Writer { reply, stats, script_protocol, open: Vec::new() };
    writer.value(value)?;
    while let Some(open) = writer.open.pop() {
        writer.go_on(open)?;
    }
    Ok(())
}

struct Writer<'w, 'r> {
    reply: &'w mut Reply<'r>,
    stats: &'w Stats,
    script_protocol: Protocol,
    open: Vec<Open>,
}

impl Writer<'_, '_> {
    /// Writes the next element of a table, or its end.
    fn go_on(&mut self, open: Open) -> Result<()> {
        match open {
            Open::Array { table, n_done, deferred } => {
                let value: Value = table.raw_get(n_done + 1)?;
                if value.is_nil() {
                    self.reply.end_array(deferred, n_done);
                    return Ok(());
                }
                self.open.push(Open::Array { table, n_done: n_done + 1, deferred });
                self.value(value)
            }
            Open::Pairs { mut rest, len, deferred, is_set } => match rest.pop() {
                None if is_set => {
                    self.reply.end_set(deferred, len);
                    Ok(())
                }
                None => {
                    self.reply.end_map(deferred, len);
                    Ok(())
                }
                Some(value) => {
                    self.open.push(Open::Pairs { rest, len, deferred, is_set });
                    self.value(value)
                }
            },
        }
    }

    fn value(&mut self, value: Value) -> Result<()> {
        match value {
            Value::String(bytes) => self.reply.bulk(&bytes.as_bytes()),
            Value::Boolean(yes) if self.script_protocol == Protocol::Resp3 => self.reply.bool(yes),
            Value::Boolean(true) => self.reply.int(1),
            Value::Integer(number) => self.reply.int(number),
            Value::Number(number) => self.reply.int(value::truncated(number)),
            Value::Table(table) => return self.table(table),
            _ => self.reply.null(),
        }
        Ok(())
    }

    fn table(&mut self, table: Table) -> Result<()> {
        if self.open.len() >= DEPTH_MAX {
            self.reply.error(CommandError::LuaStackLimit.to_string().as_bytes());
            return Ok(());
        }
        if let Value::String(text) = table.raw_get("err")? {
            let line = until_nul(&text.as_bytes()).to_vec();
            let is_counted = table.get::<Value>("ignore_error_stats_update")?.as_boolean();
            if is_counted != Some(true) {
                self.stats.count_error(CommandError::code(&String::from_utf8_lossy(&line)));
            }
            self.reply.error(&line);
            return Ok(());
        }
        if let Value::String(text) = table.raw_get("ok")? {
            self.reply.status_bytes(until_nul(&text.as_bytes()));
            return Ok(());
        }
        if let Some(number) = value::number(&table.raw_get("double")?) {
            self.reply.double(number);
            return Ok(());
        }
        if let Value::String(digits) = table.raw_get("big_number")? {
            let digits = digits.as_bytes();
            let digit = |byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte };
            self.reply.big_number(&digits.iter().map(digit).collect::<Vec<u8>>());
            return Ok(());
        }
        if self.verbatim(&table)? {
            return Ok(());
        }
        if let Value::Table(map) = table.raw_get("map")? {
            return self.pairs(map, false);
        }
        if let Value::Table(set) = table.raw_get("set")? {
            return self.pairs(set, true);
        }
        let deferred = self.reply.deferred();
        self.open.push(Open::Array { table, n_done: 0, deferred });
        Ok(())
    }

    fn verbatim(&mut self, table: &Table) -> Result<bool> {
        let Value::Table(parts) = table.raw_get("verbatim_string")? else { return Ok(false) };
        let (Value::String(format), Value::String(text)) =
            (parts.raw_get("format")?, parts.raw_get("string")?)
        else {
            return Ok(false);
        };
        // The reference sends three bytes of it, whatever they are.
        let mut format = plain_text(until_nul(&format.as_bytes()));
        format.truncate(3);
        self.reply.verbatim(&format!("{format:3}"), &text.as_bytes());
        Ok(true)
    }

    fn pairs(&mut self, table: Table, is_set: bool) -> Result<()> {
        let (mut rest, mut len) = (Vec::new(), 0);
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            rest.push(key);
            if !is_set {
                rest.push(value);
            }
            len += 1;
        }
        rest.reverse();
        let deferred = self.reply.deferred();
        self.open.push(Open::Pairs { rest, len, deferred, is_set });
        Ok(())
    }
}

/// Text as C reads it.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}
