//! Functions: libraries that stay with the data, and what they have registered.
//!
//! The libraries are the server's; each worker's interpreter loads one when a function of it is
//! first called there, and again when it was replaced. Variables of a library are therefore each
//! worker's own.

use super::engine::Engine;
use super::host::load_host;
use super::library_reach::reach_of_library;
use super::reach::Reach;
use super::shebang::{self, ScriptFlags};
use crate::error::{CommandError, FunctionError};
use crate::persistence::rdb::opcodes::{FUNCTION_PRE_GA, FUNCTION2};
use crate::persistence::rdb::payload;
use crate::persistence::rdb::string::{read_string, write_string};
use crate::server::Server;
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A function, as FUNCTION LIST tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<Vec<u8>>,
    /// What it declares about itself.
    pub flags: ScriptFlags,
}

/// A library.
#[derive(Debug)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// Its text.
    pub code: Box<[u8]>,
    /// Bytes of the line that declares it.
    pub shebang_len: usize,
    /// What it has registered.
    pub functions: Vec<Arc<FunctionInfo>>,
    /// The keys that its functions can reach.
    pub reach: Reach,
}

impl FunctionInfo {
    fn key(&self) -> Vec<u8> {
        self.name.to_ascii_lowercase().into_bytes()
    }
}

impl Library {
    fn mem_bytes(&self) -> usize {
        size_of::<Library>() + self.code.len() + self.functions.len() * size_of::<FunctionInfo>()
    }
}

/// All libraries.
#[derive(Debug, Default, Clone)]
pub struct Libraries {
    by_name: BTreeMap<String, Arc<Library>>,
    /// By names in lower case: letter case does not matter where a function is called.
    by_function: HashMap<Vec<u8>, (Arc<Library>, Arc<FunctionInfo>)>,
}

impl Libraries {
    /// The libraries, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Library>> {
        self.by_name.values()
    }

    /// Whether there is a library of this name.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Number of libraries.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Number of functions.
    pub fn n_functions(&self) -> usize {
        self.by_function.len()
    }

    /// Bytes that they take.
    pub fn mem_bytes(&self) -> usize {
        self.all().map(|library| library.mem_bytes()).sum()
    }

    /// The library of a function, and what is known of it.
    pub fn function(&self, name: &[u8]) -> Option<(Arc<Library>, Arc<FunctionInfo>)> {
        self.by_function.get(&name.to_ascii_lowercase()).cloned()
    }

    fn remove(&mut self, name: &str) -> bool {
        let Some(library) = self.by_name.remove(name) else { return false };
        for function in &library.functions {
            self.by_function.remove(&function.key());
        }
        true
    }

    /// Fails if another library than one of the same name has a function of `library`.
    fn check_functions(&self, library: &Library) -> Result<(), CommandError> {
        for function in &library.functions {
            let known = self.by_function.get(&function.key());
            if known.is_some_and(|(other, _)| other.name != library.name) {
                return Err(FunctionError::FunctionExists(function.name.clone()).into());
            }
        }
        Ok(())
    }

    fn add(&mut self, library: Arc<Library>) -> Result<(), CommandError> {
        self.check_functions(&library)?;
        for function in &library.functions {
            let entry = (library.clone(), function.clone());
            self.by_function.entry(function.key()).or_insert(entry);
        }
        self.by_name.insert(library.name.clone(), library);
        Ok(())
    }
}

/// The libraries of a server. Whoever looks at all of them shares them; they are copied only if they
/// change meanwhile.
#[derive(Debug, Default)]
pub struct Functions(RwLock<Arc<Libraries>>);

impl Functions {
    /// The libraries now.
    pub fn get(&self) -> Arc<Libraries> {
        self.0.read().clone()
    }

    /// As [`Libraries::function`].
    pub fn function(&self, name: &[u8]) -> Option<(Arc<Library>, Arc<FunctionInfo>)> {
        self.0.read().function(name)
    }

    /// Removes all libraries.
    pub fn flush(&self) {
        *self.0.write() = Arc::default();
    }

    /// Removes a library.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn delete(&self, name: &[u8]) -> Result<(), CommandError> {
        let is_removed = Arc::make_mut(&mut self.0.write()).remove(&String::from_utf8_lossy(name));
        if is_removed {
            Ok(())
        } else {
            Err(CommandError::Function(FunctionError::LibraryNotFound))
        }
    }
}

/// Loads a library; gives its name.
///
/// # Errors
/// If it cannot be; then nothing has changed.
pub fn load(server: &Server, code: &[u8], replaces: bool) -> Result<String, CommandError> {
    let library = read(server, code, |name| {
        !replaces && server.scripting.functions.0.read().by_name.contains_key(name)
    })?;
    let mut libraries = server.scripting.functions.0.write();
    libraries.check_functions(&library)?;
    let libraries = Arc::make_mut(&mut libraries);
    let name = library.name.clone();
    libraries.remove(&name);
    libraries.add(Arc::new(library))?;
    Ok(name)
}

/// Reads a library's text and has it register its functions.
fn read(
    server: &Server,
    code: &[u8],
    is_taken: impl Fn(&str) -> bool,
) -> Result<Library, CommandError> {
    let (name, shebang_len) = shebang::read_library(code)?;
    if is_taken(&name) {
        return Err(FunctionError::LibraryExists(name).into());
    }
    let registered = load_host(server, || Engine::get(server).load(&code[shebang_len..]))?;
    let functions: Vec<_> = registered.functions.into_iter().map(Arc::new).collect();
    if functions.is_empty() {
        return Err(CommandError::Function(FunctionError::NoFunctions));
    }
    let reach = reach_of_library(&code[shebang_len..], &server.commands);
    Ok(Library { name, code: code.into(), shebang_len, functions, reach })
}

/// All libraries as FUNCTION RESTORE takes them.
pub fn dump(libraries: &Libraries, compresses: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for library in libraries.all() {
        out.push(FUNCTION2);
        write_string(&mut out, &library.code, compresses);
    }
    payload::seal(out)
}

/// What FUNCTION RESTORE does with libraries that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestorePolicy {
    /// They go.
    Flush,
    /// They stay, and none of the same name may come.
    Append,
    /// Those of the same name go.
    Replace,
}

/// Restores what [`dump`] gave.
///
/// # Errors
/// If it cannot be; then nothing has changed.
pub fn restore(server: &Server, bytes: &[u8], policy: RestorePolicy) -> Result<(), CommandError> {
    let payload = payload::verify(bytes, server.persistence.skips_checksums());
    let mut rest = payload.map_err(|_| CommandError::WrongPayload)?;
    let mut loaded = Libraries::default();
    while let Some((kind, after)) = rest.split_first() {
        rest = after;
        match *kind {
            FUNCTION2 => {}
            FUNCTION_PRE_GA => {
                return Err(CommandError::Function(FunctionError::PreReleaseFunction));
            }
            _ => return Err(CommandError::Function(FunctionError::NotAFunction)),
        }
        let code = read_string(&mut rest)
            .map_err(|_| CommandError::Function(FunctionError::FunctionsUnreadable))?;
        let code = code.into_bytes();
        let library = read(server, &code, |name| loaded.by_name.contains_key(name))?;
        loaded.add(Arc::new(library))?;
    }
    let mut libraries = server.scripting.functions.0.write();
    let mut new = match policy {
        RestorePolicy::Flush => Libraries::default(),
        _ => Libraries::clone(&libraries),
    };
    for name in loaded.by_name.keys() {
        if new.by_name.contains_key(name) && policy == RestorePolicy::Append {
            return Err(FunctionError::LibraryExistsAlready(name.clone()).into());
        }
        new.remove(name);
    }
    for library in loaded.all() {
        new.add(library.clone())?;
    }
    *libraries = Arc::new(new);
    Ok(())
}
