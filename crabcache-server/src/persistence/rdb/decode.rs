//! A snapshot's file, item by item: keys with their values, and what stands between them.
//!
//! ```text
//! magic, version | (opcode ... | type, key, value)* | EOF | checksum (8 bytes, since version 5)
//! ```
//!
//! Nothing of the file is kept but the value that is being read. What is wrong is told with offset
//! and key. What this is not: it knows no keyspace; expired and duplicated keys are for the caller
//! to find.

use super::object::read_value;
use super::source::Source;
use super::string::{read_array, read_plain_len, read_string, skip_string};
use super::{RdbError, VERSION, hash, opcodes};
use crate::error::{ModuleName, RdbFileError};
use crabcache_store::{Entry, Limits};
use std::io::Read;

/// The first version with a checksum.
const CHECKSUM_VERSION_MIN: u16 = 5;
/// The versions that Valkey writes under a magic of its own.
const VALKEY_VERSIONS: std::ops::RangeInclusive<u16> = 80..=80;

/// What a reader of files allows.
#[derive(Debug, Clone)]
pub struct Options {
    /// Those of compact encodings.
    pub limits: Limits,
    /// Databases that there are.
    pub n_databases: usize,
    /// Whether the checksum is verified.
    pub verifies: bool,
    /// Whether values of unknown modules are left out.
    pub skips_modules: bool,
}

/// One part of a file.
#[derive(Debug)]
pub enum Item {
    /// A key with its value.
    Key(LoadedKey),
    /// A collection without elements: older servers wrote such by mistake.
    Empty(Vec<u8>),
    /// A key whose value is an unknown module's.
    Skipped(Vec<u8>, ModuleName),
    /// Data of an unknown module that belong to no key.
    SkippedData(ModuleName),
    /// A library of functions.
    Function(Vec<u8>),
    /// A name and a value about the file.
    Aux(Vec<u8>, Vec<u8>),
}

/// A key of a file.
#[derive(Debug)]
pub struct LoadedKey {
    /// Its database.
    pub db: usize,
    /// Key, value and expiry.
    pub entry: Entry,
    /// Seconds since it was used, if that is told.
    pub idle_s: Option<i64>,
    /// How often it was used, if that is told.
    pub frequency: Option<u8>,
}

/// See the module's text.
pub struct Decoder<R> {
    source: Source<R>,
    options: Options,
    version: u16,
    is_valkey: bool,
    db: usize,
    is_over: bool,
    is_unverified: bool,
}

/// What was told of the key that comes next.
#[derive(Default)]
struct Attributes {
    expire_at_ms: Option<i64>,
    idle_s: Option<i64>,
    frequency: Option<u8>,
}

impl<R: Read> Decoder<R> {
    /// Reads magic and version.
    ///
    /// # Errors
    /// If they are not known.
    pub fn new(inner: R, options: Options) -> Result<Decoder<R>, RdbFileError> {
        let mut source = Source::new(inner);
        let parsed = read_array(&mut source).and_then(|header| parse_header(&header));
        match parsed {
            Ok((version, is_valkey)) => Ok(Decoder {
                source,
                options,
                version,
                is_valkey,
                db: 0,
                is_over: false,
                is_unverified: false,
            }),
            Err(error) => Err(RdbFileError { error, offset: source.offset(), key: None }),
        }
    }

    /// The version of the format.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.source.offset()
    }

    /// Whether the file, read to its end, had no checksum although its version has one.
    pub fn is_unverified(&self) -> bool {
        self.is_unverified
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// If the file ends too early or is damaged. Nothing can be read from it any more then.
    pub fn next_item(&mut self) -> Result<Option<Item>, RdbFileError> {
        if self.is_over {
            return Ok(None);
        }
        let mut key = None;
        let item = self.read_item(&mut key);
        self.is_over = !matches!(item, Ok(Some(_)));
        item.map_err(|error| RdbFileError { error, offset: self.source.offset(), key })
    }

    fn read_item(&mut self, key: &mut Option<Vec<u8>>) -> Result<Option<Item>, RdbError> {
        let mut attributes = Attributes::default();
        loop {
            let [opcode] = read_array(&mut self.source)?;
            match opcode {
                opcodes::EXPIRETIME => {
                    let at_s = i32::from_le_bytes(read_array(&mut self.source)?);
                    attributes.expire_at_ms = Some(i64::from(at_s) * 1000);
                }
                opcodes::EXPIRETIME_MS => {
                    let at_ms = i64::from_le_bytes(read_array(&mut self.source)?);
                    // Compat: -1 is none.
                    attributes.expire_at_ms = Some(at_ms).filter(|at_ms| *at_ms != -1);
                }
                opcodes::FREQ => attributes.frequency = Some(read_array::<1>(&mut self.source)?[0]),
                opcodes::IDLE => {
                    let idle_s = read_plain_len(&mut self.source)?;
                    attributes.idle_s = Some(i64::try_from(idle_s).unwrap_or(i64::MAX));
                }
                opcodes::SELECTDB => {
                    let db = read_plain_len(&mut self.source)?;
                    let number = usize::try_from(db).ok();
                    self.db = number
                        .filter(|number| *number < self.options.n_databases)
                        .ok_or(RdbError::NoDatabase(db))?;
                }
                opcodes::RESIZEDB => self.skip_lens(2)?,
                opcodes::SLOT_INFO => self.skip_lens(3)?,
                opcodes::VALKEY_SLOT_IMPORT if self.is_valkey => {
                    skip_string(&mut self.source)?;
                    let n_ranges = read_plain_len(&mut self.source)?;
                    for _ in 0..n_ranges {
                        self.skip_lens(2)?;
                    }
                }
                opcodes::AUX => {
                    let name = read_string(&mut self.source)?.into_bytes();
                    let value = read_string(&mut self.source)?.into_bytes();
                    return Ok(Some(Item::Aux(name, value)));
                }
                opcodes::FUNCTION2 => {
                    return Ok(Some(Item::Function(read_string(&mut self.source)?.into_bytes())));
                }
                opcodes::FUNCTION_PRE_GA => return Err(RdbError::PreReleaseFunctions),
                opcodes::MODULE_AUX => return self.read_module_aux().map(Some),
                opcodes::EOF => {
                    self.verify()?;
                    return Ok(None);
                }
                kind => return self.read_key(kind, key, &attributes).map(Some),
            }
        }
    }

    fn skip_lens(&mut self, n: usize) -> Result<(), RdbError> {
        (0..n).try_for_each(|_| read_plain_len(&mut self.source).map(drop))
    }

    fn read_key(
        &mut self,
        kind: u8,
        key: &mut Option<Vec<u8>>,
        attributes: &Attributes,
    ) -> Result<Item, RdbError> {
        let key = key.insert(read_string(&mut self.source)?.into_bytes());
        let Attributes { expire_at_ms, idle_s, frequency } = *attributes;
        let limits = &self.options.limits;
        let read = if self.is_valkey && kind == opcodes::TYPE_VALKEY_HASH {
            hash::read_valkey(&mut self.source, limits)
                .map(|hash| Entry::with_collection(key, hash, expire_at_ms, 0))
        } else {
            read_value(&mut self.source, kind, key, expire_at_ms, limits)
        };
        match read {
            Ok(entry) => Ok(Item::Key(LoadedKey { db: self.db, entry, idle_s, frequency })),
            Err(RdbError::Empty) => Ok(Item::Empty(std::mem::take(key))),
            Err(RdbError::UnknownModule(name)) if self.options.skips_modules => {
                self.skip_module_value()?;
                Ok(Item::Skipped(std::mem::take(key), name))
            }
            Err(error) => Err(error),
        }
    }

    fn read_module_aux(&mut self) -> Result<Item, RdbError> {
        let name = ModuleName(read_plain_len(&mut self.source)?);
        if !self.options.skips_modules {
            return Err(RdbError::UnknownModuleData(name));
        }
        self.skip_module_value()?;
        Ok(Item::SkippedData(name))
    }

    /// Skips the parts of a module's value, which tell their own form.
    fn skip_module_value(&mut self) -> Result<(), RdbError> {
        let source = &mut self.source;
        loop {
            match read_plain_len(source)? {
                opcodes::MODULE_EOF => return Ok(()),
                opcodes::MODULE_SINT | opcodes::MODULE_UINT => drop(read_plain_len(source)?),
                opcodes::MODULE_FLOAT => drop(read_array::<4>(source)?),
                opcodes::MODULE_DOUBLE => drop(read_array::<8>(source)?),
                opcodes::MODULE_STRING => skip_string(source)?,
                _ => return Err(RdbError::Malformed("Module value")),
            }
        }
    }

    fn verify(&mut self) -> Result<(), RdbError> {
        if self.version < CHECKSUM_VERSION_MIN {
            return Ok(());
        }
        let computed = self.source.checksum();
        let written = u64::from_le_bytes(read_array(&mut self.source)?);
        self.is_unverified = written == 0;
        if !self.options.verifies || written == 0 || written == computed {
            return Ok(());
        }
        tracing::warn!(
            "Wrong RDB checksum expected: ({computed:x}) but got ({written:x}). Aborting now."
        );
        Err(RdbError::WrongChecksum)
    }
}

/// The version, and whether it is one of Valkey's.
fn parse_header(header: &[u8; 9]) -> Result<(u16, bool), RdbError> {
    let (digits, is_valkey) = match header {
        [b'R', b'E', b'D', b'I', b'S', digits @ ..] => (&digits[..], false),
        [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => (&digits[..], true),
        _ => return Err(RdbError::WrongSignature),
    };
    // Compat: as `atoi` reads it, up to what is no digit.
    let number = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let version = number.fold(0, |version, byte| version * 10 + u16::from(byte - b'0'));
    let is_known = if is_valkey {
        VALKEY_VERSIONS.contains(&version)
    } else {
        (1..=VERSION).contains(&version)
    };
    if is_known { Ok((version, is_valkey)) } else { Err(RdbError::UnknownVersion(version)) }
}

#[cfg(test)]
mod tests;
