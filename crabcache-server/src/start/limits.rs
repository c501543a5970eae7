//! The limit of open files: each client needs one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that are open beside those of clients: listening sockets, logs, event queues.
const RESERVED_FILES: i64 = 32;

/// Raises the limit so that there can be `maxclients` clients. Gives how many there can be.
pub fn raise_open_files(maxclients: i64) -> i64 {
    let wanted = u64::try_from(maxclients + RESERVED_FILES).unwrap_or(u64::MAX);
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(
                "Unable to obtain the current NOFILE limit ({}), assuming 1024 and setting the \
                 max clients configuration accordingly.",
                error.desc()
            );
            return 1024 - RESERVED_FILES;
        }
    };
    if soft >= wanted {
        return maxclients;
    }
    let result = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted));
    let Err(error) = result else {
        tracing::info!(
            "Increased maximum number of open files to {wanted} (it was originally set to {soft})."
        );
        return maxclients;
    };
    // Only root may raise the hard limit.
    let best = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    let possible = i64::try_from(best).unwrap_or(i64::MAX) - RESERVED_FILES;
    if possible > 0 {
        tracing::warn!(
            "You requested maxclients of {maxclients} requiring at least {wanted} max file \
             descriptors."
        );
        tracing::warn!(
            "Server can't set maximum open files to {wanted} because of OS error: {}.",
            error.desc()
        );
        tracing::warn!(
            "Current maximum open files is {best}. maxclients has been reduced to {possible} to \
             compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
        );
    } else {
        tracing::warn!(
            "Your current 'ulimit -n' of {soft} is not enough for the server to start. Please \
             increase your open file limit to at least {wanted}. Exiting."
        );
    }
    possible
}
