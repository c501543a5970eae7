//! Every error text that a client can see. No other file contains one, but for `error/`.
//!
//! A line begins with its code (`ERR`, `WRONGTYPE`, ...), which INFO errorstats counts by. Texts
//! are the reference's; variable parts are fields of the variant.

mod acl;
mod aof;
mod key_migration;
mod migrate;
mod module;
mod param;
mod rdb;
mod replication;
mod scripting;
mod tracking;
mod vector_set;
mod words;

pub use acl::{AclFileError, AclLineError, AclStartError, PROTECTED_MODE, RuleError, no_access};
pub use aof::{AofError, ManifestError};
pub use key_migration::KeyMigrationError;
pub use migrate::MigrateError;
pub use module::ModuleError;
pub use param::ParamError;
pub use rdb::{ModuleName, RdbError, RdbFileError};
pub use replication::ReplicationError;
pub use scripting::{FunctionError, LuaError, RegisterError, with_code, with_some_code};
pub use tracking::TrackingError;
pub use vector_set::VectorSetError;
pub use words::{bytes, excerpt, shown};

use crabcache_resp::ProtocolError;
use crabcache_store::StoreError;
use crabcache_store::types::hyperloglog::Corrupted;
use crabcache_store::types::hyperloglog::self_test::Failure;

/// Something failed, and the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged;

/// Why a command was refused or failed. `Display` is the line on the wire, without `-` and CR LF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The key holds another data type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// EVALSHA of a script that is not there.
    #[error("NOSCRIPT No matching script. Please use EVAL.")]
    NoScript,
    /// EVAL: more keys than words.
    #[error("ERR Number of keys can't be greater than number of args")]
    TooManyKeys,
    /// EVAL: less than no keys.
    #[error("ERR Number of keys can't be negative")]
    NegativeKeys,
    /// A script's first line does not end.
    #[error("ERR Invalid script shebang")]
    InvalidShebang,
    /// A script's first line has no words.
    #[error("ERR Invalid engine in script shebang")]
    InvalidShebangEngine,
    /// A script in another language.
    #[error("ERR Unexpected engine in script shebang: {0}")]
    UnexpectedShebangEngine(String),
    /// A script declares something else than flags.
    #[error("ERR Unknown lua shebang option: {0}")]
    UnknownShebangOption(String),
    /// A script declares a flag that does not exist.
    #[error("ERR Unexpected flag in script shebang: {0}")]
    UnexpectedShebangFlag(String),
    /// A script that is no Lua; what the compiler says.
    #[error("ERR Error compiling script (new function): {0}")]
    ScriptSyntax(String),
    /// A script that may write, called where none may.
    #[error("ERR Can not execute a script with write flag using *_ro command.")]
    WriteScriptFromReader,
    /// A script that declares itself, but not that it may run while memory is full.
    #[error(
        "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
    )]
    ScriptNeedsMemory,
    /// A script calls a command that does not exist.
    #[error("ERR Unknown Redis command called from script")]
    UnknownScriptCommand,
    /// A script calls a command with too few or too many arguments.
    #[error("ERR Wrong number of args calling Redis command from script")]
    ScriptArity,
    /// A script calls a command that scripts cannot call.
    #[error("ERR This Redis command is not allowed from script")]
    NotFromScript,
    /// A library registers what cannot be.
    #[error("ERR {0}")]
    Register(RegisterError),
    /// FCALL of nothing.
    #[error("ERR Function not found")]
    FunctionNotFound,
    /// FCALL with a number of keys that is none.
    #[error("ERR Bad number of keys provided")]
    BadKeyCount,
    /// A library or function cannot have this name.
    #[error(
        "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
    )]
    LibraryName,
    /// A library does not begin with what it is.
    #[error("ERR Missing library metadata")]
    MissingMetadata,
    /// A library's first line is not understood.
    #[error("ERR Invalid library metadata")]
    InvalidMetadata,
    /// A library's first line says something else.
    #[error("ERR Invalid metadata value given: {0}")]
    InvalidMetadataValue(String),
    /// A library has two names.
    #[error("ERR Invalid metadata value, name argument was given multiple times")]
    NameTwice,
    /// A library has no name.
    #[error("ERR Library name was not given")]
    NameMissing,
    /// A library in another language.
    #[error("ERR Engine '{0}' not found")]
    EngineNotFound(String),
    /// A script's user may not run a command; why, without a code.
    #[error("ERR ACL failure in script: {0}")]
    ScriptAcl(String),
    /// A script that must not write does.
    #[error("ERR Write commands are not allowed from read-only scripts.")]
    WriteFromReader,
    /// A script reached for a key that was thought to be out of its reach.
    #[error("ERR Script attempted to access a key that was not locked for it")]
    UndeclaredKey,
    /// `redis.call` without arguments.
    #[error("ERR Please specify at least one argument for this redis lib call")]
    NoScriptArguments,
    /// `redis.call` with other things than words.
    #[error("ERR Lua redis lib command arguments must be strings or integers")]
    ScriptArguments,
    /// `redis.call` by a finalizer while a command runs.
    #[error(
        "ERR luaRedisGenericCommand() recursive call detected. Are you doing funny stuff with Lua debug hooks?"
    )]
    ScriptRecursion,
    /// `redis.sha1hex` with other than one argument.
    #[error("ERR wrong number of arguments")]
    ScriptArgumentCount,
    /// `redis.error_reply` with something else than a text.
    #[error("ERR wrong number or type of arguments")]
    ScriptArgumentType,
    /// `redis.acl_check_cmd` of no command.
    #[error("ERR Invalid command passed to redis.acl_check_cmd()")]
    InvalidAclCommand,
    /// `redis.setresp` with other than one argument.
    #[error("ERR redis.setresp() requires one argument.")]
    SetrespArguments,
    /// `redis.setresp` with another version.
    #[error("ERR RESP version must be 2 or 3.")]
    SetrespVersion,
    /// `redis.set_repl` with other than one argument.
    #[error("ERR redis.set_repl() requires one argument.")]
    SetReplArguments,
    /// `redis.set_repl` with other flags.
    #[error("ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")]
    SetReplFlags,
    /// `redis.log` with too few arguments.
    #[error("ERR redis.log() requires two arguments or more.")]
    LogArguments,
    /// `redis.log` without a level.
    #[error("ERR First argument must be a number (log level).")]
    LogLevelNotNumber,
    /// `redis.log` with a level that does not exist.
    #[error("ERR Invalid log level.")]
    LogLevel,
    /// A table of a script's reply is nested too deep.
    #[error("ERR reached lua stack limit")]
    LuaStackLimit,
    /// A script took too much memory.
    #[error("ERR not enough memory")]
    LuaMemory,
    /// A script raised a table without text.
    #[error("ERR unknown error")]
    UnknownLuaError,
    /// SCRIPT KILL ended the script.
    #[error("ERR Script killed by user with SCRIPT KILL...")]
    ScriptKilled,
    /// SCRIPT KILL or FUNCTION KILL, and nothing runs that could be ended.
    #[error("NOTBUSY No scripts in execution right now.")]
    NotBusy,
    /// The same, but it has changed data.
    #[error(
        "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
    )]
    Unkillable,
    /// A script is over its time.
    #[error(
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    )]
    BusyScript,
    /// A function is over its time.
    #[error(
        "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
    )]
    BusyFunction,
    /// SCRIPT FLUSH with another option.
    #[error("ERR SCRIPT FLUSH only support SYNC|ASYNC option")]
    ScriptFlushOption,
    /// SCRIPT DEBUG: there is no debugger.
    #[error("ERR The Lua debugger is not supported")]
    NoDebugger,
    /// SCRIPT DEBUG with another option.
    #[error("ERR Use SCRIPT DEBUG YES/SYNC/NO")]
    ScriptDebugOption,
    /// Options that do not fit together or do not exist.
    #[error("ERR syntax error")]
    Syntax,
    /// An argument or a value should be an integer.
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    /// An addition would leave the range of an integer.
    #[error("ERR increment or decrement would overflow")]
    IncrementOverflow,
    /// The negation of a decrement would leave the range of an integer.
    #[error("ERR decrement would overflow")]
    DecrementOverflow,
    /// An argument or a value should be a floating-point number.
    #[error("ERR value is not a valid float")]
    NotFloat,
    /// A sum of floating-point numbers is no number.
    #[error("ERR increment would produce NaN or Infinity")]
    IncrementNotFinite,
    /// HINCRBY of a field that holds something else.
    #[error("ERR hash value is not an integer")]
    HashValueNotInteger,
    /// HINCRBYFLOAT of a field that holds something else.
    #[error("ERR hash value is not a float")]
    HashValueNotFloat,
    /// HINCRBYFLOAT by what is no finite number.
    #[error("ERR value is NaN or Infinity")]
    NotFinite,
    /// A number that is too large for what it is to count.
    #[error("ERR value is out of range")]
    OutOfRange,
    /// A negative time for fields of a hash.
    #[error("ERR invalid expire time, must be >= 0")]
    NegativeExpire,
    /// Commands on fields of a hash: no FIELDS.
    #[error("ERR Mandatory argument FIELDS is missing or not at the right position")]
    FieldsMissing,
    /// The number of fields is none.
    #[error("ERR Number of fields must be a positive integer")]
    FieldCountNotPositive,
    /// The same, of HEXPIRE and its siblings.
    #[error("ERR Parameter `numFields` should be greater than 0")]
    ExpireFieldCountNotPositive,
    /// The same, of HSETEX.
    #[error("ERR invalid number of fields")]
    InvalidFieldCount,
    /// As many fields as were announced do not follow.
    #[error("ERR The `numfields` parameter must match the number of arguments")]
    FieldCountMismatch,
    /// HSETEX: no such option.
    #[error("ERR unknown argument: {0}")]
    UnknownArgument(String),
    /// HSETEX: an option without its time.
    #[error("ERR missing expire time")]
    MissingExpire,
    /// HSETEX: two conditions.
    #[error("ERR Only one of FXX or FNX arguments can be specified")]
    TwoFieldConditions,
    /// HSETEX: two times.
    #[error("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")]
    TwoExpirations,
    /// A negative offset.
    #[error("ERR offset is out of range")]
    Offset,
    /// A bit's number that is none, or beyond the longest string.
    #[error("ERR bit offset is not an integer or out of range")]
    BitOffset,
    /// SETBIT to something that is no bit.
    #[error("ERR bit is not an integer or out of range")]
    Bit,
    /// BITPOS of something that is no bit.
    #[error("ERR The bit argument must be 1 or 0.")]
    BitArgument,
    /// BITOP NOT of several keys.
    #[error("ERR BITOP NOT must be called with a single source key.")]
    BitopNotSources,
    /// BITOP of this name with one source.
    #[error("ERR BITOP {0} must be called with at least two source keys.")]
    BitopFewSources(&'static str),
    /// BITFIELD: a type that is none.
    #[error(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
    )]
    BitfieldType,
    /// BITFIELD: no such way to deal with overflows.
    #[error("ERR Invalid OVERFLOW type specified")]
    BitfieldOverflow,
    /// BITFIELD_RO with an operation that writes.
    #[error("ERR BITFIELD_RO only supports the GET subcommand")]
    BitfieldReadOnly,
    /// A string that is no HyperLogLog.
    #[error("WRONGTYPE Key is not a valid HyperLogLog string value.")]
    NotHyperloglog,
    /// A HyperLogLog whose registers make no sense.
    #[error("INVALIDOBJ Corrupted HLL object detected")]
    CorruptedHyperloglog,
    /// PFDEBUG of a key that does not exist.
    #[error("ERR The specified key does not exist")]
    SpecifiedKeyMissing,
    /// PFDEBUG DECODE of dense registers.
    #[error("ERR HLL encoding is not sparse")]
    HyperloglogNotSparse,
    /// PFDEBUG SIMD with another word.
    #[error("ERR Argument must be ON or OFF")]
    NotOnOff,
    /// PFDEBUG without such a subcommand.
    #[error("ERR Unknown PFDEBUG subcommand '{0}'")]
    UnknownPfdebug(String),
    /// PFSELFTEST: a register does not keep its value.
    #[error("ERR TESTFAILED Register {0} should be {1} but is {2}")]
    SelfTestRegister(usize, u8, u8),
    /// PFSELFTEST: few elements are not sparse.
    #[error("ERR TESTFAILED sparse encoding not used")]
    SelfTestNotSparse,
    /// PFSELFTEST: the two forms have different estimates.
    #[error("ERR TESTFAILED dense/sparse disagree")]
    SelfTestDisagreement,
    /// PFSELFTEST: an estimate is far off.
    #[error("ERR TESTFAILED Too big error. card:{0} abserr:{1}")]
    SelfTestError(u64, u64),
    /// LCS of keys that hold something else.
    #[error("ERR The specified keys must contain string values")]
    LcsNotStrings,
    /// LCS with options that exclude each other.
    #[error("ERR If you want both the length and indexes, please just use IDX.")]
    LcsLengthAndIndexes,
    /// LCS of strings of 4 GB.
    #[error("ERR String too long for LCS")]
    LcsStringTooLong,
    /// LCS of strings that are too long together.
    #[error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")]
    LcsTooMuchMemory,
    /// Bytes that are no request; the connection ends.
    #[error("ERR {0}")]
    Protocol(ProtocolError),
    /// A time-out that is no integer.
    #[error("ERR timeout is not an integer or out of range")]
    TimeoutNotInteger,
    /// A time-out that is no number.
    #[error("ERR timeout is not a float or out of range")]
    TimeoutNotFloat,
    /// A time-out below 0.
    #[error("ERR timeout is negative")]
    TimeoutNegative,
    /// A time-out that ends after the end of time.
    #[error("ERR timeout is out of range")]
    TimeoutOutOfRange,
    /// No such command. The fields are the name and the first arguments.
    #[error("ERR unknown command '{0}', with args beginning with: {1}")]
    UnknownCommand(String, String),
    /// No such subcommand; the fields are what was asked for and the command's name.
    #[error("ERR unknown subcommand '{0}'. Try {1} HELP.")]
    UnknownSubcommand(String, String),
    /// Too few or too many arguments for the command of this full name.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(String),
    /// A subcommand that does not exist, or has other arguments: what was asked for and the command.
    #[error("ERR unknown subcommand or wrong number of arguments for '{0}'. Try {1} HELP.")]
    SubcommandSyntax(String, &'static str),
    /// No such user, or not this password.
    #[error("WRONGPASS invalid username-password pair or user is disabled.")]
    WrongPassword,
    /// AUTH with a password alone where the default user has none.
    #[error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
    )]
    NoPasswordConfigured,
    /// HELLO with something that is no version.
    #[error("ERR Protocol version is not an integer or out of range")]
    ProtocolVersionNotInteger,
    /// HELLO with a version that we do not speak.
    #[error("NOPROTO unsupported protocol version")]
    ProtocolVersion,
    /// HELLO with an option that does not exist or lacks its values.
    #[error("ERR Syntax error in HELLO option '{0}'")]
    HelloOption(String),
    /// HELLO before authentication.
    #[error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
    )]
    HelloNotAuthenticated,
    /// A client name that would break CLIENT LIST.
    #[error("ERR Client names cannot contain spaces, newlines or special characters.")]
    ClientName,
    /// The same of an attribute of CLIENT SETINFO.
    #[error("ERR {0} cannot contain spaces, newlines or special characters.")]
    ClientAttribute(String),
    /// CLIENT SETINFO of something else.
    #[error("ERR Unrecognized option '{0}'")]
    UnrecognizedOption(String),
    /// No such type of client.
    #[error("ERR Unknown client type '{0}'")]
    UnknownClientType(String),
    /// CLIENT LIST ID of something that is no id.
    #[error("ERR Invalid client ID")]
    InvalidClientId,
    /// CLIENT KILL ID of something that is no id.
    #[error("ERR client-id should be greater than 0")]
    ClientIdOutOfRange,
    /// CLIENT KILL MAXAGE of something that is no integer.
    #[error("ERR maxage is not an integer or out of range")]
    MaxAgeNotInteger,
    /// CLIENT KILL MAXAGE below 1.
    #[error("ERR maxage should be greater than 0")]
    MaxAgeOutOfRange,
    /// CLIENT KILL USER of nobody.
    #[error("ERR No such user '{0}'")]
    NoSuchUser(String),
    /// CLIENT KILL of an address that nobody has.
    #[error("ERR No such client")]
    NoSuchClient,
    /// CLIENT UNBLOCK with another reason.
    #[error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")]
    UnblockReason,
    /// CLIENT PAUSE in another mode.
    #[error("ERR CLIENT PAUSE mode must be WRITE or ALL")]
    PauseMode,
    /// The client's command was ended by CLIENT UNBLOCK.
    #[error("UNBLOCKED client unblocked via CLIENT UNBLOCK")]
    Unblocked,
    /// MONITOR where one reply is expected for each command.
    #[error("ERR MONITOR isn't allowed for DENY BLOCKING client")]
    MonitorInTransaction,
    /// A monitor reads or writes keys.
    #[error("ERR Replica can't interact with the keyspace")]
    ReplicaTouchesKeyspace,
    /// There are as many clients as `maxclients` allows.
    #[error("ERR max number of clients reached")]
    MaxClients,
    /// A command before authentication.
    #[error("NOAUTH Authentication required.")]
    NotAuthenticated,
    /// A command that transactions cannot hold.
    #[error("ERR Command not allowed inside a transaction")]
    NotInTransaction,
    /// Memory is full, and nothing can be removed.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
    /// A command that a connection in RESP2 cannot send while it gets messages.
    #[error(
        "ERR Can't execute '{0}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
         allowed in this context"
    )]
    NotWhileSubscribed(String),
    /// CLIENT TRACKING or CLIENT CACHING, see there.
    #[error(transparent)]
    Tracking(#[from] TrackingError),
    /// Replication.
    #[error(transparent)]
    Replication(#[from] ReplicationError),
    /// MIGRATE.
    #[error(transparent)]
    KeyMigration(#[from] KeyMigrationError),
    /// SSUBSCRIBE in a transaction.
    #[error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")]
    ShardSubscribeInTransaction,
    /// DEBUG or MODULE while the configuration forbids it: the command and the parameter.
    #[error(
        "ERR {0} command not allowed. If the {1} option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server."
    )]
    Protected(&'static str, &'static str),
    /// EXEC of a transaction that had an error while it was queued.
    #[error("EXECABORT Transaction discarded because of previous errors.")]
    ExecAborted,
    /// EXEC that could not run; why, without a code that is `ERR`.
    #[error("EXECABORT Transaction discarded because of: {0}")]
    ExecAbortedBecause(String),
    /// MULTI within MULTI.
    #[error("ERR MULTI calls can not be nested")]
    NestedMulti,
    /// EXEC outside of a transaction.
    #[error("ERR EXEC without MULTI")]
    ExecWithoutMulti,
    /// DISCARD outside of a transaction.
    #[error("ERR DISCARD without MULTI")]
    DiscardWithoutMulti,
    /// WATCH within a transaction.
    #[error("ERR WATCH inside MULTI is not allowed")]
    WatchInsideMulti,
    /// A database number out of range.
    #[error("ERR DB index is out of range")]
    DbIndex,
    /// A database number that is none.
    #[error("ERR invalid DB index")]
    InvalidDbIndex,
    /// A value would become longer than `proto-max-bulk-len`.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    StringTooLong,
    /// SLOWLOG GET with a count that is none.
    #[error("ERR count should be greater than or equal to -1")]
    CountBelowMinusOne,
    /// LATENCY GRAPH of an event that never was slow.
    #[error("ERR No samples available for event '{0}'")]
    NoLatencySamples(String),
    /// COMMAND GETKEYS of a request without such a command.
    #[error("ERR Invalid command specified")]
    InvalidCommand,
    /// COMMAND GETKEYS of a command without keys.
    #[error("ERR The command has no key arguments")]
    NoKeyArguments,
    /// COMMAND GETKEYS of a request with too few or too many words.
    #[error("ERR Invalid number of arguments specified for command")]
    InvalidArgumentCount,
    /// COMMAND GETKEYS of a malformed request.
    #[error("ERR Invalid arguments specified for command")]
    InvalidArguments,
    /// A key that must be there is not.
    #[error("ERR no such key")]
    NoSuchKey,
    /// Source and destination are one key.
    #[error("ERR source and destination objects are the same")]
    SameKey,
    /// LSET of an element that is not there.
    #[error("ERR index out of range")]
    IndexOutOfRange,
    /// LPOS with a rank that says neither from where nor which.
    #[error(
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"
    )]
    ZeroRank,
    /// An option whose value is negative or no integer.
    #[error("ERR {0} can't be negative")]
    NegativeOption(&'static str),
    /// A number of keys that is none, or below 1.
    #[error("ERR numkeys should be greater than 0")]
    NumKeys,
    /// COUNT with 0 or less.
    #[error("ERR count should be greater than 0")]
    CountNotPositive,
    /// DEBUG QUICKLIST-PACKED-THRESHOLD of something that is no size, or too large.
    #[error("ERR argument must be a memory value bigger than 1 and smaller than 4gb")]
    PackedThreshold,
    /// SWAPDB: the first database number is none.
    #[error("ERR invalid first DB index")]
    InvalidFirstDbIndex,
    /// SWAPDB: the second database number is none.
    #[error("ERR invalid second DB index")]
    InvalidSecondDbIndex,
    /// EXPIRE and its siblings: no such option.
    #[error("ERR Unsupported option {0}")]
    UnsupportedOption(String),
    /// EXPIRE and its siblings: NX with another condition.
    #[error("ERR NX and XX, GT or LT options at the same time are not compatible")]
    NxWithOthers,
    /// EXPIRE and its siblings: both GT and LT.
    #[error("ERR GT and LT options at the same time are not compatible")]
    GtWithLt,
    /// A SCAN cursor that is no number.
    #[error("ERR invalid cursor")]
    InvalidCursor,
    /// NOVALUES for SCAN.
    #[error("ERR NOVALUES option can only be used in HSCAN")]
    NoValuesElsewhere,
    /// OBJECT IDLETIME while use is counted.
    #[error(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
    )]
    NoIdleTime,
    /// OBJECT FREQ while use is not counted.
    #[error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
    )]
    NoFrequency,
    /// RESTORE: the key is there.
    #[error("BUSYKEY Target key name already exists.")]
    BusyKey,
    /// RESTORE: a negative TTL.
    #[error("ERR Invalid TTL value, must be >= 0")]
    InvalidTtl,
    /// RESTORE: a negative idle time.
    #[error("ERR Invalid IDLETIME value, must be >= 0")]
    InvalidIdleTime,
    /// RESTORE: a use counter out of range.
    #[error("ERR Invalid FREQ value, must be >= 0 and <= 255")]
    InvalidFrequency,
    /// RESTORE: the payload is of another version or was damaged.
    #[error("ERR DUMP payload version or checksum are wrong")]
    WrongPayload,
    /// RESTORE: the payload's value cannot be read.
    #[error("ERR Bad data format")]
    BadDataFormat,
    /// CONFIG SET of a parameter that does not exist.
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{0}'")]
    UnknownParam(String),
    /// CONFIG SET that cannot be: the parameter and why.
    #[error("ERR CONFIG SET failed (possibly related to argument '{0}') - {1}")]
    ParamRejected(String, ParamError),
    /// CONFIG REWRITE without a file.
    #[error("ERR The server is running without a config file")]
    NoConfigFile,
    /// CONFIG REWRITE that failed: what the operating system says.
    #[error("ERR Rewriting config file: {0}")]
    RewriteFailed(String),
    /// SHUTDOWN that could not be: the log says why.
    #[error("ERR Errors trying to SHUTDOWN. Check logs.")]
    ShutdownFailed,
    /// SHUTDOWN ABORT without SHUTDOWN.
    #[error("ERR No shutdown in progress.")]
    NoShutdown,
    /// A number below 0 where that makes no sense.
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    /// DEBUG POPULATE with more keys than there is memory for.
    #[error("ERR OOM in dictTryExpand")]
    PopulateTooMany,
    /// DEBUG HTSTATS of a database that does not exist.
    #[error("ERR Out of range database")]
    DatabaseOutOfRange,
    /// DEBUG SDSLEN of something else than a string of bytes.
    #[error("ERR Not an sds encoded string.")]
    NotSds,
    /// DEBUG LISTPACK of something else.
    #[error("ERR Not a listpack encoded object.")]
    NotListpack,
    /// DEBUG QUICKLIST of something else.
    #[error("ERR Not a quicklist encoded object.")]
    NotQuicklist,
    /// DEBUG PROTOCOL of what RESP2 does not have.
    #[error("ERR RESP2 is not supported by this command")]
    Resp2NotSupported,
    /// DEBUG PROTOCOL of an unknown type.
    #[error(
        "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
    )]
    ProtocolType,
    /// A number outside of these bounds.
    #[error("ERR value is out of range, value must between {0} and {1}")]
    OutsideRange(i64, i64),
    /// SORT by something that is no number.
    #[error("ERR One or more scores can't be converted into double")]
    SortScore,
    /// SINTERCARD and its like: more keys announced than there are words.
    #[error("ERR Number of keys can't be greater than number of args")]
    TooManyKeysGiven,
    /// ZADD: NX with XX.
    #[error("ERR XX and NX options at the same time are not compatible")]
    XxWithNx,
    /// ZADD: more than one of GT, LT and NX.
    #[error("ERR GT, LT, and/or NX options at the same time are not compatible")]
    GtLtNx,
    /// ZADD INCR of several members.
    #[error("ERR INCR option supports a single increment-element pair")]
    IncrementOfMany,
    /// A sum of scores that is no number.
    #[error("ERR resulting score is not a number (NaN)")]
    ScoreNotANumber,
    /// A bound of a range of scores that is no number.
    #[error("ERR min or max is not a float")]
    ScoreBound,
    /// A bound of a range of members that is none.
    #[error("ERR min or max not valid string range item")]
    LexBound,
    /// ZRANGE by rank with LIMIT.
    #[error(
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
    )]
    LimitByRank,
    /// ZRANGE BYLEX with scores.
    #[error("ERR syntax error, WITHSCORES not supported in combination with BYLEX")]
    ScoresByLex,
    /// ZUNION and its like without keys; the field is the command.
    #[error("ERR at least 1 input key is needed for '{0}' command")]
    NoInputKeys(String),
    /// ZUNION and its like: a weight that is no number.
    #[error("ERR weight value is not a float")]
    WeightNotFloat,
    /// No place on the map: longitude and latitude, with six digits behind the point.
    #[error("ERR invalid longitude,latitude pair {0},{1}")]
    NoSuchPosition(String, String),
    /// No unit of length.
    #[error("ERR unsupported unit provided. please use M, KM, FT, MI")]
    UnknownUnit,
    /// A radius that is no number.
    #[error("ERR need numeric radius")]
    RadiusNotFloat,
    /// A radius below 0.
    #[error("ERR radius cannot be negative")]
    NegativeRadius,
    /// The width of a box that is no number.
    #[error("ERR need numeric width")]
    WidthNotFloat,
    /// The height of a box that is no number.
    #[error("ERR need numeric height")]
    HeightNotFloat,
    /// The width or the height of a box below 0.
    #[error("ERR height or width cannot be negative")]
    NegativeBox,
    /// A search around a member that is not there.
    #[error("ERR could not decode requested zset member")]
    NoSuchMember,
    /// GEOSEARCH and XAUTOCLAIM with a count below 1.
    #[error("ERR COUNT must be > 0")]
    CountBelowOne,
    /// GEORADIUS and its like: the command that stores, with what is only told.
    #[error("ERR {0} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")]
    StoreWithDetails(&'static str),
    /// GEOSEARCH without a middle; the field is the command as it came.
    #[error("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {0}")]
    GeoWithoutCentre(String),
    /// GEOSEARCH without a shape; the field is the command as it came.
    #[error("ERR exactly one of BYRADIUS and BYBOX can be specified for {0}")]
    GeoWithoutShape(String),
    /// GEOSEARCH ANY without a count.
    #[error("ERR the ANY argument requires COUNT argument")]
    AnyWithoutCount,
    /// Something that is no id of a stream's entry.
    #[error("ERR Invalid stream ID specified as stream command argument")]
    InvalidStreamId,
    /// An open interval that begins at the largest id.
    #[error("ERR invalid start ID for the interval")]
    InvalidIntervalStart,
    /// An open interval that ends at the smallest id.
    #[error("ERR invalid end ID for the interval")]
    InvalidIntervalEnd,
    /// XADD and XTRIM: two ways to trim.
    #[error("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")]
    TwoTrims,
    /// XADD and XTRIM: MAXLEN below 0.
    #[error("ERR The MAXLEN argument must be >= 0.")]
    MaxLenNegative,
    /// XADD and XTRIM: LIMIT below 0.
    #[error("ERR The LIMIT argument must be >= 0.")]
    TrimLimitNegative,
    /// XADD: LIMIT without MAXLEN or MINID.
    #[error("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")]
    TrimLimitAlone,
    /// XADD and XTRIM: LIMIT for an exact trim.
    #[error("ERR syntax error, LIMIT cannot be used without the special ~ option")]
    TrimLimitOfExact,
    /// XTRIM without MAXLEN and MINID.
    #[error("ERR syntax error, XTRIM must be called with a trimming strategy")]
    NoTrim,
    /// XADD 0-0
    #[error("ERR The ID specified in XADD must be greater than 0-0")]
    StreamIdZero,
    /// XADD to a stream that has had the largest id.
    #[error("ERR The stream has exhausted the last possible ID, unable to add more items")]
    StreamIdsExhausted,
    /// XADD of an id that is not above the last one.
    #[error("ERR The ID specified in XADD is equal or smaller than the target stream top item")]
    StreamIdTooSmall,
    /// XADD of an entry of more than 1 GB.
    #[error("ERR Elements are too large to be stored")]
    StreamEntryTooLarge,
    /// XSETID of an id below that of an entry.
    #[error("ERR The ID specified in XSETID is smaller than the target stream top item")]
    SetIdBelowTop,
    /// XSETID of an id below one that was deleted.
    #[error("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")]
    SetIdBelowDeleted,
    /// XSETID of an id below its own MAXDELETEDID.
    #[error("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")]
    SetIdBelowGiven,
    /// XSETID: ENTRIESADDED below 0.
    #[error("ERR entries_added must be positive")]
    EntriesAddedNegative,
    /// XSETID: fewer ENTRIESADDED than there are.
    #[error("ERR The entries_added specified in XSETID is smaller than the target stream length")]
    EntriesAddedTooSmall,
    /// XDELEX and XACKDEL: a count of ids that is none.
    #[error("ERR Number of IDs must be a positive integer")]
    NumIdsNotPositive,
    /// XDELEX and XACKDEL: fewer ids than were announced.
    #[error("ERR The `numids` parameter must match the number of arguments")]
    NumIdsMismatch,
    /// XDELEX and XACKDEL without ids.
    #[error("ERR IDS option is required")]
    IdsRequired,
    /// XREAD and XREADGROUP: not as many ids as keys. The command, and what an id can be.
    #[error("ERR Unbalanced '{0}' list of streams: for each stream key an {1} must be specified.")]
    UnbalancedStreams(&'static str, &'static str),
    /// XREAD with an option of XREADGROUP.
    #[error("ERR The {0} option is only supported by XREADGROUP. You called XREAD instead.")]
    OnlyXreadgroup(&'static str),
    /// XREADGROUP without GROUP.
    #[error("ERR Missing GROUP option for XREADGROUP")]
    MissingGroup,
    /// XREADGROUP from where XREAD can begin.
    #[error(
        "ERR The {0} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The {0} ID would just return an empty result set."
    )]
    MeaninglessId(char),
    /// XREAD from where XREADGROUP can begin.
    #[error(
        "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
    )]
    OnlyOfGroups,
    /// No such key or group: the key, the group, and words that XREADGROUP adds.
    #[error("NOGROUP No such key '{0}' or consumer group '{1}'{2}")]
    NoKeyOrGroup(String, String, &'static str),
    /// No such group: the group and the key.
    #[error("NOGROUP No such consumer group '{0}' for key name '{1}'")]
    NoGroup(String, String),
    /// XGROUP CREATE of a group that is there.
    #[error("BUSYGROUP Consumer Group name already exists")]
    BusyGroup,
    /// XGROUP of a key that is not there.
    #[error(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically."
    )]
    XgroupWithoutKey,
    /// XGROUP: ENTRIESREAD below -1.
    #[error("ERR value for ENTRIESREAD must be positive or -1")]
    EntriesReadNegative,
    /// XCLAIM and XAUTOCLAIM (the field): an idle time that is no integer.
    #[error("ERR Invalid min-idle-time argument for {0}")]
    InvalidMinIdle(&'static str),
    /// XCLAIM: the value of an option is no integer.
    #[error("ERR Invalid {0} option argument for XCLAIM")]
    InvalidClaimValue(&'static str),
    /// XCLAIM: no such option, nor an id.
    #[error("ERR Unrecognized XCLAIM option '{0}'")]
    UnknownClaimOption(String),
    /// It failed, and the log says why.
    #[error("ERR")]
    Failed,
    /// Data is being loaded.
    #[error("LOADING Redis is loading the dataset in memory")]
    Loading,
    /// A change, while snapshots fail.
    #[error(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
    )]
    SnapshotsFail,
    /// The same, to a script that may write.
    #[error(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts."
    )]
    SnapshotsFailForScript,
    /// The append-only file, see there.
    #[error(transparent)]
    Aof(#[from] AofError),
    /// BGSAVE or SAVE while a snapshot is under way.
    #[error("ERR Background save already in progress")]
    SaveInProgress,
    /// DEBUG RELOAD: no such option.
    #[error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")]
    ReloadOption,
    /// DEBUG RELOAD: the file cannot be loaded.
    #[error("ERR Error trying to load the RDB dump, check server logs.")]
    ReloadFailed,
    /// A command about libraries of functions.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// A command about modules.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// A command on a vector set.
    #[error(transparent)]
    VectorSet(#[from] VectorSetError),
    /// COPY of a vector set.
    #[error("ERR not supported for this module key")]
    NotCopyable,
    /// An expiry that is out of range for the command of this name.
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(String),
    /// The user (first) may not call the command.
    #[error("NOPERM User {0} has no permissions to run the '{1}' command")]
    NoPermission(String, String),
    /// The user may not use a key in this way.
    #[error("NOPERM No permissions to access a key")]
    NoKeyPermission,
    /// The user may not use a channel.
    #[error("NOPERM No permissions to access a channel")]
    NoChannelPermission,
    /// The user could when the command was queued.
    #[error(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: {0}"
    )]
    NoPermissionAnyMore(&'static str),
    /// SORT with an option (the field) that reads keys that the user may not read.
    #[error("ERR {0} option of SORT denied due to insufficient ACL permissions.")]
    SortDenied(&'static str),
    /// ACL SETUSER with a name that is no word.
    #[error("ERR Usernames can't contain spaces or null characters")]
    AclUserName,
    /// ACL SETUSER with a rule that is none.
    #[error("ERR Error in ACL SETUSER modifier '{0}': {1}")]
    AclRule(String, RuleError),
    /// ACL SETUSER with a selector that does not end.
    #[error("ERR Unmatched parenthesis in acl selector starting at '{0}'.")]
    AclParenthesis(String),
    /// ACL DELUSER default
    #[error("ERR The 'default' user cannot be removed")]
    DefaultUserStays,
    /// ACL DRYRUN as nobody.
    #[error("ERR User '{0}' not found")]
    AclUserNotFound(String),
    /// ACL DRYRUN of no command.
    #[error("ERR Command '{0}' not found")]
    AclCommandNotFound(String),
    /// ACL CAT of no category.
    #[error("ERR Unknown category '{0}'")]
    UnknownCategory(String),
    /// ACL GENPASS of too few or too many bits; the field is how many there can be.
    #[error(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to {0}"
    )]
    GenpassBits(i64),
    /// ACL LOAD and SAVE without a file.
    #[error(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration."
    )]
    NoAclFile,
    /// ACL SAVE that failed: the log says why.
    #[error(
        "ERR There was an error trying to save the ACLs. Please check the server logs for more information"
    )]
    AclSaveFailed,
    /// ACL LOAD of a file that cannot be used.
    #[error("ERR {0}")]
    AclFile(#[from] AclFileError),
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::WrongType => CommandError::WrongType,
            StoreError::NotInteger => CommandError::NotInteger,
            StoreError::Overflow => CommandError::IncrementOverflow,
        }
    }
}

impl From<Corrupted> for CommandError {
    fn from(Corrupted: Corrupted) -> Self {
        CommandError::CorruptedHyperloglog
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Register { index, written, read } => {
                CommandError::SelfTestRegister(index, written, read)
            }
            Failure::NotSparse => CommandError::SelfTestNotSparse,
            Failure::Disagreement => CommandError::SelfTestDisagreement,
            Failure::Error { cardinality, error } => {
                CommandError::SelfTestError(cardinality, error)
            }
        }
    }
}
