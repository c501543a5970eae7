//! Compares all that is in the databases of both servers.

use super::families::TOLERANCE_MS;
use crate::compare::{Strictness, agree, sorted};
use crate::frame::Frame;
use crate::runner::{Pair, command_text};
use crate::wire::{Connection, Received};
use crabcache_resp::Protocol;
use std::io;

/// The databases that random commands use.
const DATABASES: &[&str] = &["0", "1", "2", "3"];

/// What is asked about every key.
const QUESTIONS: &[(&str, Strictness)] = &[
    ("TYPE", Strictness::Exact),
    ("OBJECT ENCODING", Strictness::Exact),
    ("PTTL", Strictness::Approximate(TOLERANCE_MS)),
];

/// How the value of a type is read.
fn reader(kind: &[u8]) -> Option<(&'static [&'static str], &'static [&'static str], Strictness)> {
    Some(match kind {
        b"string" => (&["GET"], &[], Strictness::Exact),
        b"list" => (&["LRANGE"], &["0", "-1"], Strictness::Exact),
        b"hash" => (&["HGETALL"], &[], Strictness::Unordered),
        b"set" => (&["SMEMBERS"], &[], Strictness::Unordered),
        b"zset" => (&["ZRANGE"], &["0", "-1", "WITHSCORES"], Strictness::Exact),
        b"stream" => (&["XRANGE"], &["-", "+"], Strictness::Exact),
        _ => return None,
    })
}

/// Tells the first difference between the databases, if any.
pub(super) fn compare(pair: &Pair) -> io::Result<Option<String>> {
    let [reference, ours] = pair.servers();
    // Maps come as maps, so that fields stay with their values when they are put in order.
    let mut both = [reference.connect(Protocol::Resp3)?, ours.connect(Protocol::Resp3)?];
    for db in DATABASES {
        if let Some(difference) = compare_one(&mut both, db)? {
            return Ok(Some(format!("at the end, in database {db}, {difference}")));
        }
    }
    Ok(None)
}

fn compare_one(both: &mut [Connection; 2], db: &str) -> io::Result<Option<String>> {
    let ask = |both: &mut [Connection; 2], words: &[Vec<u8>], strictness| -> io::Result<_> {
        let (reference, ours) = (both[0].call(words)?, both[1].call(words)?);
        let difference = (!agree(&reference, &ours, strictness)).then(|| {
            format!(
                "{}\n  reference {}\n  crabcache {}\n",
                command_text(words),
                reference.show(),
                ours.show()
            )
        });
        Ok((reference, difference))
    };
    let words = |line: &str| -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    };
    let (_, difference) = ask(both, &words(&format!("SELECT {db}")), Strictness::Exact)?;
    if difference.is_some() {
        return Ok(difference);
    }
    let (all, difference) = ask(both, &words("KEYS *"), Strictness::Unordered)?;
    if difference.is_some() {
        return Ok(difference);
    }
    for key in keys(&all) {
        let with_key = |line: &str| [words(line), vec![key.clone()]].concat();
        let mut kind = Received::Nothing(Vec::new());
        for (question, strictness) in QUESTIONS {
            let (answer, difference) = ask(both, &with_key(question), *strictness)?;
            if difference.is_some() {
                return Ok(difference);
            }
            if *question == "TYPE" {
                kind = answer;
            }
        }
        let kind = crate::wire::reply_text(&kind).unwrap_or_default();
        let Some((before, after, strictness)) = reader(&kind) else { continue };
        let after = after.iter().map(|word| word.as_bytes().to_vec()).collect();
        let reads = [words(&before.join(" ")), vec![key.clone()], after].concat();
        let (_, difference) = ask(both, &reads, strictness)?;
        if difference.is_some() {
            return Ok(difference);
        }
        if matches!(&kind[..], b"string" | b"list" | b"zset") {
            // Those of which the elements have an order.
            let (_, difference) = ask(both, &with_key("DUMP"), Strictness::Exact)?;
            if difference.is_some() {
                return Ok(difference);
            }
        }
        if kind == b"stream" {
            // Its groups, which XRANGE does not tell.
            let groups = [words("XINFO STREAM"), vec![key.clone()], words("FULL COUNT 0")].concat();
            let (_, difference) = ask(both, &groups, Strictness::Approximate(TOLERANCE_MS))?;
            if difference.is_some() {
                return Ok(difference);
            }
        }
    }
    Ok(None)
}

/// The elements of a reply, in one order.
fn keys(reply: &Received) -> Vec<Vec<u8>> {
    let Received::Reply(bytes) = reply else { return Vec::new() };
    let Ok(frame) = Frame::parse(bytes) else { return Vec::new() };
    let bytes = sorted(&frame);
    let Ok(frame) = Frame::parse(&bytes) else { return Vec::new() };
    frame.children.iter().map(|key| key.text().to_vec()).collect()
}
