//! Which keys a script can reach, as far as its text tells.
//!
//! A script that writes cannot be taken back, and it cannot wait for a stripe that it has not
//! locked while it holds others: two such scripts could wait for each other. So what a script locks
//! is settled before it runs. Its text is read once: where every command is named by a literal and
//! every key is an element of KEYS, an element of ARGV or a literal, the script locks the stripes
//! of these. Any other script gets the keyspace to itself.
//!
//! Invariant: what is not understood counts as reaching for everything. A command of a script is
//! still checked against what is locked before it runs.

use super::lexer::{Token, tokens};
use crate::command::args::OwnedArgs;
use crate::command::keys::{Begin, Find, KeySpec};
use crate::command::table::Found;
use crate::command::{CommandRow, CommandTable, Flags, Handler};
use std::collections::HashMap;

/// What a script can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Whatever it likes.
    Everything,
    /// The keys that are declared to it, and these.
    Declared {
        /// Keys that it names itself.
        literals: Vec<Box<[u8]>>,
        /// Whether it takes arguments that are not declared as keys for keys.
        arguments: bool,
    },
}

/// Reads a script's text.
pub(super) fn reach_of(source: &[u8], commands: &CommandTable) -> Reach {
    tokens(source).map_or(Reach::Everything, |tokens| reach_of_tokens(&tokens, commands))
}

/// Reads the words of a script.
pub(super) fn reach_of_tokens(tokens: &[Token<'_>], commands: &CommandTable) -> Reach {
    let mut reader = Reader::new(tokens, commands);
    if reader.read().is_none() {
        return Reach::Everything;
    }
    reader.literals.sort_unstable();
    reader.literals.dedup();
    Reach::Declared { literals: reader.literals, arguments: reader.arguments }
}

/// Names that can give a script its functions or keys by another way.
const OPAQUE: &[&[u8]] = &[b"load", b"loadstring", b"getfenv", b"setfenv", b"_G", b"rawset"];
/// Functions that give elements of KEYS, as long as nobody redefines them.
const GIVERS: &[&[u8]] = &[b"ipairs", b"pairs", b"unpack", b"redis", b"KEYS", b"ARGV"];

/// What a local name always stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alias {
    /// `redis.call` or `redis.pcall`
    Call,
    /// An element of KEYS.
    Key,
    /// An element of ARGV.
    Argument,
}

struct Reader<'t> {
    tokens: &'t [Token<'t>],
    commands: &'t CommandTable,
    aliases: HashMap<&'t [u8], Alias>,
    literals: Vec<Box<[u8]>>,
    arguments: bool,
}

/// What an argument of a call is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Literal(Vec<u8>),
    Key,
    OfArgv,
    /// `unpack(KEYS)`
    AllKeys,
    /// One value of any kind.
    Other,
    /// Any number of values.
    Many,
}

impl<'t> Reader<'t> {
    fn new(tokens: &'t [Token<'t>], commands: &'t CommandTable) -> Reader<'t> {
        let (aliases, literals) = (HashMap::new(), Vec::new());
        Reader { tokens, commands, aliases, literals, arguments: false }
    }

    fn token(&self, index: usize) -> &Token<'t> {
        self.tokens.get(index).unwrap_or(&Token::End)
    }

    fn is(&self, index: usize, symbol: &str) -> bool {
        self.token(index).is(symbol)
    }

    fn name(&self, index: usize) -> Option<&'t [u8]> {
        match self.token(index) {
            Token::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Whether the name at `index` is a field's, not a variable's.
    fn is_field(&self, index: usize) -> bool {
        index > 0 && (self.is(index - 1, ".") || self.is(index - 1, ":"))
    }

    /// `None`: the script is not understood.
    fn read(&mut self) -> Option<()> {
        let bindings = self.bindings()?;
        self.find_aliases(&bindings)?;
        for index in 0..self.tokens.len() {
            let Some(name) = self.name(index) else { continue };
            if self.is_field(index) {
                continue;
            }
            match name {
                b"redis" => self.read_redis(index)?,
                b"KEYS" | b"ARGV" => self.read_list(index)?,
                _ if OPAQUE.contains(&name) => return None,
                _ => {}
            }
            if self.aliases.get(name) == Some(&Alias::Call) {
                self.read_call_alias(index)?;
            }
        }
        Some(())
    }

    /// How often each local name or parameter is bound. Fails where one of [`GIVERS`] is.
    fn bindings(&self) -> Option<HashMap<&'t [u8], usize>> {
        let mut bindings: HashMap<&[u8], usize> = HashMap::new();
        let mut list_end = 0;
        for index in 0..self.tokens.len() {
            let mut names = match self.token(index) {
                Token::Name(b"local") if self.token(index + 1) != &Token::Name(b"function") => {
                    index + 1
                }
                Token::Name(b"for") => index + 1,
                Token::Name(b"function") => {
                    let mut at = index + 1;
                    if let Some(name) = self.name(at) {
                        *bindings.entry(name).or_default() += 1;
                    }
                    while !self.is(at, "(") {
                        if self.token(at) == &Token::End {
                            return None;
                        }
                        at += 1;
                    }
                    at + 1
                }
                Token::Name(name) if index >= list_end && self.is_assigned(index) => {
                    *bindings.entry(name).or_default() += 2;
                    continue;
                }
                _ => continue,
            };
            while let Some(name) = self.name(names) {
                *bindings.entry(name).or_default() += 1;
                list_end = names + 1;
                if !self.is(names + 1, ",") {
                    break;
                }
                names += 2;
            }
        }
        GIVERS.iter().all(|name| !bindings.contains_key(name)).then_some(bindings)
    }

    /// Whether the variable at `index` is, or may be, assigned to other than by `local`.
    fn is_assigned(&self, index: usize) -> bool {
        if self.is_field(index) {
            return false;
        }
        let begins = index == 0
            || !["(", ",", "=", "{", "..", "[", "==", "~=", "<", ">", "<=", ">=", "+", "-", "*"]
                .iter()
                .any(|symbol| self.is(index - 1, symbol))
                && !matches!(
                    self.token(index - 1),
                    Token::Name(
                        b"return" | b"local" | b"and" | b"or" | b"not" | b"for" | b"function"
                    )
                );
        let is_in_list = index > 0 && self.is(index - 1, ",");
        (self.is(index + 1, "=") && (begins || is_in_list)) || (self.is(index + 1, ",") && begins)
    }

    /// Finds the names that stand for one thing all the time.
    fn find_aliases(&mut self, bindings: &HashMap<&'t [u8], usize>) -> Option<()> {
        for index in 0..self.tokens.len() {
            match self.token(index) {
                Token::Name(b"local") => self.find_local_aliases(index, bindings),
                Token::Name(b"for") => self.find_loop_alias(index, bindings),
                _ => {}
            }
        }
        Some(())
    }

    fn find_local_aliases(&mut self, index: usize, bindings: &HashMap<&'t [u8], usize>) {
        let (mut names, mut at) = (Vec::new(), index + 1);
        while let Some(name) = self.name(at) {
            names.push(name);
            at += 1;
            if !self.is(at, ",") {
                break;
            }
            at += 1;
        }
        if !self.is(at, "=") {
            return;
        }
        at += 1;
        for name in names {
            let Some((alias, end)) = self.alias_value(at) else { return };
            if !self.is(end, ",") && !self.ends_value(end) {
                return;
            }
            if bindings.get(name) == Some(&1) {
                self.aliases.insert(name, alias);
            }
            if !self.is(end, ",") {
                return;
            }
            at = end + 1;
        }
    }

    /// Whether a value ends before this token: a new statement begins, or nothing follows.
    fn ends_value(&self, index: usize) -> bool {
        const OPERATORS: &[&[u8]] = &[b"and", b"or", b"not"];
        match self.token(index) {
            Token::Name(name) => !OPERATORS.contains(name),
            Token::End => true,
            Token::Symbol(symbol) => *symbol == ";" || *symbol == ")",
            Token::Str(_) | Token::Number(_) => false,
        }
    }

    /// What the value at `index` stands for, if that is known, and where it ends.
    fn alias_value(&self, index: usize) -> Option<(Alias, usize)> {
        match self.name(index)? {
            b"redis" if self.is(index + 1, ".") => {
                let is_call = matches!(self.name(index + 2), Some(b"call" | b"pcall"));
                (is_call && !self.is(index + 3, "(")).then_some((Alias::Call, index + 3))
            }
            b"KEYS" if self.is(index + 1, "[") => Some((Alias::Key, self.after_index(index + 1)?)),
            b"ARGV" if self.is(index + 1, "[") => {
                Some((Alias::Argument, self.after_index(index + 1)?))
            }
            _ => None,
        }
    }

    /// `for _, key in ipairs(KEYS) do`
    fn find_loop_alias(&mut self, index: usize, bindings: &HashMap<&'t [u8], usize>) {
        let (Some(name), true) = (self.name(index + 3), self.is(index + 2, ",")) else { return };
        let begins = self.token(index + 4) == &Token::Name(b"in")
            && matches!(self.name(index + 5), Some(b"ipairs" | b"pairs"))
            && self.is(index + 6, "(")
            && self.is(index + 8, ")");
        let alias = match self.name(index + 7) {
            Some(b"KEYS") => Alias::Key,
            Some(b"ARGV") => Alias::Argument,
            _ => return,
        };
        if begins && bindings.get(name) == Some(&1) {
            self.aliases.insert(name, alias);
        }
    }

    /// The token after the bracket that closes the one at `index`.
    fn after_index(&self, index: usize) -> Option<usize> {
        let (mut depth, mut at) = (0usize, index);
        loop {
            match self.token(at) {
                Token::End => return None,
                Token::Symbol("[" | "(" | "{") => depth += 1,
                Token::Symbol("]" | ")" | "}") => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }

    /// `redis.call(...)`, `redis.log(...)`, `local call = redis.call`
    fn read_redis(&mut self, index: usize) -> Option<()> {
        if !self.is(index + 1, ".") {
            return None;
        }
        match self.name(index + 2)? {
            b"call" | b"pcall" => {
                if self.is(index + 3, "(") {
                    return self.read_call(index + 3);
                }
                let name = self.name(index.checked_sub(2)?)?;
                let is_alias = self.is(index - 1, "=")
                    && self.aliases.get(name) == Some(&Alias::Call)
                    && self.token(index.checked_sub(3)?) == &Token::Name(b"local");
                is_alias.then_some(())
            }
            _ => Some(()),
        }
    }

    /// A name that stands for `redis.call`, where it is not declared.
    fn read_call_alias(&mut self, index: usize) -> Option<()> {
        if self.token(index.checked_sub(1)?) == &Token::Name(b"local") {
            return Some(());
        }
        if self.is(index + 1, "(") { self.read_call(index + 1) } else { None }
    }

    /// KEYS and ARGV must only be read, element by element or as a whole by functions that are known.
    fn read_list(&self, index: usize) -> Option<()> {
        if index > 0 && self.is(index - 1, "#") {
            return Some(());
        }
        if self.is(index + 1, "[") {
            let end = self.after_index(index + 1)?;
            let is_changed =
                self.is(end, "=") || (self.is(end, ",") && self.begins_statement(index));
            return (!is_changed).then_some(());
        }
        let is_argument = index > 1 && self.is(index - 1, "(");
        let is_alone = self.is(index + 1, ")") || self.is(index + 1, ",");
        let is_known =
            index > 1 && matches!(self.name(index - 2), Some(b"ipairs" | b"pairs" | b"unpack"));
        // What is done with ARGV does not matter unless it serves as a key later.
        (is_argument && is_alone && is_known && !self.is_field(index - 2)).then_some(())
    }

    fn begins_statement(&self, index: usize) -> bool {
        index == 0
            || !["(", ",", "=", "{", ".."].iter().any(|symbol| self.is(index - 1, symbol))
                && self.token(index - 1) != &Token::Name(b"return")
    }

    /// A call, whose parenthesis is at `index`.
    fn read_call(&mut self, index: usize) -> Option<()> {
        let arguments = self.arguments_of(index)?;
        let (row, n_words) = self.row_of(&arguments)?;
        let Some(row) = row else { return Some(()) };
        match row.spec.handler {
            // Refused to scripts, or without data.
            Handler::Server(_) | Handler::Container | Handler::Gated(_) | Handler::Script(_) => {
                return Some(());
            }
            Handler::Walk(_) | Handler::Exclusive(_) => return None,
            Handler::Read(_) | Handler::Write(_) => {}
        }
        let is_found = row.flags.contains(Flags::MOVABLE_KEYS) && row.spec.key_finder.is_some();
        if row.spec.whole_keyspace_if.is_some() || is_found {
            return None;
        }
        if arguments[n_words..] == [Argument::AllKeys] {
            return Some(());
        }
        let is_open = arguments.iter().any(|a| matches!(a, Argument::Many | Argument::AllKeys));
        if let (Some(single), true) = (row.single_key, is_open) {
            let is_before = !arguments[..=single.min(arguments.len() - 1)]
                .iter()
                .any(|argument| matches!(argument, Argument::Many | Argument::AllKeys));
            return if is_before { self.read_key(arguments.get(single)?) } else { None };
        }
        if is_open {
            return None;
        }
        self.read_keys(row, &arguments)
    }

    /// The row of a call, `None` if there is no such command, and how many words name it.
    fn row_of(&self, arguments: &[Argument]) -> Option<(Option<&'t CommandRow>, usize)> {
        let Argument::Literal(name) = arguments.first()? else { return None };
        let mut words: Vec<&[u8]> = vec![name];
        if let Some(Argument::Literal(second)) = arguments.get(1) {
            words.push(second);
        }
        let found = self.commands.command(name);
        if found.is_some_and(|row| !row.subcommands.is_empty()) && words.len() < 2 {
            return None;
        }
        let owned = OwnedArgs::new(words);
        Some(match self.commands.find(owned.as_args()) {
            Found::Row(row) => (Some(row), if row.parent.is_some() { 2 } else { 1 }),
            _ => (None, 1),
        })
    }

    /// The keys of a call whose arguments can be counted.
    fn read_keys(&mut self, row: &CommandRow, arguments: &[Argument]) -> Option<()> {
        let words = arguments.iter().map(|argument| match argument {
            Argument::Literal(word) => word.as_slice(),
            _ => b"",
        });
        let owned = OwnedArgs::new(words);
        for spec in row.spec.keys {
            if matches!(spec.begin, Begin::Keyword(..) | Begin::Unknown) {
                return None;
            }
            // A request that is malformed is refused before it touches a key; but a number that is
            // not known yet may make it well formed.
            let Some(positions) = spec.positions(owned.as_args()) else {
                return if is_counted(spec) { None } else { Some(()) };
            };
            for position in positions {
                self.read_key(arguments.get(position)?)?;
            }
        }
        Some(())
    }

    fn read_key(&mut self, argument: &Argument) -> Option<()> {
        match argument {
            Argument::Key => {}
            Argument::OfArgv => self.arguments = true,
            Argument::Literal(key) => self.literals.push(key.as_slice().into()),
            Argument::AllKeys | Argument::Other | Argument::Many => return None,
        }
        Some(())
    }

    /// The arguments of a call, whose parenthesis is at `index`.
    fn arguments_of(&self, index: usize) -> Option<Vec<Argument>> {
        let (mut arguments, mut at) = (Vec::new(), index + 1);
        if self.is(at, ")") {
            return None;
        }
        loop {
            let (argument, end) = self.argument(at)?;
            let is_last = self.is(end, ")");
            if !is_last && !self.is(end, ",") {
                return None;
            }
            arguments.push(if is_last { argument } else { argument.into_one() });
            if is_last {
                return Some(arguments);
            }
            at = end + 1;
        }
    }

    /// The argument at `index` and where it ends.
    fn argument(&self, index: usize) -> Option<(Argument, usize)> {
        let mut end = index;
        let mut depth = 0usize;
        loop {
            match self.token(end) {
                Token::End => return None,
                Token::Symbol("[" | "(" | "{") => depth += 1,
                Token::Symbol("]" | "}") => depth = depth.checked_sub(1)?,
                Token::Symbol(")" | ",") if depth == 0 => break,
                Token::Symbol(")") => depth -= 1,
                Token::Name(b"function") => return None,
                _ => {}
            }
            end += 1;
        }
        let all_keys = [Token::Name(b"unpack"), Token::Symbol("("), Token::Name(b"KEYS")];
        let argument = match &self.tokens[index..end] {
            [] => return None,
            [Token::Str(word)] => Argument::Literal(word.clone()),
            [Token::Number(digits)] => Argument::Literal(digits.to_vec()),
            [Token::Name(name)] => match self.aliases.get(name) {
                Some(Alias::Key) => Argument::Key,
                Some(Alias::Argument) => Argument::OfArgv,
                _ => Argument::Other,
            },
            [rest @ .., Token::Symbol(")")] if *rest == all_keys => Argument::AllKeys,
            [Token::Name(list @ (b"KEYS" | b"ARGV")), ..]
                if self.is(index + 1, "[") && self.after_index(index + 1) == Some(end) =>
            {
                if *list == b"KEYS" { Argument::Key } else { Argument::OfArgv }
            }
            [.., Token::Symbol(")" | "...")] => Argument::Many,
            [.., Token::Str(_) | Token::Symbol("}")] => Argument::Many,
            _ => Argument::Other,
        };
        Some((argument, end))
    }
}

impl Argument {
    /// The argument where others follow: an expression gives one value there.
    fn into_one(self) -> Argument {
        match self {
            Argument::Many | Argument::AllKeys => Argument::Other,
            one => one,
        }
    }
}

/// Whether a number tells how many keys there are.
fn is_counted(spec: &KeySpec) -> bool {
    matches!(spec.begin, Begin::Index(_)) && matches!(spec.find, Find::KeyNum { .. })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a text must be found to reach: these keys and perhaps arguments, or everything.
    pub(in crate::scripting) fn reach(expected: Option<(&[&str], bool)>) -> Reach {
        match expected {
            None => Reach::Everything,
            Some((literals, arguments)) => Reach::Declared {
                literals: literals.iter().map(|key| key.as_bytes().into()).collect(),
                arguments,
            },
        }
    }

    fn check(script: &str, expected: Option<(&[&str], bool)>) {
        let commands = CommandTable::new(&[]).unwrap();
        assert_eq!(reach_of(script.as_bytes(), &commands), reach(expected), "{script}");
    }

    #[test]
    fn scripts_that_keep_to_their_keys() {
        for script in [
            "return 1",
            "return redis.call('get', KEYS[1])",
            "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])",
            "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end return n",
            "local key = KEYS[1]; local n = tonumber(ARGV[1]); return redis.call('INCRBY', key, n)",
            "local a, b = KEYS[1], KEYS[2] return redis.call('RENAME', a, b)",
            "local call = redis.call\nreturn call('get', KEYS[1])",
            "for i, key in ipairs(KEYS) do redis.call('del', key) end",
            "return redis.call('mget', unpack(KEYS))",
            "return redis.call('zadd', KEYS[1], unpack(ARGV))",
            "-- redis.call('get', x)\nreturn redis.call('time')",
            "return redis.call('zunionstore', KEYS[1], 2, KEYS[2], KEYS[3])",
            "return redis.call('nosuch', x)",
        ] {
            check(script, Some((&[], false)));
        }
    }

    #[test]
    fn keys_that_stand_in_the_text_and_arguments() {
        check("return redis.call('get', 'foo')", Some((&["foo"], false)));
        check("return redis.pcall('mset', 'a', 1, [[b]], 2)", Some((&["a", "b"], false)));
        check("return redis.call('get', ARGV[1])", Some((&[], true)));
    }

    #[test]
    fn scripts_that_may_reach_for_anything() {
        for script in [
            "return redis.call('get', KEYS[1] .. 'x')",
            "return redis.call(ARGV[1], KEYS[1])",
            "KEYS[1] = 'x' return redis.call('get', KEYS[1])",
            "local KEYS = {'x'} return redis.call('get', KEYS[1])",
            "table.insert(KEYS, 'x') return redis.call('get', KEYS[2])",
            "local key = KEYS[1] key = 'x' return redis.call('get', key)",
            "local key, x = KEYS[1], 1 x, key = 2, 'y' return redis.call('get', key)",
            "local key = KEYS[1] .. 'x' return redis.call('get', key)",
            "local key = KEYS[1] local function f(key) return redis.call('get', key) end",
            "local r = redis return r.call('get', 'x')",
            "return redis['call']('get', x)",
            "return loadstring(ARGV[1])()",
            "return redis.call('keys', '*')",
            "return redis.call('sort', KEYS[1], 'by', 'w_*')",
            "return redis.call('dbsize')",
            "return redis.call('mget', KEYS[1], unpack(KEYS))",
            "return redis.call('mget', unpack(ARGV))",
            "local t = {redis.call} return t[1]('get', 'a')",
            "return pcall(redis.call, 'get', 'a')",
            "local function unpack(t) return 'x' end return redis.call('get', unpack(KEYS))",
            "return redis.call('zunionstore', KEYS[1], ARGV[1], KEYS[2])",
            "return redis.call 'time' .. 'unfinished",
        ] {
            check(script, None);
        }
    }
}
