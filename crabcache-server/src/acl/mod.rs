//! Access control lists: who the users are, what each of them may do, and who was refused.
//!
//! - `users.rs` is the registry, `user.rs` one user, `password.rs` its secrets.
//! - `selector.rs` says what may be done: commands, keys (`patterns.rs`) and channels.
//! - `rules.rs` reads the rules of ACL SETUSER, `file.rs` files of them.
//! - `permission.rs` holds a request against a user's selectors.
//! - `sessions.rs` ends the connections of users who were deleted or have lost channels.
//! - `log.rs` keeps what was refused, for ACL LOG.
//!
//! The rules of a user are a value: a change makes a changed copy and publishes it whole, then has
//! all workers look again before their next command ([`crate::config::ConfigStore::announce`]). A
//! client whose user may do everything is never checked; the others carry
//! [`crate::client::ClientFlags::RESTRICTED`], which the dispatcher looks at anyway.
//!
//! Not here: AUTH and HELLO (`commands/connection/auth.rs`), the ACL command
//! (`commands/server/acl/`).

mod file;
mod log;
mod password;
mod patterns;
mod permission;
mod rules;
mod selector;
mod sessions;
mod user;
mod users;

pub use log::{AclLog, Context, Incident};
pub use patterns::Access;
pub use permission::{Denied, Reason, admit, check, check_queued, may_read_all_keys};
pub use rules::{Known, check_declaration};
pub use selector::Selector;
pub use sessions::{Sessions, drop_revoked};
pub use user::{Rules, User};
pub use users::{DEFAULT_USER, Users};

/// Bytes that are no white space and no NUL: what names and patterns are made of, so that rules can
/// be written into a line.
fn is_word(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| matches!(byte, 0 | b' ' | b'\t'..=b'\r'))
}

#[cfg(test)]
mod tests;
