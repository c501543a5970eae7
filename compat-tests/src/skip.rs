//! The list of known differences, `skip.txt`.
//!
//! A line is `file | case | protocol | reason`; the protocol is `resp2`, `resp3` or `*`. The case still
//! runs, and the test fails when the difference is gone: the list can only shrink to what is true.

use crate::case::CaseFile;
use crabcache_resp::Protocol;
use std::path::Path;

/// One known difference.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    line: usize,
    file: String,
    case: String,
    protocol: String,
}

/// See the module's text.
#[derive(Debug, Clone, Default)]
pub struct SkipList {
    entries: Vec<Entry>,
}

/// A line that is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("skip list, line {line}: {message}")]
pub struct BadEntry {
    line: usize,
    message: &'static str,
}

impl SkipList {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn load(path: &Path) -> Result<SkipList, BadEntry> {
        let text = std::fs::read_to_string(path)
            .map_err(|_| BadEntry { line: 0, message: "the file cannot be read" })?;
        SkipList::parse(&text)
    }

    /// Understands the text of the file.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn parse(text: &str) -> Result<SkipList, BadEntry> {
        let mut list = SkipList::default();
        for (index, line) in text.lines().enumerate() {
            let bad = |message| BadEntry { line: index + 1, message };
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
            let [file, case, protocol, reason] = fields[..] else {
                return Err(bad("not `file | case | protocol | reason`"));
            };
            if reason.is_empty() {
                return Err(bad("no reason"));
            }
            if !["*", "resp2", "resp3"].contains(&protocol) {
                return Err(bad("the protocol is resp2, resp3 or *"));
            }
            let (file, case, protocol) = (file.into(), case.into(), protocol.into());
            list.entries.push(Entry { line: index + 1, file, case, protocol });
        }
        Ok(list)
    }

    /// Whether a difference is known.
    pub fn contains(&self, file: &str, case: &str, protocol: Protocol) -> bool {
        let protocol = protocol_name(protocol);
        self.entries.iter().any(|entry| {
            entry.file == file
                && entry.case == case
                && (entry.protocol == "*" || entry.protocol == protocol)
        })
    }

    /// Entries that name no case, a line each.
    pub fn unknown(&self, files: &[CaseFile]) -> Vec<String> {
        let exists = |entry: &&Entry| {
            files.iter().any(|file| {
                file.name == entry.file && file.cases.iter().any(|case| case.name == entry.case)
            })
        };
        let missing = self.entries.iter().filter(|entry| !exists(entry));
        missing
            .map(|entry| format!("line {}: no case {} in {}", entry.line, entry.case, entry.file))
            .collect()
    }
}

/// `resp2` or `resp3`.
pub fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Resp2 => "resp2",
        Protocol::Resp3 => "resp3",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::parse;

    #[test]
    fn entries_name_a_case_and_a_reason() {
        let list =
            SkipList::parse("# text\n\na/b | one | * | why\na/b | two | resp3 | why\n").unwrap();
        assert!(list.contains("a/b", "one", Protocol::Resp2));
        assert!(list.contains("a/b", "two", Protocol::Resp3));
        assert!(!list.contains("a/b", "two", Protocol::Resp2));
        assert!(!list.contains("a/c", "one", Protocol::Resp2));
        let file = parse("a/b", "--- one\nPING\n").unwrap();
        assert_eq!(list.unknown(&[file]), ["line 4: no case two in a/b"]);
        for text in ["a | b | *", "a | b | * |", "a | b | resp4 | why"] {
            assert!(SkipList::parse(text).is_err(), "{text}");
        }
    }
}
