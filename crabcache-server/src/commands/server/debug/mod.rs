//! DEBUG: looks behind the scenes and changes what ordinary commands cannot, for tests.
//!
//! One command with forms of its own rather than a container: COMMAND shows no subcommands, and
//! statistics count them together, as in the reference. It has the whole keyspace to itself, so
//! that SLEEP stops everybody and DIGEST sees one instant.
//!
//! Forms of the reference that cannot be true here do not exist.

mod content;
mod digest;
mod layout;
mod protocol;
mod reload;

use super::config::rewrite_file;
use crate::command::{Args, Command, CommandResult, Ctx, Flags, exclusive, help};
use crate::config::Memory;
use crate::config::rewrite::Extent;
use crate::error::CommandError;
use crate::replication::log::Targets;
use crabcache_store::WriteDb;
use crabcache_store::types::list::set_plain_bytes_min;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) const DEBUG: Command = exclusive("debug", debug)
    .without(Flags::WRITE)
    .arity(-2)
    .flags(
        Flags::ADMIN
            .union(Flags::NOSCRIPT)
            .union(Flags::LOADING)
            .union(Flags::STALE)
            .union(Flags::PROTECTED)
            .union(Flags::SYSCMD),
    )
    .doc("1.0.0", "Depends on the form.", "", "Looks behind the scenes, for tests.");

/// One form of the command.
struct Form {
    name: &'static str,
    /// Words of a request, with DEBUG and the name.
    n_words: RangeInclusive<usize>,
    run: fn(&mut WriteDb, &mut Ctx, Args) -> CommandResult,
    /// What HELP says.
    usage: (&'static str, &'static str),
}

const ANY: usize = usize::MAX;

const FORMS: &[Form] = &[
    Form {
        name: "aof-flush-sleep",
        n_words: 3..=3,
        run: aof_flush_sleep,
        usage: (
            "AOF-FLUSH-SLEEP <microseconds>",
            "Wait so long before the append-only file is written.",
        ),
    },
    Form {
        name: "change-repl-id",
        n_words: 2..=2,
        run: change_repl_id,
        usage: ("CHANGE-REPL-ID", "Give the history of the data a new name."),
    },
    Form {
        name: "config-rewrite-force-all",
        n_words: 2..=2,
        run: |_, ctx, _| rewrite_file(ctx, Extent::All),
        usage: ("CONFIG-REWRITE-FORCE-ALL", "Write all parameters into the configuration file."),
    },
    Form {
        name: "digest",
        n_words: 2..=2,
        run: digest::of_all,
        usage: ("DIGEST", "A checksum of all data."),
    },
    Form {
        name: "digest-value",
        n_words: 2..=ANY,
        run: digest::of_values,
        usage: ("DIGEST-VALUE [<key> ...]", "A checksum for the value of each key."),
    },
    Form {
        name: "error",
        n_words: 3..=3,
        run: error,
        usage: ("ERROR <text>", "Answer with this error."),
    },
    Form { name: "help", n_words: 2..=2, run: debug_help, usage: ("", "") },
    Form {
        name: "htstats",
        n_words: 3..=ANY,
        run: content::htstats,
        usage: (
            "HTSTATS <db> [FULL]",
            "How full the tables of a database are, with FULL by length of chains.",
        ),
    },
    Form {
        name: "listpack",
        n_words: 3..=3,
        run: layout::listpack,
        usage: ("LISTPACK <key>", "Print the elements of a listpack on stdout."),
    },
    Form {
        name: "loadaof",
        n_words: 2..=2,
        run: reload::load_aof,
        usage: ("LOADAOF", "Write what waits for the append-only file, and load it."),
    },
    Form {
        name: "log",
        n_words: 3..=3,
        run: log,
        usage: ("LOG <message>", "Write a line into the log."),
    },
    Form {
        name: "object",
        n_words: 3..=3,
        run: content::object,
        usage: ("OBJECT <key>", "How a key and its value are kept."),
    },
    Form {
        name: "panic",
        n_words: 2..=2,
        run: panic,
        usage: ("PANIC", "End the process as a broken invariant would."),
    },
    Form {
        name: "pause-cron",
        n_words: 3..=3,
        run: pause_cron,
        usage: ("PAUSE-CRON <0|1>", "Stop what is done at regular times, or let it go on."),
    },
    Form {
        name: "populate",
        n_words: 3..=5,
        run: content::populate,
        usage: (
            "POPULATE <count> [<prefix>] [<size>]",
            "Add <count> strings <prefix>:<number>; the prefix is `key` unless given.\n\
             Keys that are there stay as they are. Nothing of it is replicated.",
        ),
    },
    Form {
        name: "protocol",
        n_words: 3..=3,
        run: protocol::protocol,
        usage: (
            "PROTOCOL <type>",
            "A reply of this type: string, integer, double, bignum, null, array, set, map,\n\
             attrib, push, verbatim, true, false.",
        ),
    },
    Form {
        name: "quicklist",
        n_words: 3..=4,
        run: layout::quicklist,
        usage: (
            "QUICKLIST <key> [<0|1>]",
            "Print the nodes of a list on stdout, with 1 their elements, too.",
        ),
    },
    Form {
        name: "quicklist-packed-threshold",
        n_words: 3..=3,
        run: quicklist_packed_threshold,
        usage: (
            "QUICKLIST-PACKED-THRESHOLD <bytes>",
            "From what size on an element of a long list has a node of its own; 0: as configured.",
        ),
    },
    Form {
        name: "reload",
        n_words: 2..=ANY,
        run: reload::reload,
        usage: (
            "RELOAD [MERGE | NOFLUSH | NOSAVE ...]",
            "Save a snapshot and load it. With NOSAVE, load the one that is there; with NOFLUSH,\n\
             keep what is there, and with MERGE let the snapshot's keys replace it.",
        ),
    },
    Form {
        name: "replicate",
        n_words: 3..=3,
        run: replicate,
        usage: ("REPLICATE <word>", "Send replicas a command of one word, whatever that is."),
    },
    Form {
        name: "replybuffer",
        n_words: 4..=4,
        run: reply_buffer,
        usage: (
            "REPLYBUFFER RESIZING <0|1>",
            "Whether the buffer of replies that a client did not take at once is given back when it\n\
             is empty.",
        ),
    },
    Form {
        name: "sdslen",
        n_words: 3..=3,
        run: content::sdslen,
        usage: ("SDSLEN <key>", "Lengths and memory of a key and its string."),
    },
    Form {
        name: "set-active-expire",
        n_words: 3..=3,
        run: set_active_expire,
        usage: (
            "SET-ACTIVE-EXPIRE <0|1>",
            "Whether keys whose time has come are removed although nobody asks for them.",
        ),
    },
    Form {
        name: "set-disable-deny-scripts",
        n_words: 3..=3,
        run: set_disable_deny_scripts,
        usage: (
            "SET-DISABLE-DENY-SCRIPTS <0|1>",
            "Whether scripts may call commands that are denied to them otherwise.",
        ),
    },
    Form {
        name: "set-skip-checksum-validation",
        n_words: 3..=3,
        run: set_skip_checksum_validation,
        usage: (
            "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
            "Whether RESTORE and snapshots are taken with wrong checksums, too.",
        ),
    },
    Form {
        name: "sleep",
        n_words: 3..=3,
        run: sleep,
        usage: ("SLEEP <seconds>", "Stop the server for a time, which may be a fraction."),
    },
];

/// DEBUG subcommand [argument ...]
fn debug(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_meant = |form: &&Form| args.is(1, form.name) && form.n_words.contains(&args.len());
    match FORMS.iter().find(is_meant) {
        Some(form) => (form.run)(db, ctx, args),
        None => Err(CommandError::subcommand_syntax(args, "DEBUG")),
    }
}

/// DEBUG HELP
fn debug_help(_: &mut WriteDb, ctx: &mut Ctx, _: Args) -> CommandResult {
    let usages = FORMS.iter().map(|form| form.usage).filter(|usage| !usage.0.is_empty());
    help(ctx, &usages.collect::<Vec<_>>())
}

/// DEBUG AOF-FLUSH-SLEEP microseconds
fn aof_flush_sleep(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let sleep_us = u64::try_from(leading_int(args.get(2))).unwrap_or(0);
    ctx.server.aof.flush_sleep_us.store(sleep_us, Ordering::Relaxed);
    ctx.reply.ok();
    Ok(())
}

/// DEBUG CHANGE-REPL-ID
fn change_repl_id(_: &mut WriteDb, ctx: &mut Ctx, _: Args) -> CommandResult {
    tracing::info!("Changing replication IDs after receiving DEBUG change-repl-id");
    ctx.server.replication.history.lock().renew();
    ctx.reply.ok();
    Ok(())
}

/// DEBUG ERROR text
fn error(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    ctx.reply.error(args.get(2));
    Ok(())
}

/// DEBUG LOG message
fn log(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.get(2)));
    ctx.reply.ok();
    Ok(())
}

/// DEBUG PANIC
fn panic(_: &mut WriteDb, ctx: &mut Ctx, _: Args) -> CommandResult {
    let now_s = ctx.env.now_ms / 1000;
    tracing::error!("DEBUG PANIC called at Unix time {now_s}");
    std::process::abort();
}

/// DEBUG PAUSE-CRON 0|1
fn pause_cron(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    ctx.server.is_cron_paused.store(leading_int(args.get(2)) != 0, Ordering::Relaxed);
    ctx.reply.ok();
    Ok(())
}

/// DEBUG QUICKLIST-PACKED-THRESHOLD bytes
fn quicklist_packed_threshold(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    /// Listpacks are below 4 GB, with a margin.
    const BYTES_MAX: i64 = (1 << 32) - (1 << 20);
    let n_bytes = Memory::parse_bytes(args.get(2)).filter(|n_bytes| *n_bytes <= BYTES_MAX);
    let n_bytes = n_bytes.and_then(|n_bytes| usize::try_from(n_bytes).ok());
    set_plain_bytes_min(n_bytes.ok_or(CommandError::PackedThreshold)?);
    ctx.reply.ok();
    Ok(())
}

/// DEBUG REPLICATE word
fn replicate(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    ctx.server.log.append(Targets::REPLICAS, None, [args.get(2)].into_iter());
    ctx.reply.ok();
    Ok(())
}

/// DEBUG REPLYBUFFER RESIZING 0|1
fn reply_buffer(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    if !args.is(2, "resizing") {
        return Err(CommandError::subcommand_syntax(args, "DEBUG"));
    }
    let keeps = leading_int(args.get(3)) == 0;
    ctx.server.keeps_output_buffers.store(keeps, Ordering::Relaxed);
    ctx.reply.ok();
    Ok(())
}

/// DEBUG SET-ACTIVE-EXPIRE 0|1
fn set_active_expire(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    ctx.server.active_expire.enable(leading_int(args.get(2)) != 0);
    ctx.reply.ok();
    Ok(())
}

/// DEBUG SET-DISABLE-DENY-SCRIPTS 0|1
fn set_disable_deny_scripts(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let denies_nothing = &ctx.server.scripting.denies_nothing;
    denies_nothing.store(leading_int(args.get(2)) != 0, Ordering::Relaxed);
    ctx.reply.ok();
    Ok(())
}

/// DEBUG SET-SKIP-CHECKSUM-VALIDATION 0|1
fn set_skip_checksum_validation(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let skips = leading_int(args.get(2)) != 0;
    ctx.server.persistence.skips_checksums.store(skips, Ordering::Relaxed);
    ctx.reply.ok();
    Ok(())
}

/// DEBUG SLEEP seconds
fn sleep(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let seconds = std::str::from_utf8(args.get(2)).ok().and_then(|text| text.parse().ok());
    // What is no time at all is none to wait for.
    if let Ok(time) = Duration::try_from_secs_f64(seconds.unwrap_or(0.0)) {
        std::thread::sleep(time);
    }
    ctx.reply.ok();
    Ok(())
}

/// The integer that a word begins with; 0 if there is none.
fn leading_int(word: &[u8]) -> i64 {
    let text = word.trim_ascii_start();
    let sign_len = usize::from(matches!(text, [b'-' | b'+', ..]));
    let n_digits = text[sign_len..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..sign_len + n_digits]).ok();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
