//! Which random commands there are: one table for each family. A row is the description of a command
//! and how its reply is compared. Commands that CrabCache does not have yet are left out by the runner.

use crate::compare::Strictness;

/// How a family's commands are made.
#[derive(Debug)]
pub struct Family {
    /// How its keys begin.
    pub prefix: &'static str,
    /// How often its commands come, compared with the others.
    pub weight: u32,
    /// The commands.
    pub rows: &'static [Row],
}

/// One form of a command.
#[derive(Debug)]
pub struct Row {
    /// See `syntax.rs`.
    pub syntax: &'static str,
    /// How replies are compared.
    pub strictness: Strictness,
}

const fn exact(syntax: &'static str) -> Row {
    Row { syntax, strictness: Strictness::Exact }
}

const fn unordered(syntax: &'static str) -> Row {
    Row { syntax, strictness: Strictness::Unordered }
}

const fn near(syntax: &'static str, tolerance: i64) -> Row {
    Row { syntax, strictness: Strictness::Approximate(tolerance) }
}

const fn kind(syntax: &'static str) -> Row {
    Row { syntax, strictness: Strictness::Kind }
}

/// How far two servers' clocks and our sending to one after the other may be apart.
const TOLERANCE_S: i64 = 3;
pub(super) const TOLERANCE_MS: i64 = 3000;

const STRING: &[Row] = &[
    exact("SET key value"),
    exact(
        "SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unixseconds | PXAT unixmilliseconds | KEEPTTL]",
    ),
    exact("GET key"),
    exact("GETDEL key"),
    exact(
        "GETEX key [EX seconds | PX milliseconds | EXAT unixseconds | PXAT unixmilliseconds | PERSIST]",
    ),
    exact("GETSET key value"),
    exact("SETNX key value"),
    exact("SETEX key seconds value"),
    exact("PSETEX key milliseconds value"),
    exact("APPEND key value"),
    exact("STRLEN key"),
    exact("GETRANGE key position position"),
    exact("SUBSTR key position position"),
    exact("SETRANGE key position value"),
    exact("INCR key"),
    exact("DECR key"),
    exact("INCRBY key int"),
    exact("DECRBY key int"),
    exact("INCRBYFLOAT key float"),
    exact("MGET key..."),
    exact("MSET (key value)..."),
    exact("MSETNX (key value)..."),
    exact("LCS key key [LEN] [IDX] [MINMATCHLEN int] [WITHMATCHLEN]"),
];

const GENERIC: &[Row] = &[
    exact("DEL key..."),
    exact("UNLINK key..."),
    exact("EXISTS key..."),
    exact("TOUCH key..."),
    exact("TYPE key"),
    exact("RENAME key key"),
    exact("RENAMENX key key"),
    exact("COPY key key [DB db] [REPLACE]"),
    exact("MOVE key db"),
    exact("OBJECT ENCODING key"),
    exact("OBJECT REFCOUNT key"),
    near("OBJECT IDLETIME key", TOLERANCE_S),
    unordered("KEYS pattern"),
    unordered("SCAN 0 COUNT 1000 [MATCH pattern] [TYPE type]"),
    kind("RANDOMKEY"),
    exact("DBSIZE"),
    exact("DUMP key"),
];

const EXPIRY: &[Row] = &[
    exact("EXPIRE key seconds [NX | XX | GT | LT]"),
    exact("PEXPIRE key milliseconds [NX | XX | GT | LT]"),
    exact("EXPIREAT key unixseconds [NX | XX | GT | LT]"),
    exact("PEXPIREAT key unixmilliseconds [NX | XX | GT | LT]"),
    exact("PERSIST key"),
    near("TTL key", TOLERANCE_S),
    near("PTTL key", TOLERANCE_MS),
    near("EXPIRETIME key", TOLERANCE_S),
    near("PEXPIRETIME key", TOLERANCE_MS),
];

const DATABASES: &[Row] = &[
    exact("SELECT db"),
    exact("SELECT 0"),
    exact("SELECT 0"),
    exact("SWAPDB db db"),
    exact("FLUSHDB [ASYNC | SYNC]"),
];

const TRANSACTIONS: &[Row] = &[
    exact("MULTI"),
    exact("EXEC"),
    exact("EXEC"),
    exact("DISCARD"),
    exact("WATCH key..."),
    exact("UNWATCH"),
    exact("PING [value]"),
    exact("ECHO value"),
];

const BITMAP: &[Row] = &[
    exact("SETBIT key bitoffset bit"),
    exact("GETBIT key bitoffset"),
    exact("BITCOUNT key [position position | position position (BIT | BYTE)]"),
    exact("BITPOS key bit [position | position position | position position (BIT | BYTE)]"),
    exact("BITOP (AND | OR | XOR | DIFF | DIFF1 | ANDOR | ONE) key key..."),
    exact("BITOP NOT key key"),
];

const SORTED_SET: &[Row] = &[
    exact("ZADD key [NX | XX] [GT | LT] [CH] (float element)..."),
    exact("ZADD key [NX | XX] [GT | LT] INCR float element"),
    exact("ZADD key (float element)..."),
    exact("ZINCRBY key float element"),
    exact("ZREM key element..."),
    exact("ZCARD key"),
    exact("ZSCORE key element"),
    exact("ZMSCORE key value..."),
    exact("ZRANK key element [WITHSCORE]"),
    exact("ZREVRANK key element [WITHSCORE]"),
    exact("ZCOUNT key scorebound scorebound"),
    exact("ZRANGE key position position [REV] [WITHSCORES]"),
    exact("ZRANGE key scorebound scorebound BYSCORE [REV] [LIMIT position position] [WITHSCORES]"),
    exact("ZRANGESTORE key key position position [REV]"),
    exact("ZREVRANGE key position position [WITHSCORES]"),
    exact("ZRANGEBYSCORE key scorebound scorebound [WITHSCORES] [LIMIT position position]"),
    exact("ZREVRANGEBYSCORE key scorebound scorebound [WITHSCORES] [LIMIT position position]"),
    exact("ZREMRANGEBYRANK key position position"),
    exact("ZREMRANGEBYSCORE key scorebound scorebound"),
    exact("ZPOPMIN key [count]"),
    exact("ZPOPMAX key [count]"),
    exact("ZMPOP 2 key key (MIN | MAX) [COUNT count]"),
    kind("ZRANDMEMBER key [count [WITHSCORES]]"),
    exact("ZUNION 2 key key [WEIGHTS float float] [AGGREGATE (SUM | MIN | MAX)] [WITHSCORES]"),
    exact("ZINTER 2 key key [WEIGHTS float float] [AGGREGATE (SUM | MIN | MAX)] [WITHSCORES]"),
    exact("ZDIFF 2 key key [WITHSCORES]"),
    exact("ZUNIONSTORE key 2 key key [WEIGHTS float float] [AGGREGATE (SUM | MIN | MAX)]"),
    exact("ZINTERSTORE key 2 key key [WEIGHTS float float] [AGGREGATE (SUM | MIN | MAX)]"),
    exact("ZDIFFSTORE key 2 key key"),
    exact("ZINTERCARD 2 key key [LIMIT count]"),
    exact("DEBUG DIGEST-VALUE key"),
    exact("OBJECT ENCODING key"),
    exact("DUMP key"),
];

/// All families.
pub const FAMILIES: &[Family] = &[
    Family { prefix: "s", weight: 40, rows: STRING },
    Family { prefix: "s", weight: 20, rows: GENERIC },
    Family { prefix: "s", weight: 15, rows: EXPIRY },
    Family { prefix: "s", weight: 3, rows: DATABASES },
    Family { prefix: "s", weight: 12, rows: TRANSACTIONS },
    Family { prefix: "b", weight: 12, rows: BITMAP },
    Family { prefix: "z", weight: 30, rows: SORTED_SET },
];

#[cfg(test)]
mod tests {
    use super::super::slots::Slots;
    use super::super::syntax::Syntax;
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn every_row_makes_commands() {
        let mut random = rand::rngs::StdRng::seed_from_u64(1);
        for family in FAMILIES {
            let slots = Slots::new(family.prefix);
            for row in family.rows {
                let syntax = Syntax::parse(row.syntax);
                for _ in 0..50 {
                    assert!(!syntax.generate(&slots, &mut random).is_empty());
                }
            }
        }
    }
}
