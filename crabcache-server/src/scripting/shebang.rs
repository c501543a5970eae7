//! The first line of a script or library, where it declares its engine, name and flags.

use crate::error::CommandError;
use bitflags::bitflags;
use crabcache_resp::words::split_words;

bitflags! {
    /// What a script or function declares about itself.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct ScriptFlags: u8 {
        /// Writes nothing.
        const NO_WRITES = 1;
        /// May run while memory is above `maxmemory`.
        const ALLOW_OOM = 1 << 1;
        /// May run on a replica with outdated data.
        const ALLOW_STALE = 1 << 2;
        /// Not in a cluster.
        const NO_CLUSTER = 1 << 3;
        /// May reach for keys of several slots.
        const ALLOW_CROSS_SLOT = 1 << 4;
        /// Declares nothing: an old script.
        const COMPAT = 1 << 5;
    }
}

impl ScriptFlags {
    /// The flags with their names, in the reference's order.
    pub const NAMES: &[(ScriptFlags, &str)] = &[
        (ScriptFlags::NO_WRITES, "no-writes"),
        (ScriptFlags::ALLOW_OOM, "allow-oom"),
        (ScriptFlags::ALLOW_STALE, "allow-stale"),
        (ScriptFlags::NO_CLUSTER, "no-cluster"),
        (ScriptFlags::ALLOW_CROSS_SLOT, "allow-cross-slot-keys"),
    ];

    /// Whether a call only reads: `command` (EVAL_RO, FCALL_RO) or the script itself says so.
    pub fn is_reader(self, command: &str) -> bool {
        command.ends_with("_ro") || self.contains(ScriptFlags::NO_WRITES)
    }

    /// Whether a script that declares this may not run while memory is full. One that writes nothing
    /// may.
    pub fn needs_memory(self) -> bool {
        !self.intersects(ScriptFlags::ALLOW_OOM | ScriptFlags::NO_WRITES)
    }

    /// The flag of this name.
    pub fn by_name(name: &[u8]) -> Option<ScriptFlags> {
        let found = Self::NAMES.iter().find(|(_, own)| own.as_bytes() == name);
        found.map(|(flag, _)| *flag)
    }
}

/// Reads the first line of a library: its name, and how long the line is.
///
/// # Errors
/// If it is not understood.
pub(super) fn read_library(code: &[u8]) -> Result<(String, usize), CommandError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !code.starts_with(b"#!") {
        return Err(CommandError::MissingMetadata);
    }
    let len = memchr::memchr(b'\n', code).ok_or(CommandError::InvalidMetadata)?;
    let words = split_words(&code[..len]).filter(|words| !words.is_empty());
    let words = words.ok_or(CommandError::InvalidMetadata)?;
    let mut name = None;
    for word in &words[1..] {
        let is_name = word.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"name="));
        if !is_name {
            return Err(CommandError::InvalidMetadataValue(text(word)));
        }
        if name.replace(&word[5..]).is_some() {
            return Err(CommandError::NameTwice);
        }
    }
    let name = name.ok_or(CommandError::NameMissing)?;
    if !is_name(name) {
        return Err(CommandError::LibraryName);
    }
    if !words[0][2..].eq_ignore_ascii_case(b"lua") {
        return Err(CommandError::EngineNotFound(text(&words[0][2..])));
    }
    Ok((text(name), len))
}

/// Whether this can be the name of a library or function.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Reads the first line of an EVAL script: its flags, and how long the line is if it declares some.
///
/// # Errors
/// If it is not understood.
pub(super) fn read_eval(body: &[u8]) -> Result<(ScriptFlags, usize), CommandError> {
    if !body.starts_with(b"#!") {
        return Ok((ScriptFlags::COMPAT, 0));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let len = memchr::memchr(b'\n', body).ok_or(CommandError::InvalidShebang)?;
    let words = split_words(&body[..len]).filter(|words| !words.is_empty());
    let words = words.ok_or(CommandError::InvalidShebangEngine)?;
    if words[0] != b"#!lua" {
        return Err(CommandError::UnexpectedShebangEngine(text(&words[0])));
    }
    let mut flags = ScriptFlags::empty();
    for word in &words[1..] {
        let Some(names) = word.strip_prefix(b"flags=") else {
            return Err(CommandError::UnknownShebangOption(text(word)));
        };
        for name in names.split(|byte| *byte == b',').filter(|_| !names.is_empty()) {
            let flag = ScriptFlags::by_name(name);
            flags |= flag.ok_or_else(|| CommandError::UnexpectedShebangFlag(text(name)))?;
        }
    }
    Ok((flags, len))
}
