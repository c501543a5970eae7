//! Generated parts of documents. Where one is stale it is written anew, and the test fails once.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::frame::Frame;
use compat_tests::server::{Server, Which, repository};
use compat_tests::wire::Received;
use crabcache_resp::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const BEGIN: &str = "<!-- generated -->\n";
const END: &str = "<!-- end of the generated part -->\n";

/// Commands of a server by name, each with its group and the names of its subcommands.
type Commands = BTreeMap<String, (String, BTreeSet<String>)>;

/// Asks a server for its commands.
fn commands(which: Which) -> Commands {
    let server = Server::start(which, &[]).unwrap();
    let reply = server.connect(Protocol::Resp2).unwrap().call(&["COMMAND", "DOCS"]).unwrap();
    let Received::Reply(bytes) = reply else { panic!("{}", reply.show()) };
    let docs = Frame::parse(&bytes).unwrap();
    let text = |frame: &Frame<'_>| String::from_utf8(frame.text().to_vec()).unwrap();
    let mut commands = Commands::new();
    for pair in docs.children.chunks(2) {
        let [name, fields] = pair else { panic!("a map has pairs") };
        let field = |name: &str| {
            let found = fields.children.chunks(2).find(|pair| pair[0].text() == name.as_bytes());
            found.map(|pair| &pair[1])
        };
        let group = text(field("group").unwrap());
        let subcommands = field("subcommands").map_or(&[][..], |frame| &frame.children[..]);
        let subcommands = subcommands.chunks(2).map(|pair| {
            let name = text(&pair[0]);
            name.split_once('|').map_or(name.clone(), |(_, name)| name.to_string())
        });
        commands.insert(text(name), (group, subcommands.collect()));
    }
    commands
}

/// The table of COMPAT.md.
fn command_table(reference: &Commands, ours: &Commands) -> String {
    let mut by_group: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    let code = |names: Vec<&String>| {
        let names = names.iter().map(|name| format!("`{}`", name.to_uppercase()));
        names.collect::<Vec<_>>().join(", ")
    };
    for (name, (group, subcommands)) in reference {
        let here = match ours.get(name) {
            None => "no".to_string(),
            Some((_, our_subcommands)) => {
                let missing: Vec<_> = subcommands.difference(our_subcommands).collect();
                if missing.is_empty() { "yes".into() } else { format!("without {}", code(missing)) }
            }
        };
        by_group.entry(group).or_default().insert(name, here);
    }
    for (name, (group, subcommands)) in ours {
        let Some((_, known)) = reference.get(name) else {
            by_group.entry(group).or_default().insert(name, "yes, not in Redis 8.2".into());
            continue;
        };
        let more: Vec<_> = subcommands.difference(known).collect();
        if let (false, Some(here)) =
            (more.is_empty(), by_group.get_mut(&**group).and_then(|group| group.get_mut(&**name)))
        {
            write!(here, "; also {}, not in Redis 8.2", code(more)).unwrap();
        }
    }
    let mut text = String::new();
    for (group, commands) in by_group {
        write!(text, "\n### {group}\n\n| command | here |\n|---|---|\n").unwrap();
        for (name, here) in commands {
            writeln!(text, "| `{}` | {here} |", name.to_uppercase()).unwrap();
        }
    }
    text.push('\n');
    text
}

#[test]
fn the_commands_in_compat_md_are_fresh() {
    let path = repository().join("COMPAT.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let table = command_table(&commands(Which::Reference), &commands(Which::CrabCache));
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (generated, after) = rest.split_once(END).unwrap();
    if generated != table {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        panic!("COMPAT.md was stale and has been rewritten: run the test again");
    }
}
