//! Reads redis.conf: lines of a parameter or directive and its words, quoted where needed.
//!
//! What comes from standard input and from the command line is read as if it stood at the end of
//! the file. Later lines win.

use super::apply::{enter_dir, system_text};
use super::{Config, Param, ParamFlags, Word};
use crate::acl::{self, Known};
use crate::command::CommandTable;
use crate::error::{ParamError, RuleError};
use crabcache_resp::words::split_words;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where a configuration comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// A file.
    pub file: Option<PathBuf>,
    /// Read standard input too.
    pub stdin: bool,
    /// Further lines, from the command line.
    pub options: Vec<u8>,
}

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be opened.
    #[error("Fatal error, can't open config file '{path}': {why}")]
    CannotOpen {
        /// The file.
        path: String,
        /// What the system says.
        why: String,
    },
    /// A line is wrong: its number, the line, and why.
    #[error("Reading the configuration file, at line {0}\n>>> '{1}'\n{2}")]
    Line(usize, String, ParamError),
    /// The whole is wrong.
    #[error("{0}")]
    Whole(ParamError),
}

/// Includes within includes, so many at most: a file that includes itself must end.
const DEPTH_MAX: usize = 32;

/// Directives of old versions that are accepted and ignored.
const IGNORED: &[&[u8]] = &[
    b"list-max-ziplist-entries",
    b"list-max-ziplist-value",
    b"lua-replicate-commands",
    b"io-threads-do-reads",
];

/// Reads a configuration.
///
/// # Errors
/// See [`LoadError`].
pub fn load(sources: &Sources) -> Result<Config, LoadError> {
    let mut text = Vec::new();
    let mut loader = Loader { config: Config::default(), seen: HashSet::new() };
    if let Some(path) = &sources.file {
        text = read_all(path)?;
        loader.config.file = Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    }
    if sources.stdin {
        tracing::info!("Reading config from stdin");
        // What could be read counts, as with a file that ends early.
        let _ = std::io::stdin().read_to_end(&mut text);
    }
    text.push(b'\n');
    text.extend_from_slice(&sources.options);
    loader.read_text(&text, 0)?;
    loader.finish().map_err(LoadError::Whole)
}

/// The contents of a file, or of all files that match a pattern; of the latter there may be none.
fn read_all(path: &Path) -> Result<Vec<u8>, LoadError> {
    let name = path.as_os_str().as_bytes();
    if !name.iter().any(|byte| b"*?[".contains(byte)) {
        return read_one(path);
    }
    let mut text = Vec::new();
    let pattern = path.to_string_lossy();
    for path in glob::glob(&pattern).into_iter().flatten().flatten() {
        text.extend(read_one(&path)?);
    }
    Ok(text)
}

fn read_one(path: &Path) -> Result<Vec<u8>, LoadError> {
    let mut text = Vec::new();
    let cannot_open = |error: std::io::Error| LoadError::CannotOpen {
        path: path.display().to_string(),
        why: system_text(&error),
    };
    let mut file = File::open(path).map_err(cannot_open)?;
    // Compat: what cannot be read, such as a directory, counts as empty.
    let _ = file.read_to_end(&mut text);
    Ok(text)
}

struct Loader {
    config: Config,
    /// Parameters that a line has set.
    seen: HashSet<&'static str>,
}

impl Loader {
    fn read_text(&mut self, text: &[u8], depth: usize) -> Result<(), LoadError> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let fail =
                |why| LoadError::Line(index + 1, String::from_utf8_lossy(line).into_owned(), why);
            let words = split_words(line).ok_or_else(|| fail(ParamError::UnbalancedQuotes))?;
            let Some((name, values)) = words.split_first() else { continue };
            if name.eq_ignore_ascii_case(b"include") && values.len() == 1 {
                if depth == DEPTH_MAX {
                    return Err(fail(ParamError::IncludeDepth));
                }
                let included = read_all(Path::new(OsStr::from_bytes(&values[0])))?;
                self.read_text(&included, depth + 1)?;
                continue;
            }
            self.read_line(name, values).map_err(fail)?;
        }
        Ok(())
    }

    fn read_line(&mut self, name: &[u8], values: &[Word]) -> Result<(), ParamError> {
        if let Some(param) = Param::find(name) {
            return self.set(param, values);
        }
        let name = name.to_ascii_lowercase();
        match (name.as_slice(), values) {
            (name, [_]) if IGNORED.contains(&name) => Ok(()),
            (b"rename-command", [old, new]) => self.rename(old, new),
            (b"user", [_, ..]) => self.declare_user(values),
            (b"loadmodule", [_, ..]) => Err(ParamError::NoModules),
            (b"sentinel", [_, ..]) => Err(ParamError::NotSentinel),
            // Compat: alone it says nothing; it is read before the configuration.
            (b"sentinel", []) => Ok(()),
            (_, []) => Err(ParamError::BadDirective),
            (name, values) => {
                let mut line = name.to_vec();
                for value in values {
                    line.push(b' ');
                    line.extend_from_slice(value);
                }
                self.config.unknown.push(String::from_utf8_lossy(&line).into_owned());
                Ok(())
            }
        }
    }

    fn set(&mut self, param: &'static Param, values: &[Word]) -> Result<(), ParamError> {
        let is_words = param.flags.contains(ParamFlags::WORDS);
        if !is_words && values.len() != 1 {
            return Err(ParamError::WrongNumberOfArguments);
        }
        let again = !self.seen.insert(param.name);
        match values {
            // A single word may hold them all, quoted.
            [word] if is_words && !word.is_empty() => {
                let words = split_words(word).ok_or(ParamError::UnbalancedQuotes)?;
                (param.set)(&mut self.config, &words, again)?;
            }
            _ => (param.set)(&mut self.config, values, again)?,
        }
        // Relative paths of later includes are relative to it.
        if param.name == "dir" { enter_dir(&mut self.config) } else { Ok(()) }
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), ParamError> {
        let text = |word: &[u8]| String::from_utf8(word.to_vec()).map_err(|_| ParamError::NotUtf8);
        let (old, new) = (text(old)?, text(new)?);
        self.config.renames.push((old.clone(), new));
        match CommandTable::new(&self.config.renames) {
            Ok(_) => Ok(()),
            Err(name) if name.eq_ignore_ascii_case(&old) => Err(ParamError::RenameUnknown),
            Err(_) => Err(ParamError::RenameTaken),
        }
    }

    fn declare_user(&mut self, words: &[Word]) -> Result<(), ParamError> {
        let fail = |word: &[u8], why| {
            ParamError::UserDeclaration(String::from_utf8_lossy(word).into_owned(), why)
        };
        if self.config.users.iter().any(|user| user[0] == words[0]) {
            return Err(fail(&words[0], RuleError::Duplicate));
        }
        let commands = CommandTable::new(&[]).map_err(|_| ParamError::RenameUnknown)?;
        acl::check_declaration(Known::new(&self.config, &commands), words)
            .map_err(|(word, why)| fail(&word, why))?;
        self.config.users.push(words.to_vec());
        Ok(())
    }

    fn finish(self) -> Result<Config, ParamError> {
        let config = &self.config;
        if config.cluster_enabled && config.replicaof.is_some() {
            return Err(ParamError::ReplicaOfInCluster);
        }
        if !config.logfile.is_empty() {
            let file = File::options().append(true).create(true).open(&config.logfile);
            file.map_err(|error| ParamError::LogFile(system_text(&error)))?;
        }
        Ok(self.config)
    }
}

/// Without white space at both ends, as lines of configuration files have it.
pub(crate) fn trim(line: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| b" \t\r\n".contains(byte);
    let start = line.iter().position(|byte| !is_space(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<Config, String> {
        let sources = Sources { options: text.as_bytes().to_vec(), ..Sources::default() };
        load(&sources).map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_quoted_and_later_lines_win() {
        let text = "# c\n  PORT 1 \n\nport 2\nrequirepass \"a \\x41\"\nbind '1.1.1.1 ::1'\nsave 1 2\n\
                    save 3 4\nslave-priority 7\nsave \"5 6\"\r\n";
        let config = load_text(text).unwrap();
        assert_eq!((config.port, config.replica_priority), (2, 7));
        assert_eq!(config.requirepass, b"a A");
        assert_eq!(config.bind, ["1.1.1.1", "::1"]);
        assert_eq!((Param::find(b"save").unwrap().get)(&config), b"1 2 3 4 5 6");
        assert_eq!(load_text("save ''").unwrap().save, []);
    }

    #[test]
    fn errors_name_the_line() {
        let cases = [
            ("port x", ">>> 'port x'\nargument couldn't be parsed into an integer"),
            ("port", ">>> 'port'\nwrong number of arguments"),
            ("port 1 2", ">>> 'port 1 2'\nwrong number of arguments"),
            ("port '1", ">>> 'port '1'\nUnbalanced quotes in configuration line"),
            ("nosuch", ">>> 'nosuch'\nBad directive or wrong number of arguments"),
            (
                "rename-command nosuch x",
                ">>> 'rename-command nosuch x'\nNo such command in rename-command",
            ),
            (
                "rename-command get set",
                ">>> 'rename-command get set'\nTarget command name already exists",
            ),
        ];
        for (text, expected) in cases {
            let expected = format!("Reading the configuration file, at line 3\n{expected}");
            assert_eq!(load_text(&format!("port 1\n{text}")).err(), Some(expected), "{text}");
        }
        let error = load_text("include /nosuch/file").unwrap_err();
        assert_eq!(
            error,
            "Fatal error, can't open config file '/nosuch/file': No such file or directory"
        );
        assert!(load_text("include /nosuch/*.conf").is_ok());
    }

    #[test]
    fn unknown_directives_are_kept_for_the_report() {
        assert_eq!(load_text("nosuch a 'b c'").unwrap().unknown, ["nosuch a b c"]);
        assert_eq!(load_text("io-threads-do-reads yes").unwrap().unknown, [""; 0]);
    }

    #[test]
    fn commands_are_renamed() {
        let config = load_text("rename-command get fetch\nrename-command SET ''").unwrap();
        let pair = |old: &str, new: &str| (old.to_string(), new.to_string());
        assert_eq!(config.renames, [pair("get", "fetch"), pair("SET", "")]);
    }

    #[test]
    fn users_are_declared_once_and_with_rules_that_are_rules() {
        let config = load_text("user a on (+get ~k)\nUSER b +nosuch").unwrap();
        assert_eq!(config.users.len(), 2);
        for (text, word, why) in [
            ("user a on\nuser a off", "a", RuleError::Duplicate),
            ("user a ~k ~* ~x", "~x", RuleError::KeysAfterAll),
            ("user a (+get", "(+get", RuleError::Syntax),
        ] {
            let expected = format!("Error in user declaration '{word}': {why}");
            let error = load_text(text).unwrap_err();
            assert!(error.ends_with(&expected), "{error}");
        }
    }
}
