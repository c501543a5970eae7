//! The reply writer: one method per kind of reply, straight into the connection's output buffer.
//!
//! This is the only place that knows how RESP2 and RESP3 differ: handlers say `map(3)` or
//! `null()` and never ask for the version. It keeps no tree and allocates nothing of its own.
//!
//! Invariant: text of status and error replies never carries a line end.

use crate::number;

/// The protocol version of a connection; HELLO switches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// RESP2: what a connection starts with.
    #[default]
    Resp2,
    /// RESP3: maps, sets, nulls, doubles, booleans, pushes.
    Resp3,
}

impl Protocol {
    /// The number HELLO uses.
    pub fn number(self) -> i64 {
        match self {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }
}

/// Bytes of the longest line of a number below 2^32.
const LINE_BYTES_MAX: usize = 16;

/// Bytes of the longest string that [`Reply::short_bulk`] writes, and of the reply.
const SHORT_BYTES_MAX: usize = 25;
const SHORT_BULK_BYTES_MAX: usize = "$25\r\n".len() + SHORT_BYTES_MAX + "\r\n".len();

/// What short strings begin with, by their length; those of one digit with a byte too many.
static SHORT_HEADERS: [[u8; 5]; SHORT_BYTES_MAX + 1] = {
    let mut headers = [[0; 5]; SHORT_BYTES_MAX + 1];
    let mut len = 0;
    while len < headers.len() {
        let [tens, ones] = DIGITS[len];
        headers[len] = match len {
            0..=9 => [b'$', ones, b'\r', b'\n', 0],
            _ => [b'$', tens, ones, b'\r', b'\n'],
        };
        len += 1;
    }
    headers
};

/// The digits of the numbers below a hundred.
static DIGITS: [[u8; 2]; 100] = {
    let mut digits = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < digits.len() {
        digits[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    digits
};

/// Writes replies of one connection into its output buffer.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

/// An aggregate whose length is not known when it begins; see [`Reply::deferred`].
#[derive(Debug)]
#[must_use]
pub struct Deferred {
    at: usize,
}

impl<'a> Reply<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Reply { out, protocol }
    }

    /// The same output under another borrow.
    pub fn reborrow(&mut self) -> Reply<'_> {
        Reply { out: self.out, protocol: self.protocol }
    }

    /// The version that replies are written in.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Replies from here on are written in `protocol` (HELLO).
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Bytes in the output buffer: a mark for [`Reply::truncate`].
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether the output buffer is empty.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes back all that was written since [`Reply::len`] was `mark`.
    pub fn truncate(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// What was written since `mark`.
    pub fn written_since(&self, mark: usize) -> &[u8] {
        &self.out[mark..]
    }

    /// Appends bytes that are replies already.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Inserts bytes that are replies already at `mark`, before what was written since.
    pub fn insert(&mut self, mark: usize, bytes: &[u8]) {
        self.out.splice(mark..mark, bytes.iter().copied());
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// `+PONG`
    #[inline]
    pub fn pong(&mut self) {
        self.out.extend_from_slice(b"+PONG\r\n");
    }

    /// A status line, such as `+string`. Line ends in `text` become spaces.
    pub fn status(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// A status line of any bytes. Line ends become spaces.
    pub fn status_bytes(&mut self, text: &[u8]) {
        self.line(b'+', text);
    }

    /// An error line: `-` and `text`, which begins with the error code. Line ends become spaces.
    pub fn error(&mut self, text: &[u8]) {
        self.line(b'-', text);
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A length or count as an integer.
    #[inline]
    pub fn count(&mut self, value: usize) {
        self.int(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// A binary-safe string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        if bytes.len() <= SHORT_BYTES_MAX {
            return self.short_bulk(bytes);
        }
        self.length(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer as a string.
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// No value: `$-1`, or `_` in RESP3.
    #[inline]
    pub fn null(&mut self) {
        self.by_version(b"$-1\r\n", b"_\r\n");
    }

    /// No array: `*-1`, or `_` in RESP3.
    pub fn null_array(&mut self) {
        self.by_version(b"*-1\r\n", b"_\r\n");
    }

    /// Begins an array of `len` replies.
    pub fn array(&mut self, len: usize) {
        self.length(b'*', len);
    }

    /// Begins a map of `len` pairs; in RESP2 an array of twice as many replies.
    pub fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.length(b'*', len * 2),
            Protocol::Resp3 => self.length(b'%', len),
        }
    }

    /// Begins an array of `len` pairs, each with two replies after [`Reply::nested_pair`]; in RESP2
    /// an array of twice as many replies.
    pub fn pairs(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.length(b'*', len * 2),
            Protocol::Resp3 => self.length(b'*', len),
        }
    }

    /// Begins a pair of [`Reply::pairs`].
    pub fn nested_pair(&mut self) {
        if self.protocol == Protocol::Resp3 {
            self.length(b'*', 2);
        }
    }

    /// Begins a set of `len` members; in RESP2 an array.
    pub fn set(&mut self, len: usize) {
        self.length(if self.protocol == Protocol::Resp3 { b'~' } else { b'*' }, len);
    }

    /// Begins an out-of-band message of `len` replies; in RESP2 an array.
    pub fn push(&mut self, len: usize) {
        self.length(if self.protocol == Protocol::Resp3 { b'>' } else { b'*' }, len);
    }

    /// Begins `len` pairs that tell more of the reply behind them. RESP3 alone has them.
    pub fn attributes(&mut self, len: usize) {
        debug_assert_eq!(self.protocol, Protocol::Resp3);
        self.length(b'|', len);
    }

    /// A double; in RESP2 a string of its digits.
    pub fn double(&mut self, value: f64) {
        let mut text = Vec::with_capacity(number::F64_TEXT_BYTES_MAX);
        number::write_f64(&mut text, value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(&text),
            Protocol::Resp3 => self.line(b',', &text),
        }
    }

    /// A boolean; in RESP2 the integer 0 or 1.
    pub fn bool(&mut self, value: bool) {
        if value {
            self.by_version(b":1\r\n", b"#t\r\n");
        } else {
            self.by_version(b":0\r\n", b"#f\r\n");
        }
    }

    /// An integer of any size; in RESP2 a string of its digits.
    pub fn big_number(&mut self, digits: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits),
            Protocol::Resp3 => self.line(b'(', digits),
        }
    }

    /// Text to be shown as it is, with its three-letter format; in RESP2 a plain string.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        debug_assert_eq!(format.len(), 3);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.length(b'=', text.len() + 4);
                self.out.extend_from_slice(format.as_bytes());
                self.out.push(b':');
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Begins an array, map or set whose length only [`Reply::end_array`] and its siblings tell.
    ///
    /// Costs one move of the bytes written in between.
    pub fn deferred(&mut self) -> Deferred {
        Deferred { at: self.out.len() }
    }

    /// Ends a deferred array of `len` replies.
    pub fn end_array(&mut self, deferred: Deferred, len: usize) {
        self.end(deferred, |reply| reply.array(len));
    }

    /// Ends a deferred map of `len` pairs.
    pub fn end_map(&mut self, deferred: Deferred, len: usize) {
        self.end(deferred, |reply| reply.map(len));
    }

    /// Ends a deferred set of `len` members.
    pub fn end_set(&mut self, deferred: Deferred, len: usize) {
        self.end(deferred, |reply| reply.set(len));
    }

    /// Begins one pair of a map that [`Reply::end_pairs`] ends: in RESP2 an array of its own.
    pub fn pair(&mut self) {
        if self.protocol == Protocol::Resp2 {
            self.array(2);
        }
    }

    /// Ends a deferred map of `len` pairs, which is an array of pairs in RESP2.
    pub fn end_pairs(&mut self, deferred: Deferred, len: usize) {
        self.end(deferred, |reply| match reply.protocol {
            Protocol::Resp2 => reply.array(len),
            Protocol::Resp3 => reply.map(len),
        });
    }

    fn end(&mut self, deferred: Deferred, header: impl FnOnce(&mut Reply<'_>)) {
        let mut bytes = Vec::with_capacity(24);
        header(&mut Reply::new(&mut bytes, self.protocol));
        self.out.splice(deferred.at..deferred.at, bytes);
    }

    #[inline]
    fn by_version(&mut self, resp2: &[u8], resp3: &[u8]) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => resp2,
            Protocol::Resp3 => resp3,
        });
    }

    #[inline]
    fn length(&mut self, kind: u8, len: usize) {
        // The common cases are stores of a fixed size.
        match len {
            0..=9 => self.out.extend_from_slice(&[kind, b'0' + len as u8, b'\r', b'\n']),
            10..=99 => {
                let [tens, ones] = DIGITS[len];
                self.out.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
            }
            100..=999 => {
                let ([_, hundreds], [tens, ones]) = (DIGITS[len / 100], DIGITS[len % 100]);
                self.out.extend_from_slice(&[kind, hundreds, tens, ones, b'\r', b'\n']);
            }
            _ => self.header(kind, i64::try_from(len).unwrap_or(i64::MAX)),
        }
    }

    #[inline]
    fn header(&mut self, kind: u8, value: i64) {
        let Ok(mut rest) = u32::try_from(value) else { return self.long_header(kind, value) };
        let len = rest.checked_ilog10().map_or(1, |n| n as usize + 1) + 3;
        self.line_of(len, |line: &mut [u8; LINE_BYTES_MAX]| {
            let mut at = len;
            let mut put = |pair: [u8; 2]| {
                at -= 2;
                line[at..at + 2].copy_from_slice(&pair);
            };
            put(*b"\r\n");
            while rest >= 100 {
                put(DIGITS[(rest % 100) as usize]);
                rest /= 100;
            }
            if rest >= 10 {
                put(DIGITS[rest as usize]);
            } else {
                line[1] = b'0' + rest as u8;
            }
            line[0] = kind;
        });
    }

    /// [`Reply::bulk`] of a short string, as most elements of collections are: the buffer's length
    /// changes once, not with each part. A chain of changes, each of which waits for the one before,
    /// takes more time than all the rest.
    #[inline(always)]
    fn short_bulk(&mut self, bytes: &[u8]) {
        let header = &SHORT_HEADERS[bytes.len()];
        let start = 4 + usize::from(bytes.len() > 9);
        let end = start + bytes.len();
        self.line_of(end + 2, |line: &mut [u8; SHORT_BULK_BYTES_MAX]| {
            line[..5].copy_from_slice(header);
            copy_short(&mut line[start..end], bytes);
            line[end..end + 2].copy_from_slice(b"\r\n");
        });
    }

    /// Appends a line of `len` bytes that `write` puts in its place, where it finds zeros: a line put
    /// together elsewhere in small stores would be slow to copy at once.
    #[inline(always)]
    fn line_of<const N: usize>(&mut self, len: usize, write: impl FnOnce(&mut [u8; N])) {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; N]);
        if let Some(line) = self.out.last_chunk_mut() {
            write(line);
        }
        self.out.truncate(start + len);
    }

    #[cold]
    fn long_header(&mut self, kind: u8, value: i64) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(value).as_bytes();
        self.out.reserve(digits.len() + 3);
        self.out.push(kind);
        self.out.extend_from_slice(digits);
        self.out.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.push(kind);
        let start = self.out.len();
        self.out.extend_from_slice(text);
        for byte in &mut self.out[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Copies so few bytes that calling for it would take longer.
#[inline(always)]
fn copy_short(to: &mut [u8], from: &[u8]) {
    if copy_ends::<16>(to, from) || copy_ends::<8>(to, from) || copy_ends::<4>(to, from) {
        return;
    }
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Copies between `N` and twice as many bytes, as the first and the last `N`. Returns whether there are
/// so many.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    debug_assert!(to.len() == from.len() && from.len() <= SHORT_BYTES_MAX);
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
        return false;
    };
    if let Some(to) = to.first_chunk_mut() {
        *to = *first;
    }
    if let Some(to) = to.last_chunk_mut() {
        *to = *last;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(&mut Reply<'_>), resp2: &str, resp3: &str) {
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let mut out = Vec::new();
            write(&mut Reply::new(&mut out, protocol));
            assert_eq!(out.escape_ascii().to_string(), expected, "{protocol:?}");
        }
    }

    #[test]
    fn each_kind_in_both_versions() {
        let same = |write: fn(&mut Reply<'_>), text: &str| check(write, text, text);
        same(|r| r.ok(), r"+OK\r\n");
        same(|r| r.pong(), r"+PONG\r\n");
        same(|r| r.status("string"), r"+string\r\n");
        same(|r| r.error(b"ERR bad\r\nthing"), r"-ERR bad  thing\r\n");
        same(|r| r.int(-7), r":-7\r\n");
        same(|r| r.int(0), r":0\r\n");
        same(|r| r.int(1_234_567), r":1234567\r\n");
        same(|r| r.int(i64::MIN), r":-9223372036854775808\r\n");
        same(|r| r.bulk(b"a\0b"), r"$3\r\na\x00b\r\n");
        same(|r| r.bulk(b"0123456789"), r"$10\r\n0123456789\r\n");
        same(|r| r.array(12), r"*12\r\n");
        check(|r| r.null(), r"$-1\r\n", r"_\r\n");
        check(|r| r.null_array(), r"*-1\r\n", r"_\r\n");
        check(|r| r.map(2), r"*4\r\n", r"%2\r\n");
        check(|r| r.pairs(2), r"*4\r\n", r"*2\r\n");
        check(|r| r.nested_pair(), "", r"*2\r\n");
        check(|r| r.set(2), r"*2\r\n", r"~2\r\n");
        check(|r| r.push(3), r"*3\r\n", r">3\r\n");
        check(|r| r.double(0.5), r"$3\r\n0.5\r\n", r",0.5\r\n");
        check(|r| r.bool(true), r":1\r\n", r"#t\r\n");
        check(|r| r.bool(false), r":0\r\n", r"#f\r\n");
        check(|r| r.big_number(b"123"), r"$3\r\n123\r\n", r"(123\r\n");
        check(|r| r.verbatim("txt", b"hi"), r"$2\r\nhi\r\n", r"=6\r\ntxt:hi\r\n");
    }

    #[test]
    fn strings_of_every_length() {
        let text: Vec<u8> = (b'!'..=b'~').cycle().take(1100).collect();
        for len in (0..130).chain([999, 1000, 1001, 1100]) {
            let mut out = b"before".to_vec();
            Reply::new(&mut out, Protocol::Resp2).bulk(&text[..len]);
            let expected = [format!("before${len}\r\n").as_bytes(), &text[..len], b"\r\n"].concat();
            assert_eq!(out, expected, "{len}");
        }
    }

    #[test]
    fn integers_of_every_length() {
        let powers = (0..19).map(|exponent| 10i64.pow(exponent));
        let numbers = powers.flat_map(|power| [power - 1, power, power + 1, -power]);
        for number in numbers.chain([i64::MAX, i64::MIN, u32::MAX.into(), 4_294_967_296]) {
            let mut out = b"before".to_vec();
            Reply::new(&mut out, Protocol::Resp2).int(number);
            assert_eq!(out, format!("before:{number}\r\n").as_bytes());
        }
    }

    #[test]
    fn deferred_lengths_nest() {
        let write = |r: &mut Reply<'_>| {
            let outer = r.deferred();
            r.int(1);
            let inner = r.deferred();
            r.int(2);
            r.int(3);
            r.end_map(inner, 1);
            r.end_array(outer, 2);
        };
        check(write, r"*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n", r"*2\r\n:1\r\n%1\r\n:2\r\n:3\r\n");
        let write = |r: &mut Reply<'_>| {
            let pairs = r.deferred();
            r.pair();
            r.int(1);
            r.int(2);
            r.end_pairs(pairs, 1);
        };
        check(write, r"*1\r\n*2\r\n:1\r\n:2\r\n", r"%1\r\n:1\r\n:2\r\n");
    }
}
