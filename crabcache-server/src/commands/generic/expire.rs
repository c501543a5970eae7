//! How long keys live: EXPIRE, TTL and their siblings.

use crate::command::args::Words;
use crate::command::{Args, Categories, Command, CommandResult, Ctx, KeySpec, read, write};
use crate::error::{self, CommandError};
use crate::notify::Event;
use crabcache_store::{Expiry, Lookup, ReadDb, WriteDb};

pub(in crate::commands) const COMMANDS: &[Command] = &[
    write("expire", expire)
        .arity(-3)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).rw().update()])
        .doc(
            "1.0.0",
            "O(1)",
            "key seconds:int [condition:{NX | XX | GT | LT}@7.0.0]",
            "Sets how many seconds a key has still to live.",
        ),
    write("expireat", expireat)
        .arity(-3)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).rw().update()])
        .doc(
            "1.2.0",
            "O(1)",
            "key unix-time-seconds:time [condition:{NX | XX | GT | LT}@7.0.0]",
            "Sets the Unix time in seconds at which a key expires.",
        ),
    read("expiretime", expiretime)
        .arity(2)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("7.0.0", "O(1)", "key", "Returns the Unix time in seconds at which a key expires."),
    write("persist", persist)
        .arity(2)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("2.2.0", "O(1)", "key", "Lets a key live for ever."),
    write("pexpire", pexpire)
        .arity(-3)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).rw().update()])
        .doc(
            "2.6.0",
            "O(1)",
            "key milliseconds:int [condition:{NX | XX | GT | LT}@7.0.0]",
            "Sets how many milliseconds a key has still to live.",
        ),
    write("pexpireat", pexpireat)
        .arity(-3)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).rw().update()])
        .doc(
            "2.6.0",
            "O(1)",
            "key unix-time-milliseconds:time [condition:{NX | XX | GT | LT}@7.0.0]",
            "Sets the Unix time in milliseconds at which a key expires.",
        ),
    read("pexpiretime", pexpiretime)
        .arity(2)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc(
            "7.0.0",
            "O(1)",
            "key",
            "Returns the Unix time in milliseconds at which a key expires.",
        ),
    read("pttl", pttl)
        .arity(2)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc("2.6.0", "O(1)", "key", "Returns how many milliseconds a key has still to live."),
    read("ttl", ttl)
        .arity(2)
        .fast()
        .categories(Categories::KEYSPACE)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc("1.0.0", "O(1)", "key", "Returns how many seconds a key has still to live."),
];

/// The unit of an argument or a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// What times are counted from: now, or the beginning of Unix time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Now,
    Epoch,
}

impl Base {
    fn ms(self, ctx: &Ctx) -> i64 {
        match self {
            Base::Now => ctx.env.now_ms,
            Base::Epoch => 0,
        }
    }
}

/// The options NX, XX, GT and LT.
#[derive(Default)]
struct Condition {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Condition {
    fn parse(options: Words) -> Result<Condition, CommandError> {
        let mut condition = Condition::default();
        for option in options {
            let flag = match option.to_ascii_lowercase().as_slice() {
                b"nx" => &mut condition.nx,
                b"xx" => &mut condition.xx,
                b"gt" => &mut condition.gt,
                b"lt" => &mut condition.lt,
                _ => {
                    let option = error::shown(option);
                    return Err(CommandError::UnsupportedOption(option));
                }
            };
            *flag = true;
        }
        let Condition { nx, xx, gt, lt } = condition;
        match () {
            () if nx && (xx || gt || lt) => Err(CommandError::NxWithOthers),
            () if gt && lt => Err(CommandError::GtWithLt),
            () => Ok(condition),
        }
    }

    /// Whether a key that expires at `old_ms`, or never, may be made to expire at `new_ms`.
    fn allows(&self, old_ms: Option<i64>, new_ms: i64) -> bool {
        match old_ms {
            None => !self.xx && !self.gt,
            Some(old_ms) => {
                let is_refused =
                    self.nx || (self.gt && new_ms <= old_ms) || (self.lt && new_ms >= old_ms);
                !is_refused
            }
        }
    }
}

/// EXPIRE key seconds [NX | XX | GT | LT]
fn expire(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    set_expire(db, ctx, args, Unit::Seconds, Base::Now)
}

/// PEXPIRE key milliseconds [NX | XX | GT | LT]
fn pexpire(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    set_expire(db, ctx, args, Unit::Milliseconds, Base::Now)
}

/// EXPIREAT key unix-time-seconds [NX | XX | GT | LT]
fn expireat(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    set_expire(db, ctx, args, Unit::Seconds, Base::Epoch)
}

/// PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]
fn pexpireat(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    set_expire(db, ctx, args, Unit::Milliseconds, Base::Epoch)
}

fn set_expire(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    args: Args,
    unit: Unit,
    base: Base,
) -> CommandResult {
    let condition = Condition::parse(args.from(3))?;
    let at_ms = expire_at_ms(ctx, args.int(2)?, unit, base)?;
    let key = ctx.key(args.get(1));
    let old_ms = db.get(&key, Lookup::Write).map(|entry| entry.expire_at_ms());
    if !old_ms.is_some_and(|old_ms| condition.allows(old_ms, at_ms)) {
        ctx.reply.int(0);
        return Ok(());
    }
    if at_ms <= ctx.env.now_ms && ctx.env.expiry == Expiry::Remove {
        let is_lazy = ctx.config.lazyfree_lazy_expire;
        if let Some(entry) = db.remove(&key) {
            ctx.server.lazyfree.free(entry, is_lazy);
        }
        ctx.effects.propagate([if is_lazy { &b"UNLINK"[..] } else { b"DEL" }, key.bytes]);
        ctx.changed(key.bytes, Event::DEL);
    } else {
        db.set_expire(&key, Some(at_ms));
        // The options go along, as the reference has it.
        let mut text = itoa::Buffer::new();
        let command = [&b"PEXPIREAT"[..], key.bytes, text.format(at_ms).as_bytes()];
        ctx.effects.propagate(command.into_iter().chain(args.from(3)));
        ctx.changed(key.bytes, Event::EXPIRE);
    }
    ctx.reply.int(1);
    Ok(())
}

/// The Unix time in milliseconds that an argument means.
fn expire_at_ms(ctx: &Ctx, value: i64, unit: Unit, base: Base) -> Result<i64, CommandError> {
    let factor = if unit == Unit::Seconds { 1000 } else { 1 };
    let at_ms = value.checked_mul(factor).and_then(|ms| ms.checked_add(base.ms(ctx)));
    at_ms.ok_or_else(|| CommandError::InvalidExpire(ctx.row.full_name.clone()))
}

/// TTL key
fn ttl(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell_expire(db, ctx, args, Unit::Seconds, Base::Now)
}

/// PTTL key
fn pttl(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell_expire(db, ctx, args, Unit::Milliseconds, Base::Now)
}

/// EXPIRETIME key
fn expiretime(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell_expire(db, ctx, args, Unit::Seconds, Base::Epoch)
}

/// PEXPIRETIME key
fn pexpiretime(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tell_expire(db, ctx, args, Unit::Milliseconds, Base::Epoch)
}

fn tell_expire(db: &ReadDb, ctx: &mut Ctx, args: Args, unit: Unit, base: Base) -> CommandResult {
    let entry = db.get(&ctx.key(args.get(1)), Lookup::Glance);
    let reply = match entry.map(|entry| entry.expire_at_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => {
            let ms = at_ms.saturating_sub(base.ms(ctx)).max(0);
            match unit {
                Unit::Milliseconds => ms,
                // Rounded; the sum does not fit a signed number when the time is the last there is.
                Unit::Seconds => ((ms.cast_unsigned() + 500) / 1000).cast_signed(),
            }
        }
    };
    ctx.reply.int(reply);
    Ok(())
}

/// PERSIST key
fn persist(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let key = ctx.key(args.get(1));
    let has_expire =
        db.get(&key, Lookup::Write).is_some_and(|entry| entry.expire_at_ms().is_some());
    if has_expire {
        db.set_expire(&key, None);
        ctx.changed(key.bytes, Event::PERSIST);
    }
    ctx.reply.int(has_expire.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn expire_sets_a_time_to_live() {
        let mut t = TestServer::new();
        t.check_all(&[("EXPIRE k 10", ":0"), ("SET k v", "+OK"), ("TTL k", ":-1")]);
        t.check_all(&[("EXPIRE k 100", ":1"), ("TTL k", ":100"), ("TTL missing", ":-2")]);
        t.advance_ms(98_700);
        t.check_all(&[("TTL k", ":1"), ("GET k", "\"v\"")]);
        t.advance_ms(1_301);
        t.check_all(&[("GET k", "nil"), ("PTTL k", ":-2"), ("EXPIRE k 1", ":0")]);
        assert_eq!(t.events(), ["set k", "expire k", "expired k"]);
    }

    #[test]
    fn relative_times_are_replicated_as_absolute_ones() {
        let mut t = TestServer::new();
        t.check_all(&[("SET k v", "+OK"), ("EXPIRE k 100 NX", ":1")]);
        let propagated = t.propagated();
        let at_ms: i64 = t.run("PEXPIRETIME k")[1..].parse().unwrap();
        assert_eq!(propagated[1], format!("PEXPIREAT k {at_ms} NX"));
        t.check_all(&[("EXPIREAT k 99999999999 gt", ":1"), ("PEXPIREAT k 99999999999999", ":1")]);
        assert_eq!(t.propagated(), ["PEXPIREAT k 99999999999000 gt", "PEXPIREAT k 99999999999999"]);
        t.check_all(&[("PEXPIRETIME k", ":99999999999999"), ("EXPIRETIME k", ":100000000000")]);
    }

    #[test]
    fn a_time_in_the_past_removes_the_key() {
        for command in ["EXPIRE k 0", "EXPIRE k -1", "PEXPIREAT k 1", "EXPIREAT k -5"] {
            let mut t = TestServer::new();
            t.check_all(&[("SET k v", "+OK"), (command, ":1"), ("EXISTS k", ":0")]);
            assert_eq!(t.events(), ["set k", "del k"]);
            assert_eq!(t.propagated(), ["SET k v", "DEL k"]);
        }
        let mut t = TestServer::with_config(&[("lazyfree-lazy-expire", "yes")]);
        t.check_all(&[("SET k v", "+OK"), ("PEXPIRE k -1", ":1")]);
        assert_eq!(t.propagated(), ["SET k v", "UNLINK k"]);
    }

    #[test]
    fn conditions_compare_with_the_old_time() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("SET k v", "+OK"),
            ("EXPIRE k 100 XX", ":0"),
            ("EXPIRE k 100 GT", ":0"),
            ("EXPIRE k 100 LT", ":1"),
            ("EXPIRE k 200 LT", ":0"),
            ("EXPIRE k 200 NX", ":0"),
            ("EXPIRE k 90 gt", ":0"),
            ("EXPIRE k 200 xx gt", ":1"),
            ("EXPIRE k 150 xx lt", ":1"),
            ("TTL k", ":150"),
            ("PERSIST k", ":1"),
            ("EXPIRE k 100 xx lt", ":0"),
            ("EXPIRE k 100 nx NX", ":1"),
            ("EXPIRE k -1 GT", ":0"),
            ("EXPIRE k -1 LT", ":1"),
            ("EXISTS k", ":0"),
        ]);
    }

    #[test]
    fn options_are_checked_before_the_number_and_the_key() {
        let mut t = TestServer::new();
        let nx = "-ERR NX and XX, GT or LT options at the same time are not compatible";
        t.check_all(&[
            ("EXPIRE k x foo", "-ERR Unsupported option foo"),
            ("EXPIRE k x \"a\\r\\nb\"", "-ERR Unsupported option a  b"),
            ("EXPIRE k x NX XX", nx),
            ("EXPIRE k x NX GT", nx),
            ("EXPIRE k x NX LT GT", nx),
            ("EXPIRE k x GT LT", "-ERR GT and LT options at the same time are not compatible"),
            ("EXPIRE k x", "-ERR value is not an integer or out of range"),
            ("EXPIRE k", "-ERR wrong number of arguments for 'expire' command"),
        ]);
    }

    #[test]
    fn times_out_of_range_are_refused() {
        let mut t = TestServer::new();
        let error = |name: &str| format!("-ERR invalid expire time in '{name}' command");
        t.check("EXPIRE k 9223372036854775", &error("expire"));
        t.check("EXPIRE k 9223372036854776", &error("expire"));
        t.check("EXPIRE k -9223372036854776", &error("expire"));
        t.check("EXPIRE k -9223372036854775", ":0");
        t.check("PEXPIRE k 9223372036854775807", &error("pexpire"));
        t.check("EXPIREAT k 9223372036854776", &error("expireat"));
        t.check_all(&[("SET k v", "+OK"), ("PEXPIREAT k 9223372036854775807", ":1")]);
        t.check_all(&[("EXPIRETIME k", ":9223372036854776")]);
        t.check_all(&[("PEXPIREAT k -9223372036854775808", ":1"), ("EXISTS k", ":0")]);
    }

    #[test]
    fn persist_ends_an_expiry() {
        let mut t = TestServer::new();
        t.check_all(&[("PERSIST k", ":0"), ("SET k v", "+OK"), ("PERSIST k", ":0")]);
        t.check_all(&[("EXPIRE k 1", ":1"), ("PERSIST k", ":1"), ("TTL k", ":-1")]);
        t.advance_ms(5000);
        t.check("GET k", "\"v\"");
        assert_eq!(t.events(), ["set k", "expire k", "persist k"]);
        assert_eq!(t.propagated().last().map(String::as_str), Some("PERSIST k"));
    }
}
