//! A coordinated failover: this primary and one of its replicas change places, and nothing is lost.
//!
//! ```text
//!  primary:  writes are paused --> the replica has all --> follows it: PSYNC ... FAILOVER --> replica
//!  replica:                                                promotes itself, +CONTINUE     --> primary
//! ```
//!
//! The thread of the link carries it out, which has nothing to do while this server is a primary. It
//! looks whenever a replica has told how far it is, and some times a second.
//!
//! Invariant: there is a plan exactly while writes are paused for it. Both change only while the
//! keyspace is held, so no change can enter the log between the last look and the switch.

use super::link::Address;
use super::replicas::Replica;
use crate::server::Server;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What was asked for, and how far it is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The replica that is to take over; `None`: the first that has all.
    pub target: Option<Address>,
    /// When it has waited long enough: Unix milliseconds.
    pub deadline_ms: Option<i64>,
    /// Whether the target is to take over at the deadline even if something is missing there.
    pub is_forced: bool,
    /// Whether this server follows the target already.
    pub is_handing_over: bool,
}

/// The failover that is under way.
#[derive(Debug, Default)]
pub struct Failover {
    plan: Mutex<Option<Plan>>,
}

impl Failover {
    /// As INFO names its state.
    pub fn state_name(&self) -> &'static str {
        match &*self.plan.lock() {
            None => "no-failover",
            Some(plan) if plan.is_handing_over => "failover-in-progress",
            Some(_) => "waiting-for-sync",
        }
    }

    /// Whether the primary that is followed now is one that is to become a primary first.
    pub fn is_handing_over(&self) -> bool {
        self.plan.lock().as_ref().is_some_and(|plan| plan.is_handing_over)
    }

    fn is_waiting(&self) -> bool {
        self.plan.lock().as_ref().is_some_and(|plan| !plan.is_handing_over)
    }

    /// Pauses writes until the failover is over. The keyspace is held.
    pub fn begin(&self, server: &Server, plan: Plan) {
        match &plan.target {
            Some(at) => tracing::info!("FAILOVER requested to {}:{}.", at.host, at.port),
            None => tracing::info!("FAILOVER requested to any replica."),
        }
        *self.plan.lock() = Some(plan);
        server.conditions.set_failing_over(true);
        server.replication.ask_for_acks(server);
        server.replication.link.look();
    }

    /// Gives it up. Whether there was one. The keyspace is held.
    pub fn abort(&self, server: &Server, why: &str) -> bool {
        let Some(plan) = self.plan.lock().clone() else { return false };
        match &plan.target {
            Some(at) => tracing::info!("FAILOVER to {}:{} aborted: {why}", at.host, at.port),
            None => tracing::info!("FAILOVER to any replica aborted: {why}"),
        }
        if plan.is_handing_over {
            server.replication.follow_from_now_on(server, None);
        }
        self.end(server);
        true
    }

    /// The target follows us no more: it is the primary.
    pub(super) fn note_accepted(&self, server: &Server) {
        let mut pass = server.keyspace.enter(server.link_worker());
        let _locked = pass.lock_all();
        if self.is_handing_over() {
            self.end(server);
        }
    }

    /// The target does not want to become the primary.
    pub(super) fn note_rejected(&self, server: &Server) {
        let mut pass = server.keyspace.enter(server.link_worker());
        let _locked = pass.lock_all();
        if self.is_handing_over() {
            self.abort(server, "Failover target rejected psync request");
        }
    }

    fn end(&self, server: &Server) {
        *self.plan.lock() = None;
        server.conditions.set_failing_over(false);
        server.resume_paused();
    }

    /// Goes on if the replica has all, or has not got it in time. Called by the link's thread.
    pub(super) fn go_on(&self, server: &Server) {
        if !self.is_waiting() {
            return;
        }
        let mut pass = server.keyspace.enter(server.link_worker());
        let _locked = pass.lock_all();
        // It may have been aborted meanwhile.
        let Some(plan) = self.plan.lock().clone().filter(|plan| !plan.is_handing_over) else {
            return;
        };
        let is_late = plan.deadline_ms.is_some_and(|at_ms| at_ms <= server.clock.unix_ms());
        let target = match &plan.target {
            Some(target) if is_late && plan.is_forced => {
                let Address { host, port } = target;
                tracing::info!("FAILOVER to {host}:{port} time out exceeded, failing over.");
                target.clone()
            }
            _ if is_late => {
                self.abort(server, "Replica never caught up before timeout");
                return;
            }
            target => {
                let Some(target) = synced_replica(server, target.as_ref()) else { return };
                let Address { host, port } = &target;
                tracing::info!("Failover target {host}:{port} is synced, failing over.");
                target
            }
        };
        *self.plan.lock() =
            Some(Plan { target: Some(target.clone()), is_handing_over: true, ..plan });
        server.replication.follow_from_now_on(server, Some(target));
    }
}

/// The replica that others reach at an address.
pub fn find_replica(server: &Server, address: &Address) -> Option<Arc<Replica>> {
    let replicas = server.replication.replicas.all();
    replicas.into_iter().find(|replica| {
        replica.ip() == address.host
            && replica.introduction.listening_port == i64::from(address.port)
    })
}

/// The address of a replica, the one meant or any, that has all.
fn synced_replica(server: &Server, target: Option<&Address>) -> Option<Address> {
    let end = server.log.ends().replicas;
    let has_all = |replica: &Arc<Replica>| {
        replica.is_online() && replica.acked.load(Ordering::Relaxed) == end
    };
    match target {
        Some(target) => find_replica(server, target).filter(has_all).map(|_| target.clone()),
        None => {
            let mut replicas = server.replication.replicas.all().into_iter().filter(has_all);
            replicas.find_map(|replica| {
                let port = u16::try_from(replica.introduction.listening_port).ok()?;
                let host = replica.ip().to_string();
                (port != 0).then_some(Address { host, port })
            })
        }
    }
}
