//! The form of a row of the parameter table, and the macro that makes the rows.

use super::{Config, PARAMS};
use crate::error::ParamError;
use crate::server::Server;
use bitflags::bitflags;

/// One word of a setting. Files and requests are bytes; only some parameters must be text.
pub type Word = Vec<u8>;
/// The words of a setting.
pub type Words = [Word];

bitflags! {
    /// Facts about a parameter.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ParamFlags: u32 {
        /// Can be changed by CONFIG SET.
        const MUTABLE = 1;
        /// Takes several words.
        const WORDS = 1 << 1;
        /// Not shown by CONFIG GET with a pattern.
        const HIDDEN = 1 << 2;
        /// Its value is not logged.
        const SECRET = 1 << 3;
        /// CONFIG SET only if `enable-protected-configs` allows it.
        const PROTECTED = 1 << 4;
        /// Accepted, and of no effect here.
        const NOOP = 1 << 5;
        /// Put in force by each CONFIG SET, even of the value that it has: it names a file.
        const VOLATILE = 1 << 7;
        /// No CONFIG SET while data is being loaded.
        const NOT_LOADING = 1 << 8;
        /// CrabCache's own: the reference does not know it.
        const OWN = 1 << 6;
    }
}

/// What must happen when a parameter changes: gets the old configuration and the new one, which is
/// not in force yet. If it fails it must have had no effect.
pub type Apply = fn(&Server, &Config, &mut Config) -> Result<(), ParamError>;

/// A line of redis.conf, without the parameter's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What follows the name.
    pub text: String,
    /// Says nothing that the default does not say: written only where the file has such a line.
    pub is_default: bool,
}

/// A row of the parameter table.
pub struct Param {
    /// The theme that it belongs to.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Another name.
    pub alias: Option<&'static str>,
    /// What it is, for `crabcache.conf`.
    pub doc: &'static str,
    /// See [`ParamFlags`].
    pub flags: ParamFlags,
    /// Its value as CONFIG GET shows it.
    pub get: fn(&Config) -> Word,
    /// Sets it from words. `again`: an earlier line of the same files has set it.
    pub set: fn(&mut Config, &Words, again: bool) -> Result<(), ParamError>,
    /// Its lines in redis.conf.
    pub lines: fn(&Config, default: &Config) -> Vec<Line>,
    /// The values that it can have, in words.
    pub domain: fn() -> String,
    /// See [`Apply`].
    pub apply: Option<Apply>,
}

impl Param {
    /// The parameter of this name, in any letter case.
    pub fn find(name: &[u8]) -> Option<&'static Param> {
        PARAMS.iter().find(|param| param.names().any(|n| n.as_bytes().eq_ignore_ascii_case(name)))
    }

    /// Its names: the proper one and the other.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.alias)
    }
}

/// Makes the fields of `Config`, their defaults and the table from the rows:
/// `"name" | "alias" => field: type = default, kind, [FLAGS], apply = function;`
macro_rules! params {
    ($(
        [$section:literal]
        $(
            $(#[doc = $doc:literal])+
            $name:literal $(| $alias:literal)? => $field:ident: $type:ty = $default:expr, $kind:expr,
                [$($flag:ident)*] $(, apply = $apply:path)?;
        )*
    )*) => {
        /// The value of every parameter, and what configuration files hold beside parameters.
        #[derive(Debug, Clone)]
        pub struct Config {
            $($( $(#[doc = $doc])+ pub $field: $type, )*)*
            /// The file that the configuration came from, as an absolute path.
            pub file: Option<PathBuf>,
            /// `rename-command`: old name, new name or nothing.
            pub renames: Vec<(String, String)>,
            /// `user`: name and rules.
            pub users: Vec<Vec<Word>>,
            /// Directives that nobody knows, as they stand in the file.
            pub unknown: Vec<String>,
        }

        impl Default for Config {
            fn default() -> Self {
                Config {
                    $($( $field: $default, )*)*
                    file: None,
                    renames: Vec::new(),
                    users: Vec::new(),
                    unknown: Vec::new(),
                }
            }
        }

        /// All parameters.
        pub const PARAMS: &[Param] = &[$($(
            Param {
                section: $section,
                name: $name,
                alias: $crate::config::table::optional!($($alias)?),
                doc: concat!($($doc, "\n"),+),
                flags: ParamFlags::empty()$(.union(ParamFlags::$flag))*,
                get: |config| Kind::format(&$kind, &config.$field),
                set: |config, words, again| Kind::update(&$kind, &mut config.$field, words, again),
                lines: |config, default| Kind::lines(&$kind, &config.$field, &default.$field),
                domain: || Kind::domain(&$kind),
                apply: $crate::config::table::optional!($($apply as Apply)?),
            },
        )*)*];
    };
}
pub(super) use params;

/// What stands in a row, or nothing.
macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}
pub(super) use optional;
