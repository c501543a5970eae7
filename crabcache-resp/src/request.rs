//! The request parser: multibulk (`*2\r\n$3\r\nGET\r\n...`) and inline (`GET key\r\n`) requests.
//!
//! It copies nothing: an argument is a [`Span`] of the read buffer. It is resumable: an unfinished
//! request costs each byte once, however the bytes arrive. It allocates by what has arrived, never
//! by a length that a client claims.
//!
//! Invariant: the result does not depend on how the bytes were split (property test below).
//!
//! Source: the RESP specification; where that is silent, the behaviour of Redis 8.2.

use crate::error::ProtocolError;
use crate::reply::{Protocol, Reply};
use crate::words::{plain_words, split_words};

/// A line (inline request, count after `*`, length after `$`) must end within this many bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Where one argument stands in the buffer that was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Length in bytes.
    pub len: usize,
}

impl Span {
    /// The argument's bytes in `buf`, the buffer that was parsed.
    #[inline]
    pub fn of<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        &buf[self.start..self.start + self.len]
    }
}

/// What a client may ask for. Depends on whether it has authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most arguments of a request.
    pub multibulk_len_max: i64,
    /// Longest argument in bytes (`proto-max-bulk-len`).
    pub bulk_len_max: i64,
    /// Whether the client has authenticated: decides which error an excess gives.
    pub authenticated: bool,
}

impl Limits {
    /// Limits of an authenticated client.
    pub const fn authenticated(bulk_len_max: i64) -> Self {
        Limits { multibulk_len_max: i32::MAX as i64, bulk_len_max, authenticated: true }
    }

    /// Limits before authentication: 10 arguments of 16 KB.
    pub const UNAUTHENTICATED: Limits =
        Limits { multibulk_len_max: 10, bulk_len_max: 16 * 1024, authenticated: false };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::authenticated(512 * 1024 * 1024)
    }
}

/// What a call of [`RequestParser::parse`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A whole request of `consumed` bytes. It may have no argument (empty line, `*0`).
    Complete {
        /// Bytes of the request, from its start.
        consumed: usize,
    },
    /// The request goes on behind the end of the buffer.
    Incomplete {
        /// At least so many bytes are still to come.
        wanted: usize,
    },
}

/// Parser state of one connection: how far the request at the front of the buffer was read.
#[derive(Debug, Default)]
pub struct RequestParser {
    /// Bytes of the unfinished request read so far.
    pos: usize,
    /// Arguments still to come; 0 between requests.
    remaining: i64,
    /// Length of the argument whose bytes come next, if its `$` line was read.
    bulk_len: Option<usize>,
    /// Arguments of the unfinished request, relative to its first byte.
    spans: Vec<Span>,
    /// Their bytes.
    words_bytes: usize,
}

impl RequestParser {
    /// Reads the request that starts at `buf[start]` and appends its arguments to `out`, as spans
    /// of `buf`.
    ///
    /// After `Incomplete`, call again with the same bytes and more behind them; the request may
    /// have moved in the buffer. Quotes of an inline request are resolved in place; any other
    /// request is left as it is and can be parsed again.
    /// O(new bytes).
    ///
    /// # Errors
    /// A [`ProtocolError`] ends the conversation: the parser must not be used again.
    #[inline(always)] // into the loop over requests, of which there is one
    pub fn parse(
        &mut self,
        buf: &mut [u8],
        start: usize,
        limits: &Limits,
        out: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        if self.remaining == 0 {
            match buf.get(start) {
                None => return Ok(Progress::Incomplete { wanted: 1 }),
                Some(b'*') => {}
                Some(_) => return parse_inline(buf, start, out),
            }
        }
        if self.pos != 0 {
            return self.resume(&buf[start..], start, limits, out);
        }
        let mark = out.len();
        let progress = self.parse_multibulk(&buf[start..], start, limits, out)?;
        if let Progress::Incomplete { .. } = progress {
            let unfinished = out.drain(mark..);
            self.words_bytes = unfinished.as_slice().iter().map(|span| span.len).sum();
            self.spans.extend(unfinished.map(|span| Span { start: span.start - start, ..span }));
        }
        Ok(progress)
    }

    /// Whether the request at the front of the buffer was begun and not finished.
    pub fn is_inside_request(&self) -> bool {
        self.pos != 0
    }

    /// Bytes of the unfinished request that were read so far.
    pub fn n_read(&self) -> usize {
        self.pos
    }

    /// Bytes of the arguments of the unfinished request that are complete.
    pub fn words_bytes(&self) -> usize {
        self.words_bytes
    }

    /// Bytes of memory the parser holds for an unfinished request.
    pub fn mem_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>()
    }

    /// Goes on with an unfinished request, whose arguments are kept relative to its start.
    #[cold]
    fn resume(
        &mut self,
        request: &[u8],
        start: usize,
        limits: &Limits,
        out: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        let mut spans = std::mem::take(&mut self.spans);
        let n_known = spans.len();
        let progress = self.parse_multibulk(request, 0, limits, &mut spans)?;
        match progress {
            Progress::Complete { .. } => {
                out.extend(spans.iter().map(|span| Span { start: span.start + start, ..*span }));
                self.words_bytes = 0;
            }
            Progress::Incomplete { .. } => {
                self.words_bytes += spans[n_known..].iter().map(|span| span.len).sum::<usize>();
                self.spans = spans;
            }
        }
        Ok(progress)
    }

    /// `request` begins with `*`; spans are offset by `base`.
    #[inline(always)] // as above
    fn parse_multibulk(
        &mut self,
        request: &[u8],
        base: usize,
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        let mut pos = self.pos;
        if self.remaining == 0 {
            let (count, next) = match read_plain_number(request, 0, b'*') {
                Some((count, next)) if count as i64 <= limits.multibulk_len_max => {
                    (count as i64, next)
                }
                _ => match read_count(request, limits)? {
                    Some(found) => found,
                    None => return Ok(Progress::Incomplete { wanted: 1 }),
                },
            };
            if count <= 0 {
                return Ok(Progress::Complete { consumed: next });
            }
            (self.remaining, pos) = (count, next);
        }
        if self.bulk_len.is_none() {
            pos = self.take_whole_bulks(request, pos, base, limits, spans);
        }
        if self.remaining == 0 {
            self.pos = 0;
            return Ok(Progress::Complete { consumed: pos });
        }
        self.take_bulks(request, pos, base, limits, spans)
    }

    /// Takes arguments as long as they are whole and nothing is wrong with them. Returns the position
    /// behind them.
    #[inline(always)]
    fn take_whole_bulks(
        &mut self,
        request: &[u8],
        mut pos: usize,
        base: usize,
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> usize {
        let mut remaining = self.remaining;
        while remaining > 0
            && let Some((len, start)) = read_plain_number(request, pos, b'$')
            && len as i64 <= limits.bulk_len_max
            && start + len + 2 <= request.len()
        {
            spans.push(Span { start: base + start, len });
            remaining -= 1;
            pos = start + len + 2;
        }
        self.remaining = remaining;
        pos
    }

    /// Takes the other arguments, or tells what is wrong with them.
    #[inline(never)]
    fn take_bulks(
        &mut self,
        request: &[u8],
        mut pos: usize,
        base: usize,
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        while self.remaining > 0 {
            let len = match self.bulk_len {
                Some(len) => len,
                None => match read_bulk_len(request, pos, limits)? {
                    Some((len, next)) => {
                        pos = next;
                        len
                    }
                    None => {
                        self.pos = pos;
                        return Ok(Progress::Incomplete { wanted: 1 });
                    }
                },
            };
            let end = pos + len + 2;
            if request.len() < end {
                self.pos = pos;
                self.bulk_len = Some(len);
                return Ok(Progress::Incomplete { wanted: end - request.len() });
            }
            spans.push(Span { start: base + pos, len });
            self.bulk_len = None;
            self.remaining -= 1;
            pos = end;
        }
        self.pos = 0;
        Ok(Progress::Complete { consumed: pos })
    }
}

/// A line of `kind` and a number of up to nine digits, and the position behind it. `None`: it must be
/// looked at more closely.
#[inline(always)]
fn read_plain_number(request: &[u8], pos: usize, kind: u8) -> Option<(usize, usize)> {
    // The shortest argument still has two bytes behind its line.
    let &[first, tens, ones, third, _] = request.get(pos..)?.first_chunk()?;
    let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
    if first != kind || digit(tens) > 9 {
        return None;
    }
    if ones == b'\r' {
        return Some((digit(tens), pos + 4));
    }
    if digit(ones) > 9 || tens == b'0' {
        // With a zero in front it is no number.
        return None;
    }
    let value = digit(tens) * 10 + digit(ones);
    if third == b'\r' {
        Some((value, pos + 5))
    } else {
        read_further_digits(request, pos + 3, value)
    }
}

/// Goes on with a number at the digit that stands at `pos`.
fn read_further_digits(request: &[u8], mut pos: usize, mut value: usize) -> Option<(usize, usize)> {
    const N_DIGITS_MAX: usize = 7;
    for byte in request.get(pos..)?.iter().take(N_DIGITS_MAX + 1) {
        if *byte == b'\r' {
            return (pos + 2 <= request.len()).then_some((value, pos + 2));
        }
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + usize::from(digit);
        pos += 1;
    }
    None
}

/// The count after `*` at the front of `request`, and the position behind its line.
#[inline(never)]
fn read_count(request: &[u8], limits: &Limits) -> Result<Option<(i64, usize)>, ProtocolError> {
    match read_number(request, 1) {
        Line::Number(count, next) => {
            if count > limits.multibulk_len_max {
                return Err(if limits.authenticated || count > i64::from(i32::MAX) {
                    ProtocolError::MultibulkLength
                } else {
                    ProtocolError::UnauthenticatedMultibulkLength
                });
            }
            Ok(Some((count, next)))
        }
        Line::NotNumber => Err(ProtocolError::MultibulkLength),
        Line::TooLong => Err(ProtocolError::MultibulkCountTooLong),
        Line::Unfinished => Ok(None),
    }
}

/// The length after the `$` at `pos`, and the position behind its line.
#[inline]
fn read_bulk_len(
    request: &[u8],
    pos: usize,
    limits: &Limits,
) -> Result<Option<(usize, usize)>, ProtocolError> {
    match request.get(pos) {
        // Compat: the reference looks for the line end first, so a wrong byte is only reported
        // once its line is complete.
        Some(b'$') => {}
        Some(&other) => {
            return match read_number_slowly(request, pos) {
                Line::Unfinished => Ok(None),
                Line::TooLong => Err(ProtocolError::BulkCountTooLong),
                _ => Err(ProtocolError::ExpectedDollar(other)),
            };
        }
        None => return Ok(None),
    }
    match read_number(request, pos + 1) {
        Line::Number(len, next) => {
            if len > limits.bulk_len_max && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedBulkLength);
            }
            match usize::try_from(len) {
                Ok(len_bytes) if len <= limits.bulk_len_max => Ok(Some((len_bytes, next))),
                _ => Err(ProtocolError::BulkLength),
            }
        }
        Line::NotNumber => Err(ProtocolError::BulkLength),
        Line::TooLong => Err(ProtocolError::BulkCountTooLong),
        Line::Unfinished => Ok(None),
    }
}

enum Line {
    /// The number, and the position behind the line.
    Number(i64, usize),
    NotNumber,
    TooLong,
    Unfinished,
}

/// Reads a decimal number that a CR LF ends. Compat: the byte after CR is not looked at.
fn read_number(request: &[u8], pos: usize) -> Line {
    let mut value: i64 = 0;
    // Up to 18 digits cannot overflow; anything else goes the careful way.
    for (index, &byte) in request[pos..].iter().take(19).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            if index == 18 {
                break;
            }
            value = value * 10 + i64::from(digit);
        } else if byte == b'\r'
            && index > 0
            && (request[pos] != b'0' || index == 1)
            && request.len() > pos + index + 1
        {
            return Line::Number(value, pos + index + 2);
        } else {
            break;
        }
    }
    read_number_slowly(request, pos)
}

#[cold]
fn read_number_slowly(request: &[u8], pos: usize) -> Line {
    let rest = &request[pos..];
    let Some(len) = memchr::memchr(b'\r', rest) else {
        return if rest.len() > LINE_BYTES_MAX { Line::TooLong } else { Line::Unfinished };
    };
    if rest.len() < len + 2 {
        return Line::Unfinished;
    }
    match crate::number::parse_i64(&rest[..len]) {
        Some(value) => Line::Number(value, pos + len + 2),
        None => Line::NotNumber,
    }
}

/// A line without `*`: words, with quoting that is resolved in place.
#[cold]
fn parse_inline(
    buf: &mut [u8],
    start: usize,
    out: &mut Vec<Span>,
) -> Result<Progress, ProtocolError> {
    let rest = &buf[start..];
    // Compat: the reference looks for the line's end as in a C string, which a zero byte ends.
    let found = memchr::memchr2(b'\n', 0, rest).filter(|at| rest[*at] == b'\n');
    let Some(line_end) = found else {
        return if rest.len() > LINE_BYTES_MAX {
            Err(ProtocolError::InlineTooLong)
        } else {
            Ok(Progress::Incomplete { wanted: 1 })
        };
    };
    let line = rest[..line_end].strip_suffix(b"\r").unwrap_or(&rest[..line_end]);
    if memchr::memchr2(b'"', b'\'', line).is_none() {
        out.extend(plain_words(line).map(|word| Span { start: start + word.start, ..word }));
        return Ok(Progress::Complete { consumed: line_end + 1 });
    }
    let words = split_words(line).ok_or(ProtocolError::UnbalancedQuotes)?;
    // A word is never longer than its quoted form, so the words fit where the line stood.
    let mut at = start;
    for word in &words {
        buf[at..at + word.len()].copy_from_slice(word);
        out.push(Span { start: at, len: word.len() });
        at += word.len();
    }
    Ok(Progress::Complete { consumed: line_end + 1 })
}

/// Appends a request of these words.
pub fn write<'w>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'w [u8]>) {
    let mut reply = Reply::new(out, Protocol::Resp2);
    reply.array(words.len());
    words.for_each(|word| reply.bulk(word));
}

#[cfg(test)]
mod tests;
