//! Settings of the system that harm a server: warned of at the start, listed by `--check-system`.

use crate::config::Config;
use nix::sys::prctl::set_thp_disable;

/// A check: a short name, and a function that gives the warning if the system is not well set.
pub(super) struct SystemCheck {
    /// What `--check-system` calls it.
    pub(super) name: &'static str,
    /// The warning, if there is a reason for it.
    pub(super) warning: fn() -> Option<String>,
}

/// All checks.
pub(super) const CHECKS: &[SystemCheck] = &[
    SystemCheck { name: "slow-clocksource", warning: clocksource },
    SystemCheck { name: "THP", warning: huge_pages },
];

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

fn huge_pages() -> Option<String> {
    let mode = read("/sys/kernel/mm/transparent_hugepage/enabled")?;
    mode.contains("[always]").then(|| {
        "You have Transparent Huge Pages (THP) support enabled in your kernel. This will create \
         latency and memory usage issues. To fix this issue run the command 'echo madvise > \
         /sys/kernel/mm/transparent_hugepage/enabled' as root, and add it to your /etc/rc.local \
         in order to retain the setting after a reboot. The server must be restarted after THP is \
         disabled (set to 'madvise' or 'never')."
            .to_string()
    })
}

/// Warns of what is not well set, and turns huge pages off for this process.
pub(super) fn warn(config: &Config) {
    for check in CHECKS {
        if let Some(warning) = (check.warning)() {
            let is_mended =
                check.name == "THP" && config.disable_thp && set_thp_disable(true).is_ok();
            if !is_mended {
                tracing::warn!("WARNING {warning}");
            }
        }
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
