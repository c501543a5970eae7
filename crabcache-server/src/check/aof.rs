//! Looks through an append-only file, or all files of a manifest, and cuts off what is damaged at the
//! end of the last one.

use super::{Stop, rdb};
use crate::config::apply::system_text;
use crate::persistence::aof::manifest::{Manifest, Part};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What is to be done about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// Nothing.
    None,
    /// Cut where the last whole command or transaction ends (`--fix`).
    Cut,
    /// Cut before the first annotation of a later time than this, Unix seconds.
    CutBehind(i64),
}

/// What became of a file.
enum Outcome {
    Valid,
    Empty,
    Cut,
    CutBehind(i64),
}

/// Why no further command can be read.
enum Broken {
    /// The file ends.
    End,
    /// What stands there is none: where, and what it is.
    At(u64, String),
    /// It cannot be read.
    Io,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Broken::Io
    }
}

/// Checks a file: a manifest with all that it names, or a single file of an older server.
pub(super) fn check(out: &mut impl Write, path: &Path, repair: Repair) -> Result<(), Stop> {
    let beginning = match beginning_of(path) {
        Ok(beginning) => beginning,
        Err(error) => {
            writeln!(out, "Cannot open file {}: {}", path.display(), system_text(&error))?;
            return Err(Stop::Bad);
        }
    };
    let mut checker = Checker { out, repair, line: 1 };
    if is_manifest(&beginning) {
        return checker.check_manifest(path);
    }
    writeln!(checker.out, "Start checking Old-Style AOF")?;
    let name = path.display().to_string();
    let outcome = checker.check_file(&name, path, true, is_rdb(&beginning))?;
    checker.tell(&outcome, "AOF", &name)
}

fn beginning_of(path: &Path) -> io::Result<Vec<u8>> {
    const N_BYTES: u64 = 4096;
    let mut beginning = Vec::new();
    File::open(path)?.take(N_BYTES).read_to_end(&mut beginning)?;
    Ok(beginning)
}

fn is_manifest(beginning: &[u8]) -> bool {
    let mut lines = beginning.split(|byte| *byte == b'\n');
    lines.find(|line| !line.starts_with(b"#")).is_some_and(|line| line.starts_with(b"file"))
}

fn is_rdb(beginning: &[u8]) -> bool {
    beginning.len() >= 8 && beginning.starts_with(b"REDIS")
}

struct Checker<'o, W> {
    out: &'o mut W,
    repair: Repair,
    /// Number of the line that comes next, of all files.
    line: u64,
}

impl<W: Write> Checker<'_, W> {
    fn check_manifest(&mut self, path: &Path) -> Result<(), Stop> {
        writeln!(self.out, "Start checking Multi Part AOF")?;
        let text = std::fs::read(path).unwrap_or_default();
        let manifest = match Manifest::parse(&text) {
            Ok(manifest) => manifest,
            Err((error, line)) => {
                writeln!(self.out, "*** FATAL AOF MANIFEST FILE ERROR ***")?;
                if let Some((number, line)) = line {
                    writeln!(self.out, "Reading the manifest file, at line {number}")?;
                    writeln!(self.out, ">>> '{}'", String::from_utf8_lossy(&line))?;
                }
                writeln!(self.out, "{error}")?;
                return Err(Stop::Bad);
            }
        };
        let dir = path.parent().unwrap_or(Path::new(""));
        let last = manifest.parts().last().map(Part::shown_name);
        if let Some(base) = &manifest.base {
            let is_rdb = beginning_of(&base.path(dir)).is_ok_and(|beginning| is_rdb(&beginning));
            let form = if is_rdb { "RDB" } else { "RESP" };
            writeln!(self.out, "Start to check BASE AOF ({form} format).")?;
            self.check_part(dir, base, "BASE AOF", last.as_ref(), is_rdb)?;
        }
        if !manifest.increments.is_empty() {
            writeln!(self.out, "Start to check INCR files.")?;
        }
        for part in &manifest.increments {
            self.check_part(dir, part, "INCR AOF", last.as_ref(), false)?;
        }
        writeln!(self.out, "All AOF files and manifest are valid")?;
        Ok(())
    }

    fn check_part(
        &mut self,
        dir: &Path,
        part: &Part,
        kind: &str,
        last: Option<&String>,
        is_rdb: bool,
    ) -> Result<(), Stop> {
        let name = part.shown_name();
        let outcome = self.check_file(&name, &part.path(dir), last == Some(&name), is_rdb)?;
        self.tell(&outcome, kind, &name)
    }

    fn tell(&mut self, outcome: &Outcome, kind: &str, name: &str) -> Result<(), Stop> {
        match outcome {
            Outcome::Valid => writeln!(self.out, "{kind} {name} is valid")?,
            Outcome::Empty => writeln!(self.out, "{kind} {name} is empty")?,
            Outcome::Cut => writeln!(self.out, "Successfully truncated AOF {name}")?,
            Outcome::CutBehind(at_s) => {
                writeln!(self.out, "Successfully truncated AOF {name} to timestamp {at_s}")?;
            }
        }
        Ok(())
    }

    fn check_file(
        &mut self,
        name: &str,
        path: &Path,
        is_last: bool,
        has_preamble: bool,
    ) -> Result<Outcome, Stop> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, mut file) = match opened {
            Ok((0, _)) => return Ok(Outcome::Empty),
            Ok(opened) => opened,
            Err(error) => {
                let why = system_text(&error);
                writeln!(self.out, "Cannot open file {}: {why}, aborting...", path.display())?;
                return Err(Stop::Bad);
            }
        };
        let mut start = 0;
        if has_preamble {
            match rdb::check_path(self.out, path) {
                Ok(end) => start = end,
                Err(stop) => {
                    writeln!(self.out, "RDB preamble of AOF file is not sane, aborting.")?;
                    return Err(stop);
                }
            }
            writeln!(self.out, "RDB preamble is OK, proceeding with AOF tail...")?;
            file.seek(SeekFrom::Start(start))?;
        }
        let mut tail = Tail { inner: BufReader::new(file), offset: start, is_in_multi: false };
        let (valid_up_to, broken) = self.read_tail(&mut tail, path, is_last)?;
        match broken {
            Some(Ended::Cut(at_s)) => return Ok(Outcome::CutBehind(at_s)),
            Some(Ended::Broken(text)) => writeln!(self.out, "{text}")?,
            None => {}
        }
        self.finish(name, path, size, valid_up_to, is_last)
    }

    /// Reads commands as far as possible. Returns where the last whole thing ends.
    fn read_tail(
        &mut self,
        tail: &mut Tail,
        path: &Path,
        is_last: bool,
    ) -> Result<(u64, Option<Ended>), Stop> {
        let mut valid_up_to = tail.offset;
        loop {
            if !tail.is_in_multi {
                valid_up_to = tail.offset;
            }
            let place = tail.offset;
            let read = match tail.inner.fill_buf()?.first() {
                None if tail.is_in_multi => {
                    Err(Broken::At(place, "Reached EOF before reading EXEC for MULTI".to_string()))
                }
                None => Err(Broken::End),
                Some(b'#') => {
                    let at_s = tail.read_annotation()?;
                    match (self.repair, at_s) {
                        (Repair::CutBehind(to_s), Some(at_s)) if at_s > to_s => {
                            self.cut_behind(path, place, to_s, is_last)?;
                            return Ok((valid_up_to, Some(Ended::Cut(to_s))));
                        }
                        _ => Ok(()),
                    }
                }
                Some(b'*') => tail.read_command(&mut self.line, path),
                Some(_) => {
                    let text = format!("AOF {} format error", path.display());
                    return Ok((valid_up_to, Some(Ended::Broken(text))));
                }
            };
            match read {
                Ok(()) => {}
                Err(Broken::End) => return Ok((valid_up_to, None)),
                Err(Broken::At(place, what)) => {
                    let text = format!("0x{place:>16x}: {what}");
                    return Ok((valid_up_to, Some(Ended::Broken(text))));
                }
                Err(Broken::Io) => {
                    writeln!(self.out, "Failed to read from AOF {}, aborting...", path.display())?;
                    return Err(Stop::Bad);
                }
            }
        }
    }

    fn cut_behind(
        &mut self,
        path: &Path,
        place: u64,
        to_s: i64,
        is_last: bool,
    ) -> Result<(), Stop> {
        let path_shown = path.display();
        if place == 0 {
            writeln!(
                self.out,
                "AOF {path_shown} has nothing before timestamp {to_s}, aborting..."
            )?;
            return Err(Stop::Bad);
        }
        if !is_last {
            writeln!(
                self.out,
                "Failed to truncate AOF {path_shown} to timestamp {to_s} to offset {place} because \
                 it is not the last file."
            )?;
            writeln!(
                self.out,
                "If you insist, please delete all files after this file according to the manifest \
                 file and delete the corresponding records in manifest file manually. Then re-run \
                 redis-check-aof."
            )?;
            return Err(Stop::Bad);
        }
        if cut(path, place).is_err() {
            writeln!(self.out, "Failed to truncate AOF {path_shown} to timestamp {to_s}")?;
            return Err(Stop::Bad);
        }
        Ok(())
    }

    fn finish(
        &mut self,
        name: &str,
        path: &Path,
        size: u64,
        valid_up_to: u64,
        is_last: bool,
    ) -> Result<Outcome, Stop> {
        let excess = size.saturating_sub(valid_up_to);
        if excess == 0
            && let Repair::CutBehind(to_s) = self.repair
        {
            writeln!(self.out, "Truncate nothing in AOF {name} to timestamp {to_s}")?;
            return Ok(Outcome::Valid);
        }
        writeln!(
            self.out,
            "AOF analyzed: filename={name}, size={size}, ok_up_to={valid_up_to}, \
             ok_up_to_line={}, diff={excess}",
            self.line
        )?;
        if excess == 0 {
            return Ok(Outcome::Valid);
        }
        if self.repair != Repair::Cut {
            writeln!(self.out, "AOF {name} is not valid. Use the --fix option to try fixing it.")?;
            return Err(Stop::Bad);
        }
        if !is_last {
            writeln!(self.out, "Failed to truncate AOF {name} because it is not the last file")?;
            return Err(Stop::Bad);
        }
        writeln!(
            self.out,
            "This will shrink the AOF {name} from {size} bytes, with {excess} bytes, to \
             {valid_up_to} bytes"
        )?;
        write!(self.out, "Continue? [y/N]: ")?;
        self.out.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if !answer.to_ascii_lowercase().starts_with('y') {
            writeln!(self.out, "Aborting...")?;
            return Err(Stop::Bad);
        }
        if cut(path, valid_up_to).is_err() {
            writeln!(self.out, "Failed to truncate AOF {name}")?;
            return Err(Stop::Bad);
        }
        Ok(Outcome::Cut)
    }
}

/// How reading has ended before the end of the file.
enum Ended {
    /// It was cut there, because of a later time than this.
    Cut(i64),
    /// What is to be said.
    Broken(String),
}

fn cut(path: &Path, len: u64) -> io::Result<()> {
    File::options().write(true).open(path).and_then(|file| file.set_len(len))
}

/// The part of a file that has commands.
struct Tail {
    inner: BufReader<File>,
    offset: u64,
    is_in_multi: bool,
}

impl Tail {
    /// A line with its end.
    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        /// No line that counts or annotates is longer.
        const LINE_BYTES_MAX: u64 = 1024;
        let mut line = Vec::new();
        let n_read = self.inner.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        self.offset += n_read as u64;
        Ok(line)
    }

    /// Reads an annotation; the time that it tells, if it tells one.
    fn read_annotation(&mut self) -> io::Result<Option<i64>> {
        let line = self.read_line()?;
        let text = String::from_utf8_lossy(&line);
        Ok(text.strip_prefix("#TS:").and_then(|time| time.trim_end().parse().ok()))
    }

    fn read_number(&mut self, prefix: u8, line_number: &mut u64) -> Result<i64, Broken> {
        let place = self.offset;
        let line = self.read_line()?;
        let Some((first, rest)) = line.split_first() else { return Err(Broken::End) };
        if *first != prefix {
            let (wanted, found) = (char::from(prefix), first.escape_ascii());
            let what = format!("Expected prefix '{wanted}', got: '{found}'");
            return Err(Broken::At(place, what));
        }
        let digits = rest.strip_suffix(b"\r\n").and_then(|digits| {
            std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
        });
        let Some(number) = digits else {
            let end = [0, 1].map(|index| {
                let at = rest.len().saturating_sub(2) + index;
                rest.get(at).copied().unwrap_or(0)
            });
            let what = format!("Expected \\r\\n, got: {:02x}{:02x}", end[0], end[1]);
            return Err(Broken::At(place, what));
        };
        *line_number += 1;
        Ok(number)
    }

    fn read_command(&mut self, line_number: &mut u64, path: &Path) -> Result<(), Broken> {
        let n_words = self.read_number(b'*', line_number)?;
        for index in 0..n_words {
            let len = self.read_number(b'$', line_number)?;
            let place = self.offset;
            let Ok(len) = u64::try_from(len) else {
                let what = format!(
                    "Expected to read string of {len} bytes, which is not in the suitable range"
                );
                return Err(Broken::At(place, what));
            };
            let mut word = Vec::new();
            let n_bytes = len.saturating_add(2);
            let n_read = self.inner.by_ref().take(n_bytes).read_to_end(&mut word)? as u64;
            self.offset += n_read;
            if n_read < n_bytes {
                let what = format!("Expected to read {n_bytes} bytes, got {n_read} bytes");
                return Err(Broken::At(place, what));
            }
            let end = word.split_off(word.len() - 2);
            if end != b"\r\n" {
                let what = format!("Expected \\r\\n, got: {:02x}{:02x}", end[0], end[1]);
                return Err(Broken::At(place, what));
            }
            *line_number += 1;
            if index == 0 {
                self.note_name(&word, place, path)?;
            }
        }
        Ok(())
    }

    /// Follows the beginnings and ends of transactions.
    fn note_name(&mut self, name: &[u8], place: u64, path: &Path) -> Result<(), Broken> {
        let is_multi = name.eq_ignore_ascii_case(b"multi");
        if is_multi || name.eq_ignore_ascii_case(b"exec") {
            if self.is_in_multi == is_multi {
                let name = String::from_utf8_lossy(name).to_ascii_uppercase();
                let what = format!("Unexpected {name} in AOF {}", path.display());
                return Err(Broken::At(place, what));
            }
            self.is_in_multi = is_multi;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temp_dir;

    fn run(path: &Path, repair: Repair) -> (bool, String) {
        let mut out = Vec::new();
        let is_ok = check(&mut out, path, repair).is_ok();
        (is_ok, String::from_utf8(out).unwrap())
    }

    const SET: &str = "*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\n1\r\n";

    #[test]
    fn single_files() {
        let dir = temp_dir("check-aof");
        let path = dir.path().join("file");
        let check = |text: &str, is_fine: bool, expected: &str| {
            std::fs::write(&path, text).unwrap();
            let (is_ok, out) = run(&path, Repair::None);
            assert!(is_ok == is_fine && out.contains(expected), "{text}: {out}");
        };
        check(&format!("{SET}#TS:5\r\n{SET}"), true, "ok_up_to_line=15, diff=0");
        check("", true, "is empty");
        check(&SET[..20], false, "ok_up_to=0, ok_up_to_line=6, diff=20");
        check(&format!("{SET}x"), false, "format error");
        let multi = format!("{SET}*1\r\n$5\r\nMULTI\r\n{SET}");
        check(&multi, false, "Reached EOF before reading EXEC for MULTI");
        check(&multi, false, "ok_up_to=27, ok_up_to_line=18");
        check("*1\r\n$4\r\nEXEC\r\n", false, "Unexpected EXEC");
        check("*1\r\n$-4\r\n", false, "Expected to read string of -4 bytes");
        check("*1\r\n:4\r\n", false, "0x               4: Expected prefix '$', got: ':'");
    }

    #[test]
    fn all_files_of_a_manifest() {
        let dir = temp_dir("check-manifest");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let manifest = dir.path().join("manifest");
        write("manifest", "file b seq 1 type b\nfile i seq 1 type i\n");
        write("b", SET);
        write("i", &format!("#TS:5\r\n{SET}#TS:7\r\n{SET}"));
        let (is_ok, out) = run(&manifest, Repair::None);
        assert!(is_ok && out.contains("BASE AOF b is valid"), "{out}");
        assert!(out.ends_with("INCR AOF i is valid\nAll AOF files and manifest are valid\n"));
        assert!(run(&manifest, Repair::CutBehind(7)).1.contains("Truncate nothing in AOF i"));
        let (is_ok, out) = run(&manifest, Repair::CutBehind(6));
        assert!(is_ok && out.contains("Successfully truncated AOF i to timestamp 6"), "{out}");
        assert_eq!(std::fs::metadata(dir.path().join("i")).unwrap().len(), 34);
        assert!(run(&manifest, Repair::CutBehind(4)).1.contains("has nothing before timestamp 4"));
        write("b", &SET[..10]);
        let (is_ok, out) = run(&manifest, Repair::Cut);
        assert!(!is_ok && out.contains("because it is not the last file"), "{out}");
        write("manifest", "file b seq 1\n");
        assert!(run(&manifest, Repair::None).1.contains("Invalid AOF manifest file format"));
    }
}
