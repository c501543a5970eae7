//! CONFIG SET: all of it or nothing.
//!
//! A copy of the configuration is changed and checked; then the parameters that changed are
//! applied, and only if that succeeded is the copy published. What was applied before a failure is
//! applied again with the old values.

use super::{Config, Param, ParamFlags, Word, Words};
use crate::client::ClientHandle;
use crate::client_eviction;
use crate::error::{CommandError, ParamError};
use crate::server::Server;

/// The parameters that `pairs` of names and values are about, each with the name to tell if
/// something is wrong with its value.
///
/// # Errors
/// The first pair that may not be set.
fn find_all<'p>(
    config: &Config,
    is_loading: bool,
    client: &ClientHandle,
    pairs: &'p [(&'p [u8], &'p [u8])],
) -> Result<Vec<(&'static Param, &'static str)>, CommandError> {
    let mut found: Vec<(&Param, &str)> = Vec::with_capacity(pairs.len());
    for (given, _) in pairs {
        let given_text = || crate::error::shown(given);
        let param = Param::find(given).ok_or_else(|| CommandError::UnknownParam(given_text()))?;
        let refuse = |why| Err(CommandError::ParamRejected(given_text(), why));
        let name = param.names().find(|name| name.as_bytes().eq_ignore_ascii_case(given));
        let name = name.unwrap_or(param.name);
        if !param.flags.contains(ParamFlags::MUTABLE) {
            return refuse(ParamError::Immutable);
        }
        let is_protected = param.flags.contains(ParamFlags::PROTECTED);
        if is_protected && !config.enable_protected_configs.allows(client) {
            return refuse(ParamError::Protected);
        }
        if is_loading && param.flags.contains(ParamFlags::NOT_LOADING) {
            return Err(CommandError::Loading);
        }
        if found.iter().any(|(_, other)| *other == name) {
            return refuse(ParamError::Duplicate);
        }
        found.push((param, name));
    }
    Ok(found)
}

/// Splits the value of a parameter of several words, which comes as one.
fn words_of(param: &Param, value: &[u8]) -> Vec<Word> {
    if !param.flags.contains(ParamFlags::WORDS) {
        return vec![value.to_vec()];
    }
    if value.is_empty() {
        return Vec::new();
    }
    value.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect()
}

/// Sets `pairs` of names and values for `client`.
///
/// # Errors
/// Why nothing was changed.
pub fn set(
    server: &Server,
    client: &ClientHandle,
    pairs: &[(&[u8], &[u8])],
) -> Result<(), CommandError> {
    let _change = server.config.begin_change();
    let old = server.config.get();
    let params = find_all(&old, server.conditions.is_loading(), client, pairs)?;
    let mut new = Config::clone(&old);
    for ((param, name), (_, value)) in params.iter().zip(pairs) {
        let words: &Words = &words_of(param, value);
        (param.set)(&mut new, words, false)
            .map_err(|why| CommandError::ParamRejected((*name).to_string(), why))?;
    }
    apply_all(server, &old, &mut new, &params)?;
    server.config.publish(new);
    // Clients may take less from now on.
    client_eviction::enforce(server, &server.config.get());
    Ok(())
}

fn apply_all(
    server: &Server,
    old: &Config,
    new: &mut Config,
    params: &[(&'static Param, &'static str)],
) -> Result<(), CommandError> {
    for (index, (param, name)) in params.iter().enumerate() {
        let Some(apply) = param.apply else { continue };
        let is_same = (param.get)(old) == (param.get)(new);
        if is_same && !param.flags.contains(ParamFlags::VOLATILE) {
            continue;
        }
        if let Err(why) = apply(server, old, new) {
            take_back(server, old, new, &params[..index]);
            return Err(CommandError::ParamRejected((*name).to_string(), why));
        }
    }
    Ok(())
}

/// Applies the old values of `params` again.
fn take_back(
    server: &Server,
    old: &Config,
    new: &Config,
    params: &[(&'static Param, &'static str)],
) {
    for (param, name) in params.iter().rev() {
        let Some(apply) = param.apply else { continue };
        if (param.get)(old) == (param.get)(new) {
            continue;
        }
        if let Err(why) = apply(server, new, &mut Config::clone(old)) {
            tracing::warn!(
                "Failed applying restored CONFIG SET command. Error applying {name}: {why}"
            );
        }
    }
}
