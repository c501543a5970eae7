//! Vector sets: a value of the module type `vectorset`, made of numbers and strings that are each
//! announced by an opcode.
//!
//! ```text
//! type 7, id of the module type
//! dim, elements, quantization | links << 8, flags, [input dim, matrix]
//! for each element: name, [attributes], vector, number of parameters, parameters
//! end
//! ```
//!
//! The parameters of an element are those of its node: id, highest layer and version, for each layer
//! its links, and the length and the range of the vector.

use super::string::{read_plain_len, read_string, write_len, write_string};
use super::{RdbError, opcodes};
use crate::error::ModuleName;
use crabcache_store::types::vector_set::project::Projection;
use crabcache_store::types::vector_set::quantize::Quantization;
use crabcache_store::types::vector_set::{Form, Loaded, VectorSet};
use std::io::Read;

const MALFORMED: RdbError = RdbError::Malformed("Vector set");

/// The module type: its name, six bits a letter, and the version 0 of its encoding.
const TYPE_ID: u64 = type_id(b"vectorset");

/// Flag: a matrix follows.
const HAS_MATRIX: u64 = 1;
/// Flag: each element has attributes, if only empty ones.
const HAS_ATTRIBUTES: u64 = 1 << 1;

/// The version of the nodes' parameters: 0 did not have the farthest link of each layer.
const VERSION: u64 = 1;
const VERSION_SHIFT: u32 = 24;

const fn type_id(name: &[u8; 9]) -> u64 {
    let (mut id, mut at) = (0, 0);
    while at < name.len() {
        // All letters are lower-case ones, which stand behind 26 upper-case ones.
        id = (id << 6) | ((name[at] - b'a') as u64 + 26);
        at += 1;
    }
    id << 10
}

fn number_of(quantization: Quantization) -> u64 {
    match quantization {
        Quantization::None => 0,
        Quantization::Q8 => 1,
        Quantization::Binary => 2,
    }
}

/// Writes the type and the value.
pub fn write(out: &mut Vec<u8>, set: &VectorSet, compress: bool) {
    let Form { dim, quantization, m } = set.form();
    let has_attributes = set.n_attributes() > 0;
    out.push(opcodes::TYPE_MODULE_2);
    write_len(out, TYPE_ID);
    write_number(out, dim as u64);
    write_number(out, set.len() as u64);
    write_number(out, number_of(quantization) | (m as u64) << 8);
    let matrix_flag = if set.projection().is_some() { HAS_MATRIX } else { 0 };
    write_number(out, matrix_flag | if has_attributes { HAS_ATTRIBUTES } else { 0 });
    if let Some(projection) = set.projection() {
        write_number(out, projection.input_dim() as u64);
        write_bytes(out, &projection.to_bytes(), compress);
    }
    for node in 0..set.len() as u32 {
        write_bytes(out, set.name(node), compress);
        if has_attributes {
            write_bytes(out, set.attributes(node).unwrap_or_default(), compress);
        }
        write_bytes(out, &set.stored(node).to_bytes(), compress);
        let params = params_of(set, node);
        write_number(out, params.len() as u64);
        params.into_iter().for_each(|param| write_number(out, param));
    }
    write_len(out, opcodes::MODULE_EOF);
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    write_len(out, opcodes::MODULE_UINT);
    write_len(out, number);
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8], compress: bool) {
    write_len(out, opcodes::MODULE_STRING);
    write_string(out, bytes, compress);
}

/// Two floats in one number.
fn pair(low: u32, high: f32) -> u64 {
    u64::from(high.to_bits()) << 32 | u64::from(low)
}

fn params_of(set: &VectorSet, node: u32) -> Vec<u64> {
    let n_layers = set.n_layers(node);
    let mut params = vec![set.id(node), (n_layers - 1) as u64 | VERSION << VERSION_SHIFT];
    for layer in 0..n_layers {
        let (links, worst_at, worst) = set.sorted_links(node, layer);
        params.extend([links.len() as u64, set.capacity(node, layer) as u64]);
        params.extend(links);
        params.push(pair(worst_at as u32, worst));
    }
    params.push(pair(set.l2(node).to_bits(), set.stored(node).range()));
    params
}

/// Reads the value. What does not fit together is refused, also where the reference would take it:
/// ids twice, or no element.
///
/// # Errors
/// If the input ends, is damaged, or is a value of another module.
pub fn read(input: &mut impl Read) -> Result<VectorSet, RdbError> {
    let id = read_plain_len(input)?;
    if id != TYPE_ID {
        return Err(RdbError::UnknownModule(ModuleName(id)));
    }
    let dim = read_number(input)?;
    let n_elements = read_number(input)?;
    let form = form_of(dim, read_number(input)?)?;
    let flags = read_number(input)?;
    let projection = match flags & HAS_MATRIX {
        0 => None,
        _ => Some(read_projection(input, form.dim)?),
    };
    let mut elements = Vec::new();
    for _ in 0..n_elements {
        elements.push(read_element(input, form, flags & HAS_ATTRIBUTES != 0)?);
    }
    if read_plain_len(input)? != opcodes::MODULE_EOF {
        return Err(MALFORMED);
    }
    if elements.is_empty() {
        return Err(RdbError::Empty);
    }
    VectorSet::load(form, projection, elements).ok_or(MALFORMED)
}

fn form_of(dim: u64, config: u64) -> Result<Form, RdbError> {
    let quantization = match config & 0xff {
        0 => Quantization::None,
        1 => Quantization::Q8,
        2 => Quantization::Binary,
        _ => return Err(MALFORMED),
    };
    let m = match (config >> 8 & 0xffff) as usize {
        0 => Form::M_DEFAULT,
        m @ Form::M_MIN..=Form::M_MAX => m,
        _ => return Err(MALFORMED),
    };
    let dim = u32::try_from(dim).ok().filter(|dim| *dim > 0).ok_or(MALFORMED)?;
    Ok(Form { dim: dim as usize, quantization, m })
}

fn read_number(input: &mut impl Read) -> Result<u64, RdbError> {
    if read_plain_len(input)? != opcodes::MODULE_UINT {
        return Err(MALFORMED);
    }
    read_plain_len(input)
}

fn read_bytes(input: &mut impl Read) -> Result<Vec<u8>, RdbError> {
    if read_plain_len(input)? != opcodes::MODULE_STRING {
        return Err(MALFORMED);
    }
    Ok(read_string(input)?.into_bytes())
}

fn read_projection(input: &mut impl Read, dim: usize) -> Result<Projection, RdbError> {
    let input_dim = u32::try_from(read_number(input)?).map_err(|_| MALFORMED)?;
    Projection::from_bytes(input_dim as usize, dim, &read_bytes(input)?).ok_or(MALFORMED)
}

fn read_element(
    input: &mut impl Read,
    form: Form,
    has_attributes: bool,
) -> Result<Loaded, RdbError> {
    let name = read_bytes(input)?;
    let attributes = if has_attributes { read_bytes(input)? } else { Vec::new() };
    let vector = read_bytes(input)?;
    if vector.len() != form.quantization.vector_bytes(form.dim) {
        return Err(MALFORMED);
    }
    let mut params = Vec::new();
    for _ in 0..read_number(input)? {
        params.push(read_number(input)?);
    }
    let mut element = read_params(&mut params.into_iter()).ok_or(MALFORMED)?;
    (element.name, element.attributes, element.vector) = (name, attributes, vector);
    Ok(element)
}

/// What the parameters of a node say; `None` if they are too few or make no sense.
fn read_params(params: &mut impl Iterator<Item = u64>) -> Option<Loaded> {
    let (id, level_and_version) = (params.next()?, params.next()?);
    let version = level_and_version >> VERSION_SHIFT & 0xff;
    if version > VERSION {
        return None;
    }
    let mut layers = Vec::new();
    for _ in 0..=level_and_version & 0xff {
        let (n_links, n_links_max) = (params.next()? as u32, params.next()? as u32);
        if n_links > n_links_max || n_links_max as usize > Form::LINKS_MAX {
            return None;
        }
        let links: Vec<u64> = params.take(n_links as usize).collect();
        if links.len() != n_links as usize {
            return None;
        }
        if version > 0 {
            let worst_at = params.next()? as u32;
            if n_links > 0 && worst_at >= n_links {
                return None;
            }
        }
        layers.push(links);
    }
    let length_and_range = params.next()?;
    Some(Loaded {
        name: Vec::new(),
        attributes: Vec::new(),
        vector: Vec::new(),
        id,
        l2: f32::from_bits(length_and_range as u32),
        range: f32::from_bits((length_and_range >> 32) as u32),
        layers,
    })
}
