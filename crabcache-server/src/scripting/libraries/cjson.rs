//! `cjson`: values as JSON.

use super::add;
use super::arguments::Arguments;
use super::format::write_general;
use crate::error::LuaError;
use crate::scripting::value::number;
use mlua::{Lua, Result, Table, Value};
use std::cell::Cell;
use std::rc::Rc;

/// Data nested deeper than this is refused whatever a script has set.
const DEPTH_MAX: usize = 1900;

/// How numbers that are none are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvalidNumbers {
    Refused,
    Written,
    Null,
}

/// What scripts can set.
#[derive(Debug)]
pub(in crate::scripting) struct Settings {
    sparse_convert: Cell<bool>,
    sparse_ratio: Cell<i64>,
    sparse_safe: Cell<i64>,
    encode_max_depth: Cell<i64>,
    decode_max_depth: Cell<i64>,
    encode_invalid: Cell<InvalidNumbers>,
    decode_invalid: Cell<bool>,
    precision: Cell<i64>,
    keep_buffer: Cell<bool>,
    is_changed: Cell<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            sparse_convert: Cell::new(false),
            sparse_ratio: Cell::new(2),
            sparse_safe: Cell::new(10),
            encode_max_depth: Cell::new(1000),
            decode_max_depth: Cell::new(1000),
            encode_invalid: Cell::new(InvalidNumbers::Refused),
            decode_invalid: Cell::new(true),
            precision: Cell::new(14),
            keep_buffer: Cell::new(true),
            is_changed: Cell::new(false),
        }
    }
}

impl Settings {
    /// Forgets what a script has set.
    pub(in crate::scripting) fn reset(&self) {
        if self.is_changed.get() {
            let default = Settings::default();
            self.sparse_convert.swap(&default.sparse_convert);
            self.sparse_ratio.swap(&default.sparse_ratio);
            self.sparse_safe.swap(&default.sparse_safe);
            self.encode_max_depth.swap(&default.encode_max_depth);
            self.decode_max_depth.swap(&default.decode_max_depth);
            self.encode_invalid.swap(&default.encode_invalid);
            self.decode_invalid.swap(&default.decode_invalid);
            self.precision.swap(&default.precision);
            self.keep_buffer.swap(&default.keep_buffer);
            self.is_changed.set(false);
        }
    }
}

/// Makes the library.
pub(super) fn table(lua: &Lua, settings: &Rc<Settings>) -> Result<Table> {
    let table = lua.create_table()?;
    let own = settings.clone();
    add(lua, &table, "encode", move |arguments| encode(arguments, &own))?;
    let own = settings.clone();
    add(lua, &table, "decode", move |arguments| decode(arguments, &own))?;
    type Number = fn(&Settings) -> &Cell<i64>;
    let numbers: [(&'static str, Number, i64); 3] = [
        ("encode_max_depth", |s| &s.encode_max_depth, i32::MAX.into()),
        ("decode_max_depth", |s| &s.decode_max_depth, i32::MAX.into()),
        ("encode_number_precision", |s| &s.precision, 14),
    ];
    for (name, setting, max) in numbers {
        let own = settings.clone();
        add(lua, &table, name, move |arguments| {
            check_count(arguments, 1)?;
            set_number(arguments, &own, 1, setting(&own), (1, max))
        })?;
    }
    let own = settings.clone();
    add(lua, &table, "encode_keep_buffer", move |arguments| {
        check_count(arguments, 1)?;
        set_switch(arguments, &own, 1, &own.keep_buffer)
    })?;
    let own = settings.clone();
    add(lua, &table, "decode_invalid_numbers", move |arguments| {
        check_count(arguments, 1)?;
        set_switch(arguments, &own, 1, &own.decode_invalid)
    })?;
    let own = settings.clone();
    add(lua, &table, "encode_invalid_numbers", move |arguments| set_invalid(arguments, &own))?;
    let own = settings.clone();
    add(lua, &table, "encode_sparse_array", move |arguments| {
        check_count(arguments, 3)?;
        let limits = (0, i32::MAX.into());
        Ok((
            set_switch(arguments, &own, 1, &own.sparse_convert)?,
            set_number(arguments, &own, 2, &own.sparse_ratio, limits)?,
            set_number(arguments, &own, 3, &own.sparse_safe, limits)?,
        ))
    })?;
    add(lua, &table, "new", |arguments| self::table(arguments.lua, &Rc::new(Settings::default())))?;
    table.raw_set("null", Value::NULL)?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    Ok(table)
}

fn check_count(arguments: &Arguments<'_>, max: usize) -> Result<()> {
    if arguments.len() > max {
        return Err(arguments.wrong(max + 1, "found too many arguments"));
    }
    Ok(())
}

fn set_number(
    arguments: &Arguments<'_>,
    settings: &Settings,
    index: usize,
    setting: &Cell<i64>,
    (min, max): (i64, i64),
) -> Result<f64> {
    if !arguments.get(index).is_nil() {
        let value = arguments.integer(index)?;
        if !(min..=max).contains(&value) {
            let text = LuaError::OptionRange(min, max).to_string();
            return Err(arguments.wrong(1, &text));
        }
        setting.set(value);
        settings.is_changed.set(true);
    }
    Ok(setting.get() as f64)
}

/// Which of the names an argument is.
fn option(arguments: &Arguments<'_>, index: usize, names: &[&str]) -> Result<usize> {
    let text = arguments.string(index)?;
    let text = text.to_string_lossy();
    let found = names.iter().position(|name| *name == text);
    found.ok_or_else(|| arguments.wrong(index, &LuaError::InvalidOption(text).to_string()))
}

fn set_switch(
    arguments: &Arguments<'_>,
    settings: &Settings,
    index: usize,
    setting: &Cell<bool>,
) -> Result<bool> {
    match arguments.get(index) {
        Value::Nil => return Ok(setting.get()),
        Value::Boolean(yes) => setting.set(*yes),
        _ => setting.set(option(arguments, index, &["off", "on"])? == 1),
    }
    settings.is_changed.set(true);
    Ok(setting.get())
}

/// `cjson.encode_invalid_numbers([setting])`
fn set_invalid(arguments: &Arguments<'_>, settings: &Settings) -> Result<Value> {
    use InvalidNumbers::{Null, Refused, Written};
    check_count(arguments, 1)?;
    match arguments.get(1) {
        Value::Nil => {}
        Value::Boolean(yes) => settings.encode_invalid.set(if *yes { Written } else { Refused }),
        _ => {
            let chosen = option(arguments, 1, &["off", "on", "null"])?;
            settings.encode_invalid.set([Refused, Written, Null][chosen]);
        }
    }
    settings.is_changed.set(true);
    Ok(match settings.encode_invalid.get() {
        Null => Value::String(arguments.lua.create_string("null")?),
        other => Value::Boolean(other == Written),
    })
}

/// `cjson.encode(value)`
fn encode(arguments: &Arguments<'_>, settings: &Settings) -> Result<mlua::String> {
    if arguments.len() != 1 {
        return Err(arguments.wrong(1, "expected 1 argument"));
    }
    let mut encoder = Encoder { arguments, settings, out: Vec::new() };
    encoder.value(arguments.get(1), 0)?;
    arguments.lua.create_string(encoder.out)
}

struct Encoder<'e> {
    arguments: &'e Arguments<'e>,
    settings: &'e Settings,
    out: Vec<u8>,
}

impl Encoder<'_> {
    fn cannot(&self, value: &Value, why: &'static str) -> mlua::Error {
        let kind = match value {
            Value::Integer(_) => "number",
            Value::LightUserData(_) | Value::Error(_) => "userdata",
            value => value.type_name(),
        };
        self.arguments.error(&LuaError::CannotSerialise(kind, why))
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<()> {
        match value {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(number) => return self.number(*number as f64),
            Value::Number(number) => return self.number(*number),
            Value::Boolean(yes) => {
                self.out.extend_from_slice(if *yes { b"true" } else { b"false" });
            }
            Value::Table(table) => return self.table(table, depth + 1),
            Value::Nil => self.out.extend_from_slice(b"null"),
            value if *value == Value::NULL => self.out.extend_from_slice(b"null"),
            value => return Err(self.cannot(value, "type not supported")),
        }
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for byte in text {
            let escaped: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'/' => b"\\/",
                0x08 => b"\\b",
                0x0c => b"\\f",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0..0x20 | 0x7f => {
                    self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    continue;
                }
                _ => std::slice::from_ref(byte),
            };
            self.out.extend_from_slice(escaped);
        }
        self.out.push(b'"');
    }

    fn number(&mut self, number: f64) -> Result<()> {
        if !number.is_finite() {
            match self.settings.encode_invalid.get() {
                InvalidNumbers::Refused => {
                    return Err(self.cannot(&Value::Number(number), "must not be NaN or Inf"));
                }
                InvalidNumbers::Null => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
                InvalidNumbers::Written if number.is_nan() => {
                    self.out.extend_from_slice(b"nan");
                    return Ok(());
                }
                InvalidNumbers::Written => {}
            }
        }
        let precision = usize::try_from(self.settings.precision.get()).unwrap_or(14);
        write_general(&mut self.out, number, precision);
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<()> {
        if depth as i64 > self.settings.encode_max_depth.get() || depth > DEPTH_MAX {
            return Err(self.arguments.error(&LuaError::ExcessiveNesting(depth)));
        }
        match self.array_len(table)? {
            Some(len) if len > 0 => {
                self.out.push(b'[');
                for index in 1..=len {
                    if index > 1 {
                        self.out.push(b',');
                    }
                    self.value(&table.raw_get(index)?, depth)?;
                }
                self.out.push(b']');
            }
            _ => self.object(table, depth)?,
        }
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: usize) -> Result<()> {
        self.out.push(b'{');
        let mut is_first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !std::mem::take(&mut is_first) {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.string(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.number(number(&key).unwrap_or(0.0))?;
                    self.out.push(b'"');
                }
                key => return Err(self.cannot(key, "table key must be a number or string")),
            }
            self.out.push(b':');
            self.value(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The length of a table that is an array.
    fn array_len(&self, table: &Table) -> Result<Option<i64>> {
        let (mut max, mut n_items) = (0i64, 0i64);
        for pair in table.pairs::<Value, Value>() {
            match number(&pair?.0) {
                Some(key) if key >= 1.0 && key == key.floor() => {
                    max = max.max(key as i64);
                    n_items += 1;
                }
                _ => return Ok(None),
            }
        }
        let ratio = self.settings.sparse_ratio.get();
        let is_sparse = ratio > 0
            && max > n_items.saturating_mul(ratio)
            && max > self.settings.sparse_safe.get();
        if !is_sparse {
            return Ok(Some(max));
        }
        if self.settings.sparse_convert.get() {
            return Ok(None);
        }
        Err(self.cannot(&Value::Table(table.clone()), "excessively sparse array"))
    }
}

/// `cjson.decode(text)`
fn decode(arguments: &Arguments<'_>, settings: &Settings) -> Result<Value> {
    if arguments.len() != 1 {
        return Err(arguments.wrong(1, "expected 1 argument"));
    }
    let text = arguments.string(1)?;
    let text = text.as_bytes();
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(arguments.error(&LuaError::WideJson));
    }
    let mut decoder = Decoder { arguments, settings, text: &text, at: 0 };
    let token = decoder.next()?;
    let value = decoder.value(token, 0)?;
    let (token, index) = decoder.next()?;
    match token {
        Token::End => Ok(value),
        token => Err(decoder.expected("the end", &token, index)),
    }
}

enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Str(Vec<u8>),
    Number(f64),
    Bool(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::Str(_) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Bool(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(what) => what,
        }
    }
}

struct Decoder<'d> {
    arguments: &'d Arguments<'d>,
    settings: &'d Settings,
    text: &'d [u8],
    at: usize,
}

impl Decoder<'_> {
    /// A byte of the text; NUL beyond its end.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn expected(&self, what: &'static str, found: &Token, index: usize) -> mlua::Error {
        self.arguments.error(&LuaError::JsonExpected(what, found.name(), index + 1))
    }

    /// The next token and where it stands.
    fn next(&mut self) -> Result<(Token, usize)> {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let index = self.at;
        let single = match self.byte(index) {
            b'{' => Some(Token::ObjectBegin),
            b'}' => Some(Token::ObjectEnd),
            b'[' => Some(Token::ArrayBegin),
            b']' => Some(Token::ArrayEnd),
            b',' => Some(Token::Comma),
            b':' => Some(Token::Colon),
            _ => None,
        };
        if let Some(token) = single {
            self.at += 1;
            return Ok((token, index));
        }
        let rest = &self.text[index.min(self.text.len())..];
        let words = [
            (&b"true"[..], Token::Bool(true)),
            (b"false", Token::Bool(false)),
            (b"null", Token::Null),
        ];
        let token = match self.byte(index) {
            0 => Token::End,
            b'"' => return Ok(self.string()),
            b'-' | b'0'..=b'9' => self.number(rest),
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' => {
                match words.into_iter().find(|(word, _)| rest.starts_with(word)) {
                    Some((word, token)) => {
                        self.at += word.len();
                        token
                    }
                    None if self.settings.decode_invalid.get() && is_invalid_number(rest) => {
                        self.number(rest)
                    }
                    None => Token::Error("invalid token"),
                }
            }
            _ => Token::Error("invalid token"),
        };
        Ok((token, index))
    }

    fn number(&mut self, rest: &[u8]) -> Token {
        if !self.settings.decode_invalid.get() && is_invalid_number(rest) {
            return Token::Error("invalid number");
        }
        match strtod(rest) {
            Some((number, len)) => {
                self.at += len;
                Token::Number(number)
            }
            None => Token::Error("invalid number"),
        }
    }

    fn string(&mut self) -> (Token, usize) {
        let index = self.at;
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let byte = self.byte(self.at);
            match byte {
                b'"' => {
                    self.at += 1;
                    return (Token::Str(out), index);
                }
                0 => return (Token::Error("unexpected end of string"), self.at),
                b'\\' => {
                    let escape = self.byte(self.at + 1);
                    let plain = match escape {
                        b'"' | b'\\' | b'/' => escape,
                        b'b' => 0x08,
                        b't' => b'\t',
                        b'n' => b'\n',
                        b'f' => 0x0c,
                        b'r' => b'\r',
                        b'u' => {
                            if self.unicode(&mut out).is_none() {
                                return (Token::Error("invalid unicode escape code"), self.at);
                            }
                            continue;
                        }
                        _ => return (Token::Error("invalid escape code"), self.at),
                    };
                    out.push(plain);
                    self.at += 2;
                }
                _ => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 4)?;
        digits
            .iter()
            .try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
    }

    /// `\u` with four digits, or two of them.
    fn unicode(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let mut code = self.hex4(self.at + 2)?;
        let mut len = 6;
        if code & 0xF800 == 0xD800 {
            if code & 0x400 != 0 || self.text.get(self.at + 6..self.at + 8)? != b"\\u" {
                return None;
            }
            let low = self.hex4(self.at + 8)?;
            if low & 0xFC00 != 0xDC00 {
                return None;
            }
            code = ((code & 0x3FF) << 10 | low & 0x3FF) + 0x1_0000;
            len = 12;
        }
        let character = char::from_u32(code)?;
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += len;
        Some(())
    }

    fn descend(&self, depth: usize) -> Result<()> {
        if depth as i64 > self.settings.decode_max_depth.get() || depth > DEPTH_MAX {
            return Err(self.arguments.error(&LuaError::JsonNesting(depth, self.at)));
        }
        Ok(())
    }

    fn value(&mut self, (token, index): (Token, usize), depth: usize) -> Result<Value> {
        Ok(match token {
            Token::Str(text) => Value::String(self.arguments.lua.create_string(text)?),
            Token::Number(number) => Value::Number(number),
            Token::Bool(yes) => Value::Boolean(yes),
            Token::Null => Value::NULL,
            Token::ObjectBegin => self.object(depth + 1)?,
            Token::ArrayBegin => self.array(depth + 1)?,
            token => return Err(self.expected("value", &token, index)),
        })
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        self.descend(depth)?;
        let table = self.arguments.lua.create_table()?;
        let mut token = self.next()?;
        if matches!(token.0, Token::ObjectEnd) {
            return Ok(Value::Table(table));
        }
        loop {
            let key = match token {
                (Token::Str(key), _) => key,
                (other, index) => return Err(self.expected("object key string", &other, index)),
            };
            match self.next()? {
                (Token::Colon, _) => {}
                (other, index) => return Err(self.expected("colon", &other, index)),
            }
            let value = self.next()?;
            let value = self.value(value, depth)?;
            table.raw_set(self.arguments.lua.create_string(key)?, value)?;
            match self.next()? {
                (Token::ObjectEnd, _) => return Ok(Value::Table(table)),
                (Token::Comma, _) => token = self.next()?,
                (other, index) => {
                    return Err(self.expected("comma or object end", &other, index));
                }
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value> {
        self.descend(depth)?;
        let table = self.arguments.lua.create_table()?;
        let mut token = self.next()?;
        if matches!(token.0, Token::ArrayEnd) {
            return Ok(Value::Table(table));
        }
        for index in 1usize.. {
            table.raw_set(index, self.value(token, depth)?)?;
            match self.next()? {
                (Token::ArrayEnd, _) => break,
                (Token::Comma, _) => token = self.next()?,
                (other, index) => return Err(self.expected("comma or array end", &other, index)),
            }
        }
        Ok(Value::Table(table))
    }
}

/// Whether a number is none of JSON's, although C reads it.
fn is_invalid_number(rest: &[u8]) -> bool {
    let byte = |at: usize| rest.get(at).copied().unwrap_or(0);
    if byte(0) == b'+' {
        return true;
    }
    let at = usize::from(byte(0) == b'-');
    if byte(at) == b'0' {
        return byte(at + 1) | 0x20 == b'x' || byte(at + 1).is_ascii_digit();
    }
    if byte(at) <= b'9' {
        return false;
    }
    let word = rest.get(at..at + 3).unwrap_or_default();
    word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
}

/// Reads a number as C's `strtod` does; gives how many bytes it takes.
fn strtod(text: &[u8]) -> Option<(f64, usize)> {
    let sign_len = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let sign = if text.first() == Some(&b'-') { -1.0 } else { 1.0 };
    let rest = &text[sign_len..];
    for (word, value) in
        [(&b"infinity"[..], f64::INFINITY), (b"inf", f64::INFINITY), (b"nan", f64::NAN)]
    {
        if rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) {
            return Some((sign * value, sign_len + word.len()));
        }
    }
    if rest.len() > 2 && rest[0] == b'0' && rest[1] | 0x20 == b'x' && is_hex_start(&rest[2..]) {
        let (value, len) = hexadecimal(&rest[2..]);
        return Some((sign * value, sign_len + 2 + len));
    }
    let digits =
        |at: usize| rest[at.min(rest.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(0);
    let mut len = whole;
    if rest.get(len) == Some(&b'.') {
        let decimals = digits(len + 1);
        if whole + decimals > 0 {
            len += 1 + decimals;
        }
    }
    if len == 0 {
        return None;
    }
    if rest.get(len).is_some_and(|byte| byte | 0x20 == b'e') {
        let sign = usize::from(matches!(rest.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits(len + 1 + sign);
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    }
    let number = std::str::from_utf8(&rest[..len]).ok()?.parse::<f64>().ok()?;
    Some((sign * number, sign_len + len))
}

fn is_hex_start(rest: &[u8]) -> bool {
    rest[0].is_ascii_hexdigit()
        || (rest[0] == b'.' && rest.get(1).is_some_and(u8::is_ascii_hexdigit))
}

fn hexadecimal(rest: &[u8]) -> (f64, usize) {
    let (mut value, mut scale, mut len, mut is_fraction) = (0.0, 1.0, 0, false);
    for byte in rest {
        match char::from(*byte).to_digit(16) {
            Some(digit) => {
                value = value * 16.0 + f64::from(digit);
                if is_fraction {
                    scale /= 16.0;
                }
            }
            None if *byte == b'.' && !is_fraction => is_fraction = true,
            None => break,
        }
        len += 1;
    }
    let exponent = &rest[len..];
    if exponent.first().is_some_and(|byte| byte | 0x20 == b'p') {
        let sign = usize::from(matches!(exponent.get(1), Some(b'+' | b'-')));
        let n_digits = exponent[1 + sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if n_digits > 0 {
            let end = 1 + sign + n_digits;
            let text = String::from_utf8_lossy(&exponent[1..end]).into_owned();
            let power = text.trim_start_matches('+').parse::<i32>().unwrap_or(i32::MAX);
            return (value * scale * 2f64.powi(power), len + end);
        }
    }
    (value * scale, len)
}
