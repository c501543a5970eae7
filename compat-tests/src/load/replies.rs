//! Counts the replies in a stream of bytes, as cheaply as that can be done.
//!
//! What this is not: a decoder. It finds where replies end and which are errors; bytes that are no
//! reply are an error of the whole stream.

use std::io;

/// Longest line that is looked for.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// How far a stream of replies has been read.
#[derive(Debug, Default)]
pub struct Counter {
    /// Values that are still missing to the reply that has begun.
    n_missing: u64,
    /// Bytes of a string, with its line end, that have not come yet.
    n_skipped: usize,
    /// A line that has not come whole.
    line: Vec<u8>,
    /// Replies that have come whole and were not taken.
    n_replies: u64,
    /// Error replies among them.
    n_errors: u64,
    /// The first error.
    error: Option<String>,
}

impl Counter {
    /// Reads on.
    ///
    /// # Errors
    /// If the bytes are no replies.
    pub fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.n_skipped > 0 {
                let n_here = self.n_skipped.min(bytes.len());
                self.n_skipped -= n_here;
                bytes = &bytes[n_here..];
                if self.n_skipped == 0 {
                    self.end_value();
                }
                continue;
            }
            let Some(at) = memchr::memchr(b'\n', bytes) else {
                self.line.extend_from_slice(bytes);
                return if self.line.len() > LINE_BYTES_MAX {
                    Err(no_reply(bytes))
                } else {
                    Ok(())
                };
            };
            let (line, rest) = bytes.split_at(at + 1);
            bytes = rest;
            if self.line.is_empty() {
                self.read_line(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.read_line(&whole)?;
            }
        }
        Ok(())
    }

    /// Replies since the last call, and the errors among them.
    pub fn take(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.n_replies), std::mem::take(&mut self.n_errors))
    }

    /// The first error that came.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn read_line(&mut self, line: &[u8]) -> io::Result<()> {
        let text = line.strip_suffix(b"\r\n").ok_or_else(|| no_reply(line))?;
        let (kind, rest) = text.split_first().ok_or_else(|| no_reply(line))?;
        let number = || -> io::Result<i64> {
            let text = std::str::from_utf8(rest).map_err(|_| no_reply(line))?;
            text.parse().map_err(|_| no_reply(line))
        };
        match kind {
            b'+' | b':' | b'_' | b',' | b'#' | b'(' => self.end_value(),
            b'-' => {
                self.n_errors += 1;
                self.error.get_or_insert_with(|| String::from_utf8_lossy(rest).into_owned());
                self.end_value();
            }
            b'$' | b'=' | b'!' => match usize::try_from(number()?) {
                Ok(len) => self.n_skipped = len + 2,
                Err(_) => self.end_value(),
            },
            b'*' | b'~' | b'>' => self.begin_values(number()?),
            b'%' => self.begin_values(2 * number()?),
            _ => return Err(no_reply(line)),
        }
        Ok(())
    }

    /// A value made of so many others, or null.
    fn begin_values(&mut self, n_values: i64) {
        match u64::try_from(n_values) {
            // It is missing itself, unless it is the reply.
            Ok(n_values) if n_values > 0 => self.n_missing = self.n_missing.max(1) - 1 + n_values,
            _ => self.end_value(),
        }
    }

    fn end_value(&mut self) {
        self.n_missing = self.n_missing.saturating_sub(1);
        if self.n_missing == 0 {
            self.n_replies += 1;
        }
    }
}

fn no_reply(bytes: &[u8]) -> io::Error {
    let shown = &bytes[..bytes.len().min(80)];
    io::Error::other(format!("no reply: {}", shown.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_counted_however_they_are_split() {
        let stream = b"+OK\r\n:1\r\n$3\r\na\nb\r\n$-1\r\n*2\r\n*1\r\n$0\r\n\r\n:2\r\n*0\r\n*-1\r\n-ERR no\r\n\
            %1\r\n+k\r\n~2\r\n:1\r\n:2\r\n_\r\n,1.5\r\n";
        for len in 1..=stream.len() {
            let mut counter = Counter::default();
            stream.chunks(len).for_each(|part| counter.feed(part).unwrap());
            assert_eq!(counter.take(), (11, 1), "in parts of {len}");
            assert_eq!(counter.error(), Some("ERR no"));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in [b"hello\r\n".as_slice(), b"$x\r\n", b"+OK\n", b"\r\n"] {
            assert!(Counter::default().feed(bytes).is_err());
        }
    }
}
