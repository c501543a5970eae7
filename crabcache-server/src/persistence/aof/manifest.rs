//! The manifest: which files make up the append-only file, in which order.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b
//! file appendonly.aof.1.incr.aof seq 1 type h
//! file appendonly.aof.2.incr.aof seq 2 type i startoffset 1024
//! ```
//!
//! One base, then increments in the order of their numbers; what is history belongs to nothing any
//! more and is to be removed. A manifest is a value: whoever changes the files changes a copy, writes
//! that, and then puts it in the place of the old one.

use crate::config::file::trim;
use crate::error::ManifestError;
use crabcache_resp::words::{quote, split_words};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A line may have so many bytes, with its end.
const LINE_BYTES_MAX: usize = 1024;

/// One of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, in the directory of the manifest.
    pub name: Vec<u8>,
    /// Its number; bases and increments count apart.
    pub seq: i64,
    /// The replication offset at its beginning, if it is known.
    pub start_offset: Option<i64>,
    /// The same at its end, once nothing more is appended.
    pub end_offset: Option<i64>,
}

impl Part {
    /// Its path in the directory `dir`.
    pub fn path(&self, dir: &Path) -> std::path::PathBuf {
        dir.join(OsStr::from_bytes(&self.name))
    }

    /// Its name, for messages.
    pub fn shown_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    fn write(&self, out: &mut Vec<u8>, kind: char) {
        let needs_quotes = |byte: &u8| !(0x21..0x7f).contains(byte) || b"\\\"'".contains(byte);
        out.extend_from_slice(b"file ");
        if self.name.iter().any(needs_quotes) {
            out.extend_from_slice(quote(&self.name).as_bytes());
        } else {
            out.extend_from_slice(&self.name);
        }
        out.extend_from_slice(format!(" seq {} type {kind}", self.seq).as_bytes());
        if let Some(offset) = self.start_offset {
            out.extend_from_slice(format!(" startoffset {offset}").as_bytes());
            if let Some(offset) = self.end_offset {
                out.extend_from_slice(format!(" endoffset {offset}").as_bytes());
            }
        }
        out.push(b'\n');
    }
}

/// See the module's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The data at some time.
    pub base: Option<Part>,
    /// What was changed since.
    pub increments: Vec<Part>,
    /// Files that are not needed any more.
    pub history: Vec<Part>,
    base_seq: i64,
    increment_seq: i64,
}

/// What is wrong with a manifest's text, with number and contents of the line if it is about one.
pub type LineError = (ManifestError, Option<(usize, Vec<u8>)>);

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &[u8]) -> Result<Manifest, LineError> {
        let mut manifest = Manifest::default();
        if text.is_empty() {
            return Err((ManifestError::Empty, None));
        }
        for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if line.starts_with(b"#") {
                continue;
            }
            if line.len() > LINE_BYTES_MAX || !line.ends_with(b"\n") {
                return Err((ManifestError::LongLine, None));
            }
            let line = trim(line);
            manifest.read_line(line).map_err(|error| (error, Some((index + 1, line.to_vec()))))?;
        }
        Ok(manifest)
    }

    fn read_line(&mut self, line: &[u8]) -> Result<(), ManifestError> {
        let words = split_words(line).ok_or(ManifestError::Format)?;
        // More than is known may stand behind: newer versions may write it.
        if words.len() < 6 || !words.len().is_multiple_of(2) {
            return Err(ManifestError::Format);
        }
        let mut part = Part { name: Vec::new(), seq: 0, start_offset: None, end_offset: None };
        let mut kind = 0;
        for pair in words.chunks(2) {
            let value = &pair[1];
            let number = || leading_int(value);
            match pair[0].to_ascii_lowercase().as_slice() {
                b"file" if value.contains(&b'/') => return Err(ManifestError::Path),
                b"file" => part.name = value.clone(),
                b"seq" => part.seq = number(),
                b"type" => kind = value.first().copied().unwrap_or(0),
                b"startoffset" => part.start_offset = Some(number()),
                b"endoffset" => part.end_offset = Some(number()),
                _ => {}
            }
        }
        if part.start_offset.is_none() {
            // Without the one, the other says nothing.
            part.end_offset = None;
        }
        if part.name.is_empty() || part.seq == 0 || kind == 0 {
            return Err(ManifestError::Format);
        }
        match kind {
            b'b' if self.base.is_some() => return Err(ManifestError::DuplicateBase),
            b'b' => {
                self.base_seq = part.seq;
                self.base = Some(part);
            }
            b'h' => self.history.push(part),
            b'i' if part.seq <= self.increment_seq => return Err(ManifestError::Order),
            b'i' => {
                self.increment_seq = part.seq;
                self.increments.push(part);
            }
            _ => return Err(ManifestError::UnknownType),
        }
        Ok(())
    }

    /// Its text.
    pub fn to_text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.base.iter().for_each(|part| part.write(&mut out, 'b'));
        self.history.iter().for_each(|part| part.write(&mut out, 'h'));
        self.increments.iter().for_each(|part| part.write(&mut out, 'i'));
        out
    }

    /// Whether there are no data.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.increments.is_empty()
    }

    /// The files with data, in the order in which they are loaded.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.base.iter().chain(&self.increments)
    }

    /// Takes an old file of the name `appendfilename`, without a manifest, as the base.
    pub fn adopt(&mut self, file_name: &str) {
        self.base_seq = 1;
        self.base = Some(Part {
            name: file_name.as_bytes().to_vec(),
            seq: 1,
            start_offset: None,
            end_offset: None,
        });
    }

    /// Adds a new base and makes the one before history. Returns its name.
    pub fn new_base(&mut self, file_name: &str, is_rdb: bool) -> &Part {
        if let Some(old) = self.base.take() {
            self.history.insert(0, old);
        }
        self.base_seq += 1;
        let suffix = if is_rdb { "rdb" } else { "aof" };
        let name = format!("{file_name}.{}.base.{suffix}", self.base_seq);
        self.base.insert(Part {
            name: name.into_bytes(),
            seq: self.base_seq,
            start_offset: None,
            end_offset: None,
        })
    }

    /// Adds a new increment, which begins at a replication offset. Returns it.
    pub fn new_increment(&mut self, file_name: &str, start_offset: i64) -> &Part {
        self.increment_seq += 1;
        let name = format!("{file_name}.{}.incr.aof", self.increment_seq);
        self.increments.push(Part {
            name: name.into_bytes(),
            seq: self.increment_seq,
            start_offset: Some(start_offset),
            end_offset: None,
        });
        &self.increments[self.increments.len() - 1]
    }

    /// Makes all increments history but the last `n_kept`: a new base has them.
    pub fn retire_increments(&mut self, n_kept: usize) {
        let n_old = self.increments.len().saturating_sub(n_kept);
        for part in self.increments.drain(..n_old).rev() {
            self.history.insert(0, part);
        }
    }
}

/// Compat: numbers are read as `atoll` does, up to what is no digit.
fn leading_int(word: &[u8]) -> i64 {
    let (is_negative, digits) = match word {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0i64, |number, byte| {
        number.saturating_mul(10).saturating_add(i64::from(byte - b'0'))
    });
    if is_negative { -number } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> ManifestError {
        Manifest::parse(text.as_bytes()).unwrap_err().0
    }

    #[test]
    fn a_manifest_is_read_and_written() {
        let text = "file a.2.base.rdb seq 2 type b\nfile a.1.incr.aof seq 1 type h\n\
                    file a.2.incr.aof seq 2 type i startoffset 10\n\
                    file \"a b.\\\".incr\" seq 4 type i startoffset 20 endoffset 30\n";
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(manifest.to_text()).unwrap(), text);
        assert_eq!(manifest.increments[1].name, b"a b.\".incr");
        let names: Vec<i64> = manifest.parts().map(|part| part.seq).collect();
        assert_eq!(names, [2, 2, 4]);
        let more = "# comment\nFILE x SEQ 1 type base newkey newvalue\n";
        assert_eq!(Manifest::parse(more.as_bytes()).unwrap().base.unwrap().name, b"x");
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(error(""), ManifestError::Empty);
        assert_eq!(error("file a seq 1 type b"), ManifestError::LongLine);
        let long = format!("file a seq 1 type b {}\n", "k v ".repeat(300));
        assert_eq!(error(&long), ManifestError::LongLine);
        for text in ["\n", "file a seq 1\n", "file a seq 1 type b x\n", "filx a seq 1 type b\n"] {
            assert_eq!(error(text), ManifestError::Format, "{text}");
        }
        assert_eq!(error("file a/b seq 1 type b\n"), ManifestError::Path);
        assert_eq!(error("file a seq 1 type x\n"), ManifestError::UnknownType);
        let twice = "file a seq 1 type b\nfile c seq 2 type b\n";
        assert_eq!(error(twice), ManifestError::DuplicateBase);
        let (error, line) =
            Manifest::parse(b"file a seq 2 type i\nfile b seq 2 type i\n").unwrap_err();
        assert_eq!(error, ManifestError::Order);
        assert_eq!(line, Some((2, b"file b seq 2 type i".to_vec())));
    }

    #[test]
    fn files_get_their_numbers() {
        let mut manifest = Manifest::default();
        manifest.adopt("a");
        manifest.new_increment("a", 0);
        manifest.new_increment("a", 5);
        assert_eq!(manifest.new_base("a", true).name, b"a.2.base.rdb");
        manifest.retire_increments(1);
        manifest.new_base("a", false);
        let text = "file a.3.base.aof seq 3 type b\nfile a.2.base.rdb seq 2 type h\n\
                    file a.1.incr.aof seq 1 type h startoffset 0\nfile a seq 1 type h\n\
                    file a.2.incr.aof seq 2 type i startoffset 5\n";
        assert_eq!(String::from_utf8(manifest.to_text()).unwrap(), text);
    }
}
