//! Parameters that are one of a few names: a type for each, with the names as they are written.

use super::Config;
use super::kinds::{Choice, Set};
use crate::client::{ClientFlags, ClientHandle};
use crate::error::ParamError;
use bitflags::bitflags;
use crabcache_store::Access;

/// Makes an enum, and the table of its names.
macro_rules! choices {
    ($(
        $(#[doc = $doc:literal])+
        $type:ident as $names:ident { $($variant:ident = $name:literal $(| $other:literal)?),+ $(,)? }
    )*) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $( #[doc = concat!("`", $name, "`")] $variant, )+
        }

        pub(super) const $names: Choice<$type> = Choice(&[
            $( ($name, $type::$variant), $( ($other, $type::$variant), )? )+
        ]);

        impl $type {
            /// Its name as it is written in redis.conf.
            pub fn name(self) -> &'static str {
                match self { $( $type::$variant => $name, )+ }
            }
        }
    )*};
}

choices! {
    /// What is removed when memory is full.
    MaxmemoryPolicy as POLICIES {
        VolatileLru = "volatile-lru",
        VolatileLfu = "volatile-lfu",
        VolatileRandom = "volatile-random",
        VolatileTtl = "volatile-ttl",
        AllkeysLru = "allkeys-lru",
        AllkeysLfu = "allkeys-lfu",
        AllkeysRandom = "allkeys-random",
        NoEviction = "noeviction",
    }

    /// Which log lines are written.
    LogLevel as LOG_LEVELS {
        Debug = "debug",
        Verbose = "verbose",
        Notice = "notice",
        Warning = "warning",
        Nothing = "nothing",
    }

    /// How log lines are written.
    LogFormat as LOG_FORMATS { Text = "text", Json = "json" }

    /// Where the system's log files our lines.
    SyslogFacility as SYSLOG_FACILITIES {
        User = "user",
        Local0 = "local0",
        Local1 = "local1",
        Local2 = "local2",
        Local3 = "local3",
        Local4 = "local4",
        Local5 = "local5",
        Local6 = "local6",
        Local7 = "local7",
    }

    /// Who started the server and wants to know how it fares.
    Supervised as SUPERVISORS { Upstart = "upstart", Systemd = "systemd", Auto = "auto", No = "no" }

    /// When the append-only file is forced to disk.
    AppendFsync as APPEND_FSYNC { Everysec = "everysec", Always = "always", No = "no" }

    /// Whether a replica loads a snapshot straight from its primary's socket.
    DisklessLoad as DISKLESS_LOAD {
        Disabled = "disabled",
        OnEmptyDb = "on-empty-db",
        Swapdb = "swapdb",
    }

    /// Whether TLS clients must show a certificate.
    TlsAuthClients as TLS_AUTH_CLIENTS { No = "no", Yes = "yes", Optional = "optional" }

    /// Whether the kernel's out-of-memory killer is told whom to prefer.
    OomScoreAdj as OOM_SCORE_ADJ {
        No = "no",
        Relative = "yes" | "relative",
        Absolute = "absolute",
    }

    /// Channels that a new user may use.
    AclPubsubDefault as ACL_PUBSUB_DEFAULT {
        Allchannels = "allchannels",
        Resetchannels = "resetchannels",
    }

    /// Whose payloads are checked deeply.
    SanitizeDump as SANITIZE_DUMP { No = "no", Yes = "yes", Clients = "clients" }

    /// Who may use something dangerous.
    ProtectedAction as PROTECTED_ACTIONS { No = "no", Yes = "yes", Local = "local" }

    /// What a cluster node tells clients to connect to.
    EndpointType as ENDPOINT_TYPES {
        Ip = "ip",
        Hostname = "hostname",
        UnknownEndpoint = "unknown-endpoint",
    }

    /// What to do about an error of a replicated command.
    PropagationError as PROPAGATION_ERRORS {
        Ignore = "ignore",
        Panic = "panic",
        PanicOnReplicas = "panic-on-replicas",
    }
}

impl MaxmemoryPolicy {
    /// Whether access clocks tell how often keys were used.
    pub fn is_lfu(self) -> bool {
        matches!(self, MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu)
    }

    /// What uses leave on access clocks at this time.
    pub fn access(self, config: &Config, now_ms: i64) -> Access {
        if !self.is_lfu() {
            return Access::Lru { clock: (now_ms / 1000) as u32 & 0x00ff_ffff };
        }
        let factor = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        Access::Lfu {
            minutes: (now_ms / 60_000) as u16,
            log_factor: factor(config.lfu_log_factor),
            decay_minutes: factor(config.lfu_decay_time),
        }
    }
}

impl ProtectedAction {
    /// Whether `client` may.
    pub fn allows(self, client: &ClientHandle) -> bool {
        match self {
            ProtectedAction::No => false,
            ProtectedAction::Yes => true,
            ProtectedAction::Local => {
                client.flags().contains(ClientFlags::UNIX_SOCKET)
                    || client.peer.addr.starts_with("127.")
                    || client.peer.addr.starts_with("[::1]")
            }
        }
    }
}

bitflags! {
    /// How the server is to end.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct ShutdownFlags: u32 {
        /// Save even without save points.
        const SAVE = 1;
        /// Save in no case.
        const NOSAVE = 1 << 1;
        /// Do not wait for replicas.
        const NOW = 1 << 2;
        /// Errors are no reason to go on.
        const FORCE = 1 << 3;
    }
}

pub(super) const SHUTDOWN: Set<ShutdownFlags> = Set {
    names: Choice(&[
        ("default", ShutdownFlags::empty()),
        ("save", ShutdownFlags::SAVE),
        ("nosave", ShutdownFlags::NOSAVE),
        ("now", ShutdownFlags::NOW),
        ("force", ShutdownFlags::FORCE),
    ]),
    check: |flags| {
        if flags.contains(ShutdownFlags::SAVE | ShutdownFlags::NOSAVE) {
            return Err(ParamError::SaveAndNosave);
        }
        Ok(())
    },
};
