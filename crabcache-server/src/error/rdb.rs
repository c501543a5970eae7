//! Why something in RDB format cannot be read, for the log and for RESTORE.

use super::CommandError;
use std::fmt;

/// Why something in RDB format cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RdbError {
    /// It ends too early.
    #[error("unexpected end")]
    Truncated,
    /// It cannot be read at all.
    #[error("read error: {0}")]
    Io(std::io::ErrorKind),
    /// A length that begins with an unknown byte.
    #[error("unknown form of a length: {0}")]
    UnknownLength(u8),
    /// A string in an unknown encoding, or an encoding where a length should stand.
    #[error("unknown encoding of a string: {0}")]
    UnknownEncoding(u8),
    /// A compressed string that cannot be expanded to its length.
    #[error("damaged compressed string")]
    BadCompression,
    /// A value of an unknown type.
    #[error("unknown type of value: {0}")]
    UnknownType(u8),
    /// A value whose parts do not make one of its type.
    #[error("{0} integrity check failed")]
    Malformed(&'static str),
    /// A consumer that its group has already.
    #[error("Duplicate stream consumer detected")]
    DuplicateConsumer,
    /// A value is followed by what does not belong to it.
    #[error("bytes behind the value")]
    TrailingBytes,
    /// Written by a newer server.
    #[error("newer version of the format")]
    NewerVersion,
    /// The checksum does not fit.
    #[error("wrong checksum")]
    WrongChecksum,
    /// A collection without elements.
    #[error("empty collection")]
    Empty,
    /// No file of this format at all.
    #[error("Wrong signature trying to load DB from file")]
    WrongSignature,
    /// Written in a version that nobody knows here.
    #[error("Can't handle RDB format version {0}")]
    UnknownVersion(u16),
    /// A database that there is none of here.
    #[error("database {0} does not exist: `databases` is too small")]
    NoDatabase(u64),
    /// A key that was there already.
    #[error("duplicated key")]
    DuplicateKey,
    /// A library of functions that is no Lua, or that was there already.
    #[error("a library of functions that cannot be loaded")]
    Function,
    /// A value of a module.
    #[error("value of the unknown module type '{0}'")]
    UnknownModule(ModuleName),
    /// Data of a module that belong to no key.
    #[error("data of the unknown module type '{0}'")]
    UnknownModuleData(ModuleName),
    /// Functions in a form that only release candidates had.
    #[error("Pre-release function format not supported.")]
    PreReleaseFunctions,
}

/// The name of a module's type: nine characters of base 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleName(pub u64);

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHARACTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // Six bits each, the first character highest; the ten lowest bits are a version.
        (0..9).try_for_each(|index| {
            let character = CHARACTERS[(self.0 >> (58 - 6 * index)) as usize & 63];
            write!(f, "{}", char::from(character))
        })
    }
}

/// Why a snapshot's file cannot be loaded, and where that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdbFileError {
    /// What is wrong.
    pub error: RdbError,
    /// After so many bytes.
    pub offset: u64,
    /// The key whose value it is, if it is one.
    pub key: Option<Vec<u8>>,
}

impl fmt::Display for RdbFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.error, self.offset)?;
        match &self.key {
            Some(key) => write!(f, ", key '{}'", key.escape_ascii()),
            None => Ok(()),
        }
    }
}

impl From<std::io::Error> for RdbError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => RdbError::Truncated,
            kind => RdbError::Io(kind),
        }
    }
}

impl From<RdbError> for CommandError {
    fn from(error: RdbError) -> Self {
        match error {
            RdbError::NewerVersion | RdbError::WrongChecksum => CommandError::WrongPayload,
            _ => CommandError::BadDataFormat,
        }
    }
}
