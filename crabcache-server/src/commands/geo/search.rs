//! What is within a circle or a box: GEOSEARCH and its older forms.

use super::position::parse_position;
use super::{distance_text, parse_unit};
use crate::command::{Args, CommandResult, Ctx, Words};
use crate::commands::sorted_set::{parse_double, store};
use crate::error::{self, CommandError};
use crate::notify::Event;
use crabcache_store::algorithms::geohash::{Extent, Position, Shape};
use crabcache_store::types::zset::{ScoreRange, ZSet};
use crabcache_store::{Lookup, ReadDb, WriteDb};

/// The forms of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// GEORADIUS: around a position.
    Position,
    /// GEORADIUSBYMEMBER: around a member.
    Member,
    /// GEOSEARCH: options say around what.
    Search,
    /// GEOSEARCHSTORE: the same, stored in the first key.
    SearchStore,
}

/// In which order places are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

/// A search as a command asks for it.
#[derive(Debug, Default)]
struct Request<'a> {
    centre: Option<Position>,
    extent: Option<Extent>,
    /// Metres of the unit.
    unit_m: f64,
    /// 0: all.
    count: usize,
    is_any: bool,
    order: Option<Order>,
    with_distance: bool,
    with_hash: bool,
    with_position: bool,
    target: Option<&'a [u8]>,
    stores_distance: bool,
    /// FROMMEMBER or FROMLONLAT was said.
    is_from_member: bool,
    is_from_position: bool,
}

impl<'a> Request<'a> {
    /// Reads a request. Members are looked up in `set`; without it, nothing can be found anyway.
    fn parse(
        args: Args<'a>,
        form: Form,
        may_store: bool,
        set: Option<&ZSet>,
    ) -> Result<Request<'a>, CommandError> {
        let mut request = Request { unit_m: 1.0, ..Request::default() };
        let mut words = args.from(2);
        match form {
            Form::Position => {
                request.centre = Some(parse_position(words.word()?, words.word()?)?);
                request.parse_radius(&mut words)?;
            }
            // Compat: without the key, these words are not looked at.
            Form::Member if set.is_none() => words = args.from(5),
            Form::Member => {
                request.centre_on_member(set, words.word()?)?;
                request.parse_radius(&mut words)?;
            }
            Form::Search => {}
            Form::SearchStore => {
                request.target = Some(args.get(1));
                words = args.from(3);
            }
        }
        let may_store = may_store && matches!(form, Form::Position | Form::Member);
        while words.remaining() > 0 {
            let is_search = matches!(form, Form::Search | Form::SearchStore);
            let is_taken = request.take_output(&mut words)?
                || may_store && request.take_target(&mut words)?
                || form == Form::SearchStore && request.take_stored_distance(&mut words)
                || is_search && request.take_area(&mut words, set)?;
            if !is_taken {
                return Err(CommandError::Syntax);
            }
        }
        request.check(args, form)?;
        Ok(request)
    }

    fn centre_on_member(&mut self, set: Option<&ZSet>, member: &[u8]) -> CommandResult {
        if let Some(set) = set {
            let score = set.score(member).ok_or(CommandError::NoSuchMember)?;
            self.centre = Some(Position::of_score(score));
        }
        Ok(())
    }

    fn parse_radius(&mut self, words: &mut Words<'a>) -> CommandResult {
        let radius = parse_double(words.word()?).ok_or(CommandError::RadiusNotFloat)?;
        if radius < 0.0 {
            return Err(CommandError::NegativeRadius);
        }
        self.unit_m = parse_unit(words.word()?)?;
        self.extent = Some(Extent::Radius(radius * self.unit_m));
        Ok(())
    }

    fn parse_box(&mut self, words: &mut Words<'a>) -> CommandResult {
        let width = parse_double(words.word()?).ok_or(CommandError::WidthNotFloat)?;
        let height = parse_double(words.word()?).ok_or(CommandError::HeightNotFloat)?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::NegativeBox);
        }
        self.unit_m = parse_unit(words.word()?)?;
        self.extent = Some(Extent::Box(width * self.unit_m, height * self.unit_m));
        Ok(())
    }

    /// Takes an option about what is told, and in which order.
    fn take_output(&mut self, words: &mut Words<'a>) -> Result<bool, CommandError> {
        if words.accept("WITHDIST") {
            self.with_distance = true;
        } else if words.accept("WITHHASH") {
            self.with_hash = true;
        } else if words.accept("WITHCOORD") {
            self.with_position = true;
        } else if words.accept("ANY") {
            self.is_any = true;
        } else if words.accept("ASC") {
            self.order = Some(Order::Ascending);
        } else if words.accept("DESC") {
            self.order = Some(Order::Descending);
        } else if words.remaining() > 1 && words.accept("COUNT") {
            let count = usize::try_from(words.int()?).ok().filter(|count| *count > 0);
            self.count = count.ok_or(CommandError::CountBelowOne)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn take_target(&mut self, words: &mut Words<'a>) -> Result<bool, CommandError> {
        if words.remaining() < 2 {
            return Ok(false);
        }
        let stores_distance = words.accept("STOREDIST");
        if !stores_distance && !words.accept("STORE") {
            return Ok(false);
        }
        self.stores_distance = stores_distance;
        self.target = Some(words.word()?);
        Ok(true)
    }

    fn take_stored_distance(&mut self, words: &mut Words<'a>) -> bool {
        let is_taken = words.accept("STOREDIST");
        self.stores_distance |= is_taken;
        is_taken
    }

    /// Takes an option about where is searched.
    fn take_area(
        &mut self,
        words: &mut Words<'a>,
        set: Option<&ZSet>,
    ) -> Result<bool, CommandError> {
        let n_words = words.remaining();
        if n_words > 1 && !self.is_from_position && words.accept("FROMMEMBER") {
            self.centre_on_member(set, words.word()?)?;
            self.is_from_member = true;
        } else if n_words > 2 && !self.is_from_member && words.accept("FROMLONLAT") {
            self.centre = Some(parse_position(words.word()?, words.word()?)?);
            self.is_from_position = true;
        } else if n_words > 2
            && !matches!(self.extent, Some(Extent::Box(..)))
            && words.accept("BYRADIUS")
        {
            self.parse_radius(words)?;
        } else if n_words > 3
            && !matches!(self.extent, Some(Extent::Radius(_)))
            && words.accept("BYBOX")
        {
            self.parse_box(words)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Refuses what does not fit together.
    fn check(&self, args: Args, form: Form) -> CommandResult {
        let command = || error::shown(args.get(0));
        if self.target.is_some() && (self.with_distance || self.with_hash || self.with_position) {
            let command = match form {
                Form::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(CommandError::StoreWithDetails(command));
        }
        if matches!(form, Form::Search | Form::SearchStore) {
            if !self.is_from_member && !self.is_from_position {
                return Err(CommandError::GeoWithoutCentre(command()));
            }
            if self.extent.is_none() {
                return Err(CommandError::GeoWithoutShape(command()));
            }
        }
        if self.is_any && self.count == 0 {
            return Err(CommandError::AnyWithoutCount);
        }
        Ok(())
    }

    /// What is found, in the order asked for and not more of it.
    fn find(&self, set: &ZSet) -> Vec<Place> {
        let (Some(centre), Some(extent)) = (self.centre, self.extent) else { return Vec::new() };
        let shape = Shape { centre, extent };
        let n_max = if self.is_any { self.count } else { usize::MAX };
        let mut places = Vec::new();
        for (min, max) in shape.score_ranges() {
            let range = ScoreRange { min, leaves_min_out: false, max, leaves_max_out: true };
            for (member, score) in set.iter(set.score_ranks(&range), false) {
                if places.len() >= n_max {
                    break;
                }
                let position = Position::of_score(score);
                if let Some(distance_m) = shape.distance_within_m(position) {
                    let distance = distance_m / self.unit_m;
                    places.push(Place {
                        member: member.to_vec(),
                        score,
                        position,
                        distance_m,
                        distance,
                    });
                }
            }
        }
        // A count asks for the nearest, unless any will do.
        let is_limited = self.count > 0 && !self.is_any;
        match self.order.or(is_limited.then_some(Order::Ascending)) {
            Some(Order::Ascending) => {
                places.sort_by(|place, other| place.distance_m.total_cmp(&other.distance_m));
            }
            Some(Order::Descending) => {
                places.sort_by(|place, other| other.distance_m.total_cmp(&place.distance_m));
            }
            None => {}
        }
        if self.count > 0 {
            places.truncate(self.count);
        }
        places
    }
}

/// A member that was found.
struct Place {
    member: Vec<u8>,
    score: f64,
    position: Position,
    distance_m: f64,
    /// In the unit of the request.
    distance: f64,
}

fn tell(ctx: &mut Ctx, request: &Request, places: &[Place]) {
    let details = [request.with_distance, request.with_hash, request.with_position];
    let n_details = details.into_iter().filter(|is_wanted| *is_wanted).count();
    ctx.reply.array(places.len());
    for place in places {
        if n_details > 0 {
            ctx.reply.array(1 + n_details);
        }
        ctx.reply.bulk(&place.member);
        if request.with_distance {
            ctx.reply.bulk(distance_text(place.distance).as_bytes());
        }
        if request.with_hash {
            ctx.reply.int(place.score as i64);
        }
        if request.with_position {
            ctx.reply.array(2);
            ctx.reply.double(place.position.longitude);
            ctx.reply.double(place.position.latitude);
        }
    }
}

fn search(db: &ReadDb, ctx: &mut Ctx, args: Args, form: Form) -> CommandResult {
    let set = db.get_as::<ZSet>(&ctx.key(args.get(1)))?;
    let request = Request::parse(args, form, false, set)?;
    let places = set.map(|set| request.find(set)).unwrap_or_default();
    tell(ctx, &request, &places);
    Ok(())
}

/// As [`search`], with a target perhaps.
fn search_and_store(db: &mut WriteDb, ctx: &mut Ctx, args: Args, form: Form) -> CommandResult {
    let (source_at, event) = match form {
        Form::SearchStore => (2, Event::GEOSEARCHSTORE),
        _ => (1, Event::GEORADIUSSTORE),
    };
    let set = db.get_as::<ZSet>(&ctx.key(args.get(source_at)), Lookup::Use)?;
    let request = Request::parse(args, form, true, set)?;
    let places = set.map(|set| request.find(set)).unwrap_or_default();
    let Some(target) = request.target else {
        tell(ctx, &request, &places);
        return Ok(());
    };
    let limits = ctx.config.limits();
    let mut found = ZSet::default();
    for place in &places {
        let score = if request.stores_distance { place.distance } else { place.score };
        found.insert(&place.member, score, &limits);
    }
    let n_members = found.len();
    let target = ctx.key(target);
    store(db, ctx, &target, found, event);
    ctx.effects.n_dirty += n_members.saturating_sub(1) as u64;
    Ok(())
}

/// GEORADIUS key longitude latitude radius M | KM | FT | MI [WITHCOORD] [WITHDIST] [WITHHASH]
/// [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]
pub(super) fn georadius(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    search_and_store(db, ctx, args, Form::Position)
}

/// GEORADIUS_RO key longitude latitude radius M | KM | FT | MI [WITHCOORD] [WITHDIST] [WITHHASH]
/// [COUNT count [ANY]] [ASC | DESC]
pub(super) fn georadius_ro(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    search(db, ctx, args, Form::Position)
}

/// GEORADIUSBYMEMBER key member radius M | KM | FT | MI [WITHCOORD] [WITHDIST] [WITHHASH]
/// [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]
pub(super) fn georadiusbymember(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    search_and_store(db, ctx, args, Form::Member)
}

/// GEORADIUSBYMEMBER_RO key member radius M | KM | FT | MI [WITHCOORD] [WITHDIST] [WITHHASH]
/// [COUNT count [ANY]] [ASC | DESC]
pub(super) fn georadiusbymember_ro(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    search(db, ctx, args, Form::Member)
}

/// GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude
/// BYRADIUS radius M | KM | FT | MI | BYBOX width height M | KM | FT | MI [ASC | DESC]
/// [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
pub(super) fn geosearch(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    search(db, ctx, args, Form::Search)
}

/// GEOSEARCHSTORE destination source FROMMEMBER member | FROMLONLAT longitude latitude
/// BYRADIUS radius M | KM | FT | MI | BYBOX width height M | KM | FT | MI [ASC | DESC]
/// [COUNT count [ANY]] [STOREDIST]
pub(super) fn geosearchstore(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    search_and_store(db, ctx, args, Form::SearchStore)
}
