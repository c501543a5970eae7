//! What SET and GETEX say about the expiry: the options and what they mean.

use crate::command::{Ctx, Words};
use crate::error::CommandError;
use crabcache_resp::number::parse_i64;

/// What is to become of the expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Expiration<'a> {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// It stays as it is.
    Keep,
    /// It ends.
    Persist,
    /// It is set to a time.
    Time(TimeOption, &'a [u8]),
}

/// An option with a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeOption {
    /// Seconds from now.
    Ex,
    /// Milliseconds from now.
    Px,
    /// Unix time in seconds.
    ExAt,
    /// Unix time in milliseconds.
    PxAt,
}

const TIME_OPTIONS: [(&str, TimeOption); 4] = [
    ("EX", TimeOption::Ex),
    ("PX", TimeOption::Px),
    ("EXAT", TimeOption::ExAt),
    ("PXAT", TimeOption::PxAt),
];

impl<'a> Expiration<'a> {
    /// Takes an option with a time from `words`, if one comes next.
    ///
    /// # Errors
    /// [`CommandError::Syntax`] if something else was said before. The same option may be said
    /// again; the last time counts.
    pub(super) fn accept_time(&mut self, words: &mut Words<'a>) -> Result<bool, CommandError> {
        let option = TIME_OPTIONS.iter().find(|(name, _)| words.accept(name));
        let Some((_, option)) = option else { return Ok(false) };
        let text = words.word()?;
        match *self {
            Expiration::Unsaid => {}
            Expiration::Time(said, _) if said == *option => {}
            _ => return Err(CommandError::Syntax),
        }
        *self = Expiration::Time(*option, text);
        Ok(true)
    }

    /// Takes the option `word`, which stands for `meaning`, from `words`, if it comes next.
    ///
    /// # Errors
    /// [`CommandError::Syntax`] if something else was said before.
    pub(super) fn accept_word(
        &mut self,
        words: &mut Words<'a>,
        word: &str,
        meaning: Expiration<'a>,
    ) -> Result<bool, CommandError> {
        if !words.accept(word) {
            return Ok(false);
        }
        if *self != Expiration::Unsaid && *self != meaning {
            return Err(CommandError::Syntax);
        }
        *self = meaning;
        Ok(true)
    }
}

impl TimeOption {
    /// Whether the time is counted from now.
    pub(super) fn is_relative(self) -> bool {
        matches!(self, TimeOption::Ex | TimeOption::Px)
    }

    /// The Unix time in milliseconds that `text` means.
    ///
    /// # Errors
    /// [`CommandError::NotInteger`]; [`CommandError::InvalidExpire`] if it is not positive or too
    /// large.
    pub(super) fn at_ms(self, text: &[u8], ctx: &Ctx) -> Result<i64, CommandError> {
        let time = parse_i64(text).ok_or(CommandError::NotInteger)?;
        let is_seconds = matches!(self, TimeOption::Ex | TimeOption::ExAt);
        let base_ms = if self.is_relative() { ctx.env.now_ms } else { 0 };
        Some(time)
            .filter(|time| *time > 0)
            .and_then(|time| time.checked_mul(if is_seconds { 1000 } else { 1 }))
            .and_then(|time_ms| time_ms.checked_add(base_ms))
            .ok_or_else(|| CommandError::InvalidExpire(ctx.row.full_name.clone()))
    }
}
