//! Rules and what they come to, as the reference has it.

use crate::testing::TestServer;

/// What ACL LIST says of a user after these rules.
const RULES: &[(&str, &str)] = &[
    ("", "off sanitize-payload resetchannels -@all"),
    ("on nopass", "on nopass sanitize-payload resetchannels -@all"),
    ("on >pw nopass", "on nopass sanitize-payload resetchannels -@all"),
    ("nopass resetpass", "off sanitize-payload resetchannels -@all"),
    ("skip-sanitize-payload sanitize-payload", "off sanitize-payload resetchannels -@all"),
    ("+@all", "off sanitize-payload resetchannels +@all"),
    ("+@all -get", "off sanitize-payload resetchannels +@all -get"),
    ("-get +get -GET", "off sanitize-payload resetchannels -@all -get"),
    ("+get +set -get +del", "off sanitize-payload resetchannels -@all +set -get +del"),
    (
        "+config|get +config|set -config|get",
        "off sanitize-payload resetchannels -@all +config|set -config|get",
    ),
    ("+config -config|set", "off sanitize-payload resetchannels -@all +config -config|set"),
    ("+config|get +config", "off sanitize-payload resetchannels -@all +config"),
    ("-config +config|get", "off sanitize-payload resetchannels -@all -config +config|get"),
    ("+@read -@write +@READ", "off sanitize-payload resetchannels -@all -@write +@read"),
    ("+@all -@dangerous +info", "off sanitize-payload resetchannels +@all -@dangerous +info"),
    (
        "+select|1 +select|2 +SELECT|1",
        "off sanitize-payload resetchannels -@all +select|2 +select|1",
    ),
    ("+select|1 +select", "off sanitize-payload resetchannels -@all +select"),
    ("+set|a +setex -set", "off sanitize-payload resetchannels -@all +setex -set"),
    (
        "+client|id -client +client|info",
        "off sanitize-payload resetchannels -@all -client +client|info",
    ),
    ("~a ~b ~a", "off sanitize-payload ~a ~b resetchannels -@all"),
    ("%R~a %W~a", "off sanitize-payload ~a resetchannels -@all"),
    ("%RW~a %r~b %w~c", "off sanitize-payload ~a %R~b %W~c resetchannels -@all"),
    ("~a allkeys", "off sanitize-payload ~* resetchannels -@all"),
    ("allkeys resetkeys ~x", "off sanitize-payload ~x resetchannels -@all"),
    ("%W~*", "off sanitize-payload %W~* resetchannels -@all"),
    ("&a &b &a", "off sanitize-payload resetchannels &a &b -@all"),
    ("allchannels resetchannels &c", "off sanitize-payload resetchannels &c -@all"),
    ("&*", "off sanitize-payload &* -@all"),
    (
        "(+get ~a) (+@all &x %R~b)",
        "off sanitize-payload resetchannels -@all (~a resetchannels -@all +get) (%R~b resetchannels &x +@all)",
    ),
    ("(+get ~a) clearselectors", "off sanitize-payload resetchannels -@all"),
    ("() +get", "off sanitize-payload resetchannels -@all +get (resetchannels -@all)"),
    ("on >pw +@all ~* &* (+get) reset", "off sanitize-payload resetchannels -@all"),
];

const UNKNOWN: &str = "Unknown command or category name in ACL";
const HASH: &str = "The password hash must be exactly 64 characters and contain only lowercase \
                    hexadecimal characters";

/// Why the last of these rules is refused.
const REFUSED: &[(&str, &str)] = &[
    ("+nosuch", UNKNOWN),
    ("-nosuch", UNKNOWN),
    ("+@nosuch", UNKNOWN),
    ("-@nosuch", UNKNOWN),
    ("+config|nosuch", UNKNOWN),
    ("-config|nosuch", UNKNOWN),
    ("+select|1|2", UNKNOWN),
    ("-select|1", UNKNOWN),
    ("(+nosuch)", UNKNOWN),
    ("nosuch", "Syntax error"),
    ("+get|", "Syntax error"),
    ("%~x", "Syntax error"),
    ("%X~x", "Syntax error"),
    ("%RR~x", "Syntax error"),
    ("%", "Syntax error"),
    ("(on)", "Syntax error"),
    ("((+get))", "Syntax error"),
    ("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
    ("<pw", "The password you are trying to remove from the user does not exist"),
    ("!00", HASH),
    ("#00", HASH),
    (
        "allkeys ~x",
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not \
         have any effect. Try 'resetkeys' to start with an empty list of patterns",
    ),
    (
        "allchannels &x",
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does \
         not have any effect. Try 'resetchannels' to start with an empty list of channels",
    ),
];

#[test]
fn rules_come_to_what_the_reference_says() {
    let mut t = TestServer::new();
    for (rules, expected) in RULES {
        t.check(&format!("ACL SETUSER u {rules}"), "+OK");
        let described = t.server.users.get(b"u").unwrap().describe();
        assert_eq!(String::from_utf8(described).unwrap(), format!("u {expected}"), "{rules}");
        // What is described makes the same user.
        t.check(&format!("ACL SETUSER u reset {expected}"), "+OK");
        let again = t.server.users.get(b"u").unwrap().describe();
        assert_eq!(String::from_utf8(again).unwrap(), format!("u {expected}"), "{rules}");
        t.check("ACL DELUSER u", ":1");
    }
}

#[test]
fn wrong_rules_change_nothing() {
    let mut t = TestServer::new();
    for (rules, why) in REFUSED {
        let last = rules.split(' ').next_back().unwrap();
        let error = format!("-ERR Error in ACL SETUSER modifier '{last}': {why}");
        t.check(&format!("ACL SETUSER u on {rules}"), &error);
        assert!(t.server.users.get(b"u").is_none(), "{rules}");
    }
}
