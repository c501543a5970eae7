//! Why a migration ends early. These are for whoever runs it: no client sees them.

use std::io;

/// See the module's text.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// An address that is none.
    #[error("{0}: not an address like redis://user:password@host:port ({1})")]
    Address(String, String),
    /// A server cannot be reached, or is gone.
    #[error("{server}: {error}")]
    Connection {
        /// Its address.
        server: String,
        /// What the system says.
        error: io::Error,
    },
    /// A server says what is no reply.
    #[error("{server}: {error}")]
    Protocol {
        /// Its address.
        server: String,
        /// What is wrong with it.
        error: crabcache_resp::ValueError,
    },
    /// A server refuses a command.
    #[error("{server} refuses {command}: {text}")]
    Refused {
        /// Its address.
        server: String,
        /// The command's name.
        command: String,
        /// Its error.
        text: String,
    },
    /// A server gives a reply of the wrong kind.
    #[error("{server} answers {command} with something unexpected")]
    Unexpected {
        /// Its address.
        server: String,
        /// The command's name.
        command: String,
    },
    /// The check has found what speaks against it.
    #[error("there are problems: mend them, or migrate with --force")]
    Problems,
    /// The copy does not get on.
    #[error("no progress for {0} seconds: see the target's log")]
    Stuck(u64),
    /// The target is behind when it ought to be level.
    #[error("the target does not catch up within {0} seconds")]
    Behind(u64),
    /// The data differ.
    #[error("source and target differ")]
    Different,
    /// The terminal is gone.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}
