//! The HELP subcommand of containers.

use super::{CommandResult, Ctx};

/// Answers HELP: for each subcommand its usage and, line by line, what it does.
pub fn help(ctx: &mut Ctx<'_>, usages: &[(&str, &str)]) -> CommandResult {
    let container = ctx.row.parent.map_or(ctx.row, |id| ctx.server.commands.row(id));
    let name = container.full_name.to_ascii_uppercase();
    let reply = &mut ctx.reply;
    let last = ("HELP", "Print this help.");
    let n_lines = |(_, text): &(&str, &str)| 1 + text.lines().count();
    reply.array(1 + usages.iter().chain([&last]).map(n_lines).sum::<usize>());
    reply.status(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for (usage, text) in usages.iter().chain([&last]) {
        reply.status(usage);
        for line in text.lines() {
            reply.status(&format!("    {line}"));
        }
    }
    Ok(())
}
