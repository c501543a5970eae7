//! The geo group in process.

use crate::testing::TestServer;

fn sicily() -> TestServer {
    let mut t = TestServer::new();
    t.check("GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2");
    t
}

#[test]
fn positions_come_and_are_known() {
    let mut t = sicily();
    assert_eq!(t.events(), ["zadd s"]);
    let line = "zadd s 3479099956230698 Palermo 3479447370796909 Catania";
    assert_eq!(t.propagated(), [line]);
    t.check_all(&[
        ("GEODIST s Palermo Catania", "\"166274.1516\""),
        ("GEODIST s Palermo Catania km", "\"166.2742\""),
        ("GEODIST s Palermo Palermo", "\"0.0000\""),
        ("GEODIST s Palermo x", "nil"),
        ("GEOHASH s Palermo Catania x", "[\"sqc8b49rny0\", \"sqdtr74hyu0\", nil]"),
        ("GEOPOS s x Palermo", "[nil, [\"13.361389338970184\", \"38.1155563954963\"]]"),
        ("GEOADD s NX 0 0 Palermo", ":0"),
        ("GEOADD s XX CH 0 0 Palermo 0 0 x", ":1"),
    ]);
    assert_eq!(t.propagated(), ["zadd s XX CH 3377699720527872 Palermo 3377699720527872 x"]);
}

#[test]
fn searches_find_what_is_near() {
    let mut t = sicily();
    t.events();
    t.propagated();
    t.check_all(&[
        ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC", "[\"Catania\", \"Palermo\"]"),
        ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 100 km", "[\"Catania\"]"),
        ("GEOSEARCH s FROMMEMBER Palermo BYBOX 400 400 km DESC", "[\"Catania\", \"Palermo\"]"),
        ("GEORADIUS s 15 37 200 km WITHDIST COUNT 1", "[[\"Catania\", \"56.4413\"]]"),
        ("GEORADIUSBYMEMBER s Palermo 1 m", "[\"Palermo\"]"),
        ("GEORADIUSBYMEMBER_RO s Palermo 1 m STORE d", "-ERR syntax error"),
    ]);
    assert!(t.events().is_empty() && t.propagated().is_empty());
}

#[test]
fn what_was_found_is_stored() {
    let mut t = sicily();
    t.events();
    t.propagated();
    let line = "GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST";
    t.check(line, ":2");
    assert_eq!((t.events(), t.propagated()), (vec!["geosearchstore d".into()], vec![line.into()]));
    t.check("ZRANGEBYSCORE d 50 60", "[\"Catania\"]");
    let line = "GEORADIUS s 15 37 200 km STORE d";
    t.check(line, ":2");
    assert_eq!((t.events(), t.propagated()), (vec!["georadiusstore d".into()], vec![line.into()]));
    t.check("GEOHASH d Palermo", "[\"sqc8b49rny0\"]");
    t.check("GEORADIUS s 100 37 1 km STORE d", ":0");
    assert_eq!(t.events(), ["del d"]);
    t.check("GEORADIUS missing 100 37 1 km STORE d", ":0");
    assert!(t.events().is_empty());
}
