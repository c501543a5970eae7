//! What can be wrong with a command on a vector set.

/// Why such a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VectorSetError {
    /// An option, a value of one, or a vector that is none.
    #[error("ERR invalid {0}")]
    Invalid(&'static str),
    /// VADD to a set whose vectors are stored in another way.
    #[error("ERR asked quantization mismatch with existing vector set")]
    QuantizationMismatch,
    /// VADD to a set with another number of links.
    #[error("ERR asked M value mismatch with existing vector set")]
    LinksMismatch,
    /// A vector with more or fewer components than those of the set: its number and theirs.
    #[error("ERR Vector dimension mismatch - got {0} but set has {1}")]
    DimensionMismatch(usize, usize),
    /// The same before vectors are reduced.
    #[error("ERR Input dimension mismatch for projection - got {0} but projection expects {1}")]
    InputDimensionMismatch(usize, usize),
    /// VADD REDUCE to a set whose vectors are not reduced.
    #[error("ERR cannot add projection to existing set without projection")]
    NotReduced,
    /// VSIM ELE of an element that is not there.
    #[error("ERR element not found in set")]
    ElementNotFound,
    /// VSIM FILTER with what is no expression; the field is where it ends to be one.
    #[error("ERR syntax error in FILTER expression near: {0}")]
    FilterSyntax(String),
    /// VSIM with an option that is none.
    #[error("ERR syntax error in VSIM command")]
    VsimSyntax,
    /// VDIM of a key that is not there.
    #[error("ERR key does not exist")]
    KeyMissing,
    /// VRANDMEMBER with a count that is none.
    #[error("ERR COUNT value is not an integer")]
    CountNotInteger,
}
