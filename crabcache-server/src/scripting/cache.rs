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
use std::collections::{BTreeMap, HashMap};
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
}

impl Script {
    /// Reads a script's declarations. It is not compiled.
    ///
    /// # Errors
    /// If the declarations are not understood.
    pub fn new(body: &[u8], commands: &CommandTable) -> Result<Script, CommandError> {
        let (flags, shebang_len) = shebang::read_eval(body)?;
        let reach = reach_of(&body[shebang_len..], commands);
        Ok(Script { sha: sha1_hex(body), body: body.into(), flags, shebang_len, reach })
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

#[derive(Debug, Default)]
struct Scripts {
    by_sha: HashMap<Sha, (Arc<Script>, Option<u64>)>,
    /// Scripts of EVAL by when they were last used.
    by_use: BTreeMap<u64, Sha>,
    last_use: u64,
    mem_bytes: usize,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct ScriptCache {
    scripts: Mutex<Scripts>,
    /// Counts SCRIPT FLUSH and evictions: what workers keep of scripts may be outdated.
    generation: AtomicU64,
    /// Scripts forgotten to make room.
    pub evicted_scripts: AtomicU64,
}

impl ScriptCache {
    /// The script of this name, in any letter case.
    pub fn find(&self, sha: &[u8]) -> Option<Arc<Script>> {
        let sha: Sha = sha.to_ascii_lowercase().try_into().ok()?;
        self.scripts.lock().by_sha.get(&sha).map(|(script, _)| script.clone())
    }

    /// Keeps a script that EVAL or SCRIPT LOAD brought and that compiles. Gives the one that is kept.
    pub fn add(&self, script: Arc<Script>, is_eval: bool) -> Arc<Script> {
        let mut scripts = self.scripts.lock();
        if let Some((known, _)) = scripts.by_sha.get(&script.sha) {
            return known.clone();
        }
        let mut last_use = None;
        if is_eval {
            while scripts.by_use.len() >= N_EVAL_SCRIPTS_MAX {
                let Some((_, oldest)) = scripts.by_use.pop_first() else { break };
                if let Some((gone, _)) = scripts.by_sha.remove(&oldest) {
                    scripts.mem_bytes -= gone.mem_bytes();
                }
                self.evicted_scripts.fetch_add(1, Ordering::Relaxed);
                self.generation.fetch_add(1, Ordering::Release);
            }
            scripts.last_use += 1;
            let use_number = scripts.last_use;
            scripts.by_use.insert(use_number, script.sha);
            last_use = Some(use_number);
        }
        scripts.mem_bytes += script.mem_bytes();
        scripts.by_sha.insert(script.sha, (script.clone(), last_use));
        script
    }

    /// Notes that a script was used.
    pub fn touch(&self, script: &Script) {
        let mut scripts = self.scripts.lock();
        let next = scripts.last_use + 1;
        let Some((_, Some(last_use))) = scripts.by_sha.get_mut(&script.sha) else { return };
        let old = std::mem::replace(last_use, next);
        scripts.by_use.remove(&old);
        scripts.by_use.insert(next, script.sha);
        scripts.last_use = next;
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
        const ENTRY_BYTES: usize = 2 * size_of::<Sha>() + size_of::<(Arc<Script>, Option<u64>)>();
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
