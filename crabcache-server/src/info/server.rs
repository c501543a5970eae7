//! The sections about the process: Server, CPU, Cluster.

use super::Fields;
use crate::start::arguments::{CRABCACHE_VERSION, REDIS_VERSION};
use crate::start::supervisor;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::sys::utsname::uname;

pub(super) fn server(fields: &mut Fields) {
    let (server, config) = (fields.server, fields.config.clone());
    fields.add("redis_version", REDIS_VERSION);
    fields.add("server_name", "crabcache");
    fields.add("crabcache_version", CRABCACHE_VERSION);
    fields.add("redis_git_sha1", "00000000");
    fields.add("redis_git_dirty", 0);
    fields.add("redis_build_id", "0");
    fields.add("redis_mode", "standalone");
    fields.add("os", os());
    fields.add("arch_bits", usize::BITS);
    fields.add("monotonic_clock", "POSIX clock_gettime");
    fields.add("multiplexing_api", "epoll");
    fields.add("atomicvar_api", "c11-builtin");
    // Compat: what the reference says when no GCC has built it.
    fields.add("gcc_version", "0.0.0");
    fields.add("process_id", std::process::id());
    fields.add("process_supervised", supervisor::name(&config));
    fields.add("run_id", &server.run_id);
    fields.add("tcp_port", if config.port == 0 { config.tls_port } else { config.port });
    fields.add("server_time_usec", server.clock.unix_us());
    let uptime_s = server.clock.elapsed().as_secs();
    fields.add("uptime_in_seconds", uptime_s);
    fields.add("uptime_in_days", uptime_s / 86_400);
    fields.add("hz", config.hz);
    fields.add("configured_hz", config.hz);
    fields.add("lru_clock", (server.clock.unix_ms() / 1000) & 0x00ff_ffff);
    fields.add("executable", executable());
    let config_file = config.file.as_deref().map(|path| path.to_string_lossy());
    fields.add("config_file", config_file.unwrap_or_default());
    fields.add("io_threads_active", u8::from(server.n_workers > 1));
    if let Some(rest_ms) = server.shutdown.rest_ms(server.clock.unix_ms()) {
        fields.add("shutdown_in_milliseconds", rest_ms);
    }
    listeners(fields);
}

fn os() -> String {
    uname().map_or(String::new(), |name| {
        let parts = [name.sysname(), name.release(), name.machine()];
        parts.map(|part| part.to_string_lossy().into_owned()).join(" ")
    })
}

fn executable() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.to_string_lossy().into_owned()
}

fn listeners(fields: &mut Fields) {
    let config = fields.config.clone();
    let mut n_listeners = 0;
    let mut add = |text: String| {
        fields.add(&format!("listener{n_listeners}"), text);
        n_listeners += 1;
    };
    let binds: String = config.bind.iter().map(|host| format!("bind={host},")).collect();
    if config.port != 0 {
        add(format!("name=tcp,{binds}port={}", config.port));
    }
    if !config.unixsocket.is_empty() {
        add(format!("name=unix,bind={}", config.unixsocket));
    }
    if config.tls_port != 0 {
        add(format!("name=tls,{binds}port={}", config.tls_port));
    }
}

pub(super) fn cpu(fields: &mut Fields) {
    let users = [
        ("", UsageWho::RUSAGE_SELF),
        ("_children", UsageWho::RUSAGE_CHILDREN),
        // Of several workers, the one that answers.
        ("_main_thread", UsageWho::RUSAGE_THREAD),
    ];
    for (suffix, who) in users {
        let Ok(usage) = getrusage(who) else { continue };
        fields.add(&format!("used_cpu_sys{suffix}"), seconds(usage.system_time()));
        fields.add(&format!("used_cpu_user{suffix}"), seconds(usage.user_time()));
    }
}

fn seconds(time: TimeVal) -> String {
    let us = time.num_microseconds();
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

pub(super) fn cluster(fields: &mut Fields) {
    fields.add("cluster_enabled", 0);
}
