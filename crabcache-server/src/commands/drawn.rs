//! Replies with elements drawn at random, each from all of them: SRANDMEMBER, HRANDFIELD and
//! ZRANDMEMBER with a negative count, which may ask for a reply of any length.
//!
//! A reply is written as a whole, so its length is bounded here: by what the client's output may
//! come to, and by a limit of our own.

use crate::client::ClientFlags;
use crate::command::{CommandResult, Ctx};
use crate::error::CommandError;
use crate::output_limits;

/// Bytes of a reply at most. The reference goes on until memory ends.
const REPLY_BYTES_MAX: usize = 1 << 30;
/// Bytes that an element takes in a reply at least: `$0` and two line ends.
const ELEMENT_BYTES_MIN: usize = 6;
/// Elements after which the client's limits are looked at.
const CHECKED_EVERY: usize = 4096;

/// Lets `draw` write so many elements behind the header that `begin` writes.
pub(super) fn reply_drawn(
    ctx: &mut Ctx,
    n_elements: usize,
    begin: impl FnOnce(&mut Ctx),
    mut draw: impl FnMut(&mut Ctx),
) -> CommandResult {
    let least_bytes = n_elements.saturating_mul(ELEMENT_BYTES_MIN);
    if least_bytes > REPLY_BYTES_MAX {
        // Whose output must not come to that is cut, as it would be on the way.
        cut(ctx, least_bytes);
        return Err(CommandError::OutOfRange);
    }
    let begin_at = ctx.reply.len();
    begin(ctx);
    for number in 1..=n_elements {
        draw(ctx);
        let n_bytes = ctx.reply.len();
        let is_too_long = n_bytes - begin_at > REPLY_BYTES_MAX;
        if is_too_long || (number.is_multiple_of(CHECKED_EVERY) && cut(ctx, n_bytes)) {
            return Err(CommandError::OutOfRange);
        }
    }
    Ok(())
}

/// Cuts the client if its output is more than it may have. Whether it was.
fn cut(ctx: &mut Ctx, n_bytes: usize) -> bool {
    let client = &ctx.client.handle;
    let is_cut = output_limits::enforce(ctx.server, &ctx.config, client, n_bytes, ctx.env.now_ms);
    if is_cut {
        // Nothing more is sent.
        ctx.client.set_flag(ClientFlags::CLOSE_ASAP, true);
    }
    is_cut
}
