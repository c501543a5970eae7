//! Files of users (`aclfile`): a line `user <name> <rules>` for each. All of a file is read or
//! nothing; no comments, since they would be lost when it is written again.

use super::is_word;
use super::rules::{Known, apply, join_selectors};
use super::sessions::Sessions;
use super::user::Rules;
use super::users::{Declared, Users};
use crate::config::apply::system_text;
use crate::config::file::trim;
use crate::config::rewrite::replace_file;
use crate::error::{AclFileError, AclLineError, RuleError};
use std::path::Path;

/// Reads a file.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn load(path: &str, known: Known<'_>) -> Result<Declared, AclFileError> {
    let text = std::fs::read(path)
        .map_err(|error| AclFileError::CannotOpen(path.to_string(), system_text(&error)))?;
    parse(&text, path, known)
}

fn parse(text: &[u8], path: &str, known: Known<'_>) -> Result<Declared, AclFileError> {
    let (mut declared, mut errors) = (Declared::new(), Vec::new());
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = trim(line);
        if line.is_empty() {
            continue;
        }
        let place = format!("{path}:{}", index + 1);
        parse_line(line, index + 1, known, &mut declared, |why| {
            errors.push(AclFileError::line(&place, why));
        });
    }
    if errors.is_empty() { Ok(declared) } else { Err(AclFileError::Lines(errors.concat())) }
}

fn parse_line(
    line: &[u8],
    number: usize,
    known: Known<'_>,
    declared: &mut Declared,
    mut fail: impl FnMut(AclLineError),
) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(b"user"), Some(name)) = (words.next(), words.next()) else {
        return fail(AclLineError::NoUser);
    };
    if !is_word(name) {
        return fail(AclLineError::Name(text(name)));
    }
    if declared.contains_key(name) {
        return fail(AclLineError::Duplicate(text(name), number));
    }
    let mut rules = Rules::new(known.has_all_channels);
    let Ok(words) = join_selectors(words) else { return fail(AclLineError::Parenthesis) };
    let mut has_failed = false;
    for word in words {
        let word = trim(&word);
        match apply(&mut rules, known, word) {
            Ok(()) => {}
            Err(RuleError::Unknown) => fail(AclLineError::Unknown(text(word))),
            // What follows may be wrong only because of it. The rule may hold a password.
            Err(why) if !has_failed => {
                has_failed = true;
                fail(AclLineError::Rule(why));
            }
            Err(_) => {}
        }
    }
    declared.insert(name.into(), rules);
}

impl Users {
    /// Makes the users of a file the only ones, and tells whose connections are to be looked at.
    ///
    /// # Errors
    /// All that is wrong with the file; then nothing was changed.
    pub fn load(&self, path: &str, known: Known<'_>) -> Result<Sessions, AclFileError> {
        Ok(Sessions::of(self.replace_all(load(path, known)?)))
    }

    /// Writes all users into a file, in the place of what it held.
    ///
    /// # Errors
    /// What the system says.
    pub fn save(&self, path: &str) -> std::io::Result<()> {
        let mut text = Vec::new();
        for user in self.all() {
            text.extend_from_slice(b"user ");
            text.extend_from_slice(&user.describe());
            text.push(b'\n');
        }
        replace_file(Path::new(path), &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CommandTable;

    fn parse_text(text: &str) -> Result<String, String> {
        let commands = CommandTable::new(&[]).unwrap();
        let known = Known { commands: &commands, has_all_channels: false };
        let declared = parse(text.as_bytes(), "f", known).map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let lines = declared
            .iter()
            .map(|(name, rules)| format!("{} {}", text(name), text(&rules.describe())));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn lines_declare_users() {
        let text = "\n  user b on (+get  ~x)\t\r\nuser a  nopass +@all\n\n";
        let expected = "a off nopass sanitize-payload resetchannels +@all\n\
                        b on sanitize-payload resetchannels -@all (~x resetchannels -@all +get)";
        assert_eq!(parse_text(text).as_deref(), Ok(expected));
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        const END: &str = "WARNING: ACL errors detected, no change to the previously active ACL \
                           rules was performed";
        let cases = [
            ("# no\n", "f:1 should start with user keyword followed by the username. "),
            ("user", "f:1 should start with user keyword followed by the username. "),
            ("user a\tb", "'f:1: username 'a\tb' contains invalid characters. "),
            ("user a\nuser a", "WARNING: Duplicate user 'a' found on line 2. "),
            ("user a (+get", "f:1: Unmatched parenthesis in selector definition."),
            (
                "user a +x %y #z -w",
                "f:1: Error in applying operation '+x': Unknown command or category name in ACL. \
                 f:1: Syntax error. f:1: Error in applying operation '-w': Unknown command or \
                 category name in ACL. ",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_text(text), Err(format!("{expected}{END}")), "{text}");
        }
    }
}
