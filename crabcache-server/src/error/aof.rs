//! The append-only file: what clients are told, and why its files cannot be read, for the log.

/// What clients are told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AofError {
    /// The append-only file cannot be written; what the system says.
    #[error("MISCONF Errors writing to the AOF file: {0}")]
    CannotWrite(String),
    /// The same, to a script that may write.
    #[error(
        "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts. AOF error: {0}"
    )]
    ScriptWrites(String),
    /// BGREWRITEAOF while one is under way.
    #[error("ERR Background append only file rewriting already in progress")]
    RewriteInProgress,
    /// BGREWRITEAOF that cannot begin.
    #[error(
        "ERR Can't execute an AOF background rewriting. Please check the server logs for more information."
    )]
    RewriteFailed,
    /// BGSAVE while the append-only file is rewritten.
    #[error(
        "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible."
    )]
    OtherSnapshotInProgress,
    /// WAITAOF for a file that there is none of.
    #[error("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")]
    WaitWithoutAof,
    /// DEBUG LOADAOF failed.
    #[error("ERR Error trying to load the AOF files, check server logs.")]
    LoadFailed,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It says nothing.
    #[error("Found an empty AOF manifest")]
    Empty,
    /// A line that does not end, or not within the limit.
    #[error("The AOF manifest file contains too long line")]
    LongLine,
    /// A line that is no list of names and values, or lacks some.
    #[error("Invalid AOF manifest file format")]
    Format,
    /// A file in another directory.
    #[error("File can't be a path, just a filename")]
    Path,
    /// Two base files.
    #[error("Found duplicate base file information")]
    DuplicateBase,
    /// Files out of order.
    #[error("Found a non-monotonic sequence number")]
    Order,
    /// A file that is neither base nor increment nor history.
    #[error("Unknown AOF file type")]
    UnknownType,
}
