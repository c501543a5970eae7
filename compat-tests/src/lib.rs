//! Tools that hold CrabCache against the reference server.
//!
//! - [`case`]: the case files, their syntax.
//! - [`runner`]: runs a case on both servers and compares.
//! - [`differential`]: random commands on both.
//! - [`crash`]: what is left when a server is killed.
//! - [`faults`]: whether replicas agree with their primary whatever happens to them and their links;
//!   [`proxy`]: links that break; [`content`]: what servers have.
//! - [`group`]: servers that follow each other, for tests that fail where something fails.
//! - [`certificates`]: who may speak TLS with whom.
//! - [`load`]: puts servers under load, for the benchmarks.
//! - [`compare`]: when two replies count as equal.
//! - [`skip`]: the list of known differences.
//! - [`server`]: server processes, each on a port and in a folder of its own.
//! - [`wire`], [`frame`]: connections, and replies as the bytes that they are.
//!
//! The comparison stands on bytes: what a server sent is cut into replies by [`frame`], which shares
//! no code with the server under test, and no reply is decoded and encoded again before it is
//! compared.

pub mod case;
pub mod certificates;
pub mod compare;
pub mod content;
pub mod crash;
pub mod differential;
pub mod faults;
pub mod frame;
pub mod group;
pub mod load;
pub mod proxy;
pub mod runner;
pub mod server;
pub mod skip;
pub mod wire;
