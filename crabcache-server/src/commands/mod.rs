//! The commands: one row and one function each, in files named after their group.

mod connection;
mod server;
mod string;
mod transactions;

use crate::command::{Command, Group};

/// All families.
pub const FAMILIES: &[(Group, &[Command])] = &[
    (Group::Connection, connection::COMMANDS),
    (Group::Server, server::COMMANDS),
    (Group::String, string::COMMANDS),
    (Group::Transactions, transactions::COMMANDS),
];
