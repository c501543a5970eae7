//! The commands: one row and one function each, in files named after their group.

mod bitmap;
mod connection;
mod drawn;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod list;
mod multi_pop;
mod pubsub;
mod scripting;
mod server;
mod set;
mod sorted_set;
mod stream;
mod string;
mod transactions;
mod vector_set;

use crate::command::{Command, Group};
pub(crate) use server::VECTOR_SETS;

/// All families.
pub const FAMILIES: &[(Group, &[Command])] = &[
    (Group::Bitmap, bitmap::COMMANDS),
    (Group::Connection, connection::COMMANDS),
    (Group::Generic, generic::dump::COMMANDS),
    (Group::Generic, generic::migrate::COMMANDS),
    (Group::Generic, generic::expire::COMMANDS),
    (Group::Generic, generic::keys::COMMANDS),
    (Group::Generic, generic::object::COMMANDS),
    (Group::Generic, generic::rename::COMMANDS),
    (Group::Generic, generic::scan::COMMANDS),
    (Group::Generic, generic::sort::COMMANDS),
    (Group::Generic, generic::wait::COMMANDS),
    (Group::Geo, geo::COMMANDS),
    (Group::Hyperloglog, hyperloglog::COMMANDS),
    (Group::List, list::COMMANDS),
    (Group::Hash, hash::COMMANDS),
    (Group::Pubsub, pubsub::COMMANDS),
    (Group::Scripting, scripting::COMMANDS),
    (Group::Server, server::COMMANDS),
    (Group::Server, server::keyspace::COMMANDS),
    (Group::Set, set::COMMANDS),
    (Group::SortedSet, sorted_set::COMMANDS),
    (Group::Stream, stream::COMMANDS),
    (Group::String, string::COMMANDS),
    (Group::Transactions, transactions::COMMANDS),
    (Group::Module, vector_set::COMMANDS),
];
