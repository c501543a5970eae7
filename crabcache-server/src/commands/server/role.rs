//! ROLE.

use crate::command::{Args, CommandResult, Ctx};

/// ROLE
pub(super) fn role(ctx: &mut Ctx, _: Args) -> CommandResult {
    // No replica can connect, so nothing has been replicated.
    ctx.reply.array(3);
    ctx.reply.bulk(b"master");
    ctx.reply.int(0);
    ctx.reply.array(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn role_of_a_primary_without_replicas() {
        let mut t = TestServer::new();
        t.check("ROLE", "[\"master\", :0, []]");
        t.check("ROLE x", "-ERR wrong number of arguments for 'role' command");
    }
}
