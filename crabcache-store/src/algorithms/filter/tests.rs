//! Expressions, and objects that they look at.

use super::*;
use proptest::prelude::*;

const FILM: &str = r#"{"year": 1984, "name": "The \"Matrix\"", "rate" :8.5,"tags":["a", "b\n", 3, null, true],
    "empty":"", "yes":true, "no":false,"nil":null, "deep":{"year":1, "x":["}"]}, "nested":[[1,[2]],3,{}],
    "lists":[[1,[2]],3], "num":"12", "exp": 1e3, "neg":-5, "is-ok_1": 1, "last": 7}"#;

#[track_caller]
fn check(expression: &str, expected: bool) {
    let filter = Filter::new(expression.as_bytes()).unwrap_or_else(|_| panic!("{expression}"));
    assert_eq!(filter.accepts(FILM.as_bytes()), expected, "{expression}");
}

#[track_caller]
fn refuse(expression: &str, at: usize) {
    let refused = Filter::new(expression.as_bytes());
    assert_eq!(refused.err(), Some(Invalid { at }), "{expression}");
}

#[test]
fn what_is_true() {
    for expression in [
        "1",
        "'a'",
        ".year",
        ".year == 1984",
        ".year>=1984 and .year<=1984",
        ".year != 1985",
        ".rate * 2 == 17",
        ".rate / 2 > 4",
        ".year % 10 == 4",
        "2 ** 3 ** 2 == 512",
        "-2 ** 2 == 4",
        "1 + 2 * 3 == 7",
        "(1 + 2) * 3 == 9",
        "5-3 == 2",
        "5 - -3 == 8",
        "(5)-3 == 2",
        "!0",
        "not 0",
        "not (.year < 1900)",
        "!.no and .yes",
        ".yes == 1",
        ".no || .yes",
        ".no or 1 && 1",
        ".nil == null",
        ".year != null",
        ".name == 'The \"Matrix\"'",
        "'Matrix' in .name",
        ".year in [1983, 1984]",
        ".year in [1983,1984,]",
        "'a' in .tags",
        "3 in .tags",
        "null in .tags",
        "'x' in ['y', \"x\"]",
        ".num == 12",
        ".num + 1 == 13",
        ".exp == 1000",
        ".neg == -5",
        ".is-ok_1 == 1",
        ".last == 7",
        "'' == .empty",
        "'abc' == 0",
        "'0x10' == 16",
        "' 12' == 12",
        "'inf' > 1e300",
        ".tags",
        "[]",
        "3 in .lists",
        "0 in .lists",
    ] {
        check(expression, true);
    }
}

#[test]
fn what_is_false() {
    for expression in [
        "0",
        "''",
        "null",
        ".empty",
        ".no",
        ".nil",
        ".missing",
        ".missing or 1",
        "1 or .missing",
        "not .missing",
        ".year == '1985'",
        ".name in 'The'",
        "5 in 5",
        "'b' in .tags",
        "0/0 == 0/0",
        ".deep",
        ".x",
        "5 in [1, 2]",
        ".",
        "1 < 1",
        "2 > 3",
        "'a' > 1",
        "1 in .lists",
        ".nested",
    ] {
        check(expression, false);
    }
}

#[test]
fn what_is_no_expression() {
    refuse("", 0);
    refuse("1 +", 0);
    refuse("1 2", 0);
    refuse("(1", 0);
    refuse("1)", 0);
    refuse("not not 1", 0);
    refuse("1 and (2 or", 0);
    refuse(".a == foo", 0);
    refuse(".a == foo == 1", 9);
    refuse("#", 0);
    refuse("1 == #x", 5);
    refuse("1.2.3 == 1", 5);
    refuse("'abc", 0);
    refuse("1 in [1, x]", 9);
    refuse("1 in [1 2]", 8);
    refuse("1 in [[1]]", 6);
    refuse("(.a == null)", 0);
    refuse(".a ~ 1", 3);
    refuse(". ", 0);
}

#[test]
fn long_and_deep_expressions_are_no_trouble() {
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    check(&deep, true);
    check(&format!("{}1", "1 and ".repeat(100_000)), true);
    let object = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Filter::new(b".a").unwrap().accepts(object.as_bytes()));
    let object = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(!Filter::new(b".a").unwrap().accepts(object.as_bytes()));
    refuse(&"1".repeat(300), 255);
}

#[test]
fn objects_that_are_none() {
    let filter = Filter::new(b".a").unwrap();
    for object in [
        "",
        "{",
        "{}",
        "[]",
        "1",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{\"a\":tru}",
        "{\"a\":truex}",
        "{\"a\":1.2.3}",
        "{a:1}",
        "{\"b\":x,\"a\":1}",
        "{\"b\":1 \"a\":1}",
        "{\"b\":\"\\",
        "{\"a\":\"\\",
        "{\"a\":[1",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":[],",
        "{\"b\":[}",
        "{\"b\":{]",
    ] {
        let expected = object == "{\"a\":[],";
        assert_eq!(filter.accepts(object.as_bytes()), expected, "{object}");
    }
    assert!(filter.accepts(b" { \"b\" : [ \"]\" ] , \"a\" : 1"));
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        expression in "[-.a0-9()\\[\\]'\"\\\\!=<>&|*/%+ ,eornadti]{0,40}",
        object in "[{}\\[\\]\":,a0-9tr\\\\ue ]{0,40}",
    ) {
        match Filter::new(expression.as_bytes()) {
            Ok(filter) => drop(filter.accepts(object.as_bytes())),
            Err(Invalid { at }) => prop_assert!(at == 0 || at < expression.len()),
        }
    }

    #[test]
    fn sums_and_products_are_those_of_rust(a in -99i32..99, b in -99i32..99, c in 1i32..99) {
        let text = format!("{a} + {b} * {c} - {b} % {c} == {}", a + b * c - b % c);
        prop_assert!(Filter::new(text.as_bytes()).unwrap().accepts(b""), "{}", text);
    }
}
