//! What LMPOP, ZMPOP and their blocking forms ask for.

use crate::command::Args;
use crate::error::CommandError;
use crabcache_resp::number::parse_i64;

/// `numkeys key [key ...] END [COUNT count]`, where `E` is the type of the end.
pub(super) struct MultiPop<'a, E> {
    /// Where elements are looked for, in this order.
    pub(super) keys: Args<'a>,
    /// The end that they are taken from.
    pub(super) end: E,
    /// How many, at most.
    pub(super) count: usize,
}

impl<'a, E: Copy> MultiPop<'a, E> {
    /// Reads the words from the number of keys on, which is word number `at`. `ends` are the names
    /// of both ends.
    pub(super) fn parse(
        args: Args<'a>,
        at: usize,
        ends: [(&str, E); 2],
    ) -> Result<MultiPop<'a, E>, CommandError> {
        let positive =
            |word: &[u8]| parse_i64(word).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let n_keys = positive(args.get(at)).ok_or(CommandError::NumKeys)?;
        let end_at = n_keys.checked_add(at + 1).filter(|end_at| *end_at < args.len());
        let mut words = args.from(end_at.ok_or(CommandError::Syntax)?);
        let end = ends.into_iter().find(|(name, _)| words.accept(name));
        let (_, end) = end.ok_or(CommandError::Syntax)?;
        let mut count = None;
        while words.remaining() > 0 {
            if count.is_some() || !words.accept("COUNT") {
                return Err(CommandError::Syntax);
            }
            count = Some(positive(words.word()?).ok_or(CommandError::CountNotPositive)?);
        }
        Ok(MultiPop { keys: args.skip(at + 1).first(n_keys), end, count: count.unwrap_or(1) })
    }
}
