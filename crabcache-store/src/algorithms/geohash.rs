//! Positions on the earth as integers: interleaved bits of latitude and longitude, so that places
//! near each other mostly have common leading bits; distances; and which areas cover a shape.
//!
//! A hash of `n` steps has `n` bits of each coordinate. Positions are kept with 26 steps, 52 bits,
//! which a double holds exactly. Latitudes end at 85.05 degrees, as on Mercator's maps.
//!
//! The arithmetic is the reference's, operation by operation, so that the same places are found at
//! the edges of shapes. The earth is a sphere here (haversine formula).

use std::f64::consts::PI;

/// Bits of each coordinate of a position that is kept.
pub const STEPS_MAX: u32 = 26;
/// The longitudes there are, both signs.
pub const LONGITUDE_MAX: f64 = 180.0;
/// The latitudes there are, both signs.
pub const LATITUDE_MAX: f64 = 85.051_128_78;

const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
/// Half of the equator on Mercator's map.
const MERCATOR_MAX: f64 = 20_037_726.37;
const DEGREE: f64 = PI / 180.0;

const EVEN_BITS: u64 = 0x5555_5555_5555_5555;
const ODD_BITS: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// A position in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// East of Greenwich.
    pub longitude: f64,
    /// North of the equator.
    pub latitude: f64,
}

/// Where coordinates begin and end.
#[derive(Debug, Clone, Copy)]
struct World {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

const MERCATOR: World =
    World { longitude: (-LONGITUDE_MAX, LONGITUDE_MAX), latitude: (-LATITUDE_MAX, LATITUDE_MAX) };
const GLOBE: World = World { longitude: (-LONGITUDE_MAX, LONGITUDE_MAX), latitude: (-90.0, 90.0) };

impl Position {
    /// The position, if there is one with these coordinates.
    pub fn new(longitude: f64, latitude: f64) -> Option<Position> {
        let exists = (-LONGITUDE_MAX..=LONGITUDE_MAX).contains(&longitude)
            && (-LATITUDE_MAX..=LATITUDE_MAX).contains(&latitude);
        exists.then_some(Position { longitude, latitude })
    }

    /// The position of a score.
    pub fn of_score(score: f64) -> Position {
        let area = Hash { bits: score_bits(score), steps: STEPS_MAX }.area(MERCATOR);
        let middle = |(min, max): (f64, f64), limit: f64| ((min + max) / 2.0).clamp(-limit, limit);
        Position {
            longitude: middle(area.longitude, LONGITUDE_MAX),
            latitude: middle(area.latitude, LATITUDE_MAX),
        }
    }

    /// The score of the position: 52 bits.
    pub fn score(self) -> u64 {
        Hash::of(self, STEPS_MAX, MERCATOR).aligned()
    }

    /// The geohash that everybody uses: eleven letters.
    ///
    /// Its latitudes end at the poles. As there are only 52 bits, the last letter is always `0`.
    pub fn text(self) -> [u8; 11] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = Hash::of(self, STEPS_MAX, GLOBE).bits;
        let mut text = [b'0'; 11];
        for (index, letter) in text[..10].iter_mut().enumerate() {
            *letter = ALPHABET[(bits >> (52 - 5 * (index + 1)) & 0x1f) as usize];
        }
        text
    }

    /// The distance to another position in metres, along a great circle.
    pub fn distance_m(self, other: Position) -> f64 {
        let v = ((other.longitude * DEGREE - self.longitude * DEGREE) / 2.0).sin();
        if v == 0.0 {
            return self.latitude_distance_m(other);
        }
        let (first, second) = (self.latitude * DEGREE, other.latitude * DEGREE);
        let u = ((second - first) / 2.0).sin();
        let a = u * u + first.cos() * second.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }

    /// The distance in metres as if both had the same longitude.
    fn latitude_distance_m(self, other: Position) -> f64 {
        EARTH_RADIUS_M * (other.latitude * DEGREE - self.latitude * DEGREE).abs()
    }
}

/// A score as an integer, as C on x86 converts it: negative ones wrap, and what has more than 64
/// bits is 0.
fn score_bits(score: f64) -> u64 {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if score < TWO_TO_63 {
        score as i64 as u64
    } else if score < 2.0 * TWO_TO_63 {
        score as u64
    } else {
        0
    }
}

/// A geohash: an area of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hash {
    bits: u64,
    steps: u32,
}

/// From where to where an area reaches.
#[derive(Debug, Clone, Copy)]
struct Area {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

impl Hash {
    fn of(position: Position, steps: u32, world: World) -> Hash {
        let cells = (1u64 << steps) as f64;
        let cell =
            |value: f64, (min, max): (f64, f64)| ((value - min) / (max - min) * cells) as u32;
        let latitude = spread(cell(position.latitude, world.latitude));
        let longitude = spread(cell(position.longitude, world.longitude));
        Hash { bits: latitude | longitude << 1, steps }
    }

    fn area(self, world: World) -> Area {
        let cells = (1u64 << self.steps) as f64;
        let range = |cell: u32, (min, max): (f64, f64)| {
            let at = |cell: u32| min + f64::from(cell) / cells * (max - min);
            (at(cell), at(cell.wrapping_add(1)))
        };
        Area {
            longitude: range(gather(self.bits >> 1), world.longitude),
            latitude: range(gather(self.bits), world.latitude),
        }
    }

    /// The bits as the leading ones of a score.
    fn aligned(self) -> u64 {
        self.bits << (52 - 2 * self.steps)
    }

    /// The scores of the positions in the area: from the first to before the second.
    fn scores(self) -> (f64, f64) {
        let next = Hash { bits: self.bits + 1, ..self };
        (self.aligned() as f64, next.aligned() as f64)
    }

    /// The neighbour so many cells to the east and to the north, one at most.
    fn neighbour(self, east: i8, north: i8) -> Hash {
        let unused = 64 - 2 * self.steps;
        let moved = |own: u64, others: u64, by: i8| {
            let gaps = others >> unused;
            let own = match by {
                1 => own.wrapping_add(gaps + 1),
                -1 => (own | gaps).wrapping_sub(gaps + 1),
                _ => return own,
            };
            own & !others >> unused
        };
        let longitude = moved(self.bits & ODD_BITS, EVEN_BITS, east);
        let latitude = moved(self.bits & EVEN_BITS, ODD_BITS, north);
        Hash { bits: longitude | latitude, ..self }
    }
}

/// Puts 32 bits into the even places of 64.
fn spread(value: u32) -> u64 {
    let mut bits = u64::from(value);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, EVEN_BITS),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Undoes [`spread`].
fn gather(bits: u64) -> u32 {
    let mut bits = bits & EVEN_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Extent {
    /// All that is not farther than this many metres.
    Radius(f64),
    /// A box of this width and height in metres, along the axes.
    Box(f64, f64),
}

/// An extent around a position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Its middle.
    pub centre: Position,
    /// How far it reaches.
    pub extent: Extent,
}

impl Shape {
    /// The distance of a position from the middle in metres, if it lies within.
    pub fn distance_within_m(&self, position: Position) -> Option<f64> {
        match self.extent {
            Extent::Radius(radius) => {
                let distance = self.centre.distance_m(position);
                (distance <= radius).then_some(distance)
            }
            Extent::Box(width, height) => {
                if position.latitude_distance_m(self.centre) > height / 2.0 {
                    return None;
                }
                let beside = Position { longitude: self.centre.longitude, ..position };
                if position.distance_m(beside) > width / 2.0 {
                    return None;
                }
                Some(self.centre.distance_m(position))
            }
        }
    }

    /// Ranges of scores, each without its end, that together hold all positions in the shape: those
    /// of the area around the middle, then of its neighbours as far as they are needed.
    pub fn score_ranges(&self) -> Vec<(f64, f64)> {
        let bounds = self.bounds();
        let mut steps = self.steps();
        let mut hash = Hash::of(self.centre, steps, MERCATOR);
        if steps > 1 && !covers(hash, bounds) {
            steps -= 1;
            hash = Hash::of(self.centre, steps, MERCATOR);
        }
        let own = hash.area(MERCATOR);
        let is_needed = |east: i8, north: i8| {
            // Few steps make areas so large that neighbours meet on the other side.
            steps < 2
                || !(north < 0 && own.latitude.0 < bounds.latitude.0
                    || north > 0 && own.latitude.1 > bounds.latitude.1
                    || east < 0 && own.longitude.0 < bounds.longitude.0
                    || east > 0 && own.longitude.1 > bounds.longitude.1)
        };
        const AROUND: [(i8, i8); 8] =
            [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let mut ranges = vec![hash.scores()];
        // Compat: an area is passed over only if it is the neighbour that came before it, so a
        // vast shape may hold a position twice.
        let mut last = None;
        for (east, north) in AROUND {
            if is_needed(east, north) {
                let neighbour = hash.neighbour(east, north);
                if last != Some(neighbour) {
                    ranges.push(neighbour.scores());
                    last = Some(neighbour);
                }
            }
        }
        ranges
    }

    /// The coordinates that the shape reaches.
    fn bounds(&self) -> Area {
        let (width, height) = match self.extent {
            Extent::Radius(radius) => (radius, radius),
            Extent::Box(width, height) => (width / 2.0, height / 2.0),
        };
        let Position { longitude, latitude } = self.centre;
        let north = height / EARTH_RADIUS_M / DEGREE;
        // Degrees of longitude are shortest on the side of the nearer pole.
        let widest = if latitude < 0.0 { latitude - north } else { latitude + north };
        let east = width / EARTH_RADIUS_M / (widest * DEGREE).cos() / DEGREE;
        Area {
            longitude: (longitude - east, longitude + east),
            latitude: (latitude - north, latitude + north),
        }
    }

    /// Steps of areas of about the shape's size.
    fn steps(&self) -> u32 {
        let mut reach = match self.extent {
            Extent::Radius(radius) => radius,
            Extent::Box(width, height) => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        if reach == 0.0 {
            return STEPS_MAX;
        }
        let mut steps = 1i32;
        while reach < MERCATOR_MAX {
            reach *= 2.0;
            steps += 1;
        }
        steps -= 2;
        // Areas are narrower near the poles.
        let latitude = self.centre.latitude.abs();
        steps -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS_MAX as i32) as u32
    }
}

/// Whether an area and its neighbours reach as far as the bounds.
fn covers(hash: Hash, bounds: Area) -> bool {
    let area = |east: i8, north: i8| hash.neighbour(east, north).area(MERCATOR);
    !(area(0, 1).latitude.1 < bounds.latitude.1
        || area(0, -1).latitude.0 > bounds.latitude.0
        || area(1, 0).longitude.1 < bounds.longitude.1
        || area(-1, 0).longitude.0 > bounds.longitude.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(longitude: f64, latitude: f64) -> Position {
        Position::new(longitude, latitude).unwrap()
    }

    #[test]
    fn scores_and_texts_are_the_references() {
        // Read off Redis 8.2.3 (GEOADD, ZSCORE, GEOHASH, GEODIST).
        let palermo = position(13.361389, 38.115556);
        let catania = position(15.087269, 37.502669);
        assert_eq!((palermo.score(), catania.score()), (3479099956230698, 3479447370796909));
        assert_eq!(&Position::of_score(3479099956230698.0).text(), b"sqc8b49rny0");
        assert_eq!(&Position::of_score(3479447370796909.0).text(), b"sqdtr74hyu0");
        let stored = [palermo, catania].map(|place| Position::of_score(place.score() as f64));
        assert!((stored[0].distance_m(stored[1]) - 166274.1516).abs() < 1e-4);
    }

    #[test]
    fn scores_of_any_size_have_positions() {
        for score in [-1.0, f64::INFINITY, f64::NEG_INFINITY, 1e19, 1e300, -1e300, 0.5] {
            let at = Position::of_score(score);
            assert!(Position::new(at.longitude, at.latitude).is_some(), "{score}: {at:?}");
        }
    }

    #[test]
    fn the_ends_of_the_world_have_scores() {
        for longitude in [-LONGITUDE_MAX, LONGITUDE_MAX] {
            for latitude in [-LATITUDE_MAX, LATITUDE_MAX] {
                assert!(position(longitude, latitude).score() <= 3 << 52);
            }
        }
        assert_eq!(Position::new(180.1, 0.0), None);
        assert_eq!(Position::new(0.0, 85.1), None);
        assert_eq!(Position::new(f64::NAN, 0.0), None);
    }

    fn any_position() -> impl Strategy<Value = Position> {
        (-180.0..180.0f64, -85.0..85.0f64).prop_map(|(x, y)| position(x, y))
    }

    proptest! {
        #[test]
        fn positions_come_back(place in any_position()) {
            let back = Position::of_score(place.score() as f64);
            prop_assert!(place.distance_m(back) < 0.6);
        }

        #[test]
        fn bits_come_back(value: u32) {
            prop_assert_eq!(gather(spread(value)), value);
        }

        #[test]
        fn neighbours_are_beside(place in any_position(), steps in 2..=26u32) {
            let hash = Hash::of(place, steps, MERCATOR);
            for (east, north) in [(0, 1), (1, 0), (1, 1), (-1, 1)] {
                prop_assert_eq!(hash.neighbour(east, north).neighbour(-east, -north), hash);
            }
        }

        #[test]
        fn what_is_in_a_shape_is_in_its_ranges(
            centre in (-170.0..170.0f64, -60.0..60.0f64),
            offset in (-1.0..1.0f64, -1.0..1.0f64),
            size in 1.0..500_000.0f64,
            is_box: bool,
        ) {
            let centre = position(centre.0, centre.1);
            let extent = if is_box { Extent::Box(size, size / 3.0) } else { Extent::Radius(size) };
            let shape = Shape { centre, extent };
            let degrees = size / 100_000.0;
            let place = position(
                (centre.longitude + offset.0 * degrees).clamp(-180.0, 180.0),
                (centre.latitude + offset.1 * degrees).clamp(-85.0, 85.0),
            );
            let score = place.score() as f64;
            if shape.distance_within_m(Position::of_score(score)).is_some() {
                let mut ranges = shape.score_ranges().into_iter();
                prop_assert!(ranges.any(|(start, end)| (start..end).contains(&score)));
            }
        }
    }
}
