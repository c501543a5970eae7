//! Protocol errors of requests. Each ends the connection after its text was sent.

/// A request that breaks the protocol. `Display` gives the reference's text, without the `ERR` code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The count after `*` is not a number or is above the limit.
    #[error("Protocol error: invalid multibulk length")]
    MultibulkLength,
    /// More arguments than a client may send before it has authenticated.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// The length after `$` is not a number, is negative or is above `proto-max-bulk-len`.
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    /// A longer argument than a client may send before it has authenticated.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// An argument of a multibulk request does not start with `$`.
    #[error("Protocol error: expected '$', got '{}'", printable(*.0))]
    ExpectedDollar(u8),
    /// No line end within the first 64 KB after `*`.
    #[error("Protocol error: too big mbulk count string")]
    MultibulkCountTooLong,
    /// No line end within the first 64 KB after `$`.
    #[error("Protocol error: too big bulk count string")]
    BulkCountTooLong,
    /// No line end within the first 64 KB of an inline request.
    #[error("Protocol error: too big inline request")]
    InlineTooLong,
    /// An inline request with an open quote.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
}

/// Error replies are one line: a line end from the client must not appear in them.
fn printable(byte: u8) -> char {
    if matches!(byte, b'\r' | b'\n') { ' ' } else { char::from(byte) }
}
