//! What can go wrong with data. Values without text: how they are worded is the server's business.

/// Why an operation on data was refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The key holds another data type.
    #[error("wrong type")]
    WrongType,
    /// The value is no integer.
    #[error("not an integer")]
    NotInteger,
    /// The result would leave the range of an integer.
    #[error("overflow")]
    Overflow,
}
