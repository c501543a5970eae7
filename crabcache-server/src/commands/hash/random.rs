//! HRANDFIELD: fields drawn at random.

use crate::command::{Args, CommandResult, Ctx};
use crate::commands::drawn::reply_drawn;
use crate::commands::string::reply_string;
use crate::error::CommandError;
use crabcache_store::types::hash::{FieldRef, Hash};
use crabcache_store::{Collection, ReadDb};
use std::collections::HashSet;

/// HRANDFIELD key [count [WITHVALUES]]
pub(super) fn hrandfield(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.len() == 2 {
        let field = Fields::of(db, ctx, args)?;
        match field.as_ref().and_then(Fields::draw) {
            Some(field) => reply_string(&mut ctx.reply, field.name),
            None => ctx.reply.null(),
        }
        return Ok(());
    }
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(CommandError::OutsideRange(-i64::MAX, i64::MAX));
    }
    let has_values = args.len() > 3;
    if args.len() > 4 || (has_values && !args.is(3, "WITHVALUES")) {
        return Err(CommandError::Syntax);
    }
    if has_values && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(CommandError::OutOfRange);
    }
    let fields = Fields::of(db, ctx, args)?;
    let n_drawn = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let Some(fields) = fields.filter(|fields| n_drawn > 0 && fields.len() > 0) else {
        ctx.reply.array(0);
        return Ok(());
    };
    if count < 0 || count == 1 {
        let begin = |ctx: &mut Ctx| begin(ctx, n_drawn, has_values);
        return reply_drawn(ctx, n_drawn, begin, |ctx| {
            if let Some(field) = fields.draw() {
                reply_field(ctx, field, has_values);
            }
        });
    }
    begin(ctx, n_drawn.min(fields.len()), has_values);
    fields.each_distinct(n_drawn, |field| reply_field(ctx, field, has_values));
    Ok(())
}

/// Begins the reply: pairs are arrays of their own in RESP3.
fn begin(ctx: &mut Ctx, n_fields: usize, has_values: bool) {
    if has_values { ctx.reply.pairs(n_fields) } else { ctx.reply.array(n_fields) }
}

fn reply_field(ctx: &mut Ctx, field: FieldRef<'_>, has_values: bool) {
    if has_values {
        ctx.reply.nested_pair();
    }
    reply_string(&mut ctx.reply, field.name);
    if has_values {
        reply_string(&mut ctx.reply, field.value);
    }
}

/// What can be drawn.
enum Fields<'h> {
    /// All fields of a table.
    Table(&'h Hash),
    /// These.
    List(Vec<FieldRef<'h>>),
}

impl<'h> Fields<'h> {
    /// The fields at the key of the request that have not expired. Those that have are going to be
    /// removed.
    fn of(db: &ReadDb<'h>, ctx: &Ctx, args: Args) -> Result<Option<Fields<'h>>, CommandError> {
        let key = ctx.key(args.get(1));
        let Some(hash) = db.get_as::<Hash>(&key)? else { return Ok(None) };
        let may_be_due = db.env().has_passed(hash.next_expire_ms());
        if hash.is_table() && !may_be_due {
            return Ok(Some(Fields::Table(hash)));
        }
        let present: Vec<FieldRef<'h>> =
            hash.iter().filter(|field| !db.env().has_passed(field.expire_at_ms)).collect();
        if present.len() < hash.len() {
            db.note_expired_field(&key, None);
        }
        Ok(Some(Fields::List(present)))
    }

    fn len(&self) -> usize {
        match self {
            Fields::Table(hash) => hash.len(),
            Fields::List(list) => list.len(),
        }
    }

    /// One, drawn with equal chances.
    fn draw(&self) -> Option<FieldRef<'h>> {
        match self {
            Fields::Table(hash) => hash.random(below),
            Fields::List(list) if list.is_empty() => None,
            Fields::List(list) => list.get(below(list.len())).copied(),
        }
    }

    /// Calls `visit` with `n` different ones, or with all if there are no more.
    fn each_distinct(&self, n: usize, mut visit: impl FnMut(FieldRef<'h>)) {
        /// Up to so large a part of a table, fields are drawn until enough of them are different.
        const DRAWN_DIVISOR: usize = 3;
        let all = match self {
            Fields::Table(hash) if n <= hash.len() / DRAWN_DIVISOR => {
                let mut drawn = HashSet::with_capacity(n);
                while drawn.len() < n {
                    let Some(field) = hash.random(below) else { return };
                    if drawn.insert(field.name.bytes()) {
                        visit(field);
                    }
                }
                return;
            }
            Fields::Table(hash) => hash.iter().collect(),
            Fields::List(list) => list.clone(),
        };
        // Goes through them in order; each is taken with the chance that fills the number.
        let (mut n_left, mut n_wanted) = (all.len(), n);
        for field in all {
            if below(n_left) < n_wanted {
                visit(field);
                n_wanted -= 1;
            }
            n_left -= 1;
        }
    }
}

fn below(limit: usize) -> usize {
    rand::random_range(0..limit)
}
