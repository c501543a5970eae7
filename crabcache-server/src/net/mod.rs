//! The network: accepting connections, reading requests, sending replies.
//!
//! ```text
//!  listener (main thread) --accepted sockets--> worker 0: one Tokio runtime, its connections
//!                                           \-> worker 1: ...
//! ```
//!
//! A connection stays with its worker for life; commands run on that thread.

mod admission;
pub mod connection;
pub mod listener;
mod stream;
pub mod tls;
pub mod worker;
