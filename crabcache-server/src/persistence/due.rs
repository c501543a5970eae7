//! When a snapshot is due: by save points, or because one was asked for that could not begin.

use super::snapshot;
use crate::config::Config;
use crate::server::Server;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Begins a snapshot if one is due.
pub fn save_if_due(server: &Server) {
    let config = server.config.get();
    let may_begin = server.persistence.current.lock().is_none() && !server.conditions.is_loading();
    if may_begin && is_due(server, &config) {
        let mut pass = server.keyspace.enter(server.cron_worker());
        // Another one may just have begun; that does as well.
        let _ = snapshot::begin_in_background(server, &config, &mut pass.lock_all());
    }
}

fn is_due(server: &Server, config: &Arc<Config>) -> bool {
    /// Seconds between two tries while they fail.
    const RETRY_S: i64 = 5;
    let persistence = &server.persistence;
    let now_s = server.clock.unix_ms() / 1000;
    let n_changes = persistence.changes(server.stats.dirty());
    let since_s = now_s - persistence.last_save_s.load(Ordering::Relaxed);
    let since_try_s = now_s - persistence.last_bgsave_try_s.load(Ordering::Relaxed);
    let may_try = since_try_s > RETRY_S || persistence.last_bgsave_ok.load(Ordering::Relaxed);
    let point = config.save.iter().find(|point| {
        i64::try_from(n_changes).is_ok_and(|n_changes| n_changes >= point.changes)
            && since_s > point.seconds
            && may_try
    });
    if let Some(point) = point {
        tracing::info!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
    }
    point.is_some() || (persistence.is_scheduled.load(Ordering::Relaxed) && may_try)
}
