//! The section about memory.

use super::Fields;
use super::clients::Totals;
use crate::config::Param;
use crate::memory::{self, Usage, human};
use crate::server::Server;

/// What the allocated memory is used for.
pub(crate) struct Uses {
    pub(crate) usage: Usage,
    pub(crate) n_clients: usize,
    /// Bytes of clients.
    pub(crate) clients: usize,
    /// Bytes of all that is no data.
    pub(crate) overhead: usize,
    /// Bytes of the data.
    pub(crate) dataset: usize,
    /// Bytes that were not there at the start.
    pub(crate) since_startup: usize,
}

/// Bytes that the log of changes takes.
pub(crate) struct Buffers {
    /// What is kept for replicas that come back.
    pub(crate) backlog: usize,
    /// What waits for slow replicas beyond that.
    pub(crate) for_replicas: usize,
    /// What waits for the append-only file.
    pub(crate) for_aof: usize,
}

impl Buffers {
    /// Looks now.
    pub(crate) fn of(server: &Server) -> Buffers {
        let waiting = server.log.waiting();
        let whole = server.log.backlog().map_or(0, |backlog| backlog.mem_bytes);
        let for_replicas = usize::try_from(waiting.for_replicas).unwrap_or(0);
        Buffers {
            backlog: whole.saturating_sub(for_replicas),
            for_replicas,
            for_aof: usize::try_from(waiting.for_aof).unwrap_or(0),
        }
    }
}

impl Uses {
    /// Finds out. O(clients)
    pub(crate) fn of(server: &Server) -> Uses {
        let usage = server.memory.look(server.clock.unix_ms() / 1000);
        let clients = Totals::of(server);
        let log = Buffers::of(server);
        let overhead = usage.startup
            + usage.tables
            + clients.bytes
            + (log.backlog + log.for_replicas + log.for_aof);
        Uses {
            usage,
            n_clients: clients.n_clients,
            clients: clients.bytes,
            overhead,
            dataset: usage.used.saturating_sub(overhead),
            since_startup: usage.used.saturating_sub(usage.startup),
        }
    }
}

pub(super) fn memory(fields: &mut Fields) {
    let server = fields.server;
    let Uses { usage, clients, overhead, dataset, since_startup, .. } = Uses::of(server);
    add_with_human(fields, "used_memory", usage.used);
    add_with_human(fields, "used_memory_rss", usage.rss);
    add_with_human(fields, "used_memory_peak", usage.peak);
    fields.add("used_memory_peak_time", usage.peak_at_s);
    fields.add("used_memory_peak_perc", percent(usage.used, usage.peak));
    fields.add("used_memory_overhead", overhead);
    fields.add("used_memory_startup", usage.startup);
    fields.add("used_memory_dataset", dataset);
    fields.add("used_memory_dataset_perc", percent(dataset, since_startup));
    fields.add("allocator_allocated", usage.allocated);
    fields.add("allocator_active", usage.active);
    fields.add("allocator_resident", usage.resident);
    fields.add("allocator_muzzy", 0);
    add_with_human(fields, "total_system_memory", memory::system_bytes());
    scripting(fields);
    let maxmemory = usize::try_from(fields.config.maxmemory).unwrap_or(0);
    add_with_human(fields, "maxmemory", maxmemory);
    let policy = Param::find(b"maxmemory-policy").map(|param| (param.get)(&fields.config));
    fields.add("maxmemory_policy", String::from_utf8_lossy(&policy.unwrap_or_default()));
    ratios(fields, &usage);
    let log = Buffers::of(server);
    fields.add("mem_not_counted_for_evict", log.for_replicas + log.for_aof);
    fields.add("mem_replication_backlog", log.backlog);
    fields.add("mem_total_replication_buffers", log.backlog + log.for_replicas);
    fields.add_zeros(&["mem_replica_full_sync_buffer"]);
    fields.add("mem_clients_slaves", log.for_replicas);
    fields.add("mem_clients_normal", clients);
    fields.add_zeros(&["mem_cluster_links"]);
    fields.add("mem_aof_buffer", log.for_aof);
    fields.add("mem_allocator", memory::allocator());
    fields.add_zeros(&["mem_overhead_db_hashtable_rehashing", "active_defrag_running"]);
    fields.add("lazyfree_pending_objects", server.lazyfree.pending_objects());
    fields.add("lazyfreed_objects", server.lazyfree.freed_objects());
}

/// What scripts and functions take. They share the interpreters, which are counted as EVAL's.
fn scripting(fields: &mut Fields) {
    let scripting = &fields.server.scripting;
    let (vm, scripts) = (scripting.vm_bytes(), scripting.cache.mem_bytes());
    let n_scripts = scripting.cache.len();
    fields.add("used_memory_lua", vm);
    fields.add("used_memory_vm_eval", vm);
    fields.add("used_memory_lua_human", human(vm));
    fields.add("used_memory_scripts_eval", scripts);
    fields.add("number_of_cached_scripts", n_scripts);
    let libraries = scripting.functions.get();
    fields.add("number_of_functions", libraries.n_functions());
    fields.add("number_of_libraries", libraries.len());
    fields.add_zeros(&["used_memory_vm_functions"]);
    add_with_human(fields, "used_memory_vm_total", vm);
    fields.add("used_memory_functions", libraries.mem_bytes());
    add_with_human(fields, "used_memory_scripts", scripts + libraries.mem_bytes());
}

/// How much more is held at each level than the level below has asked for.
fn ratios(fields: &mut Fields, usage: &Usage) {
    let mut add = |names: [&str; 2], part: usize, whole: usize| {
        fields.add(names[0], format_args!("{:.2}", Usage::ratio(part, whole)));
        fields.add(names[1], Usage::beyond(part, whole));
    };
    add(["allocator_frag_ratio", "allocator_frag_bytes"], usage.active, usage.allocated);
    add(["allocator_rss_ratio", "allocator_rss_bytes"], usage.resident, usage.active);
    add(["rss_overhead_ratio", "rss_overhead_bytes"], usage.rss, usage.resident);
    add(["mem_fragmentation_ratio", "mem_fragmentation_bytes"], usage.rss, usage.used);
}

fn add_with_human(fields: &mut Fields, name: &str, bytes: usize) {
    fields.add(name, bytes);
    fields.add(&format!("{name}_human"), human(bytes));
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.2}%", Usage::ratio(part, whole) * 100.0)
}
