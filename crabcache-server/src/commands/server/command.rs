//! COMMAND and its subcommands: what the command table says, in the reference's form.

use crate::command::keys::{Begin, Find, keys_of};
use crate::command::syntax::{self, Argument, ArgumentKind};
use crate::command::table::Found;
use crate::command::{
    Args, Categories, Command, CommandResult, CommandRow, CommandTable, Ctx, Flags, Group,
    KeyFlags, KeySpec, Words, help, server,
};
use crate::error::CommandError;
use crabcache_resp::Reply;
use crabcache_store::algorithms::glob::{self, Case};

const FLAGS: Flags = Flags::LOADING.union(Flags::STALE);
/// The module that the reference has the commands of the group `module` from.
const MODULE: &str = "vectorset";
const TIPS: &[&str] = &["nondeterministic_output_order"];

const fn row(name: &'static str, handler: fn(&mut Ctx, Args) -> CommandResult) -> Command {
    server(name, handler).flags(FLAGS).categories(Categories::CONNECTION)
}

pub(super) const COMMAND: Command = row("command", command)
    .subcommands(&[
        row("count", count).arity(2).doc("2.8.13", "O(1)", "", "Counts the commands."),
        row("docs", docs).arity(-2).tips(TIPS).doc(
            "7.0.0",
            "O(N), N being the commands asked for",
            "[command-name...]",
            "Documents commands.",
        ),
        row("getkeys", getkeys).arity(-3).doc(
            "2.8.13",
            "O(N), N being the arguments",
            "command [arg...]",
            "Finds the keys of a request.",
        ),
        row("getkeysandflags", getkeysandflags).arity(-3).doc(
            "7.0.0",
            "O(N), N being the arguments",
            "command [arg...]",
            "Finds the keys of a request and what it would do with them.",
        ),
        row("help", command_help).arity(2).doc(
            "5.0.0",
            "O(1)",
            "",
            "Lists the subcommands of COMMAND.",
        ),
        row("info", info).arity(-2).tips(TIPS).doc(
            "2.8.13",
            "O(N), N being the commands asked for",
            "[command-name...]",
            "Describes commands for programs.",
        ),
        row("list", list).arity(-2).tips(TIPS).doc(
            "7.0.0",
            "O(N), N being the commands",
            "[FILTERBY=filterby:{MODULE=module-name | ACLCAT=category | PATTERN=pattern:pattern}]",
            "Names the commands.",
        ),
    ])
    .tips(TIPS)
    .doc("2.8.13", "O(N), N being the commands", "", "Describes all commands for programs.");

/// COMMAND
fn command(ctx: &mut Ctx, _: Args) -> CommandResult {
    let table = &ctx.server.commands;
    ctx.reply.array(table.commands().count());
    table.commands().for_each(|row| write_info(&mut ctx.reply, table, row));
    Ok(())
}

/// COMMAND COUNT
fn count(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.reply.count(ctx.server.commands.commands().count());
    Ok(())
}

/// COMMAND DOCS [command-name ...]
fn docs(ctx: &mut Ctx, args: Args) -> CommandResult {
    let table = &ctx.server.commands;
    let rows: Vec<&CommandRow> = if args.len() == 2 {
        table.commands().collect()
    } else {
        args.from(2).filter_map(|name| table.by_full_name(name)).collect()
    };
    write_docs_map(&mut ctx.reply, table, rows.into_iter());
    Ok(())
}

/// COMMAND GETKEYS command [arg ...]
fn getkeys(ctx: &mut Ctx, args: Args) -> CommandResult {
    let keys = find_keys(ctx, args)?;
    ctx.reply.array(keys.len());
    keys.into_iter().for_each(|(key, _)| ctx.reply.bulk(key));
    Ok(())
}

/// COMMAND GETKEYSANDFLAGS command [arg ...]
fn getkeysandflags(ctx: &mut Ctx, args: Args) -> CommandResult {
    let keys = find_keys(ctx, args)?;
    ctx.reply.array(keys.len());
    for (key, flags) in keys {
        ctx.reply.array(2);
        ctx.reply.bulk(key);
        write_key_flags(&mut ctx.reply, flags);
    }
    Ok(())
}

/// COMMAND HELP
fn command_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            ("(no subcommand)", "Describe all commands."),
            ("COUNT", "Return the number of commands of this server."),
            ("LIST", "Return the names of all commands of this server."),
            ("INFO [<command-name> ...]", "Describe commands; all of them if none is named."),
            ("DOCS [<command-name> ...]", "Document commands; all of them if none is named."),
            ("GETKEYS <full-command>", "Return the keys of a request."),
            ("GETKEYSANDFLAGS <full-command>", "Return the keys of a request with access flags."),
        ],
    )
}

/// COMMAND INFO [command-name ...]
fn info(ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.len() == 2 {
        return command(ctx, args);
    }
    let table = &ctx.server.commands;
    ctx.reply.array(args.len() - 2);
    for name in args.from(2) {
        match table.by_full_name(name) {
            Some(row) => write_info(&mut ctx.reply, table, row),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

/// COMMAND LIST [FILTERBY (MODULE module-name | ACLCAT category | PATTERN pattern)]
fn list(ctx: &mut Ctx, args: Args) -> CommandResult {
    let filter = Filter::parse(args.from(2))?;
    let table = &ctx.server.commands;
    let with_subcommands = |row: &CommandRow| row.id..row.subcommands.end;
    let names: Vec<&str> = table
        .commands()
        .flat_map(with_subcommands)
        .map(|id| table.row(id))
        .filter(|row| filter.accepts(row))
        .map(|row| &*row.full_name)
        .collect();
    ctx.reply.array(names.len());
    names.into_iter().for_each(|name| ctx.reply.bulk(name.as_bytes()));
    Ok(())
}

/// What COMMAND LIST leaves out.
enum Filter<'a> {
    /// Nothing.
    None,
    /// Whatever is not of the module of this name.
    Module(&'a [u8]),
    /// What is in none of these categories.
    Categories(Categories),
    /// What does not match.
    Pattern(&'a [u8]),
}

impl<'a> Filter<'a> {
    fn parse(mut words: Words<'a>) -> Result<Filter<'a>, CommandError> {
        if words.remaining() == 0 {
            return Ok(Filter::None);
        }
        if words.remaining() != 3 || !words.accept("FILTERBY") {
            return Err(CommandError::Syntax);
        }
        if words.accept("MODULE") {
            Ok(Filter::Module(words.word()?))
        } else if words.accept("ACLCAT") {
            let category = Categories::by_name(words.word()?);
            Ok(Filter::Categories(category.unwrap_or(Categories::empty())))
        } else if words.accept("PATTERN") {
            Ok(Filter::Pattern(words.word()?))
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn accepts(&self, row: &CommandRow) -> bool {
        match self {
            Filter::None => true,
            Filter::Module(name) => {
                row.group == Group::Module && name.eq_ignore_ascii_case(MODULE.as_bytes())
            }
            Filter::Categories(categories) => row.categories.intersects(*categories),
            Filter::Pattern(pattern) => {
                glob::matches(pattern, row.full_name.as_bytes(), Case::Insensitive)
            }
        }
    }
}

/// The keys of the request that the words from the third on are.
fn find_keys<'a>(ctx: &Ctx, args: Args<'a>) -> Result<Vec<(&'a [u8], KeyFlags)>, CommandError> {
    let request = args.skip(2);
    let Found::Row(row) = ctx.server.commands.find(request) else {
        return Err(CommandError::InvalidCommand);
    };
    let is_key = |spec: &KeySpec| !spec.flags.contains(KeyFlags::NOT_KEY);
    if !row.spec.keys.iter().any(is_key) && row.spec.key_finder.is_none() {
        return Err(CommandError::NoKeyArguments);
    }
    if !row.arity_fits(request.len()) {
        return Err(CommandError::InvalidArgumentCount);
    }
    let keys = keys_of(row.spec, request);
    if keys.is_empty() && !row.flags.contains(Flags::NO_MANDATORY_KEYS) {
        return Err(CommandError::InvalidArguments);
    }
    Ok(keys.into_iter().map(|(index, flags)| (request.get(index), flags)).collect())
}

fn write_info(reply: &mut Reply, table: &CommandTable, row: &CommandRow) {
    reply.array(10);
    reply.bulk(row.full_name.as_bytes());
    reply.int(row.spec.arity.into());
    let flags = Flags::NAMES.iter().filter(|(flag, _)| row.flags.contains(*flag));
    write_statuses(reply, flags.map(|(_, name)| (*name).to_string()));
    reply.int(row.key_range.first);
    reply.int(row.key_range.last);
    reply.int(row.key_range.step);
    write_statuses(reply, row.categories.names().map(|name| format!("@{name}")));
    reply.set(row.spec.tips.len());
    row.spec.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(row.spec.keys.len());
    row.spec.keys.iter().for_each(|spec| write_key_spec(reply, spec));
    if row.subcommands.is_empty() {
        reply.set(0);
    } else {
        reply.array(row.subcommands.len());
        row.subcommands.clone().for_each(|id| write_info(reply, table, table.row(id)));
    }
}

fn write_statuses(reply: &mut Reply, names: impl Iterator<Item = String>) {
    let names: Vec<String> = names.collect();
    reply.set(names.len());
    names.iter().for_each(|name| reply.status(name));
}

fn write_key_flags(reply: &mut Reply, flags: KeyFlags) {
    let names = KeyFlags::WIRE_NAMES.iter().filter(|(flag, _)| flags.contains(*flag));
    write_statuses(reply, names.map(|(_, name)| (*name).to_string()));
}

fn write_key_spec(reply: &mut Reply, spec: &KeySpec) {
    let has_notes = !spec.notes.is_empty();
    reply.map(3 + usize::from(has_notes));
    if has_notes {
        write_field(reply, "notes", spec.notes);
    }
    reply.bulk(b"flags");
    write_key_flags(reply, spec.flags);
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => write_search(reply, "index", &[("index", index as i64)]),
        Begin::Keyword(keyword, start) => {
            write_type(reply, "keyword");
            reply.map(2);
            write_field(reply, "keyword", keyword);
            write_int(reply, "startfrom", start.into());
        }
        Begin::Unknown => write_search(reply, "unknown", &[]),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => write_search(
            reply,
            "range",
            &[("lastkey", last.into()), ("keystep", step as i64), ("limit", limit as i64)],
        ),
        Find::KeyNum { number, first, step } => write_search(
            reply,
            "keynum",
            &[("keynumidx", number as i64), ("firstkey", first as i64), ("keystep", step as i64)],
        ),
        Find::Unknown => write_search(reply, "unknown", &[]),
    }
}

fn write_search(reply: &mut Reply, kind: &str, numbers: &[(&str, i64)]) {
    write_type(reply, kind);
    reply.map(numbers.len());
    numbers.iter().for_each(|(name, number)| write_int(reply, name, *number));
}

/// Begins the map of a search: its type, and the label of what follows.
fn write_type(reply: &mut Reply, kind: &str) {
    reply.map(2);
    write_field(reply, "type", kind);
    reply.bulk(b"spec");
}

fn write_field(reply: &mut Reply, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn write_int(reply: &mut Reply, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.int(value);
}

fn write_docs_map<'t>(
    reply: &mut Reply,
    table: &CommandTable,
    rows: impl ExactSizeIterator<Item = &'t CommandRow>,
) {
    reply.map(rows.len());
    for row in rows {
        reply.bulk(row.full_name.as_bytes());
        write_docs(reply, table, row);
    }
}

fn write_docs(reply: &mut Reply, table: &CommandTable, row: &CommandRow) {
    if row.group == Group::Module {
        // Compat: no more is known of what comes from a module.
        reply.map(2);
        write_field(reply, "group", row.group.name());
        write_field(reply, "module", MODULE);
        return;
    }
    let docs = &row.spec.docs;
    let map = reply.deferred();
    let mut n_fields = 3;
    write_field(reply, "summary", docs.summary);
    write_field(reply, "since", docs.since);
    write_field(reply, "group", row.group.name());
    if !docs.complexity.is_empty() {
        n_fields += 1;
        write_field(reply, "complexity", docs.complexity);
    }
    let flags =
        [(docs.deprecated.is_some(), "deprecated"), (row.flags.contains(Flags::SYSCMD), "syscmd")];
    let flags = flags.into_iter().filter(|(is_set, _)| *is_set);
    if flags.clone().count() > 0 {
        n_fields += 1;
        reply.bulk(b"doc_flags");
        write_statuses(reply, flags.map(|(_, name)| name.to_string()));
    }
    if let Some(deprecated) = docs.deprecated {
        n_fields += 2;
        write_field(reply, "deprecated_since", deprecated.since);
        write_field(reply, "replaced_by", deprecated.replaced_by);
    }
    let arguments = syntax::parse(docs.syntax).expect("a test parses the strings of all rows");
    if !arguments.is_empty() {
        n_fields += 1;
        reply.bulk(b"arguments");
        write_arguments(reply, &arguments);
    }
    if !row.subcommands.is_empty() {
        n_fields += 1;
        reply.bulk(b"subcommands");
        let rows: Vec<&CommandRow> = row.subcommands.clone().map(|id| table.row(id)).collect();
        write_docs_map(reply, table, rows.into_iter());
    }
    reply.end_map(map, n_fields);
}

fn write_arguments(reply: &mut Reply, arguments: &[Argument<'_>]) {
    reply.array(arguments.len());
    for argument in arguments {
        let map = reply.deferred();
        let mut n_fields = 3;
        write_field(reply, "name", &argument.name);
        write_field(reply, "type", argument.kind.name());
        let is_compound = matches!(argument.kind, ArgumentKind::OneOf | ArgumentKind::Block);
        if !is_compound {
            write_field(reply, "display_text", argument.display.unwrap_or(&argument.name));
        }
        if let Some(number) = argument.key_spec {
            n_fields += 1;
            write_int(reply, "key_spec_index", number as i64);
        }
        let texts = [
            ("token", argument.token),
            ("since", argument.since),
            ("deprecated_since", argument.deprecated_since),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                n_fields += 1;
                write_field(reply, name, text);
            }
        }
        let flags = [
            (argument.is_optional, "optional"),
            (argument.is_multiple, "multiple"),
            (argument.repeats_token, "multiple_token"),
        ];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set);
        if flags.clone().count() > 0 {
            n_fields += 1;
            reply.bulk(b"flags");
            write_statuses(reply, flags.map(|(_, name)| name.to_string()));
        }
        if is_compound {
            reply.bulk(b"arguments");
            write_arguments(reply, &argument.arguments);
        }
        reply.end_map(map, n_fields);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn command_info_describes_commands() {
        let mut t = TestServer::new();
        let get = concat!(
            r#"["get", :2, [+readonly, +fast], :1, :1, :1, [+@read, +@string, +@fast], [], "#,
            r#"[["flags", [+RO, +access], "begin_search", ["type", "index", "spec", ["index", :1]], "#,
            r#""find_keys", ["type", "range", "spec", ["lastkey", :0, "keystep", :1, "limit", :0]]]], "#,
            r#"[]]"#
        );
        t.check("COMMAND INFO nosuch GET", &format!("[nil, {get}]"));
        t.check("COMMAND INFO get|x command| | command|count|x", "[nil, nil, nil, nil]");
        let count = concat!(
            r#"[["command|count", :2, [+loading, +stale], :0, :0, :0, "#,
            r#"[+@slow, +@connection], [], [], []]]"#
        );
        t.check("COMMAND INFO COMMAND|COUNT", count);
        let n_commands = t.server.commands.commands().count();
        t.check("COMMAND COUNT", &format!(":{n_commands}"));
        for request in ["COMMAND", "COMMAND INFO"] {
            assert_eq!(t.run(request).matches("[\"get\", :2, [+readonly, +fast]").count(), 1);
        }
    }

    #[test]
    fn command_docs_documents_commands() {
        let mut t = TestServer::new();
        t.check("COMMAND DOCS nosuch", "[]");
        let docs = t.run("COMMAND DOCS time TIME getex");
        assert!(docs.contains(r#""time""#), "{docs}");
        let list = t.run("COMMAND DOCS COMMAND|LIST");
        assert!(list.contains(r#""group", "server""#), "{list}");
        assert!(list.contains(concat!(
            r#"["name", "filterby", "type", "oneof", "token", "FILTERBY", "flags", [+optional], "#,
            r#""arguments", [["name", "module-name", "type", "string", "#,
            r#""display_text", "module-name", "token", "MODULE"]"#
        )));
        let all = t.run("COMMAND DOCS");
        assert!(all.contains(r#""subcommands", ["command|count", ["summary""#), "{all}");
    }

    #[test]
    fn command_list_filters() {
        let mut t = TestServer::new();
        t.check(
            "COMMAND LIST FILTERBY PATTERN COMMAND|GET*",
            r#"["command|getkeys", "command|getkeysandflags"]"#,
        );
        t.check(
            "COMMAND LIST FILTERBY ACLCAT Transaction",
            r#"["discard", "exec", "multi", "unwatch", "watch"]"#,
        );
        for nothing in ["ACLCAT nosuch", "MODULE x", "PATTERN nosuch"] {
            t.check(&format!("COMMAND LIST FILTERBY {nothing}"), "[]");
        }
        for wrong in ["x", "FILTERBY", "FILTERBY FOO x", "FILTERBY PATTERN", "FILTERBY PATTERN a b"]
        {
            t.check(&format!("COMMAND LIST {wrong}"), "-ERR syntax error");
        }
    }

    #[test]
    fn command_getkeys_finds_keys() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("COMMAND GETKEYS GET a", r#"["a"]"#),
            ("COMMAND GETKEYS WATCH a b", r#"["a", "b"]"#),
            ("COMMAND GETKEYSANDFLAGS GET a", r#"[["a", [+RO, +access]]]"#),
            ("COMMAND GETKEYS nosuch a", "-ERR Invalid command specified"),
            ("COMMAND GETKEYS COMMAND nosuch", "-ERR Invalid command specified"),
            ("COMMAND GETKEYS PING", "-ERR The command has no key arguments"),
            ("COMMAND GETKEYS GET", "-ERR Invalid number of arguments specified for command"),
        ]);
    }

    #[test]
    fn command_help_lists_usages() {
        let mut t = TestServer::new();
        let help = t.run("COMMAND HELP");
        let first = "[+COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:";
        assert!(
            help.starts_with(first) && help.ends_with("+HELP, +    Print this help.]"),
            "{help}"
        );
        assert!(help.contains("+COUNT, +    Return the number of commands of this server., +LIST"));
    }
}
