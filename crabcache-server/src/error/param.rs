//! Texts about parameters: why CONFIG SET, a redis.conf or the command line is refused.

use super::RuleError;

/// Why a value does not fit a parameter, or cannot be put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// Too few or too many words.
    #[error("wrong number of arguments")]
    WrongNumberOfArguments,
    /// Bytes where there should be text.
    #[error("argument must be valid UTF-8")]
    NotUtf8,
    /// Neither `yes` nor `no`.
    #[error("argument must be 'yes' or 'no'")]
    NotYesNo,
    /// No integer.
    #[error("argument couldn't be parsed into an integer")]
    NotInteger,
    /// Below 0 where that makes no sense.
    #[error("argument must be greater or equal to 0")]
    Negative,
    /// Outside the bounds.
    #[error("argument must be between {0} and {1} inclusive")]
    OutOfRange(i64, i64),
    /// No octal digits.
    #[error("argument couldn't be parsed as an octal number")]
    NotOctal,
    /// Outside the bounds, which are told in octal digits.
    #[error("argument must be between {0:o} and {1:o} inclusive")]
    OutOfOctalRange(i64, i64),
    /// No amount of memory.
    #[error("argument must be a memory value")]
    NotMemory,
    /// No amount of memory, nor a percentage.
    #[error("argument must be a memory or percent value")]
    NotMemoryOrPercent,
    /// More percent than there can be.
    #[error("percentage argument must be less or equal to {0}")]
    PercentTooLarge(i64),
    /// None of the names.
    #[error("argument(s) must be one of the following: {0}")]
    NotOneOf(String),
    /// Two ways to end that exclude each other.
    #[error("shutdown options SAVE and NOSAVE can't be used simultaneously")]
    SaveAndNosave,
    /// `bind` has a limit.
    #[error("Too many bind addresses specified.")]
    TooManyAddresses,
    /// `save`
    #[error("Invalid save parameters")]
    InvalidSave,
    /// `client-output-buffer-limit`: not groups of four.
    #[error("Wrong number of arguments in buffer limit configuration.")]
    OutputLimitWords,
    /// `client-output-buffer-limit`: no such class.
    #[error("Invalid client class specified in buffer limit configuration.")]
    OutputLimitClass,
    /// `client-output-buffer-limit`: no number.
    #[error("Error in hard, soft or soft_seconds setting in buffer limit configuration.")]
    OutputLimitNumber,
    /// `oom-score-adj-values`
    #[error("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")]
    OomScore,
    /// `latency-tracking-info-percentiles`: no number.
    #[error("Invalid latency-tracking-info-percentiles parameters")]
    NotPercentiles,
    /// `latency-tracking-info-percentiles`: below 0 or above 100.
    #[error("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")]
    PercentileOutOfRange,
    /// `notify-keyspace-events`
    #[error("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")]
    EventClass,
    /// `replicaof`
    #[error("Invalid master port")]
    MasterPort,
    /// A path where the name of a file is wanted; the field is the parameter.
    #[error("{0} can't be a path, just a filename")]
    NotFileName(&'static str),
    /// A path where the name of a directory is wanted.
    #[error("appenddirname can't be a path, just a dirname")]
    NotDirectoryName,
    /// A name that must not be empty; the field is the parameter.
    #[error("{0} can't be empty")]
    EmptyName(&'static str),
    /// `cluster-announce-hostname`
    #[error("Hostnames must be less than 256 characters")]
    HostnameTooLong,
    /// `cluster-announce-hostname`
    #[error("Hostnames may only contain alphanumeric characters, hyphens or dots")]
    HostnameCharacter,
    /// `cluster-announce-human-nodename`
    #[error("Announced human node name contained invalid character")]
    NodenameCharacter,
    /// `proc-title-template`
    #[error("template format is invalid or contains unknown variables")]
    TitleTemplate,
    /// CONFIG SET of a parameter that only the start reads.
    #[error("can't set immutable config")]
    Immutable,
    /// CONFIG SET of a parameter that `enable-protected-configs` guards.
    #[error("can't set protected config")]
    Protected,
    /// CONFIG SET of a parameter twice.
    #[error("duplicate parameter")]
    Duplicate,
    /// `port`
    #[error("Unable to listen on this port. Check server logs.")]
    CannotListen,
    /// `bind`
    #[error("Failed to bind to specified addresses.")]
    CannotBind,
    /// `maxclients`; the field is what is possible.
    #[error(
        "The operating system is not able to handle the specified number of clients, try with {0}"
    )]
    TooManyClients(i64),
    /// `oom-score-adj`
    #[error("Failed to set current oom_score_adj. Check server logs.")]
    CannotSetOomScore,
    /// `locale-collate`
    #[error("Invalid locale name")]
    InvalidLocale,
    /// `appendonly`
    #[error("Unable to turn on AOF. Check server logs.")]
    CannotStartAof,
    /// `tls-port` and others.
    #[error("Unable to update TLS configuration. Check server logs.")]
    Tls,
    /// What the operating system says.
    #[error("{0}")]
    System(String),
    /// A quote in a file stays open.
    #[error("Unbalanced quotes in configuration line")]
    UnbalancedQuotes,
    /// A directive that is none.
    #[error("Bad directive or wrong number of arguments")]
    BadDirective,
    /// Includes without end.
    #[error("include directives are nested too deeply")]
    IncludeDepth,
    /// `rename-command`
    #[error("No such command in rename-command")]
    RenameUnknown,
    /// `rename-command`
    #[error("Target command name already exists")]
    RenameTaken,
    /// `loadmodule`
    #[error("modules are not supported")]
    NoModules,
    /// `sentinel`
    #[error("sentinel directive while not in sentinel mode")]
    NotSentinel,
    /// `user`: the word, and why it is wrong.
    #[error("Error in user declaration '{0}': {1}")]
    UserDeclaration(String, RuleError),
    /// `replicaof` with `cluster-enabled`
    #[error("replicaof directive not allowed in cluster mode")]
    ReplicaOfInCluster,
    /// `logfile`
    #[error("Can't open the log file: {0}")]
    LogFile(String),
}
