//! The last step: the target becomes the primary, and the source its replica.
//!
//! Writes of the source's clients wait meanwhile. None that was acknowledged is lost: the target has
//! all of them before it becomes the primary. From then on the source refuses writes, and follows, so
//! that there is a way back.

use super::arguments::{Address, Options};
use super::client::{Client, Info, number};
use super::compare::{Key, compare_counts, compare_still};
use super::copy::{catch_up, follow, wait_for_link};
use crate::error::MigrateError;
use std::io::Write;

/// Writes wait no longer, whatever happens to this program.
const PAUSE_MS: &str = "60000";

/// Tells what is left to be done by hand.
pub(super) fn explain(out: &mut impl Write, options: &Options) -> Result<(), MigrateError> {
    let Options { source, target, .. } = options;
    writeln!(
        out,
        "\n{target} follows {source} now. To cut over:\n\
         \x20 crabcache-server migrate {source} --target {target} --promote\n\
         and have the clients connect to the target. To give up:\n\
         \x20 redis-cli -u {target} replicaof no one"
    )?;
    Ok(())
}

/// See the module's text. Of the `unsettled` keys nothing is known yet.
pub(super) fn cut_over(
    out: &mut impl Write,
    source: &mut Client,
    target: &mut Client,
    unsettled: &[Key],
    options: &Options,
) -> Result<(), MigrateError> {
    let new_primary = seen_from(source, target, options)?;
    source.call(&["CLIENT", "PAUSE", PAUSE_MS, "WRITE"])?;
    let promoted = promote(out, source, target, unsettled, options);
    let followed = match promoted {
        Ok(()) => follow(source, &new_primary),
        Err(error) => Err(error),
    };
    // Whoever has waited now learns that this is a replica, or goes on as before.
    source.call(&["CLIENT", "UNPAUSE"])?;
    followed?;
    writeln!(out, "ok       the target is the primary")?;
    wait_for_link(source, options.timeout_s)?;
    let Some(n_keys) = compare_counts(target, source, options.timeout_s)? else {
        return Err(MigrateError::Different);
    };
    writeln!(out, "ok       the source follows it, with {n_keys} keys")?;
    let Options { source, target, .. } = options;
    writeln!(
        out,
        "\nHave the clients connect to {target}. The way back:\n\
         \x20 crabcache-server migrate {target} --target {source} --promote"
    )?;
    Ok(())
}

/// Makes the target a primary when it has all that the source has. Writes wait.
fn promote(
    out: &mut impl Write,
    source: &mut Client,
    target: &mut Client,
    unsettled: &[Key],
    options: &Options,
) -> Result<(), MigrateError> {
    catch_up(source, target, options.timeout_s)?;
    compare_still(out, source, target, unsettled, options.timeout_s)?;
    if compare_counts(source, target, options.timeout_s)?.is_none() {
        return Err(MigrateError::Different);
    }
    target.call(&["REPLICAOF", "NO", "ONE"])?;
    Ok(())
}

/// Where the target is for the source: as the source sees its replica, if there is just one on the
/// target's port.
fn seen_from(
    source: &mut Client,
    target: &mut Client,
    options: &Options,
) -> Result<Address, MigrateError> {
    let port = match options.target.is_tls {
        true => options.target.port.into(),
        false => number(&target.info("server")?, "tcp_port"),
    };
    let replicas = source.info("replication")?;
    let mut hosts = replicas.iter().filter_map(|field| host_of_replica(field, port));
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        _ => options.target.host.clone(),
    };
    Ok(Address { host, ..options.target.clone() })
}

/// The host of a field `slaveN`, if the replica listens on `port`.
fn host_of_replica((name, value): (&String, &String), port: u64) -> Option<String> {
    name.strip_prefix("slave")?.parse::<u32>().ok()?;
    let fields: Info = value
        .split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(a, b)| (a.into(), b.into()))
        .collect();
    (number(&fields, "port") == port).then(|| fields.get("ip").cloned())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_known_by_their_port() {
        let field = |name: &str, value: &str| (name.to_string(), value.to_string());
        let host = |field: &(String, String)| host_of_replica((&field.0, &field.1), 7000);
        let slave = field("slave0", "ip=10.0.0.6,port=7000,state=online,offset=1,lag=0");
        assert_eq!(host(&slave).as_deref(), Some("10.0.0.6"));
        assert_eq!(host(&field("slave0", "ip=10.0.0.6,port=7001,state=online")), None);
        assert_eq!(host(&field("slave_repl_offset", "7000")), None);
    }
}
