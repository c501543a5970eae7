//! Texts of Lua errors: what scripts and libraries are told.

/// What `redis.register_function` complains about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// No library is being loaded.
    #[error("redis.register_function can only be called on FUNCTION LOAD command")]
    NotLoading,
    /// Too few or too many arguments.
    #[error("wrong number of arguments to redis.register_function")]
    ArgumentCount,
    /// One argument that is no table.
    #[error(
        "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments)."
    )]
    NotTable,
    /// A number, or worse, where a name should be.
    #[error("named argument key given to redis.register_function is not a string")]
    KeyNotString,
    /// The function's name.
    #[error("function_name argument given to redis.register_function must be a string")]
    NameNotString,
    /// The function's description.
    #[error("description argument given to redis.register_function must be a string")]
    TextNotString,
    /// The function itself.
    #[error("callback argument given to redis.register_function must be a function")]
    CallbackNotFunction,
    /// The function's flags.
    #[error(
        "flags argument to redis.register_function must be a table representing function flags"
    )]
    FlagsNotTable,
    /// One of them.
    #[error("unknown flag given")]
    UnknownFlag,
    /// No such argument.
    #[error("unknown argument given to redis.register_function")]
    UnknownArgument,
    /// No name.
    #[error("redis.register_function must get a function name argument")]
    NoName,
    /// No function.
    #[error("redis.register_function must get a callback argument")]
    NoCallback,
    /// The name of two arguments.
    #[error("first argument to redis.register_function must be a string")]
    FirstNotString,
    /// The function of two arguments.
    #[error("second argument to redis.register_function must be a function")]
    SecondNotFunction,
    /// Two functions of a library have one name.
    #[error("Function already exists in the library")]
    Twice,
}

/// What is wrong with a library of functions, or a command about them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// FUNCTION RESTORE with another policy.
    #[error("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")]
    RestorePolicy,
    /// FUNCTION LOAD with another option.
    #[error("ERR Unknown option given: {0}")]
    UnknownLoadOption(String),
    /// FUNCTION FLUSH with another option.
    #[error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")]
    FunctionFlushOption,
    /// FUNCTION LIST LIBRARYNAME without one.
    #[error("ERR library name argument was not given")]
    NoLibraryName,
    /// FUNCTION LIST with another option.
    #[error("ERR Unknown argument {0}")]
    UnknownListArgument(String),
    /// There is no library of this name.
    #[error("ERR Library not found")]
    LibraryNotFound,
    /// There is a library of this name.
    #[error("ERR Library '{0}' already exists")]
    LibraryExists(String),
    /// The same, of one that is restored.
    #[error("ERR Library {0} already exists")]
    LibraryExistsAlready(String),
    /// A library without functions.
    #[error("ERR No functions registered")]
    NoFunctions,
    /// FUNCTION RESTORE of functions of a release candidate.
    #[error("ERR Pre-GA function format not supported")]
    PreReleaseFunction,
    /// FUNCTION RESTORE of something else.
    #[error("ERR given type is not a function")]
    NotAFunction,
    /// FUNCTION RESTORE of damaged functions.
    #[error("ERR Failed loading library")]
    FunctionsUnreadable,
    /// There is a function of this name.
    #[error("ERR Function {0} already exists")]
    FunctionExists(String),
    /// A library that is no Lua; what the compiler says.
    #[error("ERR Error compiling function: {0}")]
    FunctionSyntax(String),
    /// A library failed while it was loaded; what it says.
    #[error("ERR Error registering functions: {0}")]
    FunctionFailed(String),
    /// A library takes too long to be loaded.
    #[error("ERR FUNCTION LOAD timeout")]
    FunctionLoadTimeout,
}

/// What the libraries of scripts complain about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LuaError {
    /// An argument of a function: its number, the function, what is wrong.
    #[error("bad argument #{0} to '{1}' ({2})")]
    BadArgument(usize, &'static str, String),
    /// The same, of another type: which is expected, and what came.
    #[error("{0} expected, got {1}")]
    Expected(String, &'static str),
    /// No such word.
    #[error("invalid option '{0}'")]
    InvalidOption(String),
    /// Too few or too many arguments.
    #[error("wrong number of arguments")]
    ArgumentCount,
    /// `cjson`: a setting out of range.
    #[error("expected integer between {0} and {1}")]
    OptionRange(i64, i64),
    /// `cjson.encode` of something that JSON does not have.
    #[error("Cannot serialise {0}: {1}")]
    CannotSerialise(&'static str, &'static str),
    /// `cjson.encode` of tables in tables.
    #[error("Cannot serialise, excessive nesting ({0})")]
    ExcessiveNesting(usize),
    /// `cjson.decode` of UTF-16.
    #[error("JSON parser does not support UTF-16 or UTF-32")]
    WideJson,
    /// `cjson.decode` of what is no JSON.
    #[error("Expected {0} but found {1} at character {2}")]
    JsonExpected(&'static str, &'static str, usize),
    /// `cjson.decode` of arrays in arrays.
    #[error("Found too many nested data structures ({0}) at character {1}")]
    JsonNesting(usize, usize),
    /// `struct`: a number of a format.
    #[error("integral size overflow")]
    SizeOverflow,
    /// `struct`: an integer of too many bytes.
    #[error("integral size {0} is larger than limit of {1}")]
    IntegralSize(usize, usize),
    /// `struct`: an alignment.
    #[error("alignment {0} is not a power of 2")]
    Alignment(usize),
    /// `struct`: a letter of a format.
    #[error("invalid format option '{0}'")]
    FormatOption(char),
    /// `struct`: a string without a length.
    #[error("format 'c0' needs a previous size")]
    NeedsSize,
    /// `struct`: a string without an end.
    #[error("unfinished string in data")]
    UnfinishedString,
    /// `struct`: a format of too many values.
    #[error("stack overflow (too many results)")]
    TooManyResults,
    /// `cmsgpack`: from where to read, and how much.
    #[error("Invalid request to unpack with offset of {0} and limit of {1}.")]
    UnpackRequest(i32, usize),
    /// `cmsgpack`: from where to read.
    #[error("Start offset {0} greater than input length {1}.")]
    UnpackOffset(usize, usize),
    /// `cmsgpack`: too many values.
    #[error(
        "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)"
    )]
    TooManyUnpacked,
    /// `cmsgpack`: the data ends too early.
    #[error("Missing bytes in input.")]
    MissingBytes,
    /// `cmsgpack`: a byte that means nothing.
    #[error("Bad data format in input.")]
    BadFormat,
    /// A table cannot have such a key.
    #[error("table index is nil")]
    NilIndex,
    /// The same.
    #[error("table index is NaN")]
    NanIndex,
}

/// A text as the line of an error: with the general code before it.
pub fn with_code(text: &[u8]) -> Vec<u8> {
    [b"ERR ".as_slice(), text].concat()
}

/// The line of an error that is to have a code: a single word is taken for the text.
pub fn with_some_code(line: &[u8]) -> Vec<u8> {
    if line.contains(&b' ') { line.to_vec() } else { with_code(line) }
}
