//! Why the files of the append-only file cannot be read, for the log.

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
