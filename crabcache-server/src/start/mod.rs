//! From the command line to a server that accepts connections, and to its end.
//!
//! The order matters: daemonizing comes before any thread exists; log lines come in the order that
//! scripts wait for; sockets are open before "Ready to accept connections".

pub mod arguments;
mod banner;
pub mod limits;
pub mod oom;
pub mod supervisor;
mod system;

use crate::check;
use crate::config::apply::{is_known_locale, system_text};
use crate::config::file::{LoadError, Sources, load};
use crate::config::{Config, Supervised, support};
use crate::error::Logged;
use crate::memory::huge_pages;
use crate::net::balance;
use crate::net::crew::Crew;
use crate::net::listener::{Listeners, Unheard};
use crate::persistence::aof;
use crate::persistence::load;
use crate::persistence::snapshot::Jobs;
use crate::replication::link;
use crate::server::Server;
use crate::server::control::Order;
use crate::shutdown::Signal;
use crate::{cron, key_migration, log, migrate};
use arguments::{Arguments, CRABCACHE_VERSION, REDIS_VERSION};
use crabcache_store::structures::pages;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

/// How long clients get to take their last replies.
const FLUSH_TIME: Duration = Duration::from_millis(500);

/// The program.
pub fn main() -> ExitCode {
    let may_have_huge_pages = huge_pages::hold_back();
    let line: Vec<_> = std::env::args_os().collect();
    if let Some(code) = check::run(&line).or_else(|| migrate::run(&line)) {
        return code;
    }
    let arguments = match Arguments::parse(line) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing can be told to whom does not read.
            let _ = error.print();
            return if arguments::is_answer(&error) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
    };
    match arguments {
        Arguments::Serve(sources) => {
            log::begin();
            log::log_panics();
            serve(&sources, may_have_huge_pages).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
        }
        Arguments::CheckSystem => check_system(),
        Arguments::Unsupported(answer) => {
            let _ = writeln!(io::stderr(), "{answer}");
            ExitCode::FAILURE
        }
    }
}

/// Lists the checks of the system and how they came out.
fn check_system() -> ExitCode {
    let mut is_well = true;
    for check in system::CHECKS {
        let warning = (check.warning)();
        is_well &= warning.is_none();
        let outcome = warning.map_or("OK".to_string(), |text| format!("WARNING:\n{text}\n"));
        let _ = writeln!(io::stdout(), "[{}]...{outcome}", check.name);
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Serves until the end.
fn serve(sources: &Sources, may_have_huge_pages: bool) -> Result<(), Logged> {
    let mut config = load(sources).map_err(|error| report(&error))?;
    log::configure(&config);
    system::warn();
    let is_supervised = supervisor::begin(&config);
    let in_background = config.daemonize && !is_supervised;
    if in_background && let Err(error) = nix::unistd::daemon(true, false) {
        tracing::warn!("Can't run in the background: {}", error.desc());
        return Err(Logged);
    }
    greet(sources);
    check_config(&mut config)?;
    write_pid_file(&mut config, in_background);
    banner::show(&config);
    system::warn_of_backlog(&config);
    check_unknown(&config)?;
    let server = Arc::new(Server::new(config).map_err(|error| {
        tracing::warn!("{error}");
        Logged
    })?);
    if may_have_huge_pages {
        server.memory.huge_pages.allow();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| give_up("start the event loop", &error))?;
    runtime.block_on(run(&server))
}

/// Says why the configuration cannot be used.
fn report(error: &LoadError) -> Logged {
    if let LoadError::CannotOpen { .. } = error {
        tracing::warn!("{error}");
    } else {
        let head = format!("\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***\n");
        let _ = writeln!(io::stderr(), "{head}{error}");
    }
    Logged
}

fn give_up(what: &str, error: &io::Error) -> Logged {
    tracing::warn!("Can't {what}: {}", system_text(error));
    Logged
}

fn greet(sources: &Sources) {
    tracing::info!("oO0OoO0OoO0Oo CrabCache is starting oO0OoO0OoO0Oo");
    tracing::info!(
        "CrabCache version={CRABCACHE_VERSION}, redis_version={REDIS_VERSION}, bits={}, pid={}, \
         just started",
        usize::BITS,
        std::process::id()
    );
    if *sources == Sources::default() {
        let program = std::env::args().next().unwrap_or_default();
        tracing::warn!(
            "Warning: no config file specified, using the default config. In order to specify a \
             config file use {program} /path/to/redis.conf"
        );
    } else {
        tracing::info!("Configuration loaded");
    }
    log::server_begins();
}

/// Refuses what cannot be done, and reduces what the system does not allow.
fn check_config(config: &mut Config) -> Result<(), Logged> {
    let broken = support::broken_promises(config);
    for text in &broken {
        tracing::warn!("{text}. Remove it from the configuration to start the server.");
    }
    if !is_known_locale(&config.locale_collate) {
        tracing::warn!("Failed to configure LOCALE for invalid locale name.");
        return Err(Logged);
    }
    config.maxclients = limits::raise_open_files(config.maxclients);
    if broken.is_empty() && config.maxclients > 0 { Ok(()) } else { Err(Logged) }
}

fn check_unknown(config: &Config) -> Result<(), Logged> {
    if config.unknown.is_empty() {
        return Ok(());
    }
    tracing::warn!("Unresolved Configuration(s) Detected:");
    for line in &config.unknown {
        tracing::warn!(">>> '{line}'");
    }
    tracing::warn!("There are no such parameters, and no modules that could have them: aborting");
    Err(Logged)
}

fn write_pid_file(config: &mut Config, in_background: bool) {
    if in_background && config.pidfile.is_empty() {
        config.pidfile = "/var/run/redis.pid".to_string();
    }
    if config.pidfile.is_empty() {
        return;
    }
    if let Err(error) = std::fs::write(&config.pidfile, format!("{}\n", std::process::id())) {
        tracing::warn!("Failed to write PID file: {}", system_text(&error));
    }
}

/// The threads that serve.
struct Threads {
    crew: Arc<Crew>,
    cron: JoinHandle<()>,
}

fn start_threads(server: &Arc<Server>) -> io::Result<Threads> {
    if server.config.get().jemalloc_bg_thread
        && let Err(error) = crate::memory::set_background_thread(true)
    {
        tracing::warn!("Memory is given back to the system late: no thread for it ({error})");
    }
    // What there is by now is this thread's.
    server.memory.used.note();
    let crew = Crew::start(server)?;
    server.lazyfree.start(&server.memory.used);
    Jobs::start(server);
    aof::writer::start(server)?;
    key_migration::start(server)?;
    let cron = {
        let server = server.clone();
        std::thread::Builder::new().name("cron".to_string()).spawn(move || cron::run(&server))?
    };
    Ok(Threads { crew, cron })
}

/// Accepts connections until the server is to end.
async fn run(server: &Arc<Server>) -> Result<(), Logged> {
    let orders = server.control.connect();
    // Received and forgotten: a file that cannot grow is an error of whoever writes it.
    let too_large = signal(SignalKind::from_raw(nix::libc::SIGXFSZ));
    let _too_large = too_large.map_err(|error| give_up("wait for signals", &error))?;
    let threads =
        start_threads(server).map_err(|error| give_up("start the worker threads", &error))?;
    // Whoever connects before the data is there must not see that there is none.
    server.conditions.set_loading(load::takes_long(server));
    let mut listeners = Listeners::new(server.clone(), threads.crew.clone());
    tokio::spawn(balance::keep(server.clone(), threads.crew.clone()));
    let config = server.config.get();
    if server.tls.configure(&config).is_err() {
        tracing::warn!("Failed to configure TLS. Check logs for more info.");
        return Err(Logged);
    }
    if let Err(Unheard { port, kind }) = listeners.open(&config) {
        tracing::warn!("Failed listening on port {port} ({kind}), aborting.");
        return Err(Logged);
    }
    if listeners.open_unix(&config).is_err() {
        tracing::warn!("Failed listening on port 0 (unix), aborting.");
        return Err(Logged);
    }
    if listeners.is_empty() {
        tracing::warn!("Configured to not listen anywhere, exiting.");
        return Err(Logged);
    }
    tracing::info!("Server initialized");
    if load_data(server).await? == Loaded::Interrupted {
        return Ok(());
    }
    aof::open_at_start(server)?;
    server.conditions.set_loading(false);
    link::at_start(server, &config);
    for kind in listeners.kinds() {
        tracing::info!("Ready to accept connections {kind}");
    }
    if config.supervised != Supervised::No {
        supervisor::tell(&config, "STATUS=Ready to accept connections\n");
        supervisor::tell(&config, "READY=1\n");
    }
    // A score that cannot be set was logged, and is no reason not to serve.
    let _ = oom::adjust(&server.oom_base, &config);
    pages::let_go_of_program();
    let outcome = wait_for_end(server, orders, &mut listeners).await;
    let (asked, outcome) = match outcome {
        Ok(asked) => (asked, Ok(())),
        Err(error) => (None, Err(error)),
    };
    finish(server, listeners, asked, threads).await;
    outcome.map_err(|error| give_up("wait for signals", &error))
}

#[derive(Debug, PartialEq, Eq)]
enum Loaded {
    All,
    /// A signal has asked for the end.
    Interrupted,
}

/// Loads the data. If there is much of it, on a thread of its own, so that clients learn that it is
/// being loaded; else they wait.
async fn load_data(server: &Arc<Server>) -> Result<Loaded, Logged> {
    if !server.conditions.is_loading() {
        return load::at_start(server).map(|()| Loaded::All).map_err(tell_fatal);
    }
    let (done, is_done) = tokio::sync::oneshot::channel();
    let loading = server.clone();
    std::thread::spawn(move || {
        // Nobody waits any more if the process is about to end.
        let _ = done.send(load::at_start(&loading));
    });
    let signals = || Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
    let (mut terminate, mut interrupt) =
        signals().map_err(|error: io::Error| give_up("wait for signals", &error))?;
    let loaded = tokio::select! {
        loaded = is_done => loaded.unwrap_or(Err(Logged)),
        _ = async { tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () } } => {
            tracing::warn!(target: log::SIGNAL, "Received shutdown signal during loading, exiting now.");
            return Ok(Loaded::Interrupted);
        }
    };
    loaded.map_err(tell_fatal)?;
    Ok(Loaded::All)
}

fn tell_fatal(logged: Logged) -> Logged {
    tracing::warn!("Fatal error loading the DB, check server logs. Exiting.");
    logged
}

/// Carries out orders and signals until one of them is the end. Gives who asked for it, if a client
/// did.
async fn wait_for_end(
    server: &Arc<Server>,
    mut orders: UnboundedReceiver<Order>,
    listeners: &mut Listeners,
) -> io::Result<Option<SyncSender<()>>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Received and forgotten: a server outlives the terminal that it was started from.
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Listen(config, done)) => {
                    let result = listeners.reopen(&server.config.get(), &config).await;
                    // Who asked may have gone with its connection.
                    let _ = done.send(result);
                }
                Some(Order::Shutdown(asked)) => return Ok(Some(asked)),
                None => return Ok(None),
            },
            _ = terminate.recv() => server.shutdown.signalled(Signal::Terminate),
            _ = interrupt.recv() => server.shutdown.signalled(Signal::Interrupt),
            _ = hangup.recv() => {}
        }
    }
}

/// Ends in order: no new connections, last replies, threads, files.
async fn finish(
    server: &Arc<Server>,
    listeners: Listeners,
    asked: Option<SyncSender<()>>,
    threads: Threads,
) {
    let config = server.config.get();
    if !config.pidfile.is_empty() {
        tracing::info!("Removing the pid file.");
        // It may be gone, and then that is well.
        let _ = std::fs::remove_file(&config.pidfile);
    }
    let is_unix = !config.unixsocket.is_empty();
    listeners.close().await;
    drop(asked);
    if is_unix {
        tracing::info!("Removing the unix socket file.");
        let _ = std::fs::remove_file(&config.unixsocket);
    }
    server.stop();
    server.clients.wake_all();
    let is_idle = || threads.crew.n_connections() == 0;
    let began = server.clock.elapsed();
    while !is_idle() && server.clock.elapsed() - began < FLUSH_TIME {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    threads.crew.stop();
    // A panic of the thread has been logged.
    let _ = threads.cron.join();
    if server.aof.state() != aof::State::Off {
        // What came after the shutdown was asked for was acknowledged too.
        let _ = aof::writer::flush(server);
    }
    tracing::warn!("Redis is now ready to exit, bye bye...");
}
