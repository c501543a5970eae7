//! Server processes: the reference and CrabCache, each on a free port, in a folder of its own.
//!
//! Where the programs are:
//! - the reference: `CRABCACHE_REFERENCE`, else what `scripts/install_reference` put into `.tools`;
//! - CrabCache: `CRABCACHE_SERVER`, else `crabcache-server` beside the running test, which is built
//!   anew if a source file is newer.
//!
//! A server ends with its [`Server`] value, and with the process that started it however that ends.

use crate::wire::{Connection, Received};
use crabcache_resp::Protocol;
use rand::RngExt;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Below the ports that the kernel gives to outgoing connections, so that none of those takes the
/// port between our look and the server's.
const PORTS: std::ops::Range<u16> = 21_000..32_000;
const START_TRIES: usize = 5;

/// What stops a server from being there.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No program.
    #[error("{0} does not exist: run scripts/install_reference, or set CRABCACHE_REFERENCE")]
    NoReference(PathBuf),
    /// The build of CrabCache failed.
    #[error("cargo build -p crabcache-server failed:\n{0}")]
    Build(String),
    /// It ended or never answered.
    #[error("{program} did not start:\n{log}")]
    Start {
        /// Its path.
        program: PathBuf,
        /// What it wrote.
        log: String,
    },
    /// The system refused.
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The server whose behaviour is right.
    Reference,
    /// The server under test.
    CrabCache,
    /// Redis 7.0, which many still run: files are to go there and come from there.
    Older,
}

impl Which {
    /// Path of the program, which exists.
    ///
    /// # Errors
    /// If it is not installed or cannot be built.
    pub fn program(self) -> Result<PathBuf, StartError> {
        match self {
            Which::Reference => reference(),
            Which::CrabCache => crabcache(),
            Which::Older => Ok(tool("redis-server")),
        }
    }
}

/// The top folder of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the repository")
}

/// A program that `scripts/install_reference` installs (`redis-cli` and its like).
pub fn tool(name: &str) -> PathBuf {
    repository().join(".tools/bin").join(name)
}

fn reference() -> Result<PathBuf, StartError> {
    let path = match std::env::var_os("CRABCACHE_REFERENCE") {
        Some(path) => PathBuf::from(path),
        None => tool("redis-server-8.2"),
    };
    if path.is_file() { Ok(path) } else { Err(StartError::NoReference(path)) }
}

fn crabcache() -> Result<PathBuf, StartError> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    if let Some(path) = std::env::var_os("CRABCACHE_SERVER") {
        return Ok(PathBuf::from(path));
    }
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(path) = &*built {
        return Ok(path.clone());
    }
    let test = std::env::current_exe().map_err(|error| StartError::Io("own path", error))?;
    // <target>/<profile>/deps/<test> or <target>/<profile>/<program>
    let beside = test.parent().unwrap_or(Path::new(""));
    let folder = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside };
    let path = folder.join("crabcache-server");
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    if modified.map_or(true, |modified| newest_source() > modified) {
        build(folder)?;
    }
    *built = Some(path.clone());
    Ok(path)
}

/// Cargo builds programs for the integration tests of their own package only.
fn build(folder: &Path) -> Result<(), StartError> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("debug");
    let profile = if name == "debug" { "dev" } else { name };
    let cargo = std::env::var_os("CARGO").unwrap_or(OsString::from("cargo"));
    let output = Command::new(cargo)
        .args(["build", "--package", "crabcache-server", "--profile", profile, "--target-dir"])
        .arg(folder.parent().unwrap_or(folder))
        .current_dir(repository())
        .output()
        .map_err(|error| StartError::Io("cargo", error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(StartError::Build(String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn newest_source() -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut folders = Vec::new();
    for name in ["crabcache-resp", "crabcache-store", "crabcache-server"] {
        folders.push(repository().join(name));
    }
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => newest = newest.max(metadata.modified().unwrap_or(newest)),
                Err(_) => {}
            }
        }
    }
    newest
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Which of the two.
    pub which: Which,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its working folder.
    pub folder: TempDir,
    child: Child,
}

impl Server {
    /// Starts a server without persistence in which DEBUG is allowed; `options` are added as on a
    /// command line (`--name`, `value`).
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(which: Which, options: &[&str]) -> Result<Server, StartError> {
        let program = which.program()?;
        let mut tries = START_TRIES;
        loop {
            let started = Server::start_on(which, &program, free_port(), options);
            tries -= 1;
            if started.is_ok() || tries == 0 {
                return started;
            }
        }
    }

    fn start_on(
        which: Which,
        program: &Path,
        port: u16,
        options: &[&str],
    ) -> Result<Server, StartError> {
        let folder = TempDir::new().map_err(|error| StartError::Io("temporary folder", error))?;
        let child = run(program, &folder, port, options)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Server { which, address, folder, child };
        if server.comes_up() {
            return Ok(server);
        }
        Err(StartError::Start { program: program.to_path_buf(), log: server.log() })
    }

    /// Ends the server as if it crashed, and starts it or the other one again with its files.
    ///
    /// # Errors
    /// See [`StartError`]. There is no server then.
    pub fn restart(&mut self, which: Which, options: &[&str]) -> Result<(), StartError> {
        self.kill();
        let program = which.program()?;
        self.address.set_port(free_port());
        self.which = which;
        self.child = run(&program, &self.folder, self.address.port(), options)?;
        if self.comes_up() { Ok(()) } else { Err(StartError::Start { program, log: self.log() }) }
    }

    /// Ends the server as if it crashed.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until the server has ended by itself. Whether it has in time.
    pub fn has_ended(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        !self.is_alive()
    }

    fn comes_up(&mut self) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if !self.is_alive() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok()
                && let Ok(mut connection) = self.connect(Protocol::Resp2)
                && let Ok(Received::Reply(reply)) = connection.call(&["PING"])
                && !reply.starts_with(b"-LOADING")
            {
                return self.is_alive();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Starts the program again, after its end, on the same port and in the same folder.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_again(&mut self, options: &[&str]) -> Result<(), StartError> {
        let program = self.which.program()?;
        self.child = run(&program, &self.folder, self.address.port(), options)?;
        if self.comes_up() {
            return Ok(());
        }
        Err(StartError::Start { program, log: self.log() })
    }

    /// Whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Another connection.
    ///
    /// # Errors
    /// If the server does not take it.
    pub fn connect(&self, protocol: Protocol) -> io::Result<Connection> {
        Connection::open(self.address, protocol)
    }

    /// The port as programs take it.
    pub fn port(&self) -> String {
        self.address.port().to_string()
    }

    /// Megabytes of its pages that are in memory; 0 if it has ended.
    pub fn resident_mb(&self) -> usize {
        self.memory_mb("status", "VmRSS:")
    }

    /// Megabytes of its memory that are in huge pages; 0 if it has ended.
    pub fn huge_mb(&self) -> usize {
        self.memory_mb("smaps_rollup", "AnonHugePages:")
    }

    /// What a line of one of its files in `/proc` tells in kilobytes.
    fn memory_mb(&self, file: &str, name: &str) -> usize {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.pid()));
        let kb = text.ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<usize>().ok()
        });
        kb.unwrap_or(0) / 1024
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its output.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a program with a folder as its working directory.
fn run(program: &Path, folder: &TempDir, port: u16, options: &[&str]) -> Result<Child, StartError> {
    let log_path = folder.path().join("output");
    let log = || File::options().create(true).append(true).open(&log_path);
    let (stdout, stderr) = match (log(), log()) {
        (Ok(stdout), Ok(stderr)) => (stdout, stderr),
        (Err(error), _) | (_, Err(error)) => return Err(StartError::Io("log", error)),
    };
    let mut command = ending_with_us(program);
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--enable-debug-command", "yes"])
        .args(options)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr);
    spawn(command).map_err(|error| StartError::Io("start", error))
}

/// A command that is killed when the thread that starts it ends (see [`spawn`]).
fn ending_with_us(program: &Path) -> Command {
    static HAS_SETPRIV: OnceLock<bool> = OnceLock::new();
    let has_setpriv = HAS_SETPRIV.get_or_init(|| {
        let mut probe = Command::new("setpriv");
        probe.args(["--pdeathsig", "KILL", "true"]).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    });
    if !has_setpriv {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// Starts a process from a thread that lives as long as this process: the kernel's "signal when the
/// parent dies" means the parent's thread.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static ORDERS: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (orders, received) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in received {
                // Whoever asked waits for it.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (reply, child) = channel();
    let gone = || io::Error::other("the starting thread is gone");
    orders
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .send((command, reply))
        .map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    let mut random = rand::rng();
    loop {
        let port = random.random_range(PORTS);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
