//! How many workers serve, and who of them has too much.
//!
//! A thread that has little to do sleeps and is woken for every batch, which costs more than many a
//! batch; one that has more to do finds several connections ready when it looks. So connections gather
//! on few workers as long as these have time to spare, and spread over more when one has not, or was
//! held up by a command that took long.
//!
//! A worker's load is the processor time that its thread gets and works in, as a share of the time that
//! passes: one that waits for a processor would not be helped by a second one that waits, and one that
//! looks for something to do (`spin.rs`) does not work. Whether more workers help a busy one is tried
//! out: where clients take the other processors, they do not, and fewer serve again.

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
/// Busy looks in a row before more workers are tried.
const N_BUSY_LOOKS: u32 = 5;
/// Looks of a trial. The first does not count: connections are on their way. Where more workers do
/// less than before, the trial ends with the next one.
const N_TRIAL_LOOKS: u32 = 4;
/// More workers must do so many times as much.
const GAIN_MIN: f64 = 1.1;
/// Looks until more workers are tried again that did not help, the first time and at most.
const N_LOOKS_BETWEEN_TRIALS: u32 = 20;
const N_LOOKS_BETWEEN_TRIALS_MAX: u32 = 160;

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

/// What was seen of all.
#[derive(Debug, Clone)]
struct Sight {
    workers: Vec<Look>,
    /// Time for which the machine's processors had nothing to do, as a share of one.
    idle: f64,
    /// Commands that were run.
    n_commands: u64,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
struct Decision {
    /// Workers that are to serve, if that changes.
    n_in_use: Option<usize>,
    /// From whom to whom so many connections go.
    gifts: Vec<(usize, usize, usize)>,
}

/// More workers serve, and it is to be seen whether that helps.
#[derive(Debug)]
struct Trial {
    n_before: usize,
    /// Commands of a look before.
    rate_before: f64,
    n_looks: u32,
    n_commands: u64,
}

/// Remembers what was decided.
struct Balance {
    n_in_use: usize,
    /// Looks until one worker less may serve.
    n_looks_left: u32,
    /// Busy looks in a row, and the commands that were run in them.
    n_busy_looks: u32,
    n_busy_commands: u64,
    trial: Option<Trial>,
    /// Looks until the next trial, and how many there are after one that failed.
    n_looks_to_trial: u32,
    n_looks_between_trials: u32,
}

impl Balance {
    /// One worker serves.
    fn new() -> Balance {
        Balance {
            n_in_use: 1,
            n_looks_left: 0,
            n_busy_looks: 0,
            n_busy_commands: 0,
            trial: None,
            n_looks_to_trial: 0,
            n_looks_between_trials: N_LOOKS_BETWEEN_TRIALS,
        }
    }

    fn decide(&mut self, sight: &Sight) -> Decision {
        let mut decision = Decision::default();
        let looks = &*sight.workers;
        let in_use = looks.get(..self.n_in_use).unwrap_or(looks);
        let by_load = |a: &usize, b: &usize| in_use[*a].load.total_cmp(&in_use[*b].load);
        let (Some(busiest), Some(idlest)) =
            ((0..in_use.len()).max_by(by_load), (0..in_use.len()).min_by(by_load))
        else {
            return decision;
        };
        let is_busy = in_use[busiest].load > LOAD_HIGH;
        let was_held_up = in_use.iter().any(|look| look.was_held_up);
        self.note(sight, is_busy, was_held_up);
        if self.trial_has_failed(sight) {
            decision.n_in_use = Some(self.n_in_use);
            return decision;
        }
        let n_served: usize = in_use.iter().map(|look| look.n_served).sum();
        let can_grow = n_served > in_use.len() && self.n_in_use < looks.len();
        let is_crowded = sight.idle < IDLE_MIN;
        if was_held_up && can_grow {
            self.trial = None;
            self.grow(looks, &mut decision);
        } else if can_grow && !is_crowded && self.may_try() {
            self.begin_trial();
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

    fn note(&mut self, sight: &Sight, is_busy: bool, was_held_up: bool) {
        self.n_looks_left = match (was_held_up, is_busy) {
            (true, _) => N_QUIET_LOOKS,
            (_, true) => self.n_looks_left.max(N_CALM_LOOKS),
            _ => self.n_looks_left.saturating_sub(1),
        };
        self.n_looks_to_trial = self.n_looks_to_trial.saturating_sub(1);
        if !is_busy || self.n_busy_looks == N_BUSY_LOOKS {
            (self.n_busy_looks, self.n_busy_commands) = (0, 0);
        }
        if is_busy {
            self.n_busy_looks += 1;
            self.n_busy_commands += sight.n_commands;
        }
    }

    fn may_try(&self) -> bool {
        self.n_busy_looks == N_BUSY_LOOKS && self.n_looks_to_trial == 0 && self.trial.is_none()
    }

    fn begin_trial(&mut self) {
        self.trial = Some(Trial {
            n_before: self.n_in_use,
            rate_before: self.n_busy_commands as f64 / f64::from(N_BUSY_LOOKS),
            n_looks: 0,
            n_commands: 0,
        });
    }

    /// Goes on with a trial. At its end, fewer workers serve again if it did not help.
    fn trial_has_failed(&mut self, sight: &Sight) -> bool {
        let Some(mut trial) = self.trial.take() else { return false };
        trial.n_looks += 1;
        if trial.n_looks > 1 {
            trial.n_commands += sight.n_commands;
        }
        let rate = trial.n_commands as f64 / f64::from((trial.n_looks - 1).max(1));
        let is_worse = trial.n_looks > 1 && rate < trial.rate_before;
        if trial.n_looks < N_TRIAL_LOOKS && !is_worse {
            self.trial = Some(trial);
            return false;
        }
        if rate >= GAIN_MIN * trial.rate_before {
            self.n_looks_between_trials = N_LOOKS_BETWEEN_TRIALS;
            return false;
        }
        self.n_in_use = trial.n_before;
        self.n_looks_to_trial = self.n_looks_between_trials;
        self.n_looks_between_trials =
            (2 * self.n_looks_between_trials).min(N_LOOKS_BETWEEN_TRIALS_MAX);
        true
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
        n_commands: n_commands(&server),
    };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let decision = balance.decide(&look(&server, &crew, &mut before));
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
/// its long commands, the idle time of all processors, and all commands.
struct Before {
    elapsed: Duration,
    totals: Vec<(u64, u64)>,
    idle: Option<Duration>,
    n_commands: u64,
}

/// Commands that were run, until CONFIG RESETSTAT.
fn n_commands(server: &Server) -> u64 {
    server.stats.sum(|worker| &worker.total_commands_processed)
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

fn look(server: &Server, crew: &Crew, before: &mut Before) -> Sight {
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
    let n_commands_before = std::mem::replace(&mut before.n_commands, n_commands(server));
    let n_commands = before.n_commands.saturating_sub(n_commands_before);
    let mut workers = Vec::with_capacity(crew.len());
    for (index, seen) in crew.look().into_iter().enumerate() {
        let total = &mut before.totals[index];
        let n_long = server.stats.workers[index].n_long_commands.get();
        let cpu_ns = server.clock.thread_cpu_ns(seen.thread_id);
        let worked_ns = cpu_ns.map_or(total.0, |cpu_ns| cpu_ns.saturating_sub(seen.spun_ns));
        let (worked_ns_before, n_long_before) = std::mem::replace(total, (worked_ns, n_long));
        workers.push(Look {
            load: worked_ns.saturating_sub(worked_ns_before) as f64 / passed_ns,
            n_served: seen.n_served,
            was_held_up: n_long != n_long_before,
        });
    }
    Sight { workers, idle, n_commands }
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

    const IDLE: Look = Look { load: 0.0, n_served: 0, was_held_up: false };

    fn grown(n_in_use: usize, gifts: &[(usize, usize, usize)]) -> Decision {
        Decision { n_in_use: Some(n_in_use), gifts: gifts.to_vec() }
    }

    /// On a machine that has time to spare.
    fn sight(workers: &[Look], n_commands: u64) -> Sight {
        Sight { workers: workers.to_vec(), idle: 1.0, n_commands }
    }

    impl Balance {
        fn decide_on(&mut self, workers: &[Look]) -> Decision {
            self.decide(&sight(workers, 100))
        }

        /// Decides on the same sight until something is to be done.
        fn decide_at_last(&mut self, sight: &Sight) -> Decision {
            (0..N_LOOKS_BETWEEN_TRIALS_MAX)
                .map(|_| self.decide(sight))
                .find(|decision| *decision != Decision::default())
                .unwrap_or_default()
        }
    }

    #[test]
    fn one_worker_serves_what_it_can() {
        let mut balance = Balance::new();
        for n_served in [0, 1, 1000] {
            assert_eq!(balance.decide_on(&[look(0.8, n_served), IDLE]), Decision::default());
        }
        // A single connection cannot be divided.
        let alone = sight(&[look(1.0, 1), IDLE], 100);
        assert_eq!(balance.decide_at_last(&alone), Decision::default());
    }

    #[test]
    fn more_serve_when_one_is_busy_and_that_helps() {
        let mut balance = Balance::new();
        let looks = [look(0.9, 9), IDLE, IDLE, IDLE, IDLE];
        assert_eq!(balance.decide_on(&looks), Decision::default());
        assert_eq!(balance.decide_at_last(&sight(&looks, 100)), grown(2, &[(0, 1, 5)]));
        let looks = [look(0.9, 4), look(0.9, 5), IDLE, IDLE, IDLE];
        let at_last = balance.decide_at_last(&sight(&looks, 150));
        assert_eq!(at_last, grown(4, &[(0, 2, 2), (1, 3, 3)]));
        let looks = [look(0.9, 4), look(0.9, 4), look(0.9, 4), look(0.9, 4), IDLE];
        assert_eq!(balance.decide_at_last(&sight(&looks, 200)), grown(5, &[(0, 4, 2)]));
    }

    #[test]
    fn fewer_serve_again_when_more_did_not_help() {
        let mut balance = Balance::new();
        let busy = sight(&[look(0.9, 9), IDLE], 100);
        assert_eq!(balance.decide_at_last(&busy), grown(2, &[(0, 1, 5)]));
        let shared = sight(&[look(0.7, 5), look(0.7, 4)], 105);
        assert_eq!(balance.decide_at_last(&shared), grown(1, &[]));
        // It is tried again, after a while; where they do less, it ends at once.
        for _ in 0..N_LOOKS_BETWEEN_TRIALS - 1 {
            assert_eq!(balance.decide(&busy), Decision::default());
        }
        assert_eq!(balance.decide_at_last(&busy), grown(2, &[(0, 1, 5)]));
        let slower = sight(&[look(0.7, 5), look(0.7, 4)], 95);
        assert_eq!(balance.decide(&slower), Decision::default());
        assert_eq!(balance.decide(&slower), grown(1, &[]));
    }

    #[test]
    fn no_more_serve_where_no_processor_is_free() {
        let mut balance = Balance::new();
        let looks = [look(0.9, 9), IDLE];
        let crowded = |workers: &[Look]| Sight { idle: 0.1, ..sight(workers, 100) };
        assert_eq!(balance.decide_at_last(&crowded(&looks)), Decision::default());
        assert_eq!(balance.decide_at_last(&sight(&looks, 100)), grown(2, &[(0, 1, 5)]));
        let shared = [look(0.4, 5), look(0.4, 5)];
        for _ in 0..50 {
            assert_eq!(balance.decide(&sight(&shared, 200)), Decision::default());
        }
        assert_eq!(balance.decide(&crowded(&shared)), grown(1, &[]));
    }

    #[test]
    fn a_long_command_makes_room_for_the_others() {
        let mut balance = Balance::new();
        assert_eq!(balance.decide_on(&[held_up(0.1, 10), IDLE]), grown(2, &[(0, 1, 5)]));
        let quiet = [look(0.05, 5), look(0.05, 5)];
        for _ in 1..N_QUIET_LOOKS {
            assert_eq!(balance.decide_on(&quiet), Decision::default());
        }
        assert_eq!(balance.decide_on(&quiet), grown(1, &[]));
    }

    #[test]
    fn fewer_serve_when_it_has_become_calm() {
        let mut balance = Balance::new();
        let busy = sight(&[look(0.9, 10), IDLE], 100);
        assert_eq!(balance.decide_at_last(&busy).n_in_use, Some(2));
        for _ in 0..50 {
            let shared = sight(&[look(0.4, 5), look(0.3, 5)], 200);
            assert_eq!(balance.decide(&shared), Decision::default());
        }
        assert_eq!(balance.decide_on(&[look(0.3, 5), look(0.3, 5)]), grown(1, &[]));
    }

    #[test]
    fn the_busiest_gives_to_the_idlest() {
        let mut balance = Balance { n_in_use: 2, ..Balance::new() };
        let gifts = |balance: &mut Balance, high, low| balance.decide_on(&[high, low]).gifts;
        assert_eq!(gifts(&mut balance, look(1.0, 21), look(0.5, 3)), [(0, 1, 5)]);
        assert_eq!(gifts(&mut balance, look(0.9, 21), look(0.8, 3)), []);
        // One that is alone with its load keeps it.
        assert_eq!(gifts(&mut balance, look(1.0, 1), look(0.1, 30)), [(0, 1, 0)]);
    }
}
