//! The CrabCache server: network, dispatch, commands, configuration.

pub mod acl;
pub mod blocking;
pub mod check;
pub mod client;
pub mod client_eviction;
pub mod clients;
pub mod clock;
pub mod command;
pub mod commands;
pub mod config;
pub mod cron;
pub mod error;
pub mod eviction;
pub mod expire;
pub mod info;
pub mod latency;
pub mod lazyfree;
pub mod log;
pub mod memory;
pub mod monitor;
pub mod net;
pub mod notify;
pub mod output_limits;
pub mod persistence;
pub mod pubsub;
pub mod push;
pub mod replication;
pub mod scripting;
pub mod server;
pub mod shutdown;
pub mod slowlog;
pub mod start;
pub mod stats;
#[cfg(test)]
mod testing;
pub mod tracking;
pub mod transaction;
