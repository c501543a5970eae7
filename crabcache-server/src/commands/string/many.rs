//! Several strings in one command. All stripes are held while it runs, so nobody sees half of it.

use super::reply_string;
use super::set::store;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_store::{Kind, Lookup, ReadDb, SetExpire, WriteDb};

/// MGET key [key ...]
pub(super) fn mget(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    ctx.reply.array(args.len() - 1);
    for word in args.iter().skip(1) {
        match db.get(&ctx.key(word), Lookup::Use) {
            Some(entry) if entry.kind() == Kind::String => {
                reply_string(&mut ctx.reply, entry.string());
            }
            _ => ctx.reply.null(),
        }
    }
    Ok(())
}

/// MSET key value [key value ...]
pub(super) fn mset(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_pairs(ctx, args)?;
    store_pairs(db, ctx, args);
    ctx.reply.ok();
    Ok(())
}

/// MSETNX key value [key value ...]
pub(super) fn msetnx(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_pairs(ctx, args)?;
    let mut keys = (1..args.len()).step_by(2).map(|index| args.get(index));
    let is_free = keys.all(|word| db.get(&ctx.key(word), Lookup::Write).is_none());
    if is_free {
        store_pairs(db, ctx, args);
    }
    ctx.reply.int(i64::from(is_free));
    Ok(())
}

fn check_pairs(ctx: &Ctx, args: Args) -> CommandResult {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(ctx.row.full_name.clone()));
    }
    Ok(())
}

fn store_pairs(db: &mut WriteDb, ctx: &mut Ctx, args: Args) {
    for index in (1..args.len()).step_by(2) {
        let key = ctx.key(args.get(index));
        store(db, ctx, &key, args.get(index + 1), SetExpire::To(None));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn mset_and_mget() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("MSET a 1 b '' a 2", "+OK"),
            ("MGET a b nosuch a", "[\"2\", \"\", nil, \"2\"]"),
            ("MSET a", "-ERR wrong number of arguments for 'mset' command"),
            ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
            ("MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command"),
            ("MGET", "-ERR wrong number of arguments for 'mget' command"),
        ]);
        assert_eq!(t.events(), ["set a", "set b", "set a"]);
        assert_eq!(t.propagated(), ["MSET a 1 b '' a 2".replace("''", "")]);
        assert_eq!(t.server.stats.sum(|worker| &worker.dirty), 3);
    }

    #[test]
    fn mset_ends_expiries() {
        let mut t = TestServer::new();
        t.check_all(&[("SET a 1 PX 100000", "+OK"), ("MSET a 2 b 3", "+OK")]);
        t.advance_ms(100_001);
        t.check("MGET a b", "[\"2\", \"3\"]");
    }

    #[test]
    fn msetnx_sets_all_or_nothing() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("MSETNX a 1 b 2 a 3", ":1"),
            ("MSETNX c 1 b 2", ":0"),
            ("MGET a b c", "[\"3\", \"2\", nil]"),
            ("SET b 1 PX 100000", "+OK"),
        ]);
        t.advance_ms(100_001);
        t.check_all(&[("MSETNX b 1 c 2", ":1"), ("MGET b c", "[\"1\", \"2\"]")]);
    }

    #[test]
    fn thousands_of_keys_in_one_command() {
        let mut t = TestServer::new();
        let words: Vec<Vec<u8>> = (0..5000).map(|i| format!("key:{i}").into_bytes()).collect();
        let mut mset: Vec<&[u8]> = vec![b"MSET"];
        let mut mget: Vec<&[u8]> = vec![b"MGET"];
        for word in &words {
            mset.extend([word.as_slice(), &word[4..]]);
            mget.push(word);
        }
        assert_eq!(t.run_words(&mset), "+OK");
        let expected: Vec<String> = (0..5000).map(|i| format!("\"{i}\"")).collect();
        assert_eq!(t.run_words(&mget), format!("[{}]", expected.join(", ")));
    }
}
