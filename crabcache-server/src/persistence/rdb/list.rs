//! Lists: a number of nodes, each a kind of container and its bytes.

use super::string::{read_plain_len, read_string, write_len, write_string};
use super::{RdbError, opcodes};
use crabcache_store::Limits;
use crabcache_store::structures::listpack::Listpack;
use crabcache_store::types::list::List;
use std::io::Read;

/// A node with several elements in a listpack.
const CONTAINER_PACKED: u64 = 2;

/// Writes the type and the value.
pub fn write(out: &mut Vec<u8>, list: &List, compress: bool) {
    let mut pack = Listpack::new();
    list.iter().for_each(|element| pack.push_back(&element.bytes()));
    out.push(opcodes::TYPE_LIST_QUICKLIST_2);
    write_len(out, 1);
    write_len(out, CONTAINER_PACKED);
    write_string(out, pack.as_bytes(), compress);
}

/// Reads a value of the type `TYPE_LIST_QUICKLIST_2`.
///
/// # Errors
/// If the input ends or is damaged.
pub fn read(input: &mut impl Read, _: &Limits) -> Result<List, RdbError> {
    let mut list = List::default();
    for _ in 0..read_plain_len(input)? {
        if read_plain_len(input)? != CONTAINER_PACKED {
            return Err(RdbError::Malformed("list"));
        }
        let node = Listpack::from_bytes(&read_string(input)?.into_bytes());
        for (_, element) in node.map_err(|_| RdbError::Malformed("list"))?.iter() {
            list.push_back(&element.bytes());
        }
    }
    if list.is_empty() { Err(RdbError::Malformed("list")) } else { Ok(list) }
}
