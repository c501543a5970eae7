//! Texts about replication.

/// Why something about replication is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplicationError {
    /// REPLCONF with an address that is none.
    #[error("ERR REPLCONF ip-address provided by replica instance is too long: {0} bytes")]
    AddressTooLong(usize),
    /// REPLCONF with an option that is not known.
    #[error("ERR Unrecognized REPLCONF option: {0}")]
    UnknownOption(String),
    /// PSYNC to a replica that is not in sync itself.
    #[error("NOMASTERLINK Can't SYNC while not connected with my master")]
    NoPrimaryLink,
    /// A change while fewer replicas are near than `min-replicas-to-write`.
    #[error("NOREPLICAS Not enough good replicas to write.")]
    NotEnoughReplicas,
    /// A change by a client of a replica.
    #[error("READONLY You can't write against a read only replica.")]
    ReadOnly,
    /// A replica that is not in sync.
    #[error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")]
    PrimaryDown,
    /// A script that declares itself, but not that old data will do.
    #[error(
        "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script."
    )]
    StaleScript,
    /// What such a script calls.
    #[error("ERR Can not execute the command on a stale replica")]
    StaleInScript,
    /// A script on a replica that does not declare that it only reads.
    #[error("READONLY Can not run script with write flag on readonly replica")]
    ScriptOnReplica,
    /// REPLICAOF with a port that is none.
    #[error("ERR Invalid master port")]
    InvalidPort,
    /// PSYNC while a failover is under way.
    #[error("NOMASTERLINK Can't SYNC while failing over")]
    NoSyncWhileFailingOver,
    /// PSYNC FAILOVER to a primary.
    #[error("ERR PSYNC FAILOVER can't be sent to a master.")]
    IsPrimary,
    /// PSYNC FAILOVER of another history.
    #[error("ERR PSYNC FAILOVER replid must match my replid.")]
    OtherHistory,
    /// FAILOVER ABORT without one.
    #[error("ERR No failover in progress.")]
    NoFailover,
    /// FAILOVER TIMEOUT without time.
    #[error("ERR FAILOVER timeout must be greater than 0")]
    FailoverTimeout,
    /// FAILOVER twice.
    #[error("ERR FAILOVER already in progress.")]
    FailoverUnderWay,
    /// FAILOVER of a replica.
    #[error("ERR FAILOVER is not valid when server is a replica.")]
    FailoverOfReplica,
    /// FAILOVER without replicas.
    #[error("ERR FAILOVER requires connected replicas.")]
    FailoverWithoutReplicas,
    /// FAILOVER FORCE without a target or a time.
    #[error("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")]
    FailoverForce,
    /// FAILOVER TO an unknown replica.
    #[error("ERR FAILOVER target HOST and PORT is not a replica.")]
    FailoverTarget,
    /// FAILOVER TO a replica that is not in sync.
    #[error("ERR FAILOVER target replica is not online.")]
    FailoverTargetOffline,
    /// REPLCONF rdb-filter-only with quotes that do not match.
    #[error("ERR Missing rdb-filter-only values")]
    MissingFilter,
    /// REPLCONF rdb-filter-only with something else than functions.
    #[error("ERR Unsupported rdb-filter-only option: {0}")]
    UnknownFilter(String),
    /// REPLICAOF while a failover is under way.
    #[error("ERR REPLICAOF not allowed while failing over.")]
    FailingOver,
    /// What a client waited for will not come any more.
    #[error(
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> \
         replica?)"
    )]
    RoleChanged,
    /// WAIT on a replica.
    #[error(
        "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a \
         replica is configured to be writable (which is not the default) writes to replicas are just \
         local and are not propagated."
    )]
    WaitOnReplica,
    /// WAITAOF on a replica.
    #[error(
        "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas \
         are just local and are not propagated."
    )]
    WaitAofOnReplica,
}
