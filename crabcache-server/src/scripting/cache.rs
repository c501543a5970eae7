//! The scripts that EVALSHA can name.
//!
//! Scripts loaded by SCRIPT LOAD stay until SCRIPT FLUSH. Those that came with EVAL are forgotten,
//! the least recently used first, when there are more than [`N_EVAL_SCRIPTS_MAX`]: programs that
//! write a new script for every call must not fill the memory.

use super::reach::{Reach, reach_of};
use super::shebang::{self, ScriptFlags};
use crate::command::CommandTable;
use crate::error::CommandError;
use parking_lot::Mutex;
use sha1::{Digest, Sha1};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Scripts of EVAL that are kept.
const N_EVAL_SCRIPTS_MAX: usize = 500;

/// A script's name: forty hexadecimal digits, in lower case.
pub type Sha = [u8; 40];

/// A script.
#[derive(Debug)]
pub struct Script {
    /// Its name.
    pub sha: Sha,
    /// Its text.
    pub body: Box<[u8]>,
    /// What it declares about itself.
    pub flags: ScriptFlags,
    /// Bytes of its first line, if that is a declaration.
    pub shebang_len: usize,
    /// The keys that it can reach.
    pub reach: Reach,
    /// Whether its text is a single line.
    pub is_one_line: bool,
    /// When it was last used, as the cache counts.
    last_use: AtomicU64,
}

impl Script {
    /// Reads a script's declarations. It is not compiled.
    ///
    /// # Errors
    /// If the declarations are not understood.
    pub fn new(body: &[u8], commands: &CommandTable) -> Result<Script, CommandError> {
        let (flags, shebang_len) = shebang::read_eval(body)?;
        let reach = reach_of(&body[shebang_len..], commands);
        Ok(Script {
            sha: sha1_hex(body),
            body: body.into(),
            flags,
            shebang_len,
            reach,
            is_one_line: memchr::memchr(b'\n', body).is_none(),
            last_use: AtomicU64::new(0),
        })
    }

    /// The name as text.
    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.sha).unwrap_or_default()
    }

    fn mem_bytes(&self) -> usize {
        self.body.len() + size_of::<Script>()
    }
}

/// SHA-1 in hexadecimal digits.
pub fn sha1_hex(bytes: &[u8]) -> Sha {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 40];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha1::digest(bytes)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

/// A script in the cache.
#[derive(Debug)]
struct Cached {
    script: Arc<Script>,
    /// Whether EVAL has brought it, so that it may go again.
    is_eval: bool,
}

#[derive(Debug, Default)]
struct Scripts {
    by_sha: HashMap<Sha, Cached>,
    n_eval: usize,
    mem_bytes: usize,
}

impl Scripts {
    /// Removes the script of EVAL that was not used for the longest time.
    fn remove_oldest(&mut self) {
        let of_eval = self.by_sha.values().filter(|cached| cached.is_eval);
        let oldest = of_eval.min_by_key(|cached| cached.script.last_use.load(Ordering::Relaxed));
        let Some(sha) = oldest.map(|cached| cached.script.sha) else { return };
        if let Some(gone) = self.by_sha.remove(&sha) {
            self.mem_bytes -= gone.script.mem_bytes();
            self.n_eval -= 1;
        }
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct ScriptCache {
    scripts: Mutex<Scripts>,
    n_uses: AtomicU64,
    /// Counts SCRIPT FLUSH and evictions: what workers keep of scripts may be outdated.
    generation: AtomicU64,
    /// Scripts forgotten to make room.
    pub evicted_scripts: AtomicU64,
}

impl ScriptCache {
    /// The script of this name, in any letter case.
    pub fn find(&self, sha: &[u8]) -> Option<Arc<Script>> {
        let mut sha: Sha = sha.try_into().ok()?;
        sha.make_ascii_lowercase();
        self.scripts.lock().by_sha.get(&sha).map(|cached| cached.script.clone())
    }

    /// Keeps a script that EVAL or SCRIPT LOAD brought and that compiles. Gives the one that is kept.
    pub fn add(&self, script: Arc<Script>, is_eval: bool) -> Arc<Script> {
        let mut scripts = self.scripts.lock();
        if let Some(known) = scripts.by_sha.get(&script.sha) {
            return known.script.clone();
        }
        if is_eval {
            while scripts.n_eval >= N_EVAL_SCRIPTS_MAX {
                scripts.remove_oldest();
                self.evicted_scripts.fetch_add(1, Ordering::Relaxed);
                self.generation.fetch_add(1, Ordering::Release);
            }
            scripts.n_eval += 1;
            self.touch(&script);
        }
        scripts.mem_bytes += script.mem_bytes();
        scripts.by_sha.insert(script.sha, Cached { script: script.clone(), is_eval });
        script
    }

    /// Notes that a script was used.
    pub fn touch(&self, script: &Script) {
        let number = self.n_uses.fetch_add(1, Ordering::Relaxed);
        script.last_use.store(number, Ordering::Relaxed);
    }

    /// Forgets all scripts.
    pub fn flush(&self) {
        let gone = {
            let mut scripts = self.scripts.lock();
            self.generation.fetch_add(1, Ordering::Release);
            std::mem::take(&mut *scripts)
        };
        drop(gone);
    }

    /// Changes whenever a script was forgotten.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Number of scripts.
    pub fn len(&self) -> usize {
        self.scripts.lock().by_sha.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the scripts take.
    pub fn mem_bytes(&self) -> usize {
        const ENTRY_BYTES: usize = size_of::<Sha>() + size_of::<Cached>();
        let scripts = self.scripts.lock();
        scripts.mem_bytes + scripts.by_sha.len() * ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_of_eval_make_room_and_loaded_ones_stay() {
        let commands = CommandTable::new(&[]).unwrap();
        let script = |number: usize| {
            Arc::new(Script::new(format!("return {number}").as_bytes(), &commands).unwrap())
        };
        let cache = ScriptCache::default();
        let loaded = cache.add(script(10_000), false);
        let first = cache.add(script(0), true);
        let second = cache.add(script(1), true);
        (2..500).for_each(|number| drop(cache.add(script(number), true)));
        assert_eq!((cache.len(), cache.generation()), (501, 0));
        cache.touch(&first);
        cache.add(script(500), true);
        assert_eq!((cache.len(), cache.evicted_scripts.load(Ordering::Relaxed)), (501, 1));
        assert!(cache.find(&second.sha).is_none() && cache.generation() == 1);
        assert!(cache.find(&first.sha.to_ascii_uppercase()).is_some());
        assert!(cache.find(&loaded.sha).is_some() && cache.find(b"x").is_none());
        cache.flush();
        assert!(cache.is_empty() && cache.mem_bytes() == 0);
    }
}
