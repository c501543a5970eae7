//! Data that outlives the process.
//!
//! - [`rdb`]: the format of snapshots and of DUMP.
//! - [`snapshot`]: writes the snapshot's file while all threads work; [`save`]: while nothing else runs.
//! - [`due`]: when one is made.
//! - [`load`]: reads it.
//! - [`aof`]: every change, in a log.
//! - [`form`]: what the records of both look like.
//! - [`file`]: a file that takes another one's place when it is complete.
//! - [`state`]: what INFO tells.

pub mod aof;
pub mod due;
pub mod file;
pub mod form;
pub mod load;
pub mod rdb;
pub mod save;
pub mod snapshot;
pub mod state;
