//! The command line: a configuration file, then parameters as `--name value ...`.
//!
//! clap has the outer shell, `--help` and `--version`. What it takes as free words follows the
//! reference's rules, which no option parser knows: parameters are lines of the configuration file
//! in another dress.

use crate::config::file::Sources;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use crabcache_resp::words::{quote, split_words};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The version of the reference whose behaviour this server has, which clients go by.
pub const REDIS_VERSION: &str = "8.2.3";
/// The version of this server.
pub const CRABCACHE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Arguments {
    /// To serve, configured so.
    Serve(Sources),
    /// `--check-system`
    CheckSystem,
    /// Something that this server does not have; the answer.
    Unsupported(&'static str),
}

const AFTER_HELP: &str = "\
Parameters are those of redis.conf: --port 7777, --save 60 1000, --bind 127.0.0.1 ::1
They come after the file and standard input, so they win over them.

Examples:
  crabcache-server
  crabcache-server /etc/redis/redis.conf
  crabcache-server /etc/redis/redis.conf --loglevel verbose
  crabcache-server --port 7777 --requirepass secret
  echo 'port 7777' | crabcache-server -";

fn command() -> Command {
    // As `redis-server --version` has it, because tools look for `v=`.
    let version = format!(
        "v={REDIS_VERSION} sha=00000000:0 malloc=jemalloc-5.3.0 bits={} build=0 \
         crabcache={CRABCACHE_VERSION}",
        usize::BITS
    );
    Command::new("crabcache-server")
        .display_name("Redis server")
        .version(version)
        .about("A server that takes the place of Redis")
        .disable_version_flag(true)
        .override_usage("crabcache-server [FILE] [-] [--PARAMETER VALUE...]...")
        .after_help(AFTER_HELP)
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
        )
        .arg(
            Arg::new("check-system")
                .long("check-system")
                .action(ArgAction::SetTrue)
                .exclusive(true)
                .help("Tell which settings of the system harm a server"),
        )
        .arg(
            Arg::new("words")
                .value_parser(clap::value_parser!(OsString))
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .hide(true),
        )
}

impl Arguments {
    /// Reads the command line, whose first word is the program.
    ///
    /// # Errors
    /// The help, the version, or what is wrong: to be printed, with an exit code.
    pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
        let line: Vec<OsString> = line.into_iter().collect();
        if let Some(answer) = unsupported(&line) {
            return Ok(Arguments::Unsupported(answer));
        }
        let mut matches = command().try_get_matches_from(line)?;
        if matches.get_flag("check-system") {
            return Ok(Arguments::CheckSystem);
        }
        let words = matches.remove_many("words").unwrap_or_default();
        Ok(Arguments::Serve(sources(&words.collect::<Vec<OsString>>())))
    }
}

/// Whether `error` is what was asked for rather than a mistake.
pub fn is_answer(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

fn unsupported(line: &[OsString]) -> Option<&'static str> {
    let is_called =
        |name: &str| line.first().is_some_and(|program| program.to_string_lossy().ends_with(name));
    if is_called("redis-sentinel") || line.iter().skip(1).any(|word| word == "--sentinel") {
        return Some("Sentinel mode is not supported. Run redis-sentinel beside this server.");
    }
    let is_memory_test = line.get(1).is_some_and(|word| word == "--test-memory");
    is_memory_test.then_some("Testing memory is not supported. Use memtester or memtest86+.")
}

/// Turns the words into a file, standard input, and lines as in redis.conf.
fn sources(words: &[OsString]) -> Sources {
    let mut sources = Sources::default();
    let mut words = words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>();
    if let Some(file) = words.first().filter(|word| !word.starts_with(b"-")) {
        sources.file = Some(PathBuf::from(std::ffi::OsStr::from_bytes(file)));
        words.remove(0);
    }
    let options = &mut sources.options;
    // Whether a word with two hyphens is a name: not straight after a name, which needs a value.
    let mut may_be_name = true;
    for (index, word) in words.iter().enumerate() {
        let is_last = index + 1 == words.len();
        let is_first = index == 0 && sources.file.is_none();
        match word.strip_prefix(b"--") {
            _ if *word == b"-" && (is_first || is_last) => sources.stdin = true,
            Some(name) if may_be_name => {
                if !options.is_empty() {
                    options.push(b'\n');
                }
                options.extend_from_slice(name);
                options.push(b' ');
                // A name can bring its value in the same word.
                may_be_name = split_words(word).is_none_or(|parts| parts.len() != 1);
                let has_no_value =
                    is_last || words.get(index + 1).is_some_and(|next| next.starts_with(b"--"));
                if name.eq_ignore_ascii_case(b"save") && has_no_value {
                    options.extend_from_slice(b"\"\"");
                    may_be_name = true;
                }
            }
            _ => {
                options.extend_from_slice(quote(word).as_bytes());
                options.push(b' ');
                may_be_name = true;
            }
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let words = split_words(line.as_bytes()).unwrap();
        let words = words.iter().map(|word| std::ffi::OsStr::from_bytes(word).to_os_string());
        Arguments::parse(std::iter::once("crabcache-server".into()).chain(words))
    }

    #[track_caller]
    fn check(line: &str, file: Option<&str>, stdin: bool, options: &str) {
        let Ok(Arguments::Serve(sources)) = parse(line) else { panic!("{line}") };
        assert_eq!(sources.file, file.map(PathBuf::from), "{line}");
        assert_eq!(sources.stdin, stdin, "{line}");
        assert_eq!(String::from_utf8(sources.options).unwrap(), options, "{line}");
    }

    #[test]
    fn parameters_become_lines() {
        check("", None, false, "");
        check("a.conf", Some("a.conf"), false, "");
        check("--port 1", None, false, "port \"1\" ");
        check(
            "a.conf --port 1 --bind 1.1.1.1 ::1",
            Some("a.conf"),
            false,
            "port \"1\" \nbind \"1.1.1.1\" \"::1\" ",
        );
        check("'--port 1' --hz 2", None, false, "port 1 \nhz \"2\" ");
        check("--logfile --a--b --hz 2", None, false, "logfile \"--a--b\" \nhz \"2\" ");
        check("--port --hz 2", None, false, "port \"--hz\" \"2\" ");
        check("--save --hz 2", None, false, "save \"\"\nhz \"2\" ");
        check("--hz 2 --save", None, false, "hz \"2\" \nsave \"\"");
        check("--save ''", None, false, "save \"\" ");
        check("--port=1", None, false, "port=1 ");
        check("--port 1 --help", None, false, "port \"1\" \nhelp ");
    }

    #[test]
    fn a_hyphen_at_either_end_is_standard_input() {
        check("-", None, true, "");
        check("- --port 1", None, true, "port \"1\" ");
        check("a.conf --port 1 -", Some("a.conf"), true, "port \"1\" ");
        check("--port - --hz 2", None, false, "port \"-\" \nhz \"2\" ");
    }

    #[test]
    fn help_and_version_come_from_clap() {
        for line in ["--help", "-h"] {
            assert_eq!(parse(line).unwrap_err().kind(), ErrorKind::DisplayHelp);
        }
        for line in ["--version", "-v"] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DisplayVersion);
            let text = error.to_string();
            assert!(text.starts_with("Redis server v=8.2.3 sha="), "{text}");
            assert!(text.contains("crabcache=") && text.contains("bits=64"), "{text}");
        }
        assert_eq!(parse("--check-system").unwrap(), Arguments::CheckSystem);
        assert!(matches!(parse("a.conf --sentinel"), Ok(Arguments::Unsupported(_))));
        assert!(matches!(parse("--test-memory 10"), Ok(Arguments::Unsupported(_))));
    }
}
