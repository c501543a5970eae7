//! The table `redis` that scripts have.

use super::engine::{Raised, Registered, plain_text, take_words};
use super::functions::FunctionInfo;
use super::host::{CommandBuffer, HOST};
use super::shebang::{ScriptFlags, is_name};
use super::value;
use crate::error::{CommandError, RegisterError};
use crate::replication::log::Targets;
use crate::start::arguments::REDIS_VERSION as SERVER_VERSION;
use crabcache_resp::Protocol;
use mlua::{Error, Function, Lua, MultiValue, Result, Table, Value};
use std::cell::RefCell;
use std::rc::Rc;

/// Names of log levels, the lowest first.
const LOG_LEVELS: [&str; 4] = ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"];

/// Makes the table.
pub(super) fn table(lua: &Lua) -> Result<Table> {
    let redis = lua.create_table()?;
    add_common(lua, &redis)?;
    redis.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    redis.raw_set("error_reply", lua.create_function(error_reply)?)?;
    redis.raw_set("status_reply", lua.create_function(status_reply)?)?;
    let buffer: Rc<RefCell<CommandBuffer>> = Rc::default();
    let words = buffer.clone();
    redis.raw_set(
        "call",
        lua.create_function(move |lua, values| call(lua, &words, &values, true))?,
    )?;
    let words = buffer.clone();
    redis.raw_set(
        "pcall",
        lua.create_function(move |lua, values| call(lua, &words, &values, false))?,
    )?;
    redis.raw_set("acl_check_cmd", lua.create_function(move |_, v| acl_check(&buffer, &v))?)?;
    redis.raw_set("setresp", lua.create_function(set_resp)?)?;
    redis.raw_set("set_repl", lua.create_function(set_repl)?)?;
    redis.raw_set("replicate_commands", lua.create_function(|_, ()| Ok(true))?)?;
    // There is no debugger.
    redis.raw_set("breakpoint", lua.create_function(|_, _: MultiValue| Ok(false))?)?;
    redis.raw_set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    let repl = [
        ("NONE", Targets::empty()),
        ("AOF", Targets::AOF),
        ("SLAVE", Targets::REPLICAS),
        ("REPLICA", Targets::REPLICAS),
        ("ALL", Targets::all()),
    ];
    for (name, targets) in repl {
        redis.raw_set(format!("REPL_{name}"), targets.bits())?;
    }
    Ok(redis)
}

/// The table `redis` that libraries of functions have while they are loaded.
pub(super) fn library_table(
    lua: &Lua,
    registered: &Rc<RefCell<Option<Registered>>>,
) -> Result<Table> {
    let redis = lua.create_table()?;
    add_common(lua, &redis)?;
    let registered = registered.clone();
    let register =
        lua.create_function(move |_, values: MultiValue| register(&registered, &values))?;
    redis.raw_set("register_function", register)?;
    Ok(redis)
}

/// `redis.register_function(name, callback)` or `redis.register_function{...}`
fn register(registered: &RefCell<Option<Registered>>, values: &MultiValue) -> Result<()> {
    let mut registered = registered.borrow_mut();
    let raise = |error: RegisterError| Raised::table(&CommandError::Register(error));
    let Some(registered) = registered.as_mut() else {
        return Err(raise(RegisterError::NotLoading));
    };
    let new = match values.len() {
        1 => read_named(&values[0])?,
        2 => {
            let name = string(&values[0]).ok_or_else(|| raise(RegisterError::FirstNotString))?;
            let Value::Function(function) = &values[1] else {
                return Err(raise(RegisterError::SecondNotFunction));
            };
            let flags = ScriptFlags::empty();
            (FunctionInfo { name: plain_text(&name), description: None, flags }, function.clone())
        }
        _ => return Err(raise(RegisterError::ArgumentCount)),
    };
    if !is_name(new.0.name.as_bytes()) {
        return Err(Raised::table(&CommandError::LibraryName));
    }
    let (info, function) = new;
    if !registered.by_name.raw_get::<Value>(&*info.name)?.is_nil() {
        return Err(raise(RegisterError::Twice));
    }
    registered.by_name.raw_set(&*info.name, function)?;
    registered.functions.push(info);
    Ok(())
}

/// A string; numbers are strings too.
fn string(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(_) | Value::Number(_) => value.to_string().ok().map(String::into_bytes),
        _ => None,
    }
}

fn read_named(value: &Value) -> Result<(FunctionInfo, Function)> {
    let raise = |error: RegisterError| Raised::table(&CommandError::Register(error));
    let Value::Table(table) = value else { return Err(raise(RegisterError::NotTable)) };
    let (mut name, mut description, mut callback) = (None, None, None);
    let mut flags = ScriptFlags::empty();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let key = string(&key).ok_or_else(|| raise(RegisterError::KeyNotString))?;
        match key.to_ascii_lowercase().as_slice() {
            b"function_name" => {
                name = Some(string(&value).ok_or_else(|| raise(RegisterError::NameNotString))?);
            }
            b"description" => {
                let text = string(&value);
                description = Some(text.ok_or_else(|| raise(RegisterError::TextNotString))?);
            }
            b"callback" => match value {
                Value::Function(function) => callback = Some(function),
                _ => return Err(raise(RegisterError::CallbackNotFunction)),
            },
            b"flags" => match &value {
                Value::Table(names) => {
                    flags = read_flags(names)?.ok_or_else(|| raise(RegisterError::UnknownFlag))?;
                }
                _ => return Err(raise(RegisterError::FlagsNotTable)),
            },
            _ => return Err(raise(RegisterError::UnknownArgument)),
        }
    }
    let name = name.ok_or_else(|| raise(RegisterError::NoName))?;
    let callback = callback.ok_or_else(|| raise(RegisterError::NoCallback))?;
    Ok((FunctionInfo { name: plain_text(&name), description, flags }, callback))
}

/// The flags of these names, or `None` if one does not exist.
fn read_flags(names: &Table) -> Result<Option<ScriptFlags>> {
    let mut flags = ScriptFlags::empty();
    for index in 1i64.. {
        let value: Value = names.raw_get(index)?;
        if value.is_nil() {
            break;
        }
        let name = string(&value).unwrap_or_default().to_ascii_lowercase();
        match ScriptFlags::by_name(&name) {
            Some(flag) => flags |= flag,
            None => return Ok(None),
        }
    }
    Ok(Some(flags))
}

/// What scripts have, and libraries of functions while they are loaded.
fn add_common(lua: &Lua, redis: &Table) -> Result<()> {
    redis.raw_set("log", lua.create_function(log)?)?;
    redis.raw_set("REDIS_VERSION", SERVER_VERSION)?;
    let number = SERVER_VERSION
        .split('.')
        .fold(0u32, |number, part| number << 8 | part.parse::<u32>().unwrap_or(0));
    redis.raw_set("REDIS_VERSION_NUM", number)?;
    for (level, name) in LOG_LEVELS.into_iter().enumerate() {
        redis.raw_set(name, level)?;
    }
    Ok(())
}

/// `redis.call(...)` and `redis.pcall(...)`
fn call(
    lua: &Lua,
    buffer: &Rc<RefCell<CommandBuffer>>,
    values: &MultiValue,
    raises: bool,
) -> Result<Value> {
    let fail = |error: &CommandError| {
        if raises {
            return Err(Raised::table(error));
        }
        value::error_table(lua, error.to_string().as_bytes(), false).map(Value::Table)
    };
    // A finalizer that runs while a command does.
    let Ok(mut words) = buffer.try_borrow_mut() else {
        return fail(&CommandError::ScriptRecursion);
    };
    if let Err(error) = take_words(&mut words, values) {
        return fail(&error);
    }
    if !HOST.is_set() {
        return fail(&CommandError::ScriptRecursion);
    }
    let mut result = Ok(Value::Nil);
    HOST.with(|host| {
        host.call(&words, &mut |reply| {
            result = match reply.strip_prefix(b"-") {
                Some(line) if raises => {
                    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
                    Err(raise_reply(text))
                }
                _ => value::from_reply(lua, reply),
            };
        });
    });
    result
}

/// Raises the error that a command was answered with.
fn raise_reply(line: &[u8]) -> Error {
    let text = crate::error::with_some_code(line);
    Error::external(Raised { text, is_table: true, is_counted: true })
}

/// `redis.acl_check_cmd(...)`
fn acl_check(buffer: &Rc<RefCell<CommandBuffer>>, values: &MultiValue) -> Result<bool> {
    let mut words = buffer.try_borrow_mut().map_err(Error::external)?;
    take_words(&mut words, values).map_err(|error| Raised::table(&error))?;
    if !HOST.is_set() {
        return Err(Raised::table(&CommandError::ScriptRecursion));
    }
    let may_run = HOST.with(|host| host.may_run(&words));
    may_run.ok_or_else(|| Raised::table(&CommandError::InvalidAclCommand))
}

/// A number as C converts it.
fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        Value::Number(number) => value::truncated(*number),
        Value::String(text) => {
            let text = String::from_utf8_lossy(&text.as_bytes()).trim().parse::<f64>();
            text.map_or(0, value::truncated)
        }
        _ => 0,
    }
}

/// `redis.setresp(2 or 3)`
fn set_resp(_: &Lua, values: MultiValue) -> Result<()> {
    if values.len() != 1 {
        return Err(Raised::table(&CommandError::SetrespArguments));
    }
    let protocol = match integer(&values[0]) {
        2 => Protocol::Resp2,
        3 => Protocol::Resp3,
        _ => return Err(Raised::table(&CommandError::SetrespVersion)),
    };
    if HOST.is_set() {
        HOST.with(|host| host.set_protocol(protocol));
    }
    Ok(())
}

/// `redis.set_repl(flags)`
fn set_repl(_: &Lua, values: MultiValue) -> Result<()> {
    if values.len() != 1 {
        return Err(Raised::table(&CommandError::SetReplArguments));
    }
    let flags = integer(&values[0]);
    let Some(targets) = u8::try_from(flags).ok().and_then(Targets::from_bits) else {
        return Err(Raised::table(&CommandError::SetReplFlags));
    };
    if HOST.is_set() {
        HOST.with(|host| host.set_targets(targets));
    }
    Ok(())
}

/// `redis.log(level, ...)`
fn log(_: &Lua, values: MultiValue) -> Result<()> {
    if values.len() < 2 {
        return Err(Raised::table(&CommandError::LogArguments));
    }
    let is_number = match &values[0] {
        Value::Integer(_) | Value::Number(_) => true,
        Value::String(text) => {
            String::from_utf8_lossy(&text.as_bytes()).trim().parse::<f64>().is_ok()
        }
        _ => false,
    };
    if !is_number {
        return Err(Raised::table(&CommandError::LogLevelNotNumber));
    }
    let level = u8::try_from(integer(&values[0])).ok().filter(|level| *level < 4);
    let level = level.ok_or_else(|| Raised::table(&CommandError::LogLevel))?;
    let mut buffer = CommandBuffer::default();
    let mut line = String::new();
    for (index, value) in values.iter().skip(1).enumerate() {
        let words = MultiValue::from_iter([value.clone()]);
        if take_words(&mut buffer, &words).is_ok() {
            if index > 0 {
                line.push(' ');
            }
            line.push_str(&buffer.to_text());
        }
    }
    match level {
        0 => tracing::trace!("{line}"),
        1 => tracing::debug!("{line}"),
        2 => tracing::info!("{line}"),
        _ => tracing::warn!("{line}"),
    }
    Ok(())
}

/// `redis.sha1hex(text)`
fn sha1hex(lua: &Lua, values: MultiValue) -> Result<Value> {
    if values.len() != 1 {
        return Err(Raised::table(&CommandError::ScriptArgumentCount));
    }
    let text = lua.coerce_string(values[0].clone())?;
    let digits = match &text {
        Some(text) => super::sha1_hex(&text.as_bytes()),
        None => super::sha1_hex(b""),
    };
    Ok(Value::String(lua.create_string(digits)?))
}

/// `redis.error_reply(text)`
fn error_reply(lua: &Lua, values: MultiValue) -> Result<Table> {
    let text = match (values.len(), values.front()) {
        (1, Some(Value::String(text))) => text,
        _ => return wrong_argument(lua),
    };
    let text = super::reply::until_nul(&text.as_bytes()).to_vec();
    let line = text.strip_prefix(b"-").unwrap_or(&text);
    let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
    value::error_table(lua, &line[..end], false)
}

/// `redis.status_reply(text)`
fn status_reply(lua: &Lua, values: MultiValue) -> Result<Table> {
    let text = match (values.len(), values.front()) {
        (1, Some(Value::String(text))) => text,
        _ => return wrong_argument(lua),
    };
    let table = lua.create_table()?;
    table.raw_set("ok", text)?;
    Ok(table)
}

fn wrong_argument(lua: &Lua) -> Result<Table> {
    value::error_table(lua, CommandError::ScriptArgumentType.to_string().as_bytes(), false)
}
