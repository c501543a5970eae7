//! Holds source and target against each other while both go on: numbers of keys, and the values of a
//! sample.
//!
//! The source changes meanwhile. So it is read, the target is given time to get as far, it is read,
//! and the source again: what the target has must be what the source had before or after. Keys that
//! change too fast for that can be compared while writes wait, when it comes to cutting over.

use super::arguments::Options;
use super::check::databases;
use super::client::{Client, text};
use super::copy::catch_up;
use crate::error::MigrateError;
use crabcache_resp::Value;
use indicatif::ProgressBar;
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Keys that are compared at a time.
const N_KEYS_AT_ONCE: usize = 50;
/// Looks at what differs.
const N_LOOKS: usize = 8;
/// Values with more bytes or elements are compared by their size.
const SIZE_MAX: i64 = 10_000;
/// Bytes of a string that count as one element.
const STRING_BYTES_PER_ELEMENT: i64 = 100;
/// Keys that differ and are told by name.
const N_NAMED: usize = 10;

/// A key and its database.
pub(super) type Key = (usize, Vec<u8>);

/// See the module's text. Returns the keys that change too fast to be compared.
pub(super) fn compare(
    out: &mut impl Write,
    source: &mut Client,
    target: &mut Client,
    options: &Options,
) -> Result<Vec<Key>, MigrateError> {
    let n_keys = compare_counts(source, target, options.timeout_s)?;
    let Some(n_keys) = n_keys else {
        writeln!(out, "PROBLEM  numbers of keys differ")?;
        return Err(MigrateError::Different);
    };
    writeln!(out, "ok       numbers of keys are equal: {n_keys}")?;
    let keys = sample(source, options.n_sampled)?;
    let mut found = Differences::default();
    let bar = ProgressBar::new(keys.len() as u64);
    for keys in keys.chunks(N_KEYS_AT_ONCE) {
        compare_values(source, target, keys, options.timeout_s, &mut found)?;
        bar.inc(keys.len() as u64);
    }
    bar.finish_and_clear();
    found.tell(out)?;
    let n_equal = keys.len() - found.unsettled.len();
    writeln!(out, "ok       values of a sample are equal: {n_equal} keys")?;
    if !found.unsettled.is_empty() {
        writeln!(
            out,
            "note     keys that change too fast to be compared: {}",
            found.unsettled.len()
        )?;
    }
    Ok(found.unsettled)
}

/// Compares keys while nobody writes.
pub(super) fn compare_still(
    out: &mut impl Write,
    source: &mut Client,
    target: &mut Client,
    keys: &[Key],
    timeout_s: u64,
) -> Result<(), MigrateError> {
    let mut found = Differences::default();
    compare_values(source, target, keys, timeout_s, &mut found)?;
    found.tell(out)
}

/// What a comparison has found.
#[derive(Debug, Default)]
struct Differences {
    /// Keys that the target has otherwise than the source.
    differing: Vec<Key>,
    /// Keys that the source changed each time they were looked at.
    unsettled: Vec<Key>,
}

impl Differences {
    /// Prints what differs; that is an error.
    fn tell(&self, out: &mut impl Write) -> Result<(), MigrateError> {
        for (database, key) in self.differing.iter().take(N_NAMED) {
            writeln!(out, "PROBLEM  values differ: db{database} {}", key.escape_ascii())?;
        }
        if self.differing.is_empty() { Ok(()) } else { Err(MigrateError::Different) }
    }
}

/// The number of keys, if both have as many in every database.
pub(super) fn compare_counts(
    source: &mut Client,
    target: &mut Client,
    timeout_s: u64,
) -> Result<Option<u64>, MigrateError> {
    for _ in 0..N_LOOKS {
        let before = databases(&source.info("keyspace")?);
        catch_up(source, target, timeout_s)?;
        let copied = databases(&target.info("keyspace")?);
        let after = databases(&source.info("keyspace")?);
        let numbers: BTreeSet<&usize> =
            before.keys().chain(copied.keys()).chain(after.keys()).collect();
        let is_between = |number: &usize| {
            let (a, b) = (count(&before, *number), count(&after, *number));
            (a.min(b)..=a.max(b)).contains(&count(&copied, *number))
        };
        if numbers.into_iter().all(is_between) {
            return Ok(Some(copied.values().sum()));
        }
    }
    Ok(None)
}

/// The number of keys of a database.
fn count(databases: &BTreeMap<usize, u64>, number: usize) -> u64 {
    databases.get(&number).copied().unwrap_or(0)
}

/// Some keys of the source, from each database as many as its share of all keys.
fn sample(source: &mut Client, n_wanted: usize) -> Result<Vec<Key>, MigrateError> {
    let databases = databases(&source.info("keyspace")?);
    let n_keys: u64 = databases.values().sum();
    let mut keys = BTreeSet::new();
    for (database, n_own) in databases {
        source.call(&["SELECT", &database.to_string()])?;
        let share = n_wanted as f64 * n_own as f64 / n_keys.max(1) as f64;
        let requests = vec![vec![&b"RANDOMKEY"[..]]; share.ceil() as usize];
        for requests in requests.chunks(N_KEYS_AT_ONCE) {
            for reply in source.call_all(requests)? {
                if let Value::Bulk(key) = reply {
                    keys.insert((database, key));
                }
            }
        }
    }
    Ok(keys.into_iter().collect())
}

/// Finds the keys whose values differ however often they are looked at.
fn compare_values(
    source: &mut Client,
    target: &mut Client,
    keys: &[Key],
    timeout_s: u64,
    found: &mut Differences,
) -> Result<(), MigrateError> {
    let mut keys = keys.to_vec();
    for look in 1..=N_LOOKS {
        if keys.is_empty() {
            break;
        }
        let before = fingerprints(source, &keys)?;
        catch_up(source, target, timeout_s)?;
        let copied = fingerprints(target, &keys)?;
        let after = fingerprints(source, &keys)?;
        let mut left = Vec::new();
        for (key, ((before, copy), after)) in
            keys.into_iter().zip(before.iter().zip(&copied).zip(&after))
        {
            if before == copy || after == copy {
                continue;
            }
            if look < N_LOOKS {
                left.push(key);
            } else if before == after {
                found.differing.push(key);
            } else {
                found.unsettled.push(key);
            }
        }
        keys = left;
    }
    Ok(())
}

/// What a key has: its type, its time to live, and the digest of its value or its size.
#[derive(Debug, PartialEq)]
struct Fingerprint {
    name: String,
    expires_ms: Option<i64>,
    size: i64,
    digest: [u8; 20],
}

fn fingerprints(server: &mut Client, keys: &[Key]) -> Result<Vec<Fingerprint>, MigrateError> {
    let mut database = None;
    let mut prints = Vec::with_capacity(keys.len());
    for (number, key) in keys {
        if database != Some(number) {
            server.call(&["SELECT", &number.to_string()])?;
            database = Some(number);
        }
        prints.push(fingerprint(server, key)?);
    }
    Ok(prints)
}

fn fingerprint(server: &mut Client, key: &[u8]) -> Result<Fingerprint, MigrateError> {
    let replies = server.call_all(&[vec![b"TYPE", key], vec![b"PEXPIRETIME", key]])?;
    let name = replies.first().and_then(text).unwrap_or_default();
    // Servers before 7.0 do not have the command: times to live go uncompared.
    let expires_ms = match replies.get(1) {
        Some(Value::Int(at_ms)) => Some(*at_ms),
        _ => None,
    };
    let (size_command, rest, is_ordered): (&[u8], Vec<&[u8]>, bool) = match name.as_str() {
        "string" => (b"STRLEN", vec![b"GET", key], true),
        "list" => (b"LLEN", vec![b"LRANGE", key, b"0", b"-1"], true),
        "set" => (b"SCARD", vec![b"SMEMBERS", key], false),
        "zset" => (b"ZCARD", vec![b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"], true),
        "hash" => (b"HLEN", vec![b"HGETALL", key], false),
        "stream" => (b"XLEN", vec![b"XRANGE", key, b"-", b"+"], true),
        "vectorset" => (b"VCARD", vec![b"VDIM", key], true),
        // It is gone, or nothing is known of its type.
        _ => return Ok(Fingerprint { name, expires_ms, size: 0, digest: [0; 20] }),
    };
    let pairs = name == "hash";
    let sizes = server.call_all(&[vec![size_command, key]])?;
    let Some(Value::Int(size)) = sizes.first() else {
        // It has become something else meanwhile.
        return Ok(Fingerprint { name, expires_ms, size: 0, digest: [0; 20] });
    };
    let limit = if name == "string" { SIZE_MAX * STRING_BYTES_PER_ELEMENT } else { SIZE_MAX };
    let digest = if *size > limit {
        [0; 20]
    } else {
        let replies = server.call_all(&[rest])?;
        replies.first().map_or([0; 20], |value| digest(value, is_ordered, pairs))
    };
    Ok(Fingerprint { name, expires_ms, size: *size, digest })
}

/// The digest of a reply. Where the order says nothing, elements are put in order before, in pairs or
/// alone.
fn digest(value: &Value, is_ordered: bool, in_pairs: bool) -> [u8; 20] {
    let mut sha = Sha1::new();
    match value {
        Value::Array(elements) if !is_ordered => {
            let mut parts: Vec<String> = elements
                .chunks(if in_pairs { 2 } else { 1 })
                .map(|part| format!("{part:?}"))
                .collect();
            parts.sort_unstable();
            for part in parts {
                sha.update(part);
            }
        }
        value => sha.update(format!("{value:?}")),
    }
    sha.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(words: &[&str]) -> Value {
        Value::Array(words.iter().map(|word| Value::Bulk(word.as_bytes().to_vec())).collect())
    }

    #[test]
    fn digests_know_what_order_means() {
        let (one, two) = (array(&["a", "1", "b", "2"]), array(&["b", "2", "a", "1"]));
        assert_ne!(digest(&one, true, false), digest(&two, true, false));
        assert_eq!(digest(&one, false, true), digest(&two, false, true));
        let swapped = array(&["a", "2", "b", "1"]);
        assert_eq!(digest(&one, false, false), digest(&swapped, false, false));
        assert_ne!(digest(&one, false, true), digest(&swapped, false, true));
    }
}
