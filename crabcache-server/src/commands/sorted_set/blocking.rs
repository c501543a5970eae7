//! Pops that wait: BZPOPMIN, BZPOPMAX, BZMPOP.

use super::remove::{ENDS, End, pop_first, take};
use crate::blocking::KeyWait;
use crate::command::{Args, CommandResult, Ctx};
use crate::commands::multi_pop::MultiPop;
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Kind, Lookup, Wanted, WriteDb};

/// BZPOPMIN key [key ...] timeout
pub(super) fn bzpopmin(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    pop(db, ctx, args, End::Min)
}

/// BZPOPMAX key [key ...] timeout
pub(super) fn bzpopmax(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    pop(db, ctx, args, End::Max)
}

// Compat: replicated as a pop that does not wait.
fn pop(db: &mut WriteDb, ctx: &mut Ctx, args: Args, end: End) -> CommandResult {
    let timeout_at = args.len() - 1;
    let deadline_ms = args.deadline_ms_of_seconds(timeout_at, ctx.env.now_ms)?;
    let keys = args.from(1).take(timeout_at - 1);
    for word in keys.clone() {
        let key = ctx.key(word);
        if db.get_as::<ZSet>(&key, Lookup::Write)?.is_some() {
            ctx.reply.array(3);
            ctx.reply.bulk(word);
            take(db, ctx, &key, end, 1, |_| {})?;
            ctx.effects.propagate([end.command(), word]);
            return Ok(());
        }
    }
    wait(ctx, keys, deadline_ms);
    Ok(())
}

/// BZMPOP timeout numkeys key [key ...] MIN | MAX [COUNT count]
pub(super) fn bzmpop(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let request = MultiPop::parse(args, 2, ENDS)?;
    let deadline_ms = args.deadline_ms_of_seconds(1, ctx.env.now_ms)?;
    if !pop_first(db, ctx, &request)? {
        wait(ctx, request.keys.iter(), deadline_ms);
    }
    Ok(())
}

/// Waits for a sorted set in one of the keys. Where that cannot be, the answer is that there is
/// none.
fn wait<'k>(ctx: &mut Ctx, keys: impl Iterator<Item = &'k [u8]>, deadline_ms: Option<i64>) {
    if ctx.may_block() {
        let wanted = Wanted { kind: Kind::ZSet, even_if_gone: false };
        let keys = keys.map(Box::from).collect();
        ctx.block_for_keys(KeyWait { wanted, keys, request: None }, deadline_ms);
    } else {
        ctx.reply.null_array();
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn they_take_what_is_there() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("ZADD z 1 a 2 b 3 c 4 d", ":4"),
            ("BZPOPMIN no z 0", "[\"z\", \"a\", \"1\"]"),
            ("BZPOPMAX no z 0", "[\"z\", \"d\", \"4\"]"),
            ("BZMPOP 0 2 no z MIN COUNT 5", "[\"z\", [[\"b\", \"2\"], [\"c\", \"3\"]]]"),
        ]);
        assert_eq!(
            t.propagated(),
            ["ZADD z 1 a 2 b 3 c 4 d", "ZPOPMIN z", "ZPOPMAX z", "ZPOPMIN z 2"]
        );
        t.check_all(&[
            ("BZPOPMIN z x", "-ERR timeout is not a float or out of range"),
            ("BZPOPMIN z -1", "-ERR timeout is negative"),
            ("BZMPOP x 0 z MIN", "-ERR numkeys should be greater than 0"),
            ("BZMPOP x 1 z MIN", "-ERR timeout is not a float or out of range"),
            ("BZMPOP 0 1 z FOO", "-ERR syntax error"),
            ("SET s x", "+OK"),
            (
                "BZPOPMIN no s 0",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("MULTI", "+OK"),
            ("BZPOPMIN z 0", "+QUEUED"),
            ("BZMPOP 0 1 z MAX", "+QUEUED"),
            ("EXEC", "[nil, nil]"),
        ]);
    }

    #[test]
    fn clients_are_served_in_the_order_in_which_they_came() {
        let mut t = TestServer::new();
        let mut clients = [(); 4].map(|()| t.client());
        let [a, b, c, d] = &mut clients;
        t.wait_as(a, "BZPOPMIN x z 0");
        t.wait_as(b, "BZPOPMAX z 0");
        t.wait_as(c, "BZMPOP 0 1 z MIN COUNT 2");
        t.wait_as(d, "BZPOPMIN z 0");
        t.check("SET z v", "+OK");
        t.check("DEL z", ":1");
        t.check("ZADD z 1 a 2 b 3 c 4 d", ":4");
        assert_eq!(t.taken_by(a), "*3 $1 z $1 a $1 1 ");
        assert_eq!(t.taken_by(b), "*3 $1 z $1 d $1 4 ");
        assert_eq!(t.taken_by(c), "*2 $1 z *2 *2 $1 b $1 2 *2 $1 c $1 3 ");
        assert_eq!(t.taken_by(d), "");
        t.check("GEOADD z 0 0 p", ":1");
        assert_eq!(t.taken_by(d), "*3 $1 z $1 p $16 3377699720527872 ");
        t.check("EXISTS z", ":0");
        assert_eq!(t.server.blocking.n_blocked(), 0);
    }

    #[test]
    fn all_that_brings_a_sorted_set_serves() {
        for line in [
            "ZUNIONSTORE z 1 other",
            "ZINTERSTORE z 1 other",
            "ZDIFFSTORE z 1 other",
            "ZRANGESTORE z other 0 -1",
            "ZINCRBY z 1 m",
            "RENAME other z",
            "COPY other z",
        ] {
            let mut t = TestServer::new();
            let mut client = t.client();
            t.wait_as(&mut client, "BZPOPMIN z 0");
            t.check("ZADD other 1 m", ":1");
            t.run(line);
            assert_eq!(t.taken_by(&mut client), "*3 $1 z $1 m $1 1 ", "{line}");
        }
    }
}
