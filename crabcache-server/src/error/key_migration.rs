//! Texts about MIGRATE.

/// Why keys are not migrated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyMigrationError {
    /// A key, and others behind KEYS.
    #[error("ERR When using MIGRATE KEYS option, the key argument must be set to the empty string")]
    KeyAndKeys,
    /// The other server's name is not known.
    #[error("IOERR error or timeout connecting to the client")]
    Connecting,
    /// The other server takes nothing.
    #[error("IOERR error or timeout writing to target instance")]
    Writing,
    /// The other server does not answer.
    #[error("IOERR error or timeout reading to target instance")]
    Reading,
    /// The other server refuses something: what it says.
    #[error("ERR Target instance replied with error: {0}")]
    Refused(String),
}
