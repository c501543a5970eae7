//! What commands on fields of a hash say about time, and which fields they name.

use crate::command::{Args, Ctx, Words};
use crate::error::CommandError;
use crabcache_resp::number::parse_i64;
use crabcache_store::{Env, Expiry};

/// The latest time that a field can expire at. Compat: the reference keeps 48 bits of a time, and
/// leaves two of them free.
const AT_MS_MAX: i64 = (1 << 46) - 1;

/// What a time counts, and from when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeUnit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Unix time in seconds.
    UnixSeconds,
    /// Unix time in milliseconds.
    UnixMilliseconds,
}

/// The options that precede a time.
pub(super) const TIME_OPTIONS: [(&str, TimeUnit); 4] = [
    ("EX", TimeUnit::Seconds),
    ("PX", TimeUnit::Milliseconds),
    ("EXAT", TimeUnit::UnixSeconds),
    ("PXAT", TimeUnit::UnixMilliseconds),
];

impl TimeUnit {
    /// The Unix time in milliseconds that `text` means.
    ///
    /// # Errors
    /// [`CommandError::NotInteger`], [`CommandError::NegativeExpire`],
    /// [`CommandError::InvalidExpire`]
    pub(super) fn at_ms(self, text: &[u8], ctx: &Ctx) -> Result<i64, CommandError> {
        let time = parse_i64(text).ok_or(CommandError::NotInteger)?;
        if time < 0 {
            return Err(CommandError::NegativeExpire);
        }
        let is_seconds = matches!(self, TimeUnit::Seconds | TimeUnit::UnixSeconds);
        let is_relative = matches!(self, TimeUnit::Seconds | TimeUnit::Milliseconds);
        let base_ms = if is_relative { ctx.env.now_ms } else { 0 };
        time.checked_mul(if is_seconds { 1000 } else { 1 })
            .and_then(|time_ms| time_ms.checked_add(base_ms))
            .filter(|at_ms| *at_ms <= AT_MS_MAX)
            .ok_or_else(|| CommandError::InvalidExpire(ctx.row.full_name.clone()))
    }
}

/// Whether a field that gets this expiry is deleted instead. A replica leaves that to its primary.
pub(super) fn is_past(env: &Env, at_ms: i64) -> bool {
    at_ms <= env.now_ms && env.expiry == Expiry::Remove
}

/// The fields of `FIELDS numfields field [field ...]`, which begins with word number `at` and ends
/// the request. `not_positive` is the error of a number of fields that is none.
///
/// # Errors
/// [`CommandError::FieldsMissing`], [`CommandError::FieldCountMismatch`], `not_positive`
pub(super) fn named_fields(
    args: Args<'_>,
    at: usize,
    not_positive: CommandError,
) -> Result<Words<'_>, CommandError> {
    if at >= args.len() || !args.is(at, "FIELDS") {
        return Err(CommandError::FieldsMissing);
    }
    let mut words = args.from(at + 1);
    let count = words.next().and_then(parse_i64).filter(|count| *count > 0);
    let count = count.ok_or(not_positive)?;
    if usize::try_from(count) != Ok(words.remaining()) {
        return Err(CommandError::FieldCountMismatch);
    }
    Ok(words)
}
