//! Settings of the system that harm a server: warned of at the start, listed by `--check-system`.

use crate::config::Config;

/// A check: a short name, and a function that gives the warning if the system is not well set.
pub(super) struct SystemCheck {
    /// What `--check-system` calls it.
    pub(super) name: &'static str,
    /// The warning, if there is a reason for it.
    pub(super) warning: fn() -> Option<String>,
}

/// All checks.
pub(super) const CHECKS: &[SystemCheck] =
    &[SystemCheck { name: "slow-clocksource", warning: clocksource }];

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_string())
}

fn clocksource() -> Option<String> {
    let source = read("/sys/devices/system/clocksource/clocksource0/current_clocksource")?;
    (source == "xen").then(|| {
        "Your system is configured to use the 'xen' clocksource which might lead to degraded \
         performance. Check the result of the [slow-clocksource] system check: run \
         'crabcache-server --check-system' to check if the system's clocksource isn't degrading \
         performance."
            .to_string()
    })
}

/// Warns of what is not well set.
pub(super) fn warn() {
    for warning in CHECKS.iter().filter_map(|check| (check.warning)()) {
        tracing::warn!("WARNING {warning}");
    }
}

/// Warns if connections cannot wait in such numbers as `tcp-backlog` says.
pub(super) fn warn_of_backlog(config: &Config) {
    let backlog = config.tcp_backlog;
    let Some(limit) = read("/proc/sys/net/core/somaxconn") else { return };
    if let Ok(limit @ 1..) = limit.parse::<i64>()
        && limit < backlog
    {
        tracing::warn!(
            "WARNING: The TCP backlog setting of {backlog} cannot be enforced because \
             /proc/sys/net/core/somaxconn is set to the lower value of {limit}."
        );
    }
}
