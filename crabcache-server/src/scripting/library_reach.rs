//! Which keys the functions of a library can reach.
//!
//! A function gets its keys and arguments as parameters, under names of its own. So the library's
//! text is read as a script's is ([`super::reach`]), with KEYS and ARGV in the places of these names;
//! the parameters themselves are left out. That is right as long as
//!
//! - nobody else binds these names,
//! - a function is called by nobody but FCALL: its name stands where it is defined and where it is
//!   registered, and nowhere else,
//! - nothing of a call outlives it: no function is defined within one that is registered.

use super::lexer::{Token, tokens};
use super::reach::{Reach, reach_of_tokens};
use crate::command::CommandTable;

/// Reads a library's text.
pub(super) fn reach_of_library(source: &[u8], commands: &CommandTable) -> Reach {
    let own = tokens(source).and_then(|tokens| as_script(&tokens));
    own.map_or(Reach::Everything, |tokens| reach_of_tokens(&tokens, commands))
}

/// The functions of a library: where each has its keyword, and the names of its parameters.
struct Callbacks<'t> {
    /// Where the parameter lists stand: the first token behind `(`, and `)`.
    lists: Vec<(usize, usize)>,
    keys: Option<&'t [u8]>,
    arguments: Option<&'t [u8]>,
}

/// The library's tokens as those of a script, or `None` if it is not understood.
fn as_script<'t>(tokens: &[Token<'t>]) -> Option<Vec<Token<'t>>> {
    let mut callbacks = Callbacks { lists: Vec::new(), keys: None, arguments: None };
    for index in 0..tokens.len() {
        if is_registration(tokens, index) {
            let function = registered(tokens, index + 3)?;
            callbacks.add(tokens, function)?;
        }
    }
    if callbacks.keys.is_some() && callbacks.keys == callbacks.arguments {
        return None;
    }
    let is_left_out =
        |index: usize| callbacks.lists.iter().any(|(start, end)| (*start..*end).contains(&index));
    let kept = tokens.iter().enumerate().filter(|(index, _)| !is_left_out(*index));
    let renamed = kept.map(|(_, token)| match token {
        Token::Name(name) if Some(*name) == callbacks.keys => Token::Name(b"KEYS"),
        Token::Name(name) if Some(*name) == callbacks.arguments => Token::Name(b"ARGV"),
        token => token.clone(),
    });
    Some(renamed.collect())
}

/// `redis.register_function`
fn is_registration(tokens: &[Token<'_>], index: usize) -> bool {
    tokens[index..].starts_with(&[
        Token::Name(b"redis"),
        Token::Symbol("."),
        Token::Name(b"register_function"),
    ])
}

/// The keyword of the function that the arguments at `index` register.
fn registered(tokens: &[Token<'_>], index: usize) -> Option<usize> {
    let arguments = &tokens[index..];
    let value = match arguments {
        [Token::Symbol("("), Token::Str(_), Token::Symbol(","), ..] => index + 3,
        [Token::Symbol("{"), ..] => callback_field(tokens, index)?,
        [Token::Symbol("("), Token::Symbol("{"), ..] => callback_field(tokens, index + 1)?,
        _ => return None,
    };
    match tokens.get(value)? {
        Token::Name(b"function") => Some(value),
        Token::Name(name) => {
            let is_whole = matches!(tokens.get(value + 1)?, Token::Symbol(")" | "," | "}"));
            if is_whole { definition(tokens, name, value) } else { None }
        }
        _ => None,
    }
}

/// Where the value of `callback` stands in the table that begins at `index`.
fn callback_field(tokens: &[Token<'_>], index: usize) -> Option<usize> {
    let mut depth = 0usize;
    for at in index..tokens.len() {
        match &tokens[at] {
            Token::Symbol("{" | "(" | "[") => depth += 1,
            Token::Symbol("}" | ")" | "]") => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return None;
                }
            }
            Token::Name(b"callback") if depth == 1 && tokens.get(at + 1)?.is("=") => {
                return Some(at + 2);
            }
            // Its own fields would be taken for the table's.
            Token::Name(b"function") => return None,
            _ => {}
        }
    }
    None
}

/// The keyword of the function of this name, which stands nowhere else than there and at `used`.
fn definition(tokens: &[Token<'_>], name: &[u8], used: usize) -> Option<usize> {
    let mut places = (0..tokens.len()).filter(|at| tokens[*at] == Token::Name(name));
    let (defined, other, none) = (places.next()?, places.next()?, places.next());
    if other != used || none.is_some() {
        return None;
    }
    let before = |n: usize| defined.checked_sub(n).and_then(|at| tokens.get(at));
    let is_local_function =
        before(1) == Some(&Token::Name(b"function")) && before(2) == Some(&Token::Name(b"local"));
    if is_local_function {
        return Some(defined - 1);
    }
    let is_local = before(1) == Some(&Token::Name(b"local"))
        && tokens.get(defined + 1)?.is("=")
        && tokens.get(defined + 2)? == &Token::Name(b"function");
    is_local.then_some(defined + 2)
}

impl<'t> Callbacks<'t> {
    /// Adds the function whose keyword is at `function`.
    fn add(&mut self, tokens: &[Token<'t>], function: usize) -> Option<()> {
        let open = (function + 1..function + 3).find(|at| tokens.get(*at) == Some(&OPEN))?;
        let (names, close) = match &tokens[open + 1..] {
            [Token::Symbol(")"), ..] => ([None, None], open + 1),
            [Token::Name(keys), Token::Symbol(")"), ..] => ([Some(*keys), None], open + 2),
            [
                Token::Name(keys),
                Token::Symbol(","),
                Token::Name(arguments),
                Token::Symbol(")"),
                ..,
            ] => ([Some(*keys), Some(*arguments)], open + 4),
            _ => return None,
        };
        for (own, name) in [&mut self.keys, &mut self.arguments].into_iter().zip(names) {
            match (&own, name) {
                (Some(known), Some(name)) if *known != name => return None,
                (None, Some(name)) => *own = Some(name),
                _ => {}
            }
        }
        has_no_inner_function(tokens, close + 1)?;
        self.lists.push((open + 1, close));
        Some(())
    }
}

const OPEN: Token<'static> = Token::Symbol("(");

/// Whether no function is defined in the body that begins at `start`.
fn has_no_inner_function(tokens: &[Token<'_>], start: usize) -> Option<()> {
    let mut depth = 1usize;
    for token in &tokens[start..] {
        match token {
            Token::Name(b"function") => return None,
            Token::Name(b"do" | b"if" | b"repeat") => depth += 1,
            Token::Name(b"end" | b"until") => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripting::reach::tests::reach;

    fn check(library: &str, expected: Option<(&[&str], bool)>) {
        let commands = CommandTable::new(&[]).unwrap();
        assert_eq!(reach_of_library(library.as_bytes(), &commands), reach(expected), "{library}");
    }

    #[test]
    fn functions_that_keep_to_their_keys() {
        for library in [
            "redis.register_function('f', function(keys, args) return redis.call('get', keys[1]) end)",
            "redis.register_function('f', function(KEYS, ARGV) return redis.call('get', KEYS[1]) end)",
            "redis.register_function('f', function() return 1 end)",
            "local function f(keys, args) if args[1] then redis.call('del', keys[1]) end end
             redis.register_function('f', f)
             redis.register_function('g', function(keys) return redis.call('mget', unpack(keys)) end)",
            "local f = function(keys) for _, key in ipairs(keys) do redis.call('del', key) end end
             redis.register_function{function_name = 'f', flags = {'no-writes'}, callback = f}",
            "redis.register_function({function_name = 'f', callback = function(k, a) return redis.call('set', k[1], a[1]) end})",
            "local function double(x) return x * 2 end
             redis.register_function('f', function(keys, args) return redis.call('incrby', keys[1], double(args[1])) end)",
        ] {
            check(library, Some((&[], false)));
        }
        check(
            "redis.register_function('f', function(k, a) redis.call('incr', 'n') return redis.call('get', a[1]) end)",
            Some((&["n"], true)),
        );
    }

    #[test]
    fn functions_that_may_reach_for_anything() {
        for library in [
            "redis.register_function('f', function(keys) return redis.call('get', keys[1] .. 'x') end)",
            "redis.register_function('f', function(...) return redis.call('get', (...)) end)",
            "local kept redis.register_function('f', function(keys)
                 kept = function() return redis.call('get', keys[1]) end end)",
            "local function f(keys) return redis.call('get', keys[1]) end
             redis.register_function('f', f)
             redis.register_function('g', function(keys) return f({'x'}) end)",
            "local function get(key) return redis.call('get', key) end
             redis.register_function('f', function(keys) return get(keys[1]) end)",
            "redis.register_function('f', function(a, b) return redis.call('get', a[1]) end)
             redis.register_function('g', function(b, a) return redis.call('get', b[1]) end)",
            "redis.register_function('f', function(keys) keys = {'x'} return redis.call('get', keys[1]) end)",
            "local name = 'f' redis.register_function(name, function(keys) return redis.call('get', keys[1]) end)",
            "local function h(keys) return redis.call('get', keys[1]) end
             redis.register_function('f', function(keys) return h({'x'}) end)",
        ] {
            check(library, None);
        }
    }
}
