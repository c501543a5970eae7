//! The geo group: positions as scores of sorted sets.

mod position;
mod search;

use crate::command::{Command, Flags, KeySpec, read, write};
use crate::error::CommandError;
use position::{geoadd, geodist, geohash, geopos};
use search::{
    georadius, georadius_ro, georadiusbymember, georadiusbymember_ro, geosearch, geosearchstore,
};

pub(super) const COMMANDS: &[Command] = &[
    write("geoadd", geoadd)
        .arity(-5)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("3.2.0", "O(log(N)) for each position", "key [condition:{NX | XX}@6.2.0] [change:CH@6.2.0] data:(longitude:double latitude:double member)...", "Adds positions to a sorted set."),
    read("geodist", geodist)
        .arity(-4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("3.2.0", "O(1)", "key member1 member2 [unit:{M | KM | FT | MI}]", "Returns the distance of two members."),
    read("geohash", geohash)
        .arity(-2)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("3.2.0", "O(1) for each member", "key [member...]", "Returns members' positions as geohashes."),
    read("geopos", geopos)
        .arity(-2)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("3.2.0", "O(1) for each member", "key [member...]", "Returns members' positions."),
    write("georadius", georadius)
        .arity(-6)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ro().access(), KeySpec::after("STORE", 6).ow().update(), KeySpec::after("STOREDIST", 6).ow().update()])
        .doc("3.2.0", "O(N+log(M)), N being the members in the area around the shape and M those within it", "key longitude:double latitude:double radius:double unit:{M | KM | FT | MI} [WITHCOORD] [WITHDIST] [WITHHASH] [count-block:(COUNT=count:int [ANY@6.2.0])] [order:{ASC | DESC}] [store:{STORE=storekey\"key\":key | STOREDIST=storedistkey\"key\":key}]", "Finds what is not farther from a position than a radius, tells or stores it.")
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
    read("georadius_ro", georadius_ro)
        .arity(-6)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("3.2.10", "O(N+log(M)), N being the members in the area around the shape and M those within it", "key longitude:double latitude:double radius:double unit:{M | KM | FT | MI} [WITHCOORD] [WITHDIST] [WITHHASH] [count-block:(COUNT=count:int [ANY@6.2.0])] [order:{ASC | DESC}]", "Finds what is not farther from a position than a radius.")
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
    write("georadiusbymember", georadiusbymember)
        .arity(-5)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ro().access(), KeySpec::after("STORE", 5).ow().update(), KeySpec::after("STOREDIST", 5).ow().update()])
        .doc("3.2.0", "O(N+log(M)), N being the members in the area around the shape and M those within it", "key member radius:double unit:{M | KM | FT | MI} [WITHCOORD] [WITHDIST] [WITHHASH] [count-block:(COUNT=count:int [ANY])] [order:{ASC | DESC}] [store:{STORE=storekey\"key\":key | STOREDIST=storedistkey\"key\":key}]", "Finds what is not farther from a member than a radius, tells or stores it.")
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    read("georadiusbymember_ro", georadiusbymember_ro)
        .arity(-5)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("3.2.10", "O(N+log(M)), N being the members in the area around the shape and M those within it", "key member radius:double unit:{M | KM | FT | MI} [WITHCOORD] [WITHDIST] [WITHHASH] [count-block:(COUNT=count:int [ANY])] [order:{ASC | DESC}]", "Finds what is not farther from a member than a radius.")
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    read("geosearch", geosearch)
        .arity(-7)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("6.2.0", "O(N+log(M)), N being the members in the area around the shape and M those within it", "key from:{FROMMEMBER=member | FROMLONLAT=fromlonlat:(longitude:double latitude:double)} by:{circle:(BYRADIUS=radius:double unit:{M | KM | FT | MI}) | box:(BYBOX=width:double height:double unit:{M | KM | FT | MI})} [order:{ASC | DESC}] [count-block:(COUNT=count:int [ANY])] [WITHCOORD] [WITHDIST] [WITHHASH]", "Finds what is within a circle or a box."),
    write("geosearchstore", geosearchstore)
        .arity(-8)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update(), KeySpec::at(2).ro().access()])
        .doc("6.2.0", "O(N+log(M)), N being the members in the area around the shape and M those within it", "destination:key source:key from:{FROMMEMBER=member | FROMLONLAT=fromlonlat:(longitude:double latitude:double)} by:{circle:(BYRADIUS=radius:double unit:{M | KM | FT | MI}) | box:(BYBOX=width:double height:double unit:{M | KM | FT | MI})} [order:{ASC | DESC}] [count-block:(COUNT=count:int [ANY])] [STOREDIST]", "Stores what is within a circle or a box."),
];

/// Metres of a unit.
fn parse_unit(word: &[u8]) -> Result<f64, CommandError> {
    const UNITS: [(&[u8], f64); 4] =
        [(b"m", 1.0), (b"km", 1000.0), (b"ft", 0.3048), (b"mi", 1609.34)];
    let unit = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    unit.map(|(_, metres)| metres).ok_or(CommandError::UnknownUnit)
}

/// A distance as text, with four digits behind the point.
fn distance_text(distance: f64) -> String {
    // Compat: what is too large to be rounded as an integer is not seen on this earth.
    let rounded = (distance * 10_000.0).round_ties_even() as i64;
    let (sign, rounded) = (if rounded < 0 { "-" } else { "" }, rounded.unsigned_abs());
    format!("{sign}{}.{:04}", rounded / 10_000, rounded % 10_000)
}

#[cfg(test)]
mod tests;
