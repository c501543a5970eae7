//! VADD.

use super::vector::Given;
use super::{changed, check_arity};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{CommandError, VectorSetError};
use crabcache_resp::number::parse_i64;
use crabcache_store::types::vector_set::project::Projection;
use crabcache_store::types::vector_set::quantize::Quantization;
use crabcache_store::types::vector_set::{Form, VectorSet};
use crabcache_store::{Lookup, WriteDb};

/// Nodes that are searched for those to link with.
const EF_DEFAULT: usize = 200;
const EF_MAX: i64 = 1_000_000;

/// The options behind the element.
struct Options<'a> {
    ef: usize,
    m: usize,
    quantization: Quantization,
    attributes: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>, start: usize) -> Result<Options<'a>, CommandError> {
        let mut parsed = Options {
            ef: EF_DEFAULT,
            m: Form::M_DEFAULT,
            quantization: Quantization::Q8,
            attributes: None,
        };
        let mut options = args.from(start);
        while options.remaining() > 0 {
            let has_value = options.remaining() > 1;
            if options.accept("CAS") {
                // Commands run on all cores anyway.
            } else if has_value && options.accept("EF") {
                let ef = parse_i64(options.word()?).filter(|ef| (1..=EF_MAX).contains(ef));
                parsed.ef = ef.ok_or(VectorSetError::Invalid("EF"))? as usize;
            } else if has_value && options.accept("M") {
                let m = parse_i64(options.word()?).and_then(|m| usize::try_from(m).ok());
                let m = m.filter(|m| (Form::M_MIN..=Form::M_MAX).contains(m));
                parsed.m = m.ok_or(VectorSetError::Invalid("M"))?;
            } else if has_value && options.accept("SETATTR") {
                parsed.attributes = Some(options.word()?);
            } else if options.accept("NOQUANT") {
                parsed.quantization = Quantization::None;
            } else if options.accept("BIN") {
                parsed.quantization = Quantization::Binary;
            } else if options.accept("Q8") {
                parsed.quantization = Quantization::Q8;
            } else {
                return Err(VectorSetError::Invalid("option after element").into());
            }
        }
        Ok(parsed)
    }
}

/// VADD key [REDUCE dim] FP32 | VALUES num vector element [CAS] [NOQUANT | Q8 | BIN] [EF factor]
/// [SETATTR attributes] [M numlinks]
pub(super) fn vadd(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() >= 5)?;
    let given = Given::parse_reduced(args, 2)?;
    let element_at = 2 + given.n_words;
    check_arity(ctx, args.len() > element_at)?;
    let options = Options::parse(args, element_at + 1)?;
    let (key, element) = (ctx.key(args.get(1)), args.get(element_at));
    let insert = |set: &mut VectorSet, vector| {
        set.insert(element, vector, options.attributes, options.ef, rand::random())
    };
    let is_new = match db.get_as::<VectorSet>(&key, Lookup::Write)? {
        Some(set) => {
            check_form(set, &given, &options)?;
            let vector = set.reduce(given.vector);
            db.edit(&key, |set| insert(set, vector))?.is_some_and(|edited| edited.result)
        }
        None => {
            let mut set = new_set(&given, &options)?;
            let vector = set.reduce(given.vector);
            let is_new = insert(&mut set, vector);
            db.set_collection(&key, set);
            is_new
        }
    };
    // Compat: the reference does not replicate another vector for an old element, so that replicas
    // keep the old one.
    changed(ctx, key.bytes);
    if is_new && options.attributes == Some(b"") {
        ctx.effects.propagate(without_attributes(args, element_at + 1));
    }
    ctx.reply.bool(is_new);
    Ok(())
}

/// The request without its SETATTR: of a new element, the reference would keep empty attributes.
fn without_attributes<'a>(args: Args<'a>, start: usize) -> Vec<&'a [u8]> {
    let mut kept: Vec<&[u8]> = args.first(start).iter().collect();
    let mut options = args.from(start);
    while let Ok(word) = options.word() {
        let is_attributes = word.eq_ignore_ascii_case(b"SETATTR");
        let has_value = [&b"EF"[..], b"M"].iter().any(|name| word.eq_ignore_ascii_case(name));
        let value = if is_attributes || has_value { options.word().ok() } else { None };
        if !is_attributes {
            kept.extend(std::iter::once(word).chain(value));
        }
    }
    kept
}

fn new_set(given: &Given, options: &Options<'_>) -> Result<VectorSet, VectorSetError> {
    let input_dim = given.vector.len();
    let projection = match given.reduce {
        // Compat: the reference asks for as much memory as that takes.
        Some(dim) => Some(
            Projection::new(input_dim, dim)
                .ok_or(VectorSetError::Invalid("vector specification"))?,
        ),
        None => None,
    };
    let dim = given.reduce.unwrap_or(input_dim);
    let form = Form { dim, quantization: options.quantization, m: options.m };
    Ok(VectorSet::new(form, projection))
}

/// Whether a vector is one of those of the set.
fn check_form(set: &VectorSet, given: &Given, options: &Options<'_>) -> Result<(), VectorSetError> {
    let (form, dim) = (set.form(), given.vector.len());
    if form.quantization != options.quantization {
        return Err(VectorSetError::QuantizationMismatch);
    }
    if form.m != options.m {
        return Err(VectorSetError::LinksMismatch);
    }
    let Some(projection) = set.projection() else {
        if form.dim != dim {
            return Err(VectorSetError::DimensionMismatch(dim, form.dim));
        }
        let is_reduced = given.reduce.is_some();
        return if is_reduced { Err(VectorSetError::NotReduced) } else { Ok(()) };
    };
    if given.reduce != Some(form.dim) {
        return Err(VectorSetError::DimensionMismatch(dim, form.dim));
    }
    if dim != projection.input_dim() {
        return Err(VectorSetError::InputDimensionMismatch(dim, projection.input_dim()));
    }
    Ok(())
}
