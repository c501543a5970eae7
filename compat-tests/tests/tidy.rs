//! Reads the repository and checks what no compiler does.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::repository;
use std::fmt::Write as _;
use std::process::Command;

/// A file longer than this is more than one thing.
const LINES_MAX: usize = 1000;

/// First words of error replies. Only `error.rs` knows how errors are worded.
const ERROR_CODES: &[&str] = &[
    "ERR",
    "WRONGTYPE",
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "OOM",
    "EXECABORT",
    "MISCONF",
    "LOADING",
    "BUSY",
    "BUSYKEY",
    "BUSYGROUP",
    "NOGROUP",
    "NOSCRIPT",
    "READONLY",
    "NOREPLICAS",
    "MASTERDOWN",
    "UNKILLABLE",
    "CROSSSLOT",
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "NOPROTO",
    "UNBLOCKED",
    "IOERR",
    "INPROG",
    "NOGOODSLAVE",
    "NOTBUSY",
];

struct File {
    path: String,
    text: String,
}

impl File {
    /// The lines of a Rust file, numbered, without comments and without what is compiled for tests
    /// only.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.path.ends_with("tests.rs") || self.path.ends_with("testing.rs");
        let end = if is_test {
            0
        } else {
            self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len())
        };
        let lines = self.text[..end].lines().enumerate();
        lines
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(index, line)| (index + 1, line))
    }
}

/// The files that git has or would take, with one of the endings.
fn files(endings: &[&str]) -> Vec<File> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output()
        .unwrap();
    let paths = String::from_utf8(output.stdout).unwrap();
    let mut files = Vec::new();
    for path in paths.lines().filter(|path| endings.iter().any(|ending| path.ends_with(ending))) {
        // A file may be gone and not yet forgotten.
        if let Ok(text) = std::fs::read_to_string(repository().join(path)) {
            files.push(File { path: path.to_string(), text });
        }
    }
    assert!(!files.is_empty(), "git knows no file that ends with one of {endings:?}");
    files
}

/// Fails with all lines that `finds` complains about.
#[track_caller]
fn check(files: &[File], finds: impl Fn(&File, &mut String)) {
    let mut found = String::new();
    for file in files {
        finds(file, &mut found);
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn every_module_says_what_it_is() {
    check(&files(&[".rs"]), |file, found| {
        if !file.text.starts_with("//! ") {
            writeln!(found, "{}: does not begin with //!", file.path).unwrap();
        }
    });
}

#[test]
fn no_file_is_too_long() {
    check(&files(&[".rs", ".py", ".js", ".md"]), |file, found| {
        let n_lines = file.text.lines().count();
        if n_lines > LINES_MAX {
            writeln!(found, "{}: {n_lines} lines", file.path).unwrap();
        }
    });
}

#[test]
fn nothing_is_left_to_be_done() {
    // In pieces, so that this file does not find itself.
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    check(&files(&[".rs", ".py", ".js", ".toml", "Makefile", ".conf"]), |file, found| {
        for (index, line) in file.text.lines().enumerate() {
            let has =
                |word: &String| line.split(|c: char| !c.is_alphanumeric()).any(|part| part == word);
            if words.iter().any(has) {
                writeln!(found, "{}:{}: {}", file.path, index + 1, line.trim()).unwrap();
            }
        }
    });
}

#[test]
fn only_the_error_module_words_errors() {
    let server = files(&[".rs"]);
    let server: Vec<File> =
        server.into_iter().filter(|file| file.path.starts_with("crabcache-server/src")).collect();
    check(&server, |file, found| {
        if file.path.ends_with("/error.rs") || file.path.contains("/error/") {
            return;
        }
        for (number, line) in file.code() {
            let is_worded = |code: &str| {
                line.contains(&format!("\"{code} ")) || line.contains(&format!("\"-{code} "))
            };
            if ERROR_CODES.iter().any(|code| is_worded(code)) {
                writeln!(found, "{}:{number}: {}", file.path, line.trim()).unwrap();
            }
        }
    });
}

#[test]
fn only_the_clock_reads_the_time() {
    let all = files(&[".rs"]);
    let ours: Vec<File> = all
        .into_iter()
        .filter(|file| file.path.starts_with("crabcache-") && !file.path.ends_with("/clock.rs"))
        .collect();
    check(&ours, |file, found| {
        for (number, line) in file.code() {
            if line.contains("SystemTime::now") || line.contains("Instant::now") {
                writeln!(found, "{}:{number}: {}", file.path, line.trim()).unwrap();
            }
        }
    });
}

#[test]
fn every_case_does_something() {
    let cases = compat_tests::case::load_all(&repository().join("compat-tests/cases")).unwrap();
    for file in &cases {
        assert!(!file.cases.is_empty(), "{} has no case", file.name);
        for case in &file.cases {
            assert!(!case.steps.is_empty(), "{}: case {} does nothing", file.name, case.name);
        }
    }
}
