//! The subcommand's part of the command line.

use crate::error::MigrateError;
use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction, Command, value_parser};
use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use url::{Host, Url};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// The server that has the data.
    pub(super) source: Address,
    /// The server that is to have them.
    pub(super) target: Address,
    /// Only the check.
    pub(super) dry_run: bool,
    /// To go on in spite of problems.
    pub(super) force: bool,
    /// What the target holds may go.
    pub(super) replace: bool,
    /// To make the target the primary in the end.
    pub(super) promote: bool,
    /// Keys whose values are compared.
    pub(super) n_sampled: usize,
    /// Seconds without progress after which it gives up.
    pub(super) timeout_s: u64,
    /// How to speak TLS with those that are to be reached so.
    pub(super) tls: TlsFiles,
}

/// Files for connections by TLS; empty: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    /// Who may vouch for servers: a file,
    pub(super) ca_file: String,
    /// or a folder.
    pub(super) ca_folder: String,
    /// What is shown to servers,
    pub(super) certificate: String,
    /// and its key.
    pub(super) key: String,
}

/// Where a server is, and as whom to talk to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Whether it is reached by TLS.
    pub(super) is_tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

const PORT_DEFAULT: u16 = 6379;

impl FromStr for Address {
    type Err = MigrateError;

    fn from_str(text: &str) -> Result<Address, MigrateError> {
        let wrong = |why: &dyn fmt::Display| MigrateError::Address(text.into(), why.to_string());
        let url = Url::parse(text).map_err(|error| wrong(&error))?;
        let is_tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err(wrong(&"only redis:// and rediss:// are known")),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(wrong(&"all databases are migrated"));
        }
        // For a scheme that it does not know, the library takes an IPv4 address for a name.
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_string(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => return Err(wrong(&"no host")),
        };
        let plain =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into();
        Ok(Address {
            is_tls,
            host,
            port: url.port().unwrap_or(PORT_DEFAULT),
            user: Some(plain(url.username())).filter(|user: &String| !user.is_empty()),
            password: url.password().map(plain),
        })
    }
}

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { is_tls, host, port, .. } = self;
        let scheme = if *is_tls { "rediss" } else { "redis" };
        match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => write!(f, "{scheme}://[{host}]:{port}"),
            _ => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

const AFTER_HELP: &str = "\
Both servers must be running. The source goes on serving; the target follows it as a replica.
The way back is the same command with the addresses changed.

Examples:
  crabcache-server migrate redis://10.0.0.5:6379 --dry-run
  crabcache-server migrate redis://:secret@10.0.0.5:6379 --target redis://10.0.0.6:6379
  crabcache-server migrate redis://10.0.0.5:6379 --promote
  crabcache-server migrate rediss://10.0.0.5:6379 --target rediss://10.0.0.6:6379 --cacert ca.crt";

fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let address = |arg: Arg| {
        arg.value_name("redis[s]://[USER[:PASSWORD]@]HOST[:PORT]")
            .value_parser(NonEmptyStringValueParser::new())
    };
    let file = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .default_value("")
            .hide_default_value(true)
            .help(help)
    };
    Command::new("migrate")
        .bin_name("crabcache-server migrate")
        .about("Bring the data of a running server to another one, while both serve")
        .after_help(AFTER_HELP)
        .arg(address(Arg::new("source").required(true)).help("The server that has the data"))
        .arg(
            address(Arg::new("target").long("target"))
                .default_value("redis://127.0.0.1:6379")
                .help("The server that is to have them"),
        )
        .arg(flag("dry-run", "Only tell what speaks for and against it"))
        .arg(flag("force", "Go on in spite of problems"))
        .arg(flag("replace", "Let go of what the target holds"))
        .arg(flag("promote", "In the end, make the target the primary and the source its replica"))
        .arg(
            Arg::new("sample")
                .long("sample")
                .value_name("KEYS")
                .value_parser(value_parser!(usize))
                .default_value("1000")
                .help("Keys whose values are compared"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..))
                .default_value("60")
                .help("Give up after so long without progress"),
        )
        .arg(file("cacert", "FILE", "Who may vouch for servers reached by TLS (rediss://)"))
        .arg(file("cacertdir", "FOLDER", "The same, a file for each"))
        .arg(file("cert", "FILE", "The certificate that is shown to them"))
        .arg(file("key", "FILE", "Its key"))
}

/// Reads the words behind the program's name.
pub(super) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Options, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(words)?;
    let mut address = |name: &str| {
        let text = matches.get_one::<String>(name).map_or("", String::as_str);
        let parsed: Result<Address, MigrateError> = text.parse();
        parsed.map_err(|error| command.error(clap::error::ErrorKind::InvalidValue, error))
    };
    let path = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    Ok(Options {
        source: address("source")?,
        target: address("target")?,
        dry_run: matches.get_flag("dry-run"),
        force: matches.get_flag("force"),
        replace: matches.get_flag("replace"),
        promote: matches.get_flag("promote"),
        n_sampled: matches.get_one("sample").copied().unwrap_or_default(),
        timeout_s: matches.get_one("timeout").copied().unwrap_or(1),
        tls: TlsFiles {
            ca_file: path("cacert"),
            ca_folder: path("cacertdir"),
            certificate: path("cert"),
            key: path("key"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<(String, u16, Option<String>, Option<String>)> {
        let Address { host, port, user, password, .. } = text.parse().ok()?;
        Some((host, port, user, password))
    }

    #[test]
    fn addresses() {
        let plain = |host: &str, port| Some((host.to_string(), port, None, None));
        assert_eq!(address("redis://10.0.0.5"), plain("10.0.0.5", 6379));
        assert_eq!(address("redis://cache.example:7000/"), plain("cache.example", 7000));
        assert_eq!(address("redis://[::1]:7000"), plain("::1", 7000));
        let password = Some("p@ss".to_string());
        assert_eq!(address("redis://:p%40ss@h"), Some(("h".into(), 6379, None, password.clone())));
        assert_eq!(
            address("redis://u:p%40ss@h"),
            Some(("h".into(), 6379, Some("u".into()), password))
        );
        for wrong in
            ["10.0.0.5", "10.0.0.5:6379", "http://h", "redis://", "redis://h/3", "redis://h:x"]
        {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let address: Address = "redis://u:secret@[::1]:1".parse().unwrap();
        assert_eq!(address.to_string(), "redis://[::1]:1");
        let address: Address = "rediss://u:secret@h".parse().unwrap();
        assert!(address.is_tls && address.to_string() == "rediss://h:6379");
    }

    #[test]
    fn options() {
        let parse = |line: &str| parse(line.split(' ').map(OsString::from));
        let options = parse("migrate redis://a --promote --sample 5").unwrap();
        assert_eq!(options.target.to_string(), "redis://127.0.0.1:6379");
        assert!(options.promote && !options.dry_run && options.n_sampled == 5);
        for wrong in
            ["migrate", "migrate a", "migrate redis://a --timeout 0", "migrate redis://a b"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
