//! What MODULE answers where there are no modules to be loaded.

/// Why such a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// A module that is to be loaded.
    #[error("ERR Error loading the extension. Please check the server logs.")]
    Load,
    /// No module of this name.
    #[error("ERR Error unloading module: no such module with that name")]
    NotFound,
    /// A module that is part of the server.
    #[error(
        "ERR Error unloading module: the module exports one or more module-side data types, can't unload"
    )]
    InUse,
}
