//! Conditions of single parameters, and which settings cannot be honoured.
//!
//! A setting that would be a promise (this node is a replica, this data survives a crash) must not
//! be accepted and then ignored: the server refuses to start with it and says why.

use super::{Config, SavePoint};
use crate::error::ParamError;

/// The default of `save`: the fewer the changes, the longer they may wait.
pub(super) fn save_points_default() -> Vec<SavePoint> {
    [(3600, 1), (300, 100), (60, 10000)]
        .map(|(seconds, changes)| SavePoint { seconds, changes })
        .to_vec()
}

fn is_file_name(text: &str) -> bool {
    !text.contains(['/', '\\'])
}

pub(super) fn check_dbfilename(text: &str) -> Result<(), ParamError> {
    if is_file_name(text) { Ok(()) } else { Err(ParamError::NotFileName("dbfilename")) }
}

pub(super) fn check_appendfilename(text: &str) -> Result<(), ParamError> {
    match text {
        "" => Err(ParamError::EmptyName("appendfilename")),
        _ if is_file_name(text) => Ok(()),
        _ => Err(ParamError::NotFileName("appendfilename")),
    }
}

pub(super) fn check_appenddirname(text: &str) -> Result<(), ParamError> {
    match text {
        "" => Err(ParamError::EmptyName("appenddirname")),
        _ if is_file_name(text) => Ok(()),
        _ => Err(ParamError::NotDirectoryName),
    }
}

pub(super) fn check_hostname(text: &str) -> Result<(), ParamError> {
    const LEN_MAX: usize = 255;
    if text.len() > LEN_MAX {
        return Err(ParamError::HostnameTooLong);
    }
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
        Ok(())
    } else {
        Err(ParamError::HostnameCharacter)
    }
}

pub(super) fn check_nodename(text: &str) -> Result<(), ParamError> {
    const FORBIDDEN: &[u8] = b"!#$%&()*+:;<>?@[]^{|}~";
    let is_fit = |byte: u8| !FORBIDDEN.contains(&byte);
    if text.bytes().all(is_fit) { Ok(()) } else { Err(ParamError::NodenameCharacter) }
}

pub(super) fn check_title_template(text: &str) -> Result<(), ParamError> {
    // What may be empty must not be all that there is.
    let value = |name: &str| match name {
        "title" | "server-mode" | "unixsocket" => Some(String::new()),
        "listen-addr" | "config-file" | "port" | "tls-port" => Some("x".to_string()),
        _ => None,
    };
    match expand_title(text, value) {
        Some(title) if !title.is_empty() => Ok(()),
        _ => Err(ParamError::TitleTemplate),
    }
}

/// Replaces each `{name}` in a template; `{{` is a brace. `None` if a name is unknown or open.
pub fn expand_title(template: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut title = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        title.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            title.push('{');
            rest = after;
            continue;
        }
        let (name, after) = rest.split_once('}')?;
        title.push_str(&value(name)?);
        rest = after;
    }
    title.push_str(rest);
    Some(title.trim_matches(' ').to_string())
}

/// Whether a setting that cannot be honoured is made, and what to say about it.
type Promise = (fn(&Config) -> bool, &'static str);

const PROMISES: &[Promise] =
    &[(|config| config.cluster_enabled, "cluster-enabled: cluster mode is not supported")];

/// What the server would promise with this configuration, but cannot keep.
pub fn broken_promises(config: &Config) -> Vec<&'static str> {
    let broken = PROMISES.iter().filter(|(is_made, _)| is_made(config));
    broken.map(|(_, text)| *text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_templates() {
        for good in ["{title} {listen-addr}", "x", "{{title}", "{port}{tls-port}{config-file}"] {
            assert_eq!(check_title_template(good), Ok(()), "{good}");
        }
        for bad in ["", "  ", "{title} {server-mode}", "{port", "{nosuch}", "{}"] {
            assert_eq!(check_title_template(bad), Err(ParamError::TitleTemplate), "{bad}");
        }
        let title = expand_title(" {title} on {{ {port} ", |name| Some(name.to_uppercase()));
        assert_eq!(title.as_deref(), Some("TITLE on { PORT"));
    }

    #[test]
    fn names() {
        assert_eq!(check_hostname("a-B.9"), Ok(()));
        assert_eq!(check_hostname("a_b"), Err(ParamError::HostnameCharacter));
        assert_eq!(check_hostname(&"x".repeat(256)), Err(ParamError::HostnameTooLong));
        assert_eq!(check_nodename("a:b"), Err(ParamError::NodenameCharacter));
        assert_eq!(check_dbfilename("a/b"), Err(ParamError::NotFileName("dbfilename")));
        assert_eq!(check_appenddirname(""), Err(ParamError::EmptyName("appenddirname")));
    }
}
