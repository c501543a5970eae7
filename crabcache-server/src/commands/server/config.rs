//! CONFIG: the parameters at run time.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, help, server};
use crate::config::rewrite::{Extent, rewrite};
use crate::config::{PARAMS, Param, ParamFlags, set};
use crate::error::CommandError;
use crabcache_store::algorithms::glob::{self, Case};

const FLAGS: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);
const TIPS: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

pub(super) const SUBCOMMANDS: &[Command] = &[
    server("get", config_get).arity(-3).flags(FLAGS).doc(
        "2.0.0",
        "O(N), N being the names and patterns",
        "parameter...",
        "Returns the values of parameters.",
    ),
    server("help", config_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "5.0.0",
        "O(1)",
        "",
        "Tells what the subcommands are.",
    ),
    server("resetstat", config_resetstat).arity(2).flags(FLAGS).tips(TIPS).doc(
        "2.0.0",
        "O(1)",
        "",
        "Begins the counters of INFO anew.",
    ),
    server("rewrite", config_rewrite).arity(2).flags(FLAGS).tips(TIPS).doc(
        "2.8.0",
        "O(1)",
        "",
        "Writes the parameters into the configuration file.",
    ),
    server("set", config_set).arity(-4).flags(FLAGS).tips(TIPS).secrets(is_secret).doc(
        "2.0.0",
        "O(N), N being the parameters",
        "data:(parameter value)...",
        "Sets parameters: all of them or none.",
    ),
];

/// CONFIG GET parameter [parameter ...]
fn config_get(ctx: &mut Ctx, args: Args) -> CommandResult {
    let mut found: Vec<(&[u8], &Param)> = Vec::new();
    for word in args.from(2) {
        let is_pattern = word.iter().any(|byte| b"[*?".contains(byte));
        for param in PARAMS {
            for name in param.names().map(str::as_bytes) {
                let is_wanted = if is_pattern {
                    !param.flags.contains(ParamFlags::HIDDEN)
                        && glob::matches(word, name, Case::Insensitive)
                } else {
                    name.eq_ignore_ascii_case(word)
                };
                if is_wanted && !found.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
                    // Compat: a name comes back in the letter case in which it was asked for.
                    found.push((if is_pattern { name } else { word }, param));
                }
            }
        }
    }
    // What an earlier request of the same batch has set must be seen.
    let config = ctx.server.config.get();
    ctx.reply.map(found.len());
    for (name, param) in found {
        ctx.reply.bulk(name);
        ctx.reply.bulk(&(param.get)(&config));
    }
    Ok(())
}

/// CONFIG HELP
fn config_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            (
                "GET <pattern>",
                "Return parameters matching the glob-like <pattern> and their values.",
            ),
            ("SET <directive> <value>", "Set the configuration <directive> to <value>."),
            ("RESETSTAT", "Reset statistics reported by the INFO command."),
            ("REWRITE", "Rewrite the configuration file."),
        ],
    )
}

/// CONFIG RESETSTAT
fn config_resetstat(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.server.reset_stats(ctx.client.handle.worker());
    ctx.reply.ok();
    Ok(())
}

/// CONFIG REWRITE
fn config_rewrite(ctx: &mut Ctx, _: Args) -> CommandResult {
    rewrite_file(ctx, Extent::Changed)
}

/// Writes the configuration into its file.
pub(super) fn rewrite_file(ctx: &mut Ctx, extent: Extent) -> CommandResult {
    // Nobody may set parameters while they are written.
    let _change = ctx.server.config.begin_change();
    let config = ctx.server.config.get();
    let path = config.file.as_ref().ok_or(CommandError::NoConfigFile)?;
    let users: Vec<Vec<u8>> = ctx.server.users.all().iter().map(|user| user.describe()).collect();
    rewrite(path, &config, &users, extent).map_err(|why| {
        tracing::warn!("CONFIG REWRITE failed: {why}");
        CommandError::RewriteFailed(why)
    })?;
    tracing::info!("CONFIG REWRITE executed with success.");
    ctx.reply.ok();
    Ok(())
}

/// CONFIG SET parameter value [parameter value ...]
fn config_set(ctx: &mut Ctx, args: Args) -> CommandResult {
    let words: Vec<&[u8]> = args.from(2).collect();
    if !words.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    set::set(ctx.server, &ctx.client.handle, &pairs)?;
    ctx.refresh_config();
    ctx.reply.ok();
    Ok(())
}

/// Whether a word of CONFIG SET is the value of a secret parameter.
fn is_secret(args: Args, index: usize) -> bool {
    let is_value = index >= 3 && index % 2 == 1;
    is_value
        && Param::find(args.get(index - 1))
            .is_some_and(|param| param.flags.contains(ParamFlags::SECRET))
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn config_get_by_names_and_patterns() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("CONFIG GET PORT port", "[\"PORT\", \"6379\"]"),
            ("CONFIG GET nosuch", "[]"),
            ("CONFIG GET TCP-[k]*", "[\"tcp-keepalive\", \"300\"]"),
            ("CONFIG GET key-load*", "[]"),
            ("CONFIG GET key-load-delay", "[\"key-load-delay\", \"0\"]"),
            ("CONFIG GET slaveof replicaof", "[\"slaveof\", \"\", \"replicaof\", \"\"]"),
            ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"),
        ]);
    }

    #[test]
    fn config_set_is_all_or_nothing() {
        let mut t = TestServer::new();
        let failed = "-ERR CONFIG SET failed (possibly related to argument";
        t.check_all(&[
            ("CONFIG SET timeout 5 hz 20", "+OK"),
            ("CONFIG GET timeout hz", "[\"timeout\", \"5\", \"hz\", \"20\"]"),
            ("CONFIG SET timeout 6 hz", "-ERR syntax error"),
            (
                "CONFIG SET timeout 6 NoSuch 1",
                "-ERR Unknown option or number of arguments for CONFIG SET - 'NoSuch'",
            ),
            (
                "CONFIG SET timeout 6 Timeout 7",
                &format!("{failed} 'Timeout') - duplicate parameter"),
            ),
            (
                "CONFIG SET Databases 3",
                &format!("{failed} 'Databases') - can't set immutable config"),
            ),
            ("CONFIG SET dir /", &format!("{failed} 'dir') - can't set protected config")),
            (
                "CONFIG SET timeout 6 HZ x",
                &format!("{failed} 'hz') - argument couldn't be parsed into an integer"),
            ),
            (
                "CONFIG SET timeout 6 locale-collate xx",
                &format!("{failed} 'locale-collate') - Invalid locale name"),
            ),
            ("CONFIG GET timeout", "[\"timeout\", \"5\"]"),
            ("CONFIG SET save ''", "+OK"),
            ("CONFIG GET save", "[\"save\", \"\"]"),
            ("CONFIG SET save '900 1  5'", &format!("{failed} 'save') - Invalid save parameters")),
            ("CONFIG REWRITE", "-ERR The server is running without a config file"),
        ]);
    }

    #[test]
    fn config_set_holds_for_the_next_request_of_a_batch() {
        let mut t = TestServer::new();
        let mut client = t.client();
        let request = b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$7\r\ntimeout\r\n$1\r\n8\r\n\
                        *3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$7\r\ntimeout\r\n*1\r\n$4\r\nPING\r\n";
        let (out, _) = t.send_as(&mut client, request);
        assert_eq!(out, b"+OK\r\n*2\r\n$7\r\ntimeout\r\n$1\r\n8\r\n+PONG\r\n");
    }

    #[test]
    fn config_resetstat_begins_anew() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("GET", "-ERR wrong number of arguments for 'get' command"),
            ("GET k", "nil"),
        ]);
        assert_eq!(t.server.stats.sum(|worker| &worker.keyspace_misses), 1);
        assert!(!t.server.stats.errors().is_empty());
        t.check("CONFIG RESETSTAT", "+OK");
        assert_eq!(t.server.stats.sum(|worker| &worker.keyspace_misses), 0);
        assert!(t.server.stats.errors().is_empty());
    }

    #[test]
    fn maxmemory_policy_decides_what_access_clocks_count() {
        let mut t = TestServer::new();
        t.check("CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 3", "+OK");
        let env = t.server.env(&t.server.config.get());
        assert!(matches!(env.access, crabcache_store::Access::Lfu { log_factor: 3, .. }));
    }
}
