//! Data that outlives the process.
//!
//! - [`rdb`]: the format of snapshots and of DUMP.
//! - [`save`]: writes the snapshot's file, [`load`] reads it.
//! - [`file`]: a file that takes another one's place when it is complete.
//! - [`state`]: what INFO tells.

pub mod file;
pub mod load;
pub mod rdb;
pub mod save;
pub mod state;
