//! DEBUG PROTOCOL: a reply of each type, for those who write clients.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_resp::{Protocol, Reply};
use crabcache_store::WriteDb;

/// DEBUG PROTOCOL type
pub(super) fn protocol(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let reply = &mut ctx.reply;
    match args.get(2).to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.int(12345),
        b"double" => reply.double(3141.0 / 1000.0),
        b"bignum" => reply.big_number(b"1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            count_to_three(reply);
        }
        b"set" => {
            reply.set(3);
            count_to_three(reply);
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.int(number);
                reply.bool(number == 1);
            }
        }
        b"attrib" => {
            if reply.protocol() == Protocol::Resp3 {
                reply.attributes(1);
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.int(90);
            }
            // Attributes are no reply; they stand before one.
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if reply.protocol() == Protocol::Resp2 {
                return Err(CommandError::Resp2NotSupported);
            }
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.int(42);
            // Neither is a push.
            reply.bulk(b"Some real reply following the push reply");
        }
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.bool(true),
        b"false" => reply.bool(false),
        _ => return Err(CommandError::ProtocolType),
    }
    Ok(())
}

fn count_to_three(reply: &mut Reply) {
    (0..3).for_each(|number| reply.int(number));
}
