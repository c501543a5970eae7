//! Makes the target a replica of the source and waits until it has caught up.

use super::arguments::{Address, Options};
use super::check::follows;
use super::client::{Client, Info, number};
use crate::error::MigrateError;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::time::Duration;

/// Time between two looks at the servers.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks again and again, and gives up when nothing has changed for too long.
pub(super) struct Patience {
    seconds: u64,
    n_looks_left: u64,
}

impl Patience {
    pub(super) fn new(seconds: u64) -> Patience {
        Patience { seconds, n_looks_left: looks_in(seconds) }
    }

    /// There has been progress.
    pub(super) fn renew(&mut self) {
        self.n_looks_left = looks_in(self.seconds);
    }

    /// Waits until the next look. `false`: that has been done for too long.
    pub(super) fn wait(&mut self) -> bool {
        std::thread::sleep(LOOK_EVERY);
        self.n_looks_left = self.n_looks_left.saturating_sub(1);
        self.n_looks_left > 0
    }
}

fn looks_in(seconds: u64) -> u64 {
    let looks = Duration::from_secs(seconds).as_millis() / LOOK_EVERY.as_millis();
    u64::try_from(looks).unwrap_or(u64::MAX)
}

/// Has `replica` follow the server at `primary`, with its password if it has one.
pub(super) fn follow(replica: &mut Client, primary: &Address) -> Result<(), MigrateError> {
    let is_tls = if primary.is_tls { "yes" } else { "no" };
    if replica.parameter("tls-replication")?.is_some_and(|now| now != is_tls) {
        replica.call(&["CONFIG", "SET", "tls-replication", is_tls])?;
    }
    replica.call(&["CONFIG", "SET", "masteruser", primary.user.as_deref().unwrap_or_default()])?;
    replica.call(&[
        "CONFIG",
        "SET",
        "masterauth",
        primary.password.as_deref().unwrap_or_default(),
    ])?;
    replica.call(&["REPLICAOF", &primary.host, &primary.port.to_string()])?;
    Ok(())
}

/// See the module's text. The target may follow the source already.
pub(super) fn copy(
    out: &mut impl Write,
    source: &mut Client,
    target: &mut Client,
    options: &Options,
) -> Result<(), MigrateError> {
    let info = target.info("replication")?;
    if !follows(&info, &options.source.host, options.source.port) {
        follow(target, &options.source)?;
    }
    wait_for_link(target, options.timeout_s)?;
    let n_bytes = catch_up(source, target, options.timeout_s)?;
    writeln!(out, "ok       copied: the target follows the source and is at its offset {n_bytes}")?;
    Ok(())
}

/// Waits until a replica gets its primary's stream, and shows how far its copy has come.
pub(super) fn wait_for_link(replica: &mut Client, timeout_s: u64) -> Result<(), MigrateError> {
    let bar = ProgressBar::new(0);
    let style = "copy     {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let mut patience = Patience::new(timeout_s);
    let mut before = None;
    loop {
        let info = replica.info("all")?;
        if info.get("master_link_status").is_some_and(|status| status == "up") {
            bar.finish_and_clear();
            return Ok(());
        }
        let done = Progress::of(&info);
        bar.set_length(done.n_bytes_total);
        bar.set_position(done.n_bytes);
        if before.as_ref() != Some(&done) {
            patience.renew();
        }
        before = Some(done);
        if !patience.wait() {
            bar.abandon();
            return Err(MigrateError::Stuck(timeout_s));
        }
    }
}

/// How far a copy has come.
#[derive(Debug, PartialEq)]
struct Progress {
    n_bytes: u64,
    n_bytes_total: u64,
    n_bytes_loaded: u64,
}

impl Progress {
    fn of(info: &Info) -> Progress {
        Progress {
            n_bytes: number(info, "master_sync_read_bytes"),
            n_bytes_total: number(info, "master_sync_total_bytes"),
            n_bytes_loaded: number(info, "loading_loaded_bytes"),
        }
    }
}

/// Waits until the target has all that the source has done up to now, and shows how far behind it is.
/// Returns the source's offset.
pub(super) fn catch_up(
    source: &mut Client,
    target: &mut Client,
    timeout_s: u64,
) -> Result<u64, MigrateError> {
    let wanted = number(&source.info("replication")?, "master_repl_offset");
    let bar = ProgressBar::new_spinner();
    let mut patience = Patience::new(timeout_s);
    let mut before = 0;
    loop {
        let info = target.info("replication")?;
        let reached = number(&info, "slave_repl_offset");
        if reached >= wanted && info.get("master_link_status").is_some_and(|status| status == "up")
        {
            bar.finish_and_clear();
            return Ok(wanted);
        }
        bar.set_message(format!("{} bytes behind", wanted.saturating_sub(reached)));
        if reached > before {
            patience.renew();
        }
        before = reached;
        if !patience.wait() {
            bar.abandon();
            return Err(MigrateError::Behind(timeout_s));
        }
    }
}
