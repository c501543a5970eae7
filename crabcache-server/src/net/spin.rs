//! When a worker that has nothing to do looks again for requests, instead of sleeping until they come.
//!
//! To sleep and be woken costs a thread, and the one that wakes it, some microseconds each, and tens of
//! them on virtual machines. Where requests come sooner than that, the worker looks again, time after
//! time; clients that find their replies there do not sleep either. Where they come later, or other
//! threads want the processor, that costs more than it gives. Which of the two holds is measured: now and
//! then the worker notes what it does while it sleeps, then what it does while it looks again, and goes
//! on with what serves more for the processor time it takes.
//!
//! What this is not: it does not look itself. It keeps the runtime from sleeping, which looks.

use super::crew::Crew;
use crate::server::Server;
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Time for which the one and the other are measured.
const MEASURE_NS: u64 = 10_000_000;
/// Until it is measured again whether looking is still better.
const SPIN_NS: u64 = 300_000_000;
/// Between two trials that showed that it is not, at the least and at most.
const PAUSE_NS_MIN: u64 = 50_000_000;
const PAUSE_NS_MAX: u64 = 500_000_000;
/// A worker that was not asked for so long has little to do, or other clients than before.
const FORGET_NS: u64 = 5_000_000;
/// A trial ends when the worker has looked in vain for so long. At first, clients still sleep.
const VAIN_NS_MAX: u64 = 500_000;
/// In a trial, it looks for so many times as long as usual, for the same reason.
const TRIAL_PATIENCE: u64 = 3;
/// After so much of a trial it shows whether clients are far away.
const SEEN_NS: u64 = 2_000_000;
/// Looking must serve so many times as much for the same processor time, and so much at all.
const GAIN_MIN: f64 = 1.15;
const RATE_MIN: f64 = 0.95;
/// While it sleeps, served reads until it is seen whether something is due.
const SERVED_BETWEEN_LOOKS: u64 = 64;

/// What a worker had done at a time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at_ns: u64,
    n_served: u64,
    cpu_ns: u64,
}

/// What it did from one time to another.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Reads served in each nanosecond.
    rate: f64,
    /// Nanoseconds of processor time for each.
    cost: f64,
}

#[derive(Debug, Default, Clone, Copy)]
enum Phase {
    #[default]
    Asleep,
    /// Sleeping is measured.
    Before(Sample),
    /// Looking is measured.
    Trial {
        before: Effort,
        began: Sample,
    },
    Spinning {
        until_ns: u64,
    },
}

/// What a worker does when it has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    LookAgain,
    /// Sleep, and ask again when so many reads were served.
    Sleep {
        n_served: u64,
    },
}

#[derive(Debug, Default)]
struct Habit {
    phase: Phase,
    /// Reads served at the last look, and when that was.
    n_served: u64,
    looked_at_ns: u64,
    /// Since when there has been nothing to do; `None`: it was not noted when there last was something.
    idle_since_ns: Option<u64>,
    /// For how long requests let wait on average, of late.
    mean_wait_ns: u64,
    /// How long the trial has looked in vain.
    vain_ns: u64,
    /// Time that went into looking, and is not told yet.
    spun_ns: u64,
    trial_at_ns: u64,
    /// How long the last pause was, if trials have failed since looking was better.
    pause_ns: u64,
}

impl Sample {
    fn effort(&self, later: &Sample) -> Effort {
        let n_served = later.n_served.saturating_sub(self.n_served).max(1) as f64;
        let passed_ns = later.at_ns.saturating_sub(self.at_ns).max(1) as f64;
        let cpu_ns = later.cpu_ns.saturating_sub(self.cpu_ns).max(1) as f64;
        Effort { rate: n_served / passed_ns, cost: cpu_ns / n_served }
    }
}

impl Effort {
    fn is_better_than(&self, other: &Effort) -> bool {
        let (rate, cost) = (self.rate / other.rate, self.cost / other.cost);
        rate >= RATE_MIN && rate / cost >= GAIN_MIN
    }
}

impl Habit {
    /// To be asked when all that was there is served. `patience_ns`: how long the worker looks before it
    /// sleeps after all; `cpu_ns`: the processor time that it has had.
    fn next(
        &mut self,
        now_ns: u64,
        n_served: u64,
        patience_ns: u64,
        cpu_ns: impl Fn() -> u64,
    ) -> Next {
        if n_served != self.n_served {
            self.n_served = n_served;
            if let Some(since_ns) = self.idle_since_ns {
                self.note_wait(self.looked_at_ns.saturating_sub(since_ns));
            } else if now_ns.saturating_sub(self.looked_at_ns) > FORGET_NS {
                self.forget(now_ns);
            }
            self.idle_since_ns = Some(now_ns);
            let sample = || Sample { at_ns: now_ns, n_served, cpu_ns: cpu_ns() };
            self.enter_phase(now_ns, patience_ns, sample);
        }
        self.looked_at_ns = now_ns;
        let patience_ns = match self.phase {
            Phase::Asleep | Phase::Before(_) => 0,
            Phase::Trial { .. } => patience_ns * TRIAL_PATIENCE,
            Phase::Spinning { .. } => patience_ns * 2,
        };
        let idle_ns = self.idle_since_ns.map_or(0, |since_ns| now_ns.saturating_sub(since_ns));
        if idle_ns < patience_ns {
            return Next::LookAgain;
        }
        if patience_ns > 0 {
            self.vain_ns += idle_ns;
            self.note_wait(idle_ns);
        }
        self.idle_since_ns = None;
        let is_long = self.mean_wait_ns > patience_ns / 2;
        match self.phase {
            Phase::Spinning { .. } if is_long => self.give_up(now_ns),
            Phase::Trial { .. } if self.vain_ns > VAIN_NS_MAX => self.give_up(now_ns),
            Phase::Spinning { .. } | Phase::Trial { .. } => return Next::Sleep { n_served: 1 },
            Phase::Asleep | Phase::Before(_) => {}
        }
        Next::Sleep { n_served: SERVED_BETWEEN_LOOKS }
    }

    fn note_wait(&mut self, ns: u64) {
        self.spun_ns += ns;
        self.mean_wait_ns = (self.mean_wait_ns * 7 + ns) / 8;
    }

    /// Goes on to the next phase if its time has come. Something was served.
    fn enter_phase(&mut self, now_ns: u64, patience_ns: u64, sample: impl Fn() -> Sample) {
        match self.phase {
            _ if patience_ns == 0 => self.phase = Phase::Asleep,
            Phase::Asleep if now_ns >= self.trial_at_ns => self.phase = Phase::Before(sample()),
            Phase::Spinning { until_ns } if now_ns >= until_ns => {
                self.phase = Phase::Before(sample())
            }
            Phase::Before(began) if now_ns >= began.at_ns + MEASURE_NS => {
                let sample = sample();
                self.phase = Phase::Trial { before: began.effort(&sample), began: sample };
                (self.mean_wait_ns, self.vain_ns) = (0, 0);
            }
            Phase::Trial { began, .. }
                if now_ns >= began.at_ns + SEEN_NS && self.mean_wait_ns > 2 * patience_ns =>
            {
                self.give_up(now_ns);
            }
            Phase::Trial { before, began } if now_ns >= began.at_ns + MEASURE_NS => {
                if began.effort(&sample()).is_better_than(&before) {
                    self.phase = Phase::Spinning { until_ns: now_ns + SPIN_NS };
                    self.pause_ns = 0;
                } else {
                    self.give_up(now_ns);
                }
            }
            _ => {}
        }
    }

    /// What was measured does not count any more; that a trial has failed not long ago does.
    fn forget(&mut self, now_ns: u64) {
        if !matches!(self.phase, Phase::Asleep) {
            (self.phase, self.trial_at_ns) = (Phase::Asleep, now_ns);
        }
    }

    fn give_up(&mut self, now_ns: u64) {
        self.phase = Phase::Asleep;
        self.pause_ns = (self.pause_ns * 2).clamp(PAUSE_NS_MIN, PAUSE_NS_MAX);
        self.trial_at_ns = now_ns + self.pause_ns;
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Spin {
    n_served: Cell<u64>,
    /// The task that keeps the runtime awake sleeps until so many reads were served.
    woken_at: Cell<u64>,
    waker: RefCell<Option<Waker>>,
    habit: RefCell<Habit>,
}

impl Spin {
    /// Something was read and is being served.
    #[inline]
    pub(super) fn note_served(&self) {
        let n_served = self.n_served.get() + 1;
        self.n_served.set(n_served);
        if n_served == self.woken_at.get()
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// Keeps the runtime awake while that is worth it, for ever. For the worker's own thread.
    pub(super) fn poll(
        &self,
        cx: &mut Context<'_>,
        server: &Server,
        crew: &Crew,
        worker: usize,
    ) -> Poll<()> {
        self.waker.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        let patience_ns = server.config.get().busy_poll_us.unsigned_abs() * 1000;
        let cpu_ns = || crew.cpu_ns(&server.clock, worker);
        let now_ns = server.clock.elapsed_ns();
        let mut habit = self.habit.borrow_mut();
        let next = habit.next(now_ns, self.n_served.get(), patience_ns, cpu_ns);
        if habit.spun_ns > 0 {
            crew.note_spun(worker, std::mem::take(&mut habit.spun_ns));
        }
        match next {
            Next::LookAgain => pin!(tokio::task::yield_now()).poll(cx),
            Next::Sleep { n_served } => {
                self.woken_at.set(self.n_served.get() + n_served);
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE_NS: u64 = 25_000;

    /// How long requests take to come, by whether the worker has slept before.
    struct Clients {
        come_after_sleep_ns: u64,
        come_after_look_ns: u64,
    }

    /// A worker that takes 5 microseconds to serve a read, and 10 of processor time to sleep.
    #[derive(Default)]
    struct Worker {
        habit: Habit,
        now_ns: u64,
        cpu_ns: u64,
        n_served: u64,
    }

    impl Worker {
        fn next(&mut self, patience_ns: u64) -> Next {
            let cpu_ns = self.cpu_ns;
            self.habit.next(self.now_ns, self.n_served, patience_ns, || cpu_ns)
        }

        fn pass(&mut self, ns: u64, cpu_ns: u64) {
            (self.now_ns, self.cpu_ns) = (self.now_ns + ns, self.cpu_ns + cpu_ns);
        }

        /// Serves for a second. How many reads, and the processor time for each.
        fn serve(&mut self, clients: &Clients, patience_ns: u64) -> (u64, u64) {
            let (end_ns, cpu_before_ns, served_before) =
                (self.now_ns + 1_000_000_000, self.cpu_ns, self.n_served);
            let mut next = self.next(patience_ns);
            let (mut asked_at, mut has_slept) = (self.n_served, true);
            while self.now_ns < end_ns {
                // Until the next request comes.
                let mut left_ns = if has_slept {
                    clients.come_after_sleep_ns
                } else {
                    clients.come_after_look_ns
                };
                while next == Next::LookAgain && left_ns > 0 {
                    let look_ns = left_ns.min(1000);
                    self.pass(look_ns, look_ns);
                    left_ns -= look_ns;
                    next = self.next(patience_ns);
                }
                has_slept = next != Next::LookAgain;
                self.pass(left_ns + 5000, if has_slept { 15_000 } else { 5000 });
                self.n_served += 1;
                let is_asked = match next {
                    Next::LookAgain => true,
                    Next::Sleep { n_served } => self.n_served == asked_at + n_served,
                };
                if is_asked {
                    (next, asked_at) = (self.next(patience_ns), self.n_served);
                }
            }
            let n_served = self.n_served - served_before;
            (n_served, (self.cpu_ns - cpu_before_ns) / n_served)
        }
    }

    #[test]
    fn looking_is_kept_where_clients_are_near() {
        let clients = Clients { come_after_sleep_ns: 40_000, come_after_look_ns: 3_000 };
        let (n_served, cost_ns) = Worker::default().serve(&clients, PATIENCE_NS);
        assert!(n_served > 100_000 && cost_ns < 9_000, "{n_served} {cost_ns}");
        // They take longer to come, and twice as many are served for the same.
        let clients = Clients { come_after_sleep_ns: 30_000, come_after_look_ns: 9_000 };
        assert!(Worker::default().serve(&clients, PATIENCE_NS).0 > 60_000);
    }

    #[test]
    fn a_worker_sleeps_where_looking_gives_nothing() {
        for come_ns in [12_000, 20_000, 60_000, 200_000, 3_000_000] {
            let clients = Clients { come_after_sleep_ns: come_ns, come_after_look_ns: come_ns };
            let (n_served, cost_ns) = Worker::default().serve(&clients, PATIENCE_NS);
            assert!(cost_ns < 18_000, "{come_ns}: {n_served} {cost_ns}");
        }
        // It has no time to sleep.
        let mut worker = Worker::default();
        worker.serve(&Clients { come_after_sleep_ns: 0, come_after_look_ns: 0 }, PATIENCE_NS);
        assert_eq!(worker.habit.spun_ns, 0);
    }

    #[test]
    fn what_is_not_wanted_is_not_tried() {
        let clients = Clients { come_after_sleep_ns: 40_000, come_after_look_ns: 3_000 };
        let mut worker = Worker::default();
        assert_eq!(worker.serve(&clients, 0).1, 15_000);
        // And ends at once where it was.
        worker.serve(&clients, PATIENCE_NS);
        assert!(matches!(
            worker.habit.phase,
            Phase::Spinning { .. } | Phase::Before(_) | Phase::Trial { .. }
        ));
        assert!(worker.serve(&clients, 0).1 > 14_900);
    }

    #[test]
    fn a_worker_learns_when_its_clients_have_changed() {
        let near = Clients { come_after_sleep_ns: 40_000, come_after_look_ns: 3_000 };
        let far = Clients { come_after_sleep_ns: 200_000, come_after_look_ns: 200_000 };
        let mut worker = Worker::default();
        worker.serve(&near, PATIENCE_NS);
        assert!(worker.serve(&far, PATIENCE_NS).1 < 18_000);
        assert!(worker.serve(&near, PATIENCE_NS).0 > 60_000);
    }
}
