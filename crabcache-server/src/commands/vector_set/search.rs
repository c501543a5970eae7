//! VSIM.

use super::vector::Given;
use super::{check_arity, similarity};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{self, CommandError, VectorSetError};
use crabcache_resp::number::parse_i64;
use crabcache_resp::{Protocol, Reply};
use crabcache_store::ReadDb;
use crabcache_store::algorithms::double;
use crabcache_store::algorithms::filter::{Filter, Invalid};
use crabcache_store::types::vector_set::{Found, Search, VectorSet};

/// Nodes that a search collects at least, unless EF says another number.
const EF_DEFAULT: usize = 100;
const COUNT_DEFAULT: usize = 10;
/// Nodes that a search with a filter visits for each element that is wanted.
const VISITS_PER_ELEMENT: usize = 100;
/// Farther than any score can be from 1.
const EPSILON_DEFAULT: f32 = 2.0;

/// The options behind the vector.
struct Options<'a> {
    count: usize,
    ef: Option<usize>,
    epsilon: f32,
    filter: Option<Filter<'a>>,
    filter_ef: Option<usize>,
    with_scores: bool,
    with_attributes: bool,
    is_exact: bool,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>, start: usize) -> Result<Options<'a>, CommandError> {
        let mut parsed = Options {
            count: COUNT_DEFAULT,
            ef: None,
            epsilon: EPSILON_DEFAULT,
            filter: None,
            filter_ef: None,
            with_scores: false,
            with_attributes: false,
            is_exact: false,
        };
        let mut options = args.from(start);
        while options.remaining() > 0 {
            let has_value = options.remaining() > 1;
            if options.accept("WITHSCORES") {
                parsed.with_scores = true;
            } else if options.accept("WITHATTRIBS") {
                parsed.with_attributes = true;
            } else if options.accept("TRUTH") {
                parsed.is_exact = true;
            } else if options.accept("NOTHREAD") {
                // A command runs on the thread of its connection anyway.
            } else if has_value && options.accept("COUNT") {
                parsed.count = positive(options.word()?, "COUNT")?;
            } else if has_value && options.accept("EPSILON") {
                let epsilon = double::parse(options.word()?).filter(|epsilon| *epsilon > 0.0);
                parsed.epsilon = epsilon.ok_or(VectorSetError::Invalid("EPSILON"))? as f32;
            } else if has_value && options.accept("EF") {
                parsed.ef = Some(positive(options.word()?, "EF")?);
            } else if has_value && options.accept("FILTER-EF") {
                parsed.filter_ef = Some(positive(options.word()?, "FILTER-EF")?);
            } else if has_value && options.accept("FILTER") {
                parsed.filter = Some(filter(options.word()?)?);
            } else {
                return Err(VectorSetError::VsimSyntax.into());
            }
        }
        Ok(parsed)
    }

    /// How to search.
    fn search(&self) -> Search {
        let n_visits = || self.filter_ef.unwrap_or(self.count.saturating_mul(VISITS_PER_ELEMENT));
        Search {
            ef: self.ef.unwrap_or(EF_DEFAULT).max(self.count),
            n_visits_max: self.filter.as_ref().map_or(usize::MAX, |_| n_visits()),
            is_exact: self.is_exact,
        }
    }
}

fn positive(word: &[u8], option: &'static str) -> Result<usize, VectorSetError> {
    let number = parse_i64(word).and_then(|number| usize::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or(VectorSetError::Invalid(option))
}

fn filter(expression: &[u8]) -> Result<Filter<'_>, VectorSetError> {
    Filter::new(expression)
        .map_err(|Invalid { at }| VectorSetError::FilterSyntax(error::shown(&expression[at..])))
}

/// VSIM key ELE | FP32 | VALUES num vector-or-element [WITHSCORES] [WITHATTRIBS] [COUNT num]
/// [EPSILON distance] [EF factor] [FILTER expression] [FILTER-EF factor] [TRUTH] [NOTHREAD]
pub(super) fn vsim(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    check_arity(ctx, args.len() >= 4)?;
    let Some(set) = db.get_as::<VectorSet>(&ctx.key(args.get(1)))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let (vector, options_at) = if args.is(2, "ELE") {
        let node = set.find(args.get(3)).ok_or(VectorSetError::ElementNotFound)?;
        (set.vector(node), 4)
    } else {
        let given = Given::parse(args, 2)?;
        (fitting(set, given.vector)?, 2 + given.n_words)
    };
    let options = Options::parse(args, options_at)?;
    let mut found = match &options.filter {
        None => set.search(vector, options.search(), |_| true),
        Some(filter) => set.search(vector, options.search(), |node| {
            set.attributes(node).is_some_and(|attributes| filter.accepts(attributes))
        }),
    };
    found.truncate(options.count);
    // Compat: half of the distance, which is how far the score is from 1.
    let is_too_far = |found: &Found| found.distance / 2.0 > options.epsilon;
    let n_near = found.iter().position(is_too_far).unwrap_or(found.len());
    reply(&mut ctx.reply, set, &found[..n_near], &options);
    Ok(())
}

/// A vector as the set's are.
fn fitting(set: &VectorSet, vector: Vec<f32>) -> Result<Vec<f32>, VectorSetError> {
    let (dim, set_dim) = (vector.len(), set.form().dim);
    if dim == set_dim {
        return Ok(vector);
    }
    match set.projection() {
        None => Err(VectorSetError::DimensionMismatch(dim, set_dim)),
        Some(projection) if projection.input_dim() != dim => {
            Err(VectorSetError::InputDimensionMismatch(dim, projection.input_dim()))
        }
        Some(_) => Ok(set.reduce(vector)),
    }
}

fn reply(reply: &mut Reply<'_>, set: &VectorSet, found: &[Found], options: &Options<'_>) {
    let n_values = usize::from(options.with_scores) + usize::from(options.with_attributes);
    // A map, or an array where nothing stands beside the elements.
    match (n_values, reply.protocol()) {
        (1 | 2, Protocol::Resp3) => reply.map(found.len()),
        _ => reply.array(found.len() * (1 + n_values)),
    }
    for found in found {
        reply.bulk(set.name(found.node));
        if n_values == 2 {
            reply.nested_pair();
        }
        if options.with_scores {
            reply.double(similarity(found.distance));
        }
        if options.with_attributes {
            match set.attributes(found.node) {
                Some(attributes) => reply.bulk(attributes),
                None => reply.null(),
            }
        }
    }
}
