//! The arguments of a library's function, checked as Lua's own libraries check them.

use crate::error::LuaError;
use crate::scripting::engine::Raised;
use crate::scripting::value::truncated;
use mlua::{BorrowedBytes, Error, Lua, MultiValue, Result, Value};

/// What a function was called with. Numbers of arguments count from 1.
pub(super) struct Arguments<'a> {
    pub(super) lua: &'a Lua,
    /// The function's name.
    pub(super) name: &'static str,
    pub(super) values: &'a MultiValue,
}

impl Arguments<'_> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Argument number `index`; nil if it is missing.
    pub(super) fn get(&self, index: usize) -> &Value {
        self.values.get(index - 1).unwrap_or(&Value::Nil)
    }

    /// An error at the position of the calling code.
    pub(super) fn error(&self, error: &LuaError) -> Error {
        Raised::text(self.lua, &error.to_string())
    }

    /// An error about argument number `index`.
    pub(super) fn wrong(&self, index: usize, what: &str) -> Error {
        self.error(&LuaError::BadArgument(index, self.name, what.to_string()))
    }

    fn expected(&self, index: usize, kind: &str) -> Error {
        let got = match self.values.get(index - 1) {
            // `struct.pack` marks the end of its arguments.
            None if self.name == "pack" && index > 1 && index == self.len() + 1 => "nil",
            None => "no value",
            Some(Value::LightUserData(_) | Value::Error(_)) => "userdata",
            Some(Value::Integer(_)) => "number",
            Some(value) => value.type_name(),
        };
        self.wrong(index, &LuaError::Expected(kind.to_string(), got).to_string())
    }

    /// A number; strings of digits are numbers too.
    pub(super) fn number(&self, index: usize) -> Result<f64> {
        let number = self.lua.coerce_number(self.get(index).clone())?;
        number.ok_or_else(|| self.expected(index, "number"))
    }

    /// A number as C converts it to an integer.
    pub(super) fn integer(&self, index: usize) -> Result<i64> {
        Ok(truncated(self.number(index)?))
    }

    /// As [`Arguments::integer`], with a value for an argument that is missing.
    pub(super) fn integer_or(&self, index: usize, default: i64) -> Result<i64> {
        if self.get(index).is_nil() { Ok(default) } else { self.integer(index) }
    }

    /// A string; numbers are strings too.
    pub(super) fn string(&self, index: usize) -> Result<mlua::String> {
        let string = self.lua.coerce_string(self.get(index).clone())?;
        string.ok_or_else(|| self.expected(index, "string"))
    }
}

/// A format string as C reads it.
pub(super) fn c_text(bytes: &BorrowedBytes<'_>) -> Vec<u8> {
    crate::scripting::reply::until_nul(bytes).to_vec()
}
