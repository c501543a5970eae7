//! The network: accepting connections, reading requests, sending replies.
//!
//! ```text
//!  listener (main thread) --accepted sockets--> worker 0: one Tokio runtime, its connections
//!                                           \-> worker 1: ...
//! ```
//!
//! A connection's commands run on its worker's thread. It stays there but for a change of load, when it
//! moves between two requests.

mod admission;
pub mod balance;
mod connection;
pub mod crew;
pub mod dial;
pub mod listener;
mod replica;
mod spin;
mod stream;
pub mod tls;
mod worker;
