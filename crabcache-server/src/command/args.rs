//! The words of a request, and how handlers read them.

use crate::error::CommandError;
use crabcache_resp::Span;
use crabcache_resp::number::parse_i64;
use crabcache_store::algorithms::long_double::LongDouble;

/// The words of one request, the command's name first. They borrow the read buffer.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// Words at `spans` of `buf`.
    pub fn new(buf: &'a [u8], spans: &'a [Span]) -> Self {
        Args { buf, spans }
    }

    /// Number of words, with the command's name.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Word number `index`, which must exist: the arity was checked.
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        self.spans[index].of(self.buf)
    }

    /// All words.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let Args { buf, spans } = *self;
        spans.iter().map(|span| span.of(buf))
    }

    /// The words from `start` on, to be taken one by one.
    pub fn from(&self, start: usize) -> Words<'a> {
        Words { args: *self, next: start }
    }

    /// The words from number `n` on, as a request of their own.
    pub fn skip(&self, n: usize) -> Args<'a> {
        Args { buf: self.buf, spans: &self.spans[n..] }
    }

    /// The first `n` words, as a request of their own.
    pub fn first(&self, n: usize) -> Args<'a> {
        Args { buf: self.buf, spans: &self.spans[..n] }
    }

    /// Word number `index` as an integer.
    ///
    /// # Errors
    /// [`CommandError::NotInteger`]
    pub fn int(&self, index: usize) -> Result<i64, CommandError> {
        parse_i64(self.get(index)).ok_or(CommandError::NotInteger)
    }

    /// Word number `index` as an integer of 32 bits, such as a database number.
    ///
    /// # Errors
    /// [`CommandError::NotInteger`], [`CommandError::OutsideRange`]
    pub fn int32(&self, index: usize) -> Result<i32, CommandError> {
        i32::try_from(self.int(index)?)
            .map_err(|_| CommandError::OutsideRange(i32::MIN.into(), i32::MAX.into()))
    }

    /// Word number `index`, a time-out in milliseconds, as the time at which it ends: Unix
    /// milliseconds. 0 is never.
    ///
    /// # Errors
    /// [`CommandError::TimeoutNotInteger`], [`CommandError::TimeoutNegative`],
    /// [`CommandError::TimeoutOutOfRange`]
    pub fn deadline_ms(&self, index: usize, now_ms: i64) -> Result<Option<i64>, CommandError> {
        match parse_i64(self.get(index)).ok_or(CommandError::TimeoutNotInteger)? {
            0 => Ok(None),
            ..0 => Err(CommandError::TimeoutNegative),
            timeout_ms => {
                let deadline_ms = now_ms.checked_add(timeout_ms);
                Ok(Some(deadline_ms.ok_or(CommandError::TimeoutOutOfRange)?))
            }
        }
    }

    /// Word number `index`, a time-out in seconds that may have a fraction, as the time at which it
    /// ends: Unix milliseconds. 0 is never.
    ///
    /// # Errors
    /// [`CommandError::TimeoutNotFloat`], [`CommandError::TimeoutNegative`],
    /// [`CommandError::TimeoutOutOfRange`]
    pub fn deadline_ms_of_seconds(
        &self,
        index: usize,
        now_ms: i64,
    ) -> Result<Option<i64>, CommandError> {
        let text = LongDouble::parse(self.get(index)).map(LongDouble::to_text);
        let seconds = text.and_then(|text| std::str::from_utf8(&text).ok()?.parse::<f64>().ok());
        let timeout_ms = (seconds.ok_or(CommandError::TimeoutNotFloat)? * 1000.0).ceil();
        match timeout_ms {
            // The first number that no integer of 64 bits can be.
            9.223_372_036_854_775_807e18.. => Err(CommandError::TimeoutOutOfRange),
            ..0.0 => Err(CommandError::TimeoutNegative),
            0.0 => Ok(None),
            _ => {
                let deadline_ms = now_ms.checked_add(timeout_ms as i64);
                Ok(Some(deadline_ms.ok_or(CommandError::TimeoutOutOfRange)?))
            }
        }
    }

    /// Whether word number `index` is `word` in any letter case.
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Bytes of all words.
    pub fn bytes(&self) -> usize {
        self.spans.iter().map(|span| span.len).sum()
    }

    /// A copy that owns its words.
    pub fn to_owned(&self) -> OwnedArgs {
        OwnedArgs::new(self.iter())
    }
}

/// Words taken one by one: for options.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    args: Args<'a>,
    next: usize,
}

impl<'a> Words<'a> {
    /// Takes the next word if it is `word` in any letter case.
    pub fn accept(&mut self, word: &str) -> bool {
        let is_next = self.next < self.args.len() && self.args.is(self.next, word);
        self.next += usize::from(is_next);
        is_next
    }

    /// Takes the next word, which must be there.
    ///
    /// # Errors
    /// [`CommandError::Syntax`] at the end.
    pub fn word(&mut self) -> Result<&'a [u8], CommandError> {
        self.next().ok_or(CommandError::Syntax)
    }

    /// Takes the next word, which must be an integer.
    ///
    /// # Errors
    /// [`CommandError::Syntax`] at the end, [`CommandError::NotInteger`].
    pub fn int(&mut self) -> Result<i64, CommandError> {
        parse_i64(self.word()?).ok_or(CommandError::NotInteger)
    }

    /// As [`Words::int`], of 32 bits.
    ///
    /// # Errors
    /// As [`Words::int`]; [`CommandError::OutsideRange`].
    pub fn int32(&mut self) -> Result<i32, CommandError> {
        i32::try_from(self.int()?)
            .map_err(|_| CommandError::OutsideRange(i32::MIN.into(), i32::MAX.into()))
    }

    /// Words that are left.
    pub fn remaining(&self) -> usize {
        self.args.len() - self.next
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.next >= self.args.len() {
            return None;
        }
        self.next += 1;
        Some(self.args.get(self.next - 1))
    }
}

/// Words that outlive the read buffer: queued by MULTI, built by the server itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedArgs {
    buf: Box<[u8]>,
    spans: Box<[Span]>,
}

impl OwnedArgs {
    /// Copies the words. One allocation for all bytes.
    pub fn new<'w>(words: impl IntoIterator<Item = &'w [u8]>) -> Self {
        let (mut buf, mut spans) = (Vec::new(), Vec::new());
        for word in words {
            spans.push(Span { start: buf.len(), len: word.len() });
            buf.extend_from_slice(word);
        }
        OwnedArgs { buf: buf.into(), spans: spans.into() }
    }

    /// The words.
    pub fn as_args(&self) -> Args<'_> {
        Args { buf: &self.buf, spans: &self.spans }
    }

    /// Bytes of memory.
    pub fn mem_bytes(&self) -> usize {
        self.buf.len() + size_of_val(&*self.spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_in_any_case() {
        let words: [&[u8]; 5] = [b"SET", b"k", b"eX", b"12", b"zz"];
        let owned = OwnedArgs::new(words);
        let args = owned.as_args();
        assert_eq!((args.len(), args.get(1), args.bytes()), (5, &b"k"[..], 10));
        assert_eq!((args.int(3), args.int(4)), (Ok(12), Err(CommandError::NotInteger)));
        let mut options = args.from(2);
        assert!(!options.accept("PX") && options.accept("EX"));
        assert_eq!((options.int(), options.remaining()), (Ok(12), 1));
        assert_eq!(options.int(), Err(CommandError::NotInteger));
        assert_eq!(options.word(), Err(CommandError::Syntax));
        assert!(!options.accept("EX"));
    }
}
