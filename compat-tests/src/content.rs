//! What is in servers, to see whether they agree.

use crate::frame::Frame;
use crate::server::Server;
use crate::wire::{Received, reply_text};
use crabcache_resp::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What is in a server: a digest and the number of keys of each database.
pub type Content = (String, Vec<String>);

/// The text of a reply.
///
/// # Errors
/// If there is no connection.
pub fn ask(server: &Server, words: &[&str]) -> io::Result<String> {
    let reply = server.connect(Protocol::Resp2)?.call(words)?;
    Ok(match reply_text(&reply) {
        Some(text) => String::from_utf8_lossy(&text).into_owned(),
        None => reply.show(),
    })
}

/// A field of INFO; empty if there is none.
///
/// # Errors
/// As [`ask`].
pub fn info(server: &Server, field: &str) -> io::Result<String> {
    let text = ask(server, &["INFO", "all"])?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(line.unwrap_or_default().to_string())
}

/// See [`Content`].
///
/// # Errors
/// As [`ask`].
pub fn content(server: &Server) -> io::Result<Content> {
    let keyspace = ask(server, &["INFO", "keyspace"])?;
    let counts = keyspace.lines().filter(|line| line.starts_with("db"));
    let counts = counts.filter_map(|line| Some(line.split_once(',')?.0.to_string())).collect();
    Ok((ask(server, &["DEBUG", "DIGEST"])?, counts))
}

/// A line for each key whose value is not the same everywhere, with its digests.
///
/// # Errors
/// As [`ask`].
pub fn differences(servers: &[&Server]) -> io::Result<String> {
    let all = servers.iter().map(|server| digests(server)).collect::<io::Result<Vec<_>>>()?;
    let names: BTreeSet<_> = all.iter().flat_map(BTreeMap::keys).collect();
    let lines = names.into_iter().filter_map(|name| {
        let digests: Vec<_> = all.iter().map(|own| own.get(name)).collect();
        digests.iter().any(|digest| *digest != digests[0]).then(|| format!("{name}: {digests:?}"))
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Each key with the digest of its value.
fn digests(server: &Server) -> io::Result<BTreeMap<String, String>> {
    let mut connection = server.connect(Protocol::Resp2)?;
    let mut digests = BTreeMap::new();
    for db in 0..16 {
        connection.call(&["SELECT", &db.to_string()])?;
        let Received::Reply(reply) = connection.call(&["KEYS", "*"])? else { continue };
        let Ok(keys) = Frame::parse(&reply) else { continue };
        for key in keys.children.iter().map(|key| key.text().to_vec()) {
            let digest = connection.call(&[b"DEBUG", &b"DIGEST-VALUE"[..], &key])?.show();
            let kind = connection.call(&[b"TYPE", &key[..]])?.show();
            digests.insert(format!("{db} {} {kind}", key.escape_ascii()), digest);
        }
    }
    Ok(digests)
}
