//! The banner, for people who start a server by hand.

use super::arguments::{CRABCACHE_VERSION, REDIS_VERSION};
use crate::config::Config;
use crate::log;
use std::io::{IsTerminal, stdout};

/// Shows the banner to a terminal, or a line to a log.
pub(super) fn show(config: &Config) {
    let mode = if config.cluster_enabled { "cluster" } else { "standalone" };
    let port = if config.port == 0 { config.tls_port } else { config.port };
    let is_watched = !config.syslog_enabled && config.logfile.is_empty() && stdout().is_terminal();
    if !is_watched && !config.always_show_logo {
        tracing::info!("Running mode={mode}, port={port}.");
        return;
    }
    let banner = banner(mode, port, std::process::id());
    tracing::info!(target: log::RAW, "{banner}");
}

fn banner(mode: &str, port: i64, pid: u32) -> String {
    let bits = usize::BITS;
    format!(
        r"
     (\/)        (\/)
       \\  o  o  //       CrabCache {CRABCACHE_VERSION} {bits} bit
        \\(____)//        Redis {REDIS_VERSION} compatible, {mode} mode
        ( ______ )        Port: {port}
       /  /\  /\  \       PID: {pid}
      /\  /    \  /\

"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_find_the_process_id() {
        let banner = banner("standalone", 7000, 4711);
        assert!(banner.contains(" PID: 4711\n") && banner.contains(" Port: 7000\n"), "{banner}");
    }
}
