//! A selector: a set of commands with the keys and channels that they may be used on.
//!
//! Beside the bits of the commands it keeps the rules that made them, in their order, since bits do
//! not tell what commands of a later version will be allowed.

use super::patterns::{Access, KeyPattern, allow_channel};
use crate::command::CommandRow;
use std::collections::BTreeMap;

/// See the module's text.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// Every command, without a look at the bits.
    pub(super) has_all_commands: bool,
    /// `+@all` came last: what is not known yet is allowed.
    pub(super) has_future_commands: bool,
    /// Bits of rows.
    allowed: Vec<u64>,
    /// First arguments with which a command may be called although its bit is not set.
    first_args: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Rules of commands and categories since the last `+@all` or `-@all`: whether they allow, and
    /// what.
    command_rules: Vec<(bool, Vec<u8>)>,
    pub(super) has_all_keys: bool,
    pub(super) keys: Vec<KeyPattern>,
    pub(super) has_all_channels: bool,
    pub(super) channels: Vec<Vec<u8>>,
}

impl Selector {
    /// A selector that allows nothing, but for all channels if `has_all_channels`
    /// (`acl-pubsub-default`).
    pub fn new(has_all_channels: bool) -> Selector {
        Selector { has_all_channels, ..Selector::default() }
    }

    /// Whether it allows everything.
    pub fn is_unrestricted(&self) -> bool {
        self.has_all_commands && self.has_all_keys && self.has_all_channels
    }

    /// `+@all`, `-@all`
    pub(super) fn set_all_commands(&mut self, is_allowed: bool) {
        self.has_all_commands = is_allowed;
        self.has_future_commands = is_allowed;
        self.allowed.clear();
        self.first_args.clear();
        self.command_rules.clear();
    }

    /// Allows or forbids a command with its subcommands.
    pub(super) fn set_command(&mut self, row: &CommandRow, n_rows: usize, is_allowed: bool) {
        self.set_bit(row.id, n_rows, is_allowed);
        self.first_args.remove(&row.id);
        for id in row.subcommands.clone() {
            self.set_bit(id, n_rows, is_allowed);
        }
    }

    fn set_bit(&mut self, id: usize, n_rows: usize, is_allowed: bool) {
        if self.allowed.is_empty() {
            // Nothing was said of single commands since `+@all` or `-@all`.
            let all = if self.has_future_commands { u64::MAX } else { 0 };
            self.allowed = vec![all; n_rows.div_ceil(64)];
        }
        let bit = 1 << (id % 64);
        if is_allowed {
            self.allowed[id / 64] |= bit;
        } else {
            self.allowed[id / 64] &= !bit;
            self.has_all_commands = false;
        }
    }

    /// Allows a command with this first argument.
    pub(super) fn add_first_arg(&mut self, row: &CommandRow, word: &[u8]) {
        let words = self.first_args.entry(row.id).or_default();
        if !words.iter().any(|own| own.eq_ignore_ascii_case(word)) {
            words.push(word.to_vec());
        }
    }

    /// Notes a rule. It takes the place of the same rule, and of those of the command's
    /// subcommands.
    pub(super) fn note_rule(&mut self, is_allowed: bool, what: &[u8]) {
        let what = what.to_ascii_lowercase();
        self.command_rules.retain(|(_, old)| {
            let rest = old.strip_prefix(what.as_slice());
            !rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'|')
        });
        self.command_rules.push((is_allowed, what));
    }

    fn has_bit(&self, id: usize) -> bool {
        match self.allowed.get(id / 64) {
            Some(bits) => bits & (1 << (id % 64)) != 0,
            None => self.has_future_commands,
        }
    }

    /// Whether it allows a command to be called, with this word behind its name.
    pub(super) fn allows_command(&self, row: &CommandRow, first_arg: Option<&[u8]>) -> bool {
        self.has_all_commands
            || self.has_bit(row.id)
            || self.first_args.get(&row.id).is_some_and(|words| {
                first_arg.is_some_and(|arg| words.iter().any(|own| own.eq_ignore_ascii_case(arg)))
            })
    }

    /// Whether it allows `needed` to be done with a key.
    pub(super) fn allows_key(&self, key: &[u8], needed: Access) -> bool {
        self.has_all_keys || self.keys.iter().any(|pattern| pattern.allows(key, needed))
    }

    /// Whether it allows `needed` to be done with whatever key.
    pub(super) fn allows_all_keys(&self, needed: Access) -> bool {
        let is_for_all =
            |pattern: &KeyPattern| pattern.access.contains(needed) && pattern.glob == b"*";
        self.has_all_keys || self.keys.iter().any(is_for_all)
    }

    /// Whether it allows a channel, or a pattern of channels, to be used.
    pub(super) fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.has_all_channels || allow_channel(&self.channels, channel, is_pattern)
    }

    /// The rules of commands that make this selector.
    pub fn describe_commands(&self) -> Vec<u8> {
        let all = if self.has_future_commands { b"+@all" } else { b"-@all" };
        let mut out = all.to_vec();
        for (is_allowed, what) in &self.command_rules {
            out.extend_from_slice(if *is_allowed { b" +" } else { b" -" });
            out.extend_from_slice(what);
        }
        out
    }

    /// The rules of keys that make this selector.
    pub fn describe_keys(&self) -> Vec<u8> {
        if self.has_all_keys {
            return b"~*".to_vec();
        }
        let mut out = Vec::new();
        for (index, pattern) in self.keys.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            pattern.write(&mut out);
        }
        out
    }

    /// The rules of channels that make this selector.
    pub fn describe_channels(&self) -> Vec<u8> {
        if self.has_all_channels {
            return b"&*".to_vec();
        }
        let mut out = Vec::new();
        for (index, pattern) in self.channels.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b" &" } else { b"&" });
            out.extend_from_slice(pattern);
        }
        out
    }

    /// All rules that make this selector.
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut add = |rules: Vec<u8>| {
            if !rules.is_empty() {
                out.extend_from_slice(&rules);
                out.push(b' ');
            }
        };
        add(self.describe_keys());
        if !self.has_all_channels {
            add(b"resetchannels".to_vec());
        }
        add(self.describe_channels());
        out.extend_from_slice(&self.describe_commands());
        out
    }
}
