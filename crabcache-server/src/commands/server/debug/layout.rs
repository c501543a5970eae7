//! What DEBUG tells of the inside of compact values: the nodes of lists, the elements of listpacks.

use super::content::with_entry;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crabcache_store::structures::listpack::Listpack;
use crabcache_store::types::hash::{Form, Hash};
use crabcache_store::types::list::{List, Part};
use crabcache_store::types::set::{Encoded, Set};
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Collection, Entry, Kind, StrRef, WriteDb};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

/// What DEBUG OBJECT says in addition of a list with nodes; empty for everything else.
pub(super) fn of_nodes(entry: &Entry) -> String {
    let Some(list) = entry.collection::<List>() else { return String::new() };
    let Some((size_max, compress_depth)) = list.node_limits() else { return String::new() };
    let sizes = list.parts().map(|part| part.n_bytes());
    let (n_nodes, n_bytes) = sizes.fold((0, 0), |(n, sum), n_bytes| (n + 1, sum + n_bytes));
    format!(
        " ql_nodes:{n_nodes} ql_avg_node:{:.2} ql_listpack_max:{size_max} ql_compressed:{} \
         ql_uncompressed_size:{n_bytes}",
        list.len() as f64 / f64::from(n_nodes),
        u8::from(compress_depth > 0),
    )
}

/// DEBUG LISTPACK key
pub(super) fn listpack(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let text = with_entry(db, ctx, args, |entry| {
        let mut text = String::new();
        show(&mut text, pack_of(entry).ok_or(CommandError::NotListpack)?);
        Ok(text)
    })?;
    print(&text);
    ctx.reply.status("Listpack structure printed on stdout");
    Ok(())
}

/// DEBUG QUICKLIST key [0 | 1]
pub(super) fn quicklist(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_full = args.len() > 3 && args.get(3) != b"0";
    let text = with_entry(db, ctx, args, |entry| {
        let list = entry.collection::<List>().filter(|list| list.encoding() == "quicklist");
        let list = list.ok_or(CommandError::NotQuicklist)?;
        let mut text = String::new();
        for (number, part) in list.parts().enumerate() {
            // Writing to a `String` does not fail.
            let _ = match &part {
                Part::Packed(pack) => writeln!(text, "node {number}: {} elements", pack.len()),
                Part::Large(value) => writeln!(text, "node {number}: {} bytes", value.len()),
                Part::Compressed { block, n_bytes, .. } => {
                    writeln!(text, "node {number}: {n_bytes} bytes in {}", block.len())
                }
            };
            if let Part::Packed(pack) = &part
                && is_full
            {
                show(&mut text, pack);
            }
        }
        Ok(text)
    })?;
    print(&text);
    ctx.reply.status("Quicklist structure printed on stdout");
    Ok(())
}

/// The listpack that is the whole of a value.
fn pack_of(entry: &Entry) -> Option<&Listpack> {
    match entry.kind() {
        Kind::List => match entry.collection::<List>()?.parts().next()? {
            Part::Packed(Cow::Borrowed(pack)) if entry.encoding() == "listpack" => Some(pack),
            _ => None,
        },
        Kind::Set => match entry.collection::<Set>()?.encoded() {
            Encoded::Pack(pack) => Some(pack),
            _ => None,
        },
        Kind::ZSet => entry.collection::<ZSet>()?.as_listpack(),
        Kind::Hash => match entry.collection::<Hash>()?.form() {
            Form::Pack(pack) | Form::TimedPack(pack) => Some(pack),
            Form::Other => None,
        },
        Kind::String | Kind::Stream | Kind::VectorSet => None,
    }
}

fn show(text: &mut String, pack: &Listpack) {
    // Writing to a `String` does not fail.
    let _ = writeln!(text, "{} bytes, {} elements", pack.n_bytes(), pack.len());
    for (number, (_, element)) in pack.iter().enumerate() {
        let _ = match element {
            StrRef::Int(value) => writeln!(text, "{number}: {value}"),
            StrRef::Bytes(bytes) => writeln!(text, "{number}: \"{}\"", bytes.escape_ascii()),
        };
    }
}

/// Writes to where the process's output goes. If that is gone, so is whoever wanted to read.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
