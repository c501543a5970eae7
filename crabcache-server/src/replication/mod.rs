//! The stream of changes, and who gets it.
//!
//! - [`log`]: takes every change, while its stripes are held, and gives it to the append-only file and
//!   to the backlog.
//! - [`unit`]: what belongs together and enters the log as one.
//! - [`backlog`]: the end of the stream, for replicas.

pub mod backlog;
pub mod log;
pub mod unit;
