//! Reads commands from an append-only file.
//!
//! A file is a row of requests, with annotations between them: lines that begin with `#`. It may end
//! within one of them, if the system went down while it was written; that is told from what cannot
//! be read at all.

use crate::command::apply::Batch;
use crabcache_resp::{Limits, Progress, RequestParser};
use std::io::{self, Read};

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;
/// Requests handed over at a time.
const BATCH_LEN_MAX: usize = 256;
/// Lengths beyond are nonsense, whatever the parameters of the server that wrote the file were.
const WORD_BYTES_MAX: i64 = 1 << 40;

/// Why a file cannot be read on.
#[derive(Debug)]
pub enum Stop {
    /// It ends within a request.
    Truncated,
    /// It has something that is no request.
    Malformed,
    /// The system cannot read it.
    Io(io::Error),
}

/// See the module's text.
pub struct Reader<R> {
    inner: R,
    parser: RequestParser,
    /// Bytes that are not handed over yet; what of them is parsed is in a batch that is being made.
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    offset: u64,
    is_at_end: bool,
}

impl<R: Read> Reader<R> {
    /// Goes on reading at `offset` of a file, behind bytes that were read already.
    pub fn new(inner: R, offset: u64) -> Reader<R> {
        Reader {
            inner,
            parser: RequestParser::default(),
            buffer: Vec::new(),
            offset,
            is_at_end: false,
        }
    }

    /// The next requests; none at the end of the file.
    ///
    /// # Errors
    /// See [`Stop`]. What stands before it has been handed over.
    pub fn next_batch(&mut self) -> Result<Batch, Stop> {
        let mut batch = Batch::default();
        let mut at = 0;
        loop {
            let step = self.step(&mut at, &mut batch);
            let is_full = batch.len() >= BATCH_LEN_MAX;
            match step {
                Ok(()) if !is_full => {}
                Ok(()) => break,
                Err(NoStep::NeedsInput) if !batch.is_empty() => break,
                Err(NoStep::NeedsInput) if !self.is_at_end => self.fill()?,
                Err(NoStep::NeedsInput) if at == self.buffer.len() => break,
                Err(NoStep::NeedsInput) => return Err(Stop::Truncated),
                Err(NoStep::Malformed) if !batch.is_empty() => break,
                Err(NoStep::Malformed) => return Err(Stop::Malformed),
            }
        }
        // What is left goes on in a buffer of its own.
        let rest = self.buffer.split_off(at);
        batch.bytes = std::mem::replace(&mut self.buffer, rest);
        self.offset += at as u64;
        Ok(batch)
    }

    fn fill(&mut self) -> Result<(), Stop> {
        let mut part = self.inner.by_ref().take(READ_BYTES as u64);
        let n_read = part.read_to_end(&mut self.buffer).map_err(Stop::Io)?;
        self.is_at_end = n_read == 0;
        Ok(())
    }

    /// Reads one request or annotation, which begins at `at` of the buffer.
    fn step(&mut self, at: &mut usize, batch: &mut Batch) -> Result<(), NoStep> {
        if !self.parser.is_inside_request() {
            match self.buffer.get(*at) {
                None => return Err(NoStep::NeedsInput),
                Some(b'#') => {
                    let end = memchr::memchr(b'\n', &self.buffer[*at..]);
                    *at += end.ok_or(NoStep::NeedsInput)? + 1;
                    return Ok(());
                }
                Some(b'*') => {}
                Some(_) => return Err(NoStep::Malformed),
            }
        }
        let n_spans = batch.spans.len();
        let limits = Limits::authenticated(WORD_BYTES_MAX);
        match self.parser.parse(&mut self.buffer, *at, &limits, &mut batch.spans) {
            Ok(Progress::Complete { .. }) if batch.spans.len() == n_spans => Err(NoStep::Malformed),
            Ok(Progress::Complete { consumed }) => {
                *at += consumed;
                batch.ends.push((batch.spans.len(), self.offset + *at as u64));
                Ok(())
            }
            Ok(Progress::Incomplete { .. }) => Err(NoStep::NeedsInput),
            Err(_) => Err(NoStep::Malformed),
        }
    }
}

enum NoStep {
    NeedsInput,
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests of a file, and how it ends.
    fn read(bytes: &[u8]) -> (Vec<String>, Option<Stop>) {
        let mut reader = Reader::new(bytes, 0);
        let mut lines = Vec::new();
        loop {
            match reader.next_batch() {
                Ok(batch) if batch.is_empty() => return (lines, None),
                Ok(batch) => lines.extend((0..batch.len()).map(|index| {
                    let words = batch.args(index).iter().map(String::from_utf8_lossy);
                    format!("{} @{}", words.collect::<Vec<_>>().join(" "), batch.ends[index].1)
                })),
                Err(stop) => return (lines, Some(stop)),
            }
        }
    }

    #[test]
    fn requests_and_annotations() {
        let text = b"#TS:1\r\n*1\r\n$4\r\nPING\r\n#x\n*2\r\n$1\r\na\r\n$2\r\n\r\n\r\n";
        let (lines, stop) = read(text);
        assert_eq!(lines, ["PING @21", "a \r\n @43"]);
        assert!(stop.is_none());
        assert!(read(b"").1.is_none());
    }

    #[test]
    fn every_cut_is_found() {
        let text = b"*1\r\n$4\r\nPING\r\n#TS:1\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        for len in 1..text.len() {
            let (lines, stop) = read(&text[..len]);
            match len {
                14 | 21 => assert!(stop.is_none(), "{len}"),
                _ => assert!(matches!(stop, Some(Stop::Truncated)), "{len}: {stop:?}"),
            }
            assert_eq!(lines.len(), usize::from(len >= 14), "{len}");
        }
    }

    #[test]
    fn what_is_no_request_is_found() {
        for bad in ["x", "*0\r\n", "*x\r\n", "*1\r\nx\r\n", "*1\r\n$-1\r\n", "PING\r\n"] {
            let text = format!("*1\r\n$4\r\nPING\r\n{bad}");
            let (lines, stop) = read(text.as_bytes());
            assert!(matches!(stop, Some(Stop::Malformed)), "{bad}");
            assert_eq!(lines.len(), 1);
        }
        assert!(matches!(read(b"*1\r\n$1099511627777\r\n").1, Some(Stop::Malformed)));
        assert!(matches!(read(b"*1\r\n$1099511627776\r\nabc").1, Some(Stop::Truncated)));
    }

    #[test]
    fn long_requests_and_many_of_them() {
        let word = "x".repeat(3 * READ_BYTES);
        let long = format!("*2\r\n$3\r\nSET\r\n${}\r\n{word}\r\n", word.len());
        let text = "*1\r\n$4\r\nPING\r\n".repeat(1000) + &long + "*1\r\n$4\r\nPING\r\n";
        let (lines, stop) = read(text.as_bytes());
        assert!(stop.is_none());
        assert_eq!(lines.len(), 1002);
        assert_eq!(lines[1001], format!("PING @{}", text.len()));
    }
}
