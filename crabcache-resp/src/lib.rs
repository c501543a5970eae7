//! The RESP2/RESP3 codec of CrabCache: bytes in, argument slices out; values in, bytes out.
//!
//! - [`request`]: what a server reads. A resumable parser that yields spans into the read buffer.
//! - [`reply`]: what a server writes. One method per kind of reply; the only place that knows how
//!   RESP2 and RESP3 differ.
//! - [`value`]: whole values in both directions, for whoever plays the client's part.
//! - [`number`]: how integers and doubles look on the wire.
//! - [`words`]: the quoting rules that inline requests and configuration files share.
//!
//! The crate knows no command and does no I/O.

pub mod error;
pub mod number;
pub mod reply;
pub mod request;
pub mod value;
pub mod words;

pub use error::ProtocolError;
pub use reply::{Protocol, Reply};
pub use request::{Limits, Progress, RequestParser, Span};
pub use value::{Value, ValueError};
