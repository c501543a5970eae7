//! The subcommands of ACL that are about users.

use super::known;
use crate::acl::{DEFAULT_USER, Selector, Sessions, User, check, drop_revoked};
use crate::command::table::Found;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{self, CommandError};
use crabcache_resp::Reply;

/// ACL SETUSER username [rule [rule ...]]
pub(super) fn setuser(ctx: &mut Ctx, args: Args) -> CommandResult {
    let known = known(ctx);
    let (user, old) = ctx.server.users.set(known, args.get(2), args.from(3))?;
    drop_revoked(ctx, &Sessions::of_changed(user, old.as_deref()));
    ctx.reply.ok();
    Ok(())
}

/// ACL DELUSER username [username ...]
pub(super) fn deluser(ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.from(2).any(|name| name == DEFAULT_USER.as_bytes()) {
        return Err(CommandError::DefaultUserStays);
    }
    let removed: Vec<_> = args.from(2).filter_map(|name| ctx.server.users.remove(name)).collect();
    ctx.reply.count(removed.len());
    drop_revoked(ctx, &Sessions::of_removed(removed));
    Ok(())
}

/// ACL GETUSER username
pub(super) fn getuser(ctx: &mut Ctx, args: Args) -> CommandResult {
    let Some(user) = ctx.server.users.get(args.get(2)) else {
        ctx.reply.null();
        return Ok(());
    };
    let rules = user.rules();
    let reply = &mut ctx.reply;
    reply.map(6);
    reply.bulk(b"flags");
    let flags = rules.flags();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    let passwords = rules.passwords();
    reply.array(passwords.len());
    passwords.for_each(|password| reply.bulk(password.as_bytes()));
    let (root, others) = rules.root_and_others();
    tell_selector(reply, root);
    reply.bulk(b"selectors");
    reply.array(others.len());
    for selector in others {
        reply.map(3);
        tell_selector(reply, selector);
    }
    Ok(())
}

fn tell_selector(reply: &mut Reply, selector: &Selector) {
    let parts: [(&str, Vec<u8>); 3] = [
        ("commands", selector.describe_commands()),
        ("keys", selector.describe_keys()),
        ("channels", selector.describe_channels()),
    ];
    for (name, rules) in parts {
        reply.bulk(name.as_bytes());
        reply.bulk(&rules);
    }
}

/// ACL LIST
pub(super) fn list(ctx: &mut Ctx, _: Args) -> CommandResult {
    tell_all(ctx, |user| [b"user ", user.describe().as_slice()].concat())
}

/// ACL USERS
pub(super) fn users(ctx: &mut Ctx, _: Args) -> CommandResult {
    tell_all(ctx, |user| user.name.to_vec())
}

fn tell_all(ctx: &mut Ctx, tell: impl Fn(&User) -> Vec<u8>) -> CommandResult {
    let users = ctx.server.users.all();
    ctx.reply.array(users.len());
    users.iter().for_each(|user| ctx.reply.bulk(&tell(user)));
    Ok(())
}

/// ACL WHOAMI
pub(super) fn whoami(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.reply.bulk(&ctx.client.user.name);
    Ok(())
}

/// ACL LOAD
pub(super) fn load(ctx: &mut Ctx, _: Args) -> CommandResult {
    if ctx.config.aclfile.is_empty() {
        return Err(CommandError::NoAclFile);
    }
    let sessions = ctx.server.users.load(&ctx.config.aclfile, known(ctx))?;
    drop_revoked(ctx, &sessions);
    ctx.reply.ok();
    Ok(())
}

/// ACL SAVE
pub(super) fn save(ctx: &mut Ctx, _: Args) -> CommandResult {
    if ctx.config.aclfile.is_empty() {
        return Err(CommandError::NoAclFile);
    }
    ctx.server.users.save(&ctx.config.aclfile).map_err(|error| {
        tracing::warn!("Writing ACL file for ACL SAVE: {error}");
        CommandError::AclSaveFailed
    })?;
    ctx.reply.ok();
    Ok(())
}

/// ACL DRYRUN username command [arg [arg ...]]
pub(super) fn dryrun(ctx: &mut Ctx, args: Args) -> CommandResult {
    let text = |index: usize| error::shown(args.get(index));
    let user = ctx.server.users.get(args.get(2));
    let user = user.ok_or_else(|| CommandError::AclUserNotFound(text(2)))?;
    let request = args.skip(3);
    let Found::Row(row) = ctx.server.commands.find(request) else {
        return Err(CommandError::AclCommandNotFound(text(3)));
    };
    if !row.arity_fits(request.len()) {
        return Err(CommandError::Arity(row.full_name.clone()));
    }
    match check(&user, row, request) {
        Ok(()) => ctx.reply.ok(),
        Err(denied) => ctx.reply.bulk(&denied.details(&user, row, request)),
    }
    Ok(())
}
