//! ACL: who may do what. The rows, and the subcommands that are about no user.

mod users;

use crate::acl::Known;
use crate::command::{Args, Categories, Command, CommandResult, Ctx, Flags, help, server};
use crate::error::{self, CommandError};
use std::fmt::Write;

const FLAGS: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const ADMIN_FLAGS: Flags = FLAGS.union(Flags::ADMIN);
const TIPS: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

pub(super) const SUBCOMMANDS: &[Command] = &[
    server("cat", cat).arity(-2).flags(FLAGS).doc(
        "6.0.0",
        "O(1), the number of commands being fixed",
        "[category]",
        "Lists the categories, or the commands of one.",
    ),
    server("deluser", users::deluser)
        .arity(-3)
        .flags(ADMIN_FLAGS)
        .tips(TIPS)
        .secrets(is_secret)
        .doc(
            "6.0.0",
            "O(1), the number of users being small",
            "username...",
            "Deletes users and ends their connections.",
        ),
    server("dryrun", users::dryrun).arity(-4).flags(ADMIN_FLAGS).doc(
        "7.0.0",
        "O(1).",
        "username command [arg...]",
        "Tells whether a user could run a command.",
    ),
    server("genpass", genpass).arity(-2).flags(FLAGS).doc(
        "6.0.0",
        "O(1)",
        "[bits:int]",
        "Makes up a password.",
    ),
    server("getuser", users::getuser).arity(3).flags(ADMIN_FLAGS).secrets(is_secret).doc(
        "6.0.0",
        "O(N), N being the rules of the user",
        "username",
        "Tells the rules of a user.",
    ),
    server("help", acl_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "6.0.0",
        "O(1)",
        "",
        "Tells what the subcommands are.",
    ),
    server("list", users::list).arity(2).flags(ADMIN_FLAGS).doc(
        "6.0.0",
        "O(N), N being the users",
        "",
        "Lists the users with their rules.",
    ),
    server("load", users::load).arity(2).flags(ADMIN_FLAGS).doc(
        "6.0.0",
        "O(N), N being the users",
        "",
        "Reads the users anew from the ACL file.",
    ),
    server("log", log).arity(-2).flags(ADMIN_FLAGS).doc(
        "6.0.0",
        "O(N), N being the entries shown",
        "[operation:{count:int | RESET}]",
        "Shows what was refused lately.",
    ),
    server("save", users::save).arity(2).flags(ADMIN_FLAGS).tips(TIPS).doc(
        "6.0.0",
        "O(N), N being the users",
        "",
        "Writes the users into the ACL file.",
    ),
    server("setuser", users::setuser)
        .arity(-3)
        .flags(ADMIN_FLAGS)
        .tips(TIPS)
        .secrets(is_secret)
        .doc(
            "6.0.0",
            "O(N), N being the rules",
            "username [rule...]",
            "Makes a user or changes its rules.",
        ),
    server("users", users::users).arity(2).flags(ADMIN_FLAGS).doc(
        "6.0.0",
        "O(N), N being the users",
        "",
        "Lists the names of the users.",
    ),
    server("whoami", users::whoami).arity(2).flags(FLAGS).doc(
        "6.0.0",
        "O(1)",
        "",
        "Tells which user the connection is.",
    ),
];

/// Names of users and their rules.
fn is_secret(_: Args, index: usize) -> bool {
    index >= 2
}

/// What rules depend on.
fn known<'a>(ctx: &Ctx<'a>) -> Known<'a> {
    Known::new(&ctx.config, &ctx.server.commands)
}

/// ACL CAT [category]
fn cat(ctx: &mut Ctx, args: Args) -> CommandResult {
    let rows = ctx.server.commands.rows();
    match args.len() {
        2 => {
            let names: Vec<String> = Categories::all().names().collect();
            ctx.reply.array(names.len());
            names.iter().for_each(|name| ctx.reply.bulk(name.as_bytes()));
        }
        3 => {
            let category = Categories::by_name(args.get(2))
                .ok_or_else(|| CommandError::UnknownCategory(error::excerpt(args.get(2))))?;
            let found: Vec<_> =
                rows.iter().filter(|row| row.categories.contains(category)).collect();
            ctx.reply.array(found.len());
            found.iter().for_each(|row| ctx.reply.bulk(row.original_name().as_bytes()));
        }
        _ => return Err(CommandError::subcommand_syntax(args, "ACL")),
    }
    Ok(())
}

/// ACL GENPASS [bits]
fn genpass(ctx: &mut Ctx, args: Args) -> CommandResult {
    const BITS_DEFAULT: i64 = 256;
    const BITS_MAX: i64 = 4096;
    let bits = match args.len() {
        2 => BITS_DEFAULT,
        3 => args.int(2)?,
        _ => return Err(CommandError::subcommand_syntax(args, "ACL")),
    };
    if !(1..=BITS_MAX).contains(&bits) {
        return Err(CommandError::GenpassBits(BITS_MAX));
    }
    let n_digits = (bits as usize).div_ceil(4);
    let mut digits = String::with_capacity(n_digits + 8);
    while digits.len() < n_digits {
        // Writing into a string cannot fail.
        let _ = write!(digits, "{:08x}", rand::random::<u32>());
    }
    ctx.reply.bulk(&digits.as_bytes()[..n_digits]);
    Ok(())
}

/// ACL LOG [count | RESET]
fn log(ctx: &mut Ctx, args: Args) -> CommandResult {
    const COUNT_DEFAULT: usize = 10;
    let count = match args.len() {
        2 => COUNT_DEFAULT,
        3 if args.is(2, "RESET") => {
            ctx.server.acl_log.clear();
            ctx.reply.ok();
            return Ok(());
        }
        3 => usize::try_from(args.int(2)?).unwrap_or(0),
        _ => return Err(CommandError::subcommand_syntax(args, "ACL")),
    };
    let entries = ctx.server.acl_log.newest(count);
    let reply = &mut ctx.reply;
    reply.array(entries.len());
    for entry in entries {
        let age_s = (ctx.env.now_ms - entry.updated_ms) as f64 / 1000.0;
        reply.map(10);
        reply.bulk(b"count");
        reply.int(i64::try_from(entry.count).unwrap_or(i64::MAX));
        reply.bulk(b"reason");
        reply.bulk(entry.reason.name().as_bytes());
        reply.bulk(b"context");
        reply.bulk(entry.context.name().as_bytes());
        reply.bulk(b"object");
        reply.bulk(&entry.object);
        reply.bulk(b"username");
        reply.bulk(&entry.username);
        reply.bulk(b"age-seconds");
        reply.double(age_s);
        reply.bulk(b"client-info");
        reply.bulk(entry.client.as_bytes());
        for (name, value) in [
            ("entry-id", entry.id),
            ("timestamp-created", entry.created_ms),
            ("timestamp-last-updated", entry.updated_ms),
        ] {
            reply.bulk(name.as_bytes());
            reply.int(value);
        }
    }
    Ok(())
}

/// ACL HELP
fn acl_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            (
                "CAT [<category>]",
                "List all commands that belong to <category>, or all command categories\n\
                 when no category is specified.",
            ),
            ("DELUSER <username> [<username> ...]", "Delete a list of users."),
            (
                "DRYRUN <username> <command> [<arg> ...]",
                "Returns whether the user can execute the given command without executing the \
                 command.",
            ),
            ("GETUSER <username>", "Get the user's details."),
            (
                "GENPASS [<bits>]",
                "Generate a secure 256-bit user password. The optional `bits` argument can\n\
                 be used to specify a different size.",
            ),
            ("LIST", "Show users details in config file format."),
            ("LOAD", "Reload users from the ACL file."),
            ("LOG [<count> | RESET]", "Show the ACL log entries."),
            ("SAVE", "Save the current config to the ACL file."),
            (
                "SETUSER <username> <attribute> [<attribute> ...]",
                "Create or modify a user with the specified attributes.",
            ),
            ("USERS", "List all the registered usernames."),
            ("WHOAMI", "Return the current connection username."),
        ],
    )
}

#[cfg(test)]
mod tests;
