//! Texts about access control lists: rules, their files, and who may not use what.

/// What a connection from another host is told in protected mode, before it is closed.
pub const PROTECTED_MODE: &str = "\
    -DENIED Redis is running in protected mode because protected mode is enabled and no \
    password is set for the default user. In this mode connections are only accepted from the \
    loopback interface. If you want to connect from external computers to Redis you may adopt \
    one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG \
    SET protected-mode no' from the loopback interface by connecting to Redis from the same \
    host the server is running, however MAKE SURE Redis is not publicly accessible from \
    internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively \
    you can just disable the protected mode by editing the Redis configuration file, and \
    setting the protected mode option to 'no', and then restarting the server. 3) If you \
    started the server manually just for testing, restart it with the '--protected-mode no' \
    option. 4) Set up an authentication password for the default user. NOTE: You only need to \
    do one of the above things in order for the server to start accepting connections from the \
    outside.\r\n";

/// Why an ACL rule is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No such command or category.
    #[error("Unknown command or category name in ACL")]
    Unknown,
    /// No such rule.
    #[error("Syntax error")]
    Syntax,
    /// A pattern of keys when all keys are allowed.
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
    )]
    KeysAfterAll,
    /// A pattern of channels when all channels are allowed.
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
    )]
    ChannelsAfterAll,
    /// A password cannot be removed.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    /// Something that is no SHA-256.
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    PasswordHash,
    /// A second declaration of a user.
    #[error("Duplicate user found. A user can only be defined once in config files")]
    Duplicate,
    /// `+config|get|maxmemory`
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgOfSubcommand,
}

/// What is wrong with a line of an ACL file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AclLineError {
    /// It declares nobody.
    NoUser,
    /// The name is no word.
    Name(String),
    /// The name was declared before; the number of the line.
    Duplicate(String, usize),
    /// A selector does not end.
    Parenthesis,
    /// A rule is about an unknown command or category.
    Unknown(String),
    /// A rule is none.
    Rule(RuleError),
}

/// Why an ACL file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AclFileError {
    /// It cannot be opened: the path, and what the system says.
    #[error("Error loading ACLs, opening file '{0}': {1}")]
    CannotOpen(String, String),
    /// What is wrong with its lines.
    #[error(
        "{0}WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    )]
    Lines(String),
}

impl AclFileError {
    /// The text about the line at `place`: file and number.
    pub fn line(place: &str, why: AclLineError) -> String {
        match why {
            AclLineError::NoUser => {
                format!("{place} should start with user keyword followed by the username. ")
            }
            AclLineError::Name(name) => {
                format!("'{place}: username '{name}' contains invalid characters. ")
            }
            AclLineError::Duplicate(name, number) => {
                format!("WARNING: Duplicate user '{name}' found on line {number}. ")
            }
            AclLineError::Parenthesis => {
                format!("{place}: Unmatched parenthesis in selector definition.")
            }
            AclLineError::Unknown(rule) => {
                let why = RuleError::Unknown;
                format!("{place}: Error in applying operation '{rule}': {why}. ")
            }
            AclLineError::Rule(why) => format!("{place}: {why}. "),
        }
    }
}

/// Why the server cannot start with its users.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AclStartError {
    /// Users in two places.
    #[error(
        "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. This setup is very likely to lead to configuration errors and security holes, please define either an ACL file or declare users directly in your redis.conf, but not both."
    )]
    FileAndUsers,
    /// A name that is no word.
    #[error("Spaces not allowed in ACL usernames")]
    Name,
    /// A rule, whose it is, and why it is none.
    #[error("Error loading ACL rule '{0}' for the user named '{1}': {2}")]
    Rule(String, String, RuleError),
    /// The file.
    #[error("Aborting Redis startup because of ACL errors: {0}")]
    File(AclFileError),
}

/// Tells administrators which key or channel (`kind`) a user may not use.
pub fn no_access(user: &[u8], object: &[u8], kind: &str) -> Vec<u8> {
    let parts: [&[u8]; 6] =
        [b"User ", user, b" has no permissions to access the '", object, b"' ", kind.as_bytes()];
    parts.concat()
}
