//! How many workers serve, and who of them has too much.
//!
//! A thread that has little to do sleeps and is woken for every batch, which costs more than many a
//! batch; one that has more to do finds several connections ready when it looks. So connections gather
//! on few workers as long as these have time to spare, and spread over more as soon as one has not:
//! when it uses up a processor, or was held up by a command that took long.
//!
//! A worker's load is the processor time that its thread gets, as a share of the time that passes: one
//! that waits for a processor would not be helped by a second one that waits. Nor do more serve where
//! no processor has time to spare: clients on the same machine would get less of it, and send less.

use super::crew::Crew;
use crate::server::Server;
use nix::unistd::{SysconfVar, sysconf};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at the workers.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A worker with more load has no time to spare.
const LOAD_HIGH: f64 = 0.85;
/// One worker less serves if the load would be this for each of the others.
const LOAD_LOW: f64 = 0.65;
/// The same where the machine has no time to spare.
const LOAD_LOW_CROWDED: f64 = 0.9;
/// Idle time of all processors, as a share of one, that another worker can use.
const IDLE_MIN: f64 = 0.15;
/// Loads that differ by less are alike.
const LOAD_DIFFERENCE: f64 = 0.25;
/// Looks after a high load until one worker less may serve.
const N_CALM_LOOKS: u32 = 10;
/// The same after a command that took long.
const N_QUIET_LOOKS: u32 = 100;

/// What was seen of one worker since the last look.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// See the module's text.
    load: f64,
    /// Connections that it has served.
    n_served: usize,
    /// Whether one of its commands took long.
    was_held_up: bool,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
struct Decision {
    /// Workers that are to serve, if that changes.
    n_in_use: Option<usize>,
    /// From whom to whom so many connections go.
    gifts: Vec<(usize, usize, usize)>,
}

/// Remembers what was decided.
struct Balance {
    n_in_use: usize,
    /// Looks until one worker less may serve.
    n_looks_left: u32,
}

impl Balance {
    /// One worker serves.
    fn new() -> Balance {
        Balance { n_in_use: 1, n_looks_left: 0 }
    }

    /// `idle` is the time that the machine's processors have had nothing to do, as a share of one.
    fn decide(&mut self, looks: &[Look], idle: f64) -> Decision {
        let mut decision = Decision::default();
        let in_use = looks.get(..self.n_in_use).unwrap_or(looks);
        let by_load = |a: &usize, b: &usize| in_use[*a].load.total_cmp(&in_use[*b].load);
        let (Some(busiest), Some(idlest)) =
            ((0..in_use.len()).max_by(by_load), (0..in_use.len()).min_by(by_load))
        else {
            return decision;
        };
        let is_busy = in_use[busiest].load > LOAD_HIGH;
        let was_held_up = in_use.iter().any(|look| look.was_held_up);
        self.n_looks_left = match (was_held_up, is_busy) {
            (true, _) => N_QUIET_LOOKS,
            (_, true) => self.n_looks_left.max(N_CALM_LOOKS),
            _ => self.n_looks_left.saturating_sub(1),
        };
        let n_served: usize = in_use.iter().map(|look| look.n_served).sum();
        let is_crowded = idle < IDLE_MIN;
        let needs_more = was_held_up || is_busy && !is_crowded;
        if needs_more && n_served > in_use.len() && self.n_in_use < looks.len() {
            self.grow(looks, &mut decision);
        } else if is_busy {
            let (high, low) = (in_use[busiest], in_use[idlest]);
            let n_given = high.n_served as f64 * (high.load - low.load) / (2.0 * high.load);
            if high.load - low.load > LOAD_DIFFERENCE {
                decision.gifts.push((busiest, idlest, n_given as usize));
            }
        } else if self.n_in_use > 1 && self.n_looks_left == 0 {
            let total: f64 = looks.iter().map(|look| look.load).sum();
            let low = if is_crowded { LOAD_LOW_CROWDED } else { LOAD_LOW };
            if total < low * (self.n_in_use - 1) as f64 {
                self.n_in_use -= 1;
                decision.n_in_use = Some(self.n_in_use);
            }
        }
        decision
    }

    /// Has twice as many workers serve: each gives half of what it has.
    fn grow(&mut self, looks: &[Look], decision: &mut Decision) {
        let n_before = self.n_in_use;
        self.n_in_use = (2 * n_before).min(looks.len());
        decision.n_in_use = Some(self.n_in_use);
        let heirs = n_before..self.n_in_use;
        decision.gifts.extend(heirs.map(|to| {
            let from = to - n_before;
            (from, to, looks[from].n_served.div_ceil(2))
        }));
    }
}

/// Keeps the balance of a crew until the server stops. Needs a runtime.
pub async fn keep(server: Arc<Server>, crew: Arc<Crew>) {
    if crew.len() < 2 {
        return;
    }
    let mut balance = Balance::new();
    let mut before = Before {
        elapsed: server.clock.elapsed(),
        totals: vec![(0, 0); crew.len()],
        idle: idle_time(),
    };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (looks, idle) = look(&server, &crew, &mut before);
        let decision = balance.decide(&looks, idle);
        if let Some(n_in_use) = decision.n_in_use {
            tracing::trace!("{n_in_use} of {} workers in use", crew.len());
            crew.use_workers(n_in_use);
        }
        for (from, to, n_connections) in decision.gifts {
            crew.have_given(from, to, n_connections);
        }
    }
}

/// What had been counted at the last look: time, for each worker its processor time in nanoseconds and
/// its long commands, and the idle time of all processors.
struct Before {
    elapsed: Duration,
    totals: Vec<(u64, u64)>,
    idle: Option<Duration>,
}

/// Time for which the machine's processors have had nothing to do. `None`: the system does not tell.
fn idle_time() -> Option<Duration> {
    let mut line = String::new();
    BufReader::new(File::open("/proc/stat").ok()?).read_line(&mut line).ok()?;
    // cpu, user, nice, system, idle, waiting for disks
    let mut ticks = line.split_ascii_whitespace().skip(4).map(str::parse::<u64>);
    let n_ticks = ticks.next()?.ok()? + ticks.next()?.ok()?;
    let per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    Some(Duration::from_secs_f64(n_ticks as f64 / per_second as f64))
}

/// The workers, and the idle time as a share of one processor.
fn look(server: &Server, crew: &Crew, before: &mut Before) -> (Vec<Look>, f64) {
    let elapsed = server.clock.elapsed();
    let passed = (elapsed - before.elapsed).max(Duration::from_nanos(1));
    let passed_ns = passed.as_nanos() as f64;
    before.elapsed = elapsed;
    let idle_before = std::mem::replace(&mut before.idle, idle_time());
    let idle = match (idle_before, before.idle) {
        (Some(old), Some(new)) => new.saturating_sub(old).div_duration_f64(passed),
        // As if there were enough.
        _ => f64::INFINITY,
    };
    let mut looks = Vec::with_capacity(crew.len());
    for (index, (thread_id, n_served)) in crew.look().into_iter().enumerate() {
        let total = &mut before.totals[index];
        let n_long = server.stats.workers[index].n_long_commands.get();
        let cpu_ns = server.clock.thread_cpu_ns(thread_id).unwrap_or(total.0);
        let (cpu_ns_before, n_long_before) = std::mem::replace(total, (cpu_ns, n_long));
        looks.push(Look {
            load: cpu_ns.saturating_sub(cpu_ns_before) as f64 / passed_ns,
            n_served,
            was_held_up: n_long != n_long_before,
        });
    }
    (looks, idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(load: f64, n_served: usize) -> Look {
        Look { load, n_served, was_held_up: false }
    }

    fn held_up(load: f64, n_served: usize) -> Look {
        Look { was_held_up: true, ..look(load, n_served) }
    }

    impl Balance {
        /// On a machine that has time to spare.
        fn decide_at_ease(&mut self, looks: &[Look]) -> Decision {
            self.decide(looks, 1.0)
        }
    }

    const IDLE: Look = Look { load: 0.0, n_served: 0, was_held_up: false };

    fn grown(n_in_use: usize, gifts: &[(usize, usize, usize)]) -> Decision {
        Decision { n_in_use: Some(n_in_use), gifts: gifts.to_vec() }
    }

    #[test]
    fn one_worker_serves_what_it_can() {
        let mut balance = Balance::new();
        for n_served in [0, 1, 1000] {
            assert_eq!(balance.decide_at_ease(&[look(0.8, n_served), IDLE]), Decision::default());
        }
        // A single connection cannot be divided.
        assert_eq!(balance.decide_at_ease(&[look(1.0, 1), IDLE]), Decision::default());
    }

    #[test]
    fn more_serve_when_one_is_busy() {
        let mut balance = Balance::new();
        let looks = [look(0.9, 9), IDLE, IDLE, IDLE, IDLE];
        assert_eq!(balance.decide_at_ease(&looks), grown(2, &[(0, 1, 5)]));
        let looks = [look(0.9, 4), look(0.9, 5), IDLE, IDLE, IDLE];
        assert_eq!(balance.decide_at_ease(&looks), grown(4, &[(0, 2, 2), (1, 3, 3)]));
        let looks = [look(0.9, 4), look(0.9, 4), look(0.9, 4), look(0.9, 4), IDLE];
        assert_eq!(balance.decide_at_ease(&looks), grown(5, &[(0, 4, 2)]));
    }

    #[test]
    fn no_more_serve_where_no_processor_is_free() {
        let mut balance = Balance::new();
        let looks = [look(0.9, 9), IDLE];
        assert_eq!(balance.decide(&looks, 0.1), Decision::default());
        assert_eq!(balance.decide(&looks, 0.5), grown(2, &[(0, 1, 5)]));
        let shared = [look(0.4, 5), look(0.4, 5)];
        for _ in 0..50 {
            assert_eq!(balance.decide(&shared, 0.5), Decision::default());
        }
        assert_eq!(balance.decide(&shared, 0.0), grown(1, &[]));
    }

    #[test]
    fn a_long_command_makes_room_for_the_others() {
        let mut balance = Balance::new();
        assert_eq!(balance.decide_at_ease(&[held_up(0.1, 10), IDLE]), grown(2, &[(0, 1, 5)]));
        let quiet = [look(0.05, 5), look(0.05, 5)];
        for _ in 1..N_QUIET_LOOKS {
            assert_eq!(balance.decide_at_ease(&quiet), Decision::default());
        }
        assert_eq!(balance.decide_at_ease(&quiet), grown(1, &[]));
    }

    #[test]
    fn fewer_serve_when_it_has_become_calm() {
        let mut balance = Balance::new();
        assert_eq!(balance.decide_at_ease(&[look(0.9, 10), IDLE]).n_in_use, Some(2));
        for _ in 0..50 {
            assert_eq!(balance.decide_at_ease(&[look(0.4, 5), look(0.3, 5)]), Decision::default());
        }
        assert_eq!(balance.decide_at_ease(&[look(0.3, 5), look(0.3, 5)]), grown(1, &[]));
    }

    #[test]
    fn the_busiest_gives_to_the_idlest() {
        let mut balance = Balance { n_in_use: 2, n_looks_left: 0 };
        let gifts = |balance: &mut Balance, high, low| balance.decide_at_ease(&[high, low]).gifts;
        assert_eq!(gifts(&mut balance, look(1.0, 21), look(0.5, 3)), [(0, 1, 5)]);
        assert_eq!(gifts(&mut balance, look(0.9, 21), look(0.8, 3)), []);
        // One that is alone with its load keeps it.
        assert_eq!(gifts(&mut balance, look(1.0, 1), look(0.1, 30)), [(0, 1, 0)]);
    }
}
