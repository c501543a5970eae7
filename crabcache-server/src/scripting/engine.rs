//! A worker's Lua interpreter.
//!
//! It is made when the worker's first script runs, and stays. It keeps compiled scripts by the hash
//! of their text; what of that is outdated is found by the cache's generation.

use super::cache::{Script, Sha};
use super::functions::{FunctionInfo, Library};
use super::host::{CommandBuffer, HOST};
use super::libraries;
use super::value;
use crate::command::Args;
use crate::error::{CommandError, FunctionError, with_code};
use crate::server::Server;
use mlua::{
    Chunk, ChunkMode, Error, Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table,
    Value, VmState,
};
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Instructions between two looks at the clock.
const HOOK_EVERY: u32 = 100_000;
/// Bytes that an interpreter may take. The reference knows no limit; without one a single script
/// can take all of the machine's memory.
const MEMORY_BYTES_MAX: usize = 1 << 30;
/// Patterns longer than this are refused: the matcher recurses with them.
const PATTERN_BYTES_MAX: usize = 16 * 1024;
/// Scripts after which the memory is looked at.
const SETTLE_PERIOD: u32 = 50;
/// The collector begins anew when memory has grown so much since it ended, in percent: an
/// interpreter that is small anyway can afford some garbage.
const GC_PAUSE: i32 = 400;
/// The same in an interpreter that takes more than [`LARGE_BYTES`].
const GC_PAUSE_LARGE: i32 = 150;
/// How fast the collector works, in percent of what is allocated. Lua's own default.
const GC_STEP: i32 = 200;
/// See [`GC_PAUSE_LARGE`].
const LARGE_BYTES: usize = 16 << 20;
/// Compiled scripts, and functions, that an interpreter holds for this program. What is held takes a
/// place on a stack of it, of which Lua has 8000; whatever else there is was made anew, or stands in a
/// table.
const N_HELD_MAX: usize = 1000;
/// Scripts that are found by their text without hashing it cryptographically.
const N_RECENT_MAX: usize = 64;
/// The name of the sandbox's own code in positions.
pub(super) const SANDBOX: &str = "=sandbox";
/// The name of scripts in positions.
const SCRIPT: &str = "@user_script";

thread_local! {
    static ENGINE: RefCell<Option<Rc<Engine>>> = const { RefCell::new(None) };
}

/// An error that is raised in Lua.
#[derive(Debug, Clone)]
pub(super) struct Raised {
    /// The text; of a table, its field `err`.
    pub(super) text: Vec<u8>,
    /// Whether scripts see a table, as of errors of commands, or the text alone.
    pub(super) is_table: bool,
    /// Whether it is in the statistics already.
    pub(super) is_counted: bool,
}

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&plain_text(&self.text))
    }
}

impl std::error::Error for Raised {}

impl Raised {
    /// An error table of the API: the line, with its code.
    pub(super) fn table(error: &CommandError) -> Error {
        let text = error.to_string().into_bytes();
        Error::external(Raised { text, is_table: true, is_counted: false })
    }

    /// Text with the position of the Lua code that called, as Lua's own functions raise it: none if
    /// it was not Lua code (`pcall(cjson.decode)`).
    pub(super) fn text(lua: &Lua, text: &str) -> Error {
        let is_lua = lua.inspect_stack(1, |debug| debug.source().what != "C") == Some(true);
        let position = if is_lua { position(lua, false) } else { None };
        Raised::plain(&format!("{}{text}", position.unwrap_or_default()))
    }

    /// Text alone.
    pub(super) fn plain(text: &str) -> Error {
        let text = text.as_bytes().to_vec();
        Error::external(Raised { text, is_table: false, is_counted: false })
    }
}

/// Why a script failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure {
    pub(super) line: Vec<u8>,
    pub(super) is_counted: bool,
    /// Where: `@user_script:1`.
    pub(super) position: Option<String>,
}

/// What a library has registered.
pub(super) struct Registered {
    pub(super) functions: Vec<FunctionInfo>,
    /// The functions by name.
    pub(super) by_name: Table,
}

/// A script, and what it was compiled to.
type Compiled = (Arc<Script>, Rc<Function>);

/// A function that was called, and its library as that was when it was loaded here.
type Called = (Arc<Library>, Function);

/// See the module's text.
pub(super) struct Engine {
    pub(super) lua: Lua,
    /// The hidden table of globals.
    globals: Table,
    run: Function,
    run_function: Function,
    scripts: RefCell<HashMap<Sha, Compiled, ahash::RandomState>>,
    recent: RefCell<HashMap<Box<[u8]>, Arc<Script>, ahash::RandomState>>,
    generation: Cell<u64>,
    n_runs: Cell<u32>,
    failure: Rc<RefCell<Option<Failure>>>,
    settings: Rc<libraries::Settings>,
    /// Whether the script that runs has a single line, so that every position is there.
    is_one_line: Rc<Cell<bool>>,
    /// The metatable that decides which globals are seen.
    globals_seen: Table,
    /// The globals of libraries while they are loaded.
    library_api: Table,
    /// What the library that is being loaded has registered.
    registered: Rc<RefCell<Option<Registered>>>,
    /// The libraries that are loaded, by name.
    libraries: RefCell<HashMap<String, Arc<Library>>>,
    /// Tables of their functions, by the library's name.
    library_functions: Table,
    /// Functions that were called lately, by name.
    called: RefCell<HashMap<String, Called>>,
    /// Names the server: tests have many on one thread.
    run_id: String,
}

impl Engine {
    /// The calling thread's interpreter.
    pub(super) fn get(server: &Server) -> Rc<Engine> {
        ENGINE.with_borrow_mut(|slot| {
            if let Some(engine) = slot.as_ref().filter(|engine| engine.run_id == server.run_id) {
                return engine.clone();
            }
            let engine = Engine::new(server).expect("the sandbox is part of the program");
            slot.insert(Rc::new(engine)).clone()
        })
    }

    fn new(server: &Server) -> mlua::Result<Engine> {
        let libs = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS;
        let lua = Lua::new_with(libs, LuaOptions::new())?;
        let globals = lua.globals();
        for name in [
            "print", "dofile", "loadfile", "require", "module", "package", "getfenv", "setfenv",
            "newproxy",
        ] {
            globals.raw_remove(name)?;
        }
        keep_only_clock(&lua, &globals)?;
        globals.raw_set("redis", super::api::table(&lua)?)?;
        let settings = libraries::open(&lua, &globals)?;
        let front = lua.create_table()?;
        let failure: Rc<RefCell<Option<Failure>>> = Rc::default();
        let (noted, is_one_line) = (failure.clone(), Rc::new(Cell::new(false)));
        let one_line = is_one_line.clone();
        let note = lua.create_function(move |lua, error: Value| {
            *noted.borrow_mut() = Some(failure_of(lua, &error, one_line.get()));
            // It may have been made to interrupt everything. The script is over.
            if error.is_error() { set_hook(lua, HOOK_EVERY) } else { Ok(()) }
        })?;
        let one_line = is_one_line.clone();
        let unwrap =
            lua.create_function(move |lua, error: Value| unwrap(lua, error, one_line.get()))?;
        let compile = lua.create_function(compile_text)?;
        let sandbox = lua
            .load(include_str!("sandbox.lua"))
            .set_name(SANDBOX)
            .set_environment(front.clone())
            .into_function()?;
        let registered: Rc<RefCell<Option<Registered>>> = Rc::default();
        let library = super::api::library_table(&lua, &registered)?;
        let (run, run_function, library_api): (Function, Function, Table) = sandbox.call((
            globals.clone(),
            front.clone(),
            library,
            unwrap,
            note,
            compile,
            PATTERN_BYTES_MAX,
        ))?;
        let globals_seen = front.metatable().ok_or(Error::StackError)?;
        lua.set_globals(front)?;
        set_hook(&lua, HOOK_EVERY)?;
        lua.gc_inc(GC_PAUSE, GC_STEP, 0);
        Ok(Engine {
            globals,
            run,
            run_function,
            scripts: RefCell::default(),
            recent: RefCell::default(),
            generation: Cell::new(server.scripting.cache.generation()),
            n_runs: Cell::new(0),
            failure,
            settings,
            is_one_line,
            globals_seen,
            library_api,
            registered,
            libraries: RefCell::default(),
            library_functions: lua.create_table()?,
            called: RefCell::default(),
            run_id: server.run_id.clone(),
            lua,
        })
    }

    /// Forgets compiled scripts if the server has forgotten some.
    fn refresh(&self, server: &Server) {
        let generation = server.scripting.cache.generation();
        if self.generation.replace(generation) != generation {
            let is_known = |sha: &Sha| server.scripting.cache.find(sha).is_some();
            self.scripts.borrow_mut().retain(|sha, _| is_known(sha));
            self.recent.borrow_mut().clear();
        }
    }

    /// The compiled script.
    ///
    /// # Errors
    /// If it is no Lua.
    pub(super) fn script(
        &self,
        server: &Server,
        script: &Arc<Script>,
    ) -> Result<Rc<Function>, CommandError> {
        self.refresh(server);
        if let Some((_, function)) = self.scripts.borrow().get(&script.sha) {
            return Ok(function.clone());
        }
        let text = &script.body[script.shebang_len..];
        let function = load(&self.lua, text, SCRIPT)
            .map_err(|message| CommandError::ScriptSyntax(plain_text(&message)))?;
        let function = Rc::new(function);
        let compiled = (script.clone(), function.clone());
        let mut scripts = self.scripts.borrow_mut();
        if scripts.len() >= N_HELD_MAX {
            scripts.clear();
        }
        scripts.insert(script.sha, compiled);
        Ok(function)
    }

    /// Keeps a script to be found by its text.
    pub(super) fn keep_recent(&self, script: &Arc<Script>) {
        let mut recent = self.recent.borrow_mut();
        if recent.len() >= N_RECENT_MAX {
            recent.clear();
        }
        recent.insert(script.body.clone(), script.clone());
    }

    /// Runs a script with these keys and arguments. `None`: it failed, see [`Engine::failure`].
    pub(super) fn run(
        &self,
        (script, is_one_line): (&Function, bool),
        keys: Args<'_>,
        arguments: Args<'_>,
    ) -> Option<Value> {
        self.is_one_line.set(is_one_line);
        let ran = (|| {
            let (keys, arguments) = (list(&self.lua, keys)?, list(&self.lua, arguments)?);
            self.run.call::<(bool, Value)>((script, keys, arguments))
        })();
        self.outcome(ran)
    }

    /// Runs the text of a library, which registers its functions.
    ///
    /// # Errors
    /// If it is no Lua or fails.
    pub(super) fn load(&self, text: &[u8]) -> Result<Registered, CommandError> {
        let by_name = self.lua.create_table().map_err(|_| CommandError::LuaMemory)?;
        let function = load(&self.lua, text, "@user_function")
            .map_err(|message| FunctionError::FunctionSyntax(plain_text(&message)))?;
        self.is_one_line.set(false);
        *self.registered.borrow_mut() = Some(Registered { functions: Vec::new(), by_name });
        let ran = self.globals_seen.raw_set("__index", &self.library_api).and_then(|()| {
            let ran = self.run.call::<(bool, Value)>(function);
            self.globals_seen.raw_set("__index", &self.globals)?;
            ran
        });
        let registered = self.registered.take();
        self.settings.reset();
        match (self.outcome(ran), registered) {
            (Some(_), Some(registered)) => Ok(registered),
            _ => Err(FunctionError::FunctionFailed(plain_text(&self.failure().line)).into()),
        }
    }

    /// A function of a library, which is loaded if it is not yet.
    ///
    /// # Errors
    /// If it cannot be loaded here, although it could be elsewhere.
    pub(super) fn function(
        &self,
        server: &Server,
        library: &Arc<Library>,
        name: &str,
    ) -> Result<Function, CommandError> {
        if let Some((known, function)) = self.called.borrow().get(name)
            && Arc::ptr_eq(known, library)
        {
            return Ok(function.clone());
        }
        let is_loaded = |known: &Arc<Library>| Arc::ptr_eq(known, library);
        if !self.libraries.borrow().get(&library.name).is_some_and(is_loaded) {
            let registered = self.load(&library.code[library.shebang_len..])?;
            self.forget_libraries(server);
            let kept = self.library_functions.raw_set(&*library.name, registered.by_name);
            kept.map_err(|_| CommandError::LuaMemory)?;
            self.libraries.borrow_mut().insert(library.name.clone(), library.clone());
        }
        let functions = self.library_functions.raw_get::<Table>(&*library.name);
        let found = functions.and_then(|functions| functions.raw_get::<Function>(name));
        let function = found.map_err(|_| CommandError::FunctionNotFound)?;
        let mut called = self.called.borrow_mut();
        if called.len() >= N_HELD_MAX {
            called.clear();
        }
        called.insert(name.to_string(), (library.clone(), function.clone()));
        Ok(function)
    }

    /// Forgets libraries that are gone; called when one comes.
    fn forget_libraries(&self, server: &Server) {
        let libraries = server.scripting.functions.get();
        self.libraries.borrow_mut().retain(|name, _| {
            let is_kept = libraries.has(name);
            if !is_kept {
                // A table takes nil for what is not there.
                let _ = self.library_functions.raw_set(&**name, Value::Nil);
            }
            is_kept
        });
        self.called.borrow_mut().retain(|_, (library, _)| libraries.has(&library.name));
    }

    /// Runs a function with these keys and arguments. As [`Engine::run`].
    pub(super) fn run_function(
        &self,
        function: &Function,
        keys: Args<'_>,
        arguments: Args<'_>,
    ) -> Option<Value> {
        self.is_one_line.set(false);
        let ran = (|| {
            let (keys, arguments) = (list(&self.lua, keys)?, list(&self.lua, arguments)?);
            self.run_function.call::<(bool, Value)>((function, keys, arguments))
        })();
        self.outcome(ran)
    }

    fn outcome(&self, ran: mlua::Result<(bool, Value)>) -> Option<Value> {
        match ran {
            Ok((true, value)) => Some(value),
            Ok((false, _)) => None,
            Err(error) => {
                // Such as the end of a script that was ended again while it told of its end.
                let has_code = raised(&error).is_some_and(|raised| raised.is_table);
                let message = message_of(&error);
                let line = if has_code { message } else { with_code(&message) };
                *self.failure.borrow_mut() = Some(Failure { line, ..Failure::default() });
                None
            }
        }
    }

    /// Why the last script failed.
    pub(super) fn failure(&self) -> Failure {
        self.failure.borrow_mut().take().unwrap_or_else(|| Failure {
            line: CommandError::LuaMemory.to_string().into_bytes(),
            ..Failure::default()
        })
    }

    /// Cleans up after a script; from time to time, looks at the memory.
    pub(super) fn settle(&self, server: &Server, worker: usize, was_killed: bool) {
        self.settings.reset();
        if was_killed {
            // The hook was made to interrupt everything.
            let _ = set_hook(&self.lua, HOOK_EVERY);
        }
        self.n_runs.set(self.n_runs.get() + 1);
        if self.n_runs.get() >= SETTLE_PERIOD || was_killed {
            self.n_runs.set(0);
            let bytes = self.lua.used_memory();
            let pause = if bytes > LARGE_BYTES { GC_PAUSE_LARGE } else { GC_PAUSE };
            self.lua.gc_inc(pause, GC_STEP, 0);
            if bytes > LARGE_BYTES {
                // What a large script has left behind is not to stay until many small ones have run.
                // An error of a finalizer is nobody's.
                let _ = self.lua.gc_step_kbytes((bytes >> 10) as i32 / 8);
            }
            if let Some(shown) = server.scripting.vm_bytes.get(worker) {
                shown.store(bytes, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }
}

/// A script that the calling worker has run lately, by its text.
pub(super) fn recent(server: &Server, body: &[u8]) -> Option<Arc<Script>> {
    look_up(server, |engine| engine.recent.borrow().get(body).cloned())
}

/// A script that the calling worker has compiled, by its name in any letter case.
pub(super) fn recent_by_sha(server: &Server, sha: &[u8]) -> Option<Arc<Script>> {
    let mut sha: Sha = sha.try_into().ok()?;
    sha.make_ascii_lowercase();
    look_up(server, |engine| engine.scripts.borrow().get(&sha).map(|(script, _)| script.clone()))
}

fn look_up<R>(server: &Server, find: impl FnOnce(&Engine) -> Option<R>) -> Option<R> {
    ENGINE.with_borrow(|slot| {
        let engine = slot.as_ref().filter(|engine| engine.run_id == server.run_id)?;
        engine.refresh(server);
        find(engine)
    })
}

/// Compiles a script to see whether it can be.
///
/// # Errors
/// If it is no Lua.
pub fn compile(server: &Server, script: &Arc<Script>) -> Result<(), CommandError> {
    Engine::get(server).script(server, script).map(drop)
}

/// Interrupts the script every so many instructions.
fn set_hook(lua: &Lua, every: u32) -> mlua::Result<()> {
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(every), move |lua, _| {
        // While a command runs, no script does, but a finalizer may.
        if !HOST.is_set() {
            return Ok(VmState::Continue);
        }
        let bytes = lua.used_memory();
        if bytes > LARGE_BYTES {
            lua.gc_inc(GC_PAUSE_LARGE, GC_STEP, 0);
        }
        if bytes > MEMORY_BYTES_MAX {
            return Err(Error::MemoryError(CommandError::LuaMemory.without_code()));
        }
        if let Some(error) = HOST.with(|host| host.interrupt()) {
            if every > 1 {
                // A script that catches the error gets it again at once.
                set_hook(lua, 1)?;
            }
            return Err(Raised::table(&error));
        }
        Ok(VmState::Continue)
    })
}

/// Of the library `os`, scripts have the clock.
fn keep_only_clock(lua: &Lua, globals: &Table) -> mlua::Result<()> {
    let os: Table = globals.raw_get("os")?;
    let kept = lua.create_table()?;
    kept.raw_set("clock", os.raw_get::<Value>("clock")?)?;
    globals.raw_set("os", kept)
}

fn list(lua: &Lua, words: Args<'_>) -> mlua::Result<Table> {
    // Text goes straight into the table; other bytes need a reference each.
    let texts: Result<SmallVec<[&str; 8]>, _> = words.iter().map(std::str::from_utf8).collect();
    if let Ok(texts) = texts {
        return lua.create_sequence_from(texts);
    }
    let table = lua.create_table_with_capacity(words.len(), 0)?;
    for (index, word) in words.iter().enumerate() {
        table.raw_set(index + 1, lua.create_string(word)?)?;
    }
    Ok(table)
}

fn load(lua: &Lua, text: &[u8], name: &str) -> Result<Function, Vec<u8>> {
    let chunk: Chunk<'_> = lua.load(text).set_name(name).set_mode(ChunkMode::Text);
    chunk.into_function().map_err(|error| message_of(&error))
}

/// `loadstring`: the function, or nil and why there is none.
fn compile_text(
    lua: &Lua,
    (text, name): (mlua::String, mlua::String),
) -> mlua::Result<(Value, Value)> {
    let name = plain_text(super::reply::until_nul(&name.as_bytes()));
    Ok(match load(lua, &text.as_bytes(), &name) {
        Ok(function) => (Value::Function(function), Value::Nil),
        Err(message) => (Value::Nil, Value::String(lua.create_string(message)?)),
    })
}

/// Bytes as text for messages.
pub(super) fn plain_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn raised(error: &Error) -> Option<&Raised> {
    match error {
        Error::CallbackError { cause, .. } => raised(cause),
        Error::WithContext { cause, .. } => raised(cause),
        Error::ExternalError(external) => external.downcast_ref(),
        _ => None,
    }
}

/// The text of an error, as Lua would have it.
fn message_of(error: &Error) -> Vec<u8> {
    if let Some(raised) = raised(error) {
        return raised.text.clone();
    }
    match error {
        Error::CallbackError { cause, .. } => message_of(cause),
        Error::SyntaxError { message, .. } => message.clone().into_bytes(),
        Error::RuntimeError(message) | Error::MemoryError(message) => message.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// What scripts see of an error that the program or the sandbox raised.
fn unwrap(lua: &Lua, error: Value, is_one_line: bool) -> mlua::Result<Value> {
    let error = match error {
        Value::Error(error) => error,
        Value::String(text) => {
            let text = moved(&text.as_bytes(), || {
                if is_one_line { format!("{}:1: ", &SCRIPT[1..]) } else { String::new() }
            });
            return Ok(Value::String(lua.create_string(text)?));
        }
        other => return Ok(other),
    };
    match raised(&error) {
        Some(raised) if raised.is_table => {
            Ok(Value::Table(value::error_table(lua, &raised.text, raised.is_counted)?))
        }
        _ => Ok(Value::String(lua.create_string(message_of(&error))?)),
    }
}

/// The Lua code that is running: its name and line.
///
/// Of code that has returned what the sandbox's own code gives (`return pairs(t)`), nothing is left
/// on the stack; then only the line of a script of one line is known.
fn caller(lua: &Lua, is_one_line: bool) -> Option<(String, i64)> {
    let mut level = 1;
    loop {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source.unwrap_or_default().into_owned();
            let is_own = source.what == "C" || source.what == "tail" || name == SANDBOX;
            (!is_own).then(|| (name, debug.current_line().map_or(-1, |line| line as i64)))
        });
        match found {
            None => return is_one_line.then(|| (SCRIPT.to_string(), 1)),
            Some(Some(found)) => return Some(found),
            Some(None) => level += 1,
        }
    }
}

/// The position of the running Lua code, as it stands before messages: `user_script:1: `.
fn position(lua: &Lua, is_one_line: bool) -> Option<String> {
    let (name, line) = caller(lua, is_one_line)?;
    let name = name.trim_start_matches(['@', '=']);
    (line > 0).then(|| format!("{name}:{line}: "))
}

/// What is told of an error that ends a script. Called where it is raised.
fn failure_of(lua: &Lua, error: &Value, is_one_line: bool) -> Failure {
    let position = caller(lua, is_one_line).map(|(name, line)| format!("{name}:{line}"));
    let (line, is_counted) = match error {
        Value::Table(table) => {
            let text = match table.raw_get("err") {
                Ok(Value::String(text)) => super::reply::until_nul(&text.as_bytes()).to_vec(),
                Ok(number @ (Value::Integer(_) | Value::Number(_))) => {
                    number.to_string().unwrap_or_default().into_bytes()
                }
                _ => CommandError::UnknownLuaError.to_string().into_bytes(),
            };
            let ignore = table.raw_get::<Value>("ignore_error_stats_update");
            (text, ignore.is_ok_and(|ignore| ignore.as_boolean() == Some(true)))
        }
        Value::Error(error) => match raised(error) {
            Some(raised) if raised.is_table => {
                let table = value::error_table(lua, &raised.text, raised.is_counted);
                let text = table.and_then(|table| table.raw_get::<mlua::String>("err"));
                let text = text.map(|text| text.as_bytes().to_vec());
                (text.unwrap_or_default(), raised.is_counted)
            }
            _ => (with_code(&message_of(error)), false),
        },
        Value::String(text) => {
            let here = || self::position(lua, is_one_line).unwrap_or_default();
            let text = moved(&text.as_bytes(), here);
            (with_code(super::reply::until_nul(&text)), false)
        }
        other => {
            let text = other.to_string().unwrap_or_default();
            (with_code(text.as_bytes()), false)
        }
    };
    Failure { line, is_counted, position }
}

/// A message that was raised on behalf of a script by the sandbox's code, with the position of the
/// script's own code instead.
fn moved(message: &[u8], position: impl FnOnce() -> String) -> Vec<u8> {
    let own = format!("{}:", &SANDBOX[1..]);
    let Some(rest) = message.strip_prefix(own.as_bytes()) else { return message.to_vec() };
    let n_digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(rest) = rest[n_digits..].strip_prefix(b": ") else { return message.to_vec() };
    [position().as_bytes(), rest].concat()
}

/// The words of a command that a script calls.
///
/// # Errors
/// If one is neither a string nor a number.
pub(super) fn take_words(
    buffer: &mut CommandBuffer,
    values: &MultiValue,
) -> Result<(), CommandError> {
    buffer.clear();
    if values.is_empty() {
        return Err(CommandError::NoScriptArguments);
    }
    for value in values {
        match value {
            Value::String(bytes) => buffer.push(&bytes.as_bytes()),
            // All numbers of scripts are floating-point numbers, and huge ones are written as such.
            Value::Integer(number) if number.unsigned_abs() > 1 << 53 => {
                buffer.push_number(*number as f64);
            }
            Value::Integer(number) => buffer.push(itoa::Buffer::new().format(*number).as_bytes()),
            Value::Number(number) => buffer.push_number(*number),
            _ => return Err(CommandError::ScriptArguments),
        }
    }
    Ok(())
}
