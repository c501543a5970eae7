//! Replies as bytes: where one ends, and what is in it.
//!
//! Unlike `crabcache_resp::Value` a [`Frame`] keeps every byte and the order of maps and sets, and it
//! shares no code with the server under test.

/// One reply, cut into the replies that it consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// All its bytes.
    pub raw: &'a [u8],
    /// First line without its end: `$3`, `*2`, `+OK`.
    pub head: &'a [u8],
    /// Bytes after the first line, of a string that says its length.
    pub body: &'a [u8],
    /// Elements of an aggregate; keys and values of a map alternate.
    pub children: Vec<Frame<'a>>,
}

/// The bytes are no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a reply: {0}")]
pub struct BadFrame(String);

impl<'a> Frame<'a> {
    /// Cuts up a complete reply, as found by [`Scanner`].
    ///
    /// # Errors
    /// If the bytes are not exactly one reply.
    pub fn parse(raw: &'a [u8]) -> Result<Frame<'a>, BadFrame> {
        let incomplete = || BadFrame(format!("incomplete: {}", raw.escape_ascii()));
        let (frame, rest) = cut(raw)?.ok_or_else(incomplete)?;
        if rest.is_empty() { Ok(frame) } else { Err(BadFrame("more than one".to_string())) }
    }

    /// The first byte: `+` status, `*` array and so on.
    pub fn kind(&self) -> u8 {
        self.head.first().copied().unwrap_or(0)
    }

    /// Whether it is a null of any form.
    pub fn is_null(&self) -> bool {
        matches!(self.head, b"_" | b"$-1" | b"*-1")
    }

    /// The text of a reply that is not an aggregate.
    pub fn text(&self) -> &'a [u8] {
        match self.kind() {
            b'$' | b'!' => self.body,
            b'=' => self.body.get(4..).unwrap_or_default(),
            _ => self.head.get(1..).unwrap_or_default(),
        }
    }

    /// The text as an integer.
    pub fn int(&self) -> Option<i64> {
        std::str::from_utf8(self.text()).ok()?.parse().ok()
    }
}

/// What the first line of a reply announces.
enum Announced {
    /// Nothing: the line is all.
    Line,
    /// So many bytes and a line end.
    Body(usize),
    /// So many replies.
    Children(usize),
}

fn announced(head: &[u8]) -> Result<Announced, BadFrame> {
    let bad = || BadFrame(head.escape_ascii().to_string());
    let number = || -> Result<i64, BadFrame> {
        let digits = std::str::from_utf8(&head[1..]).map_err(|_| bad())?;
        digits.parse().map_err(|_| bad())
    };
    let count = |times: usize, more: usize| -> Result<Announced, BadFrame> {
        match usize::try_from(number()?) {
            Ok(n) => Ok(Announced::Children(n * times + more)),
            Err(_) => Ok(Announced::Line),
        }
    };
    match head.first() {
        Some(b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(') => Ok(Announced::Line),
        Some(b'$' | b'=' | b'!') => match usize::try_from(number()?) {
            Ok(len) => Ok(Announced::Body(len)),
            Err(_) => Ok(Announced::Line),
        },
        Some(b'*' | b'~' | b'>') => count(1, 0),
        Some(b'%') => count(2, 0),
        // Attributes stand before the reply that they belong to.
        Some(b'|') => count(2, 1),
        _ => Err(bad()),
    }
}

/// The first line of `bytes` without its end, and what follows.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

fn cut(bytes: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>, BadFrame> {
    let Some((head, mut rest)) = line(bytes) else { return Ok(None) };
    let mut body = &bytes[..0];
    let mut children = Vec::new();
    match announced(head)? {
        Announced::Line => {}
        Announced::Body(len) => {
            let (Some(text), Some(after)) = (rest.get(..len), rest.get(len + 2..)) else {
                return Ok(None);
            };
            (body, rest) = (text, after);
        }
        Announced::Children(n) => {
            for _ in 0..n {
                let Some((child, after)) = cut(rest)? else { return Ok(None) };
                children.push(child);
                rest = after;
            }
        }
    }
    let raw = &bytes[..bytes.len() - rest.len()];
    Ok(Some((Frame { raw, head, body, children }, rest)))
}

/// Finds the end of a reply in a buffer that grows. Looks at each byte once.
#[derive(Debug)]
pub struct Scanner {
    at: usize,
    n_missing: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Scanner { at: 0, n_missing: 1 }
    }
}

impl Scanner {
    /// The length of the reply at the front of `bytes`, if all of it is there. Each call must get the
    /// bytes of the call before, and more.
    ///
    /// # Errors
    /// If the bytes cannot be a reply.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, BadFrame> {
        while self.n_missing > 0 {
            let Some((head, _)) = line(&bytes[self.at..]) else { return Ok(None) };
            let mut end = self.at + head.len() + 2;
            let mut n_children = 0;
            match announced(head)? {
                Announced::Line => {}
                Announced::Body(len) => end += len + 2,
                Announced::Children(n) => n_children = n,
            }
            if end > bytes.len() {
                return Ok(None);
            }
            self.at = end;
            self.n_missing += n_children;
            self.n_missing -= 1;
        }
        Ok(Some(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: &[&[u8]] = &[
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":-12\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"_\r\n",
        b"$0\r\n\r\n",
        b"$4\r\na\r\nb\r\n",
        b"*0\r\n",
        b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
        b"%1\r\n+a\r\n~2\r\n#t\r\n,1.5\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"|1\r\n+ttl\r\n:1\r\n+OK\r\n",
        b">2\r\n+a\r\n(123\r\n",
    ];

    #[test]
    fn replies_end_where_they_end_however_they_arrive() {
        for reply in REPLIES {
            let mut scanner = Scanner::default();
            for end in 0..reply.len() {
                assert_eq!(scanner.scan(&reply[..end]), Ok(None), "{}", reply.escape_ascii());
            }
            let mut longer = reply.to_vec();
            longer.extend_from_slice(b"+more\r\n");
            assert_eq!(scanner.scan(&longer), Ok(Some(reply.len())));
            assert_eq!(Frame::parse(reply).unwrap().raw, *reply);
        }
    }

    #[test]
    fn aggregates_are_cut_into_their_elements() {
        let frame = Frame::parse(b"*3\r\n$4\r\na\r\nb\r\n*1\r\n:7\r\n_\r\n").unwrap();
        assert_eq!(frame.children.len(), 3);
        assert_eq!(frame.children[0].text(), b"a\r\nb");
        assert_eq!(frame.children[1].children[0].int(), Some(7));
        assert!(frame.children[2].is_null());
        assert_eq!(Frame::parse(b"=7\r\ntxt:abc\r\n").unwrap().text(), b"abc");
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(Scanner::default().scan(b"hello\r\n").is_err());
        assert!(Scanner::default().scan(b"$x\r\n").is_err());
        assert!(Frame::parse(b":1\r\n:2\r\n").is_err());
    }
}
