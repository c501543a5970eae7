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
    // Arguments that a transaction still has count there.
    kind("OBJECT REFCOUNT key"),
    near("OBJECT IDLETIME key", TOLERANCE_S),
    unordered("KEYS pattern"),
    unordered("SCAN 0 COUNT 1000 [MATCH pattern] [TYPE type]"),
    kind("RANDOMKEY"),
    exact("DBSIZE"),
    kind("DUMP key"),
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
    exact(
        "BITFIELD key [GET bittype fieldoffset]... [SET bittype fieldoffset int]... [OVERFLOW (WRAP | SAT | FAIL)] [INCRBY bittype fieldoffset int]...",
    ),
    exact("BITFIELD_RO key (GET bittype fieldoffset)..."),
    exact("GET key"),
];

const LIST: &[Row] = &[
    exact("LPUSH key value..."),
    exact("RPUSH key value..."),
    exact("RPUSH key value..."),
    exact("RPUSH key crowd"),
    exact("LPUSHX key value..."),
    exact("RPUSHX key value..."),
    exact("LPOP key [count]"),
    exact("RPOP key [count]"),
    exact("LLEN key"),
    exact("LINDEX key position"),
    exact("LINSERT key (BEFORE | AFTER) element value"),
    exact("LRANGE key position position"),
    exact("LREM key count element"),
    exact("LSET key index value"),
    exact("LTRIM key position position"),
    exact("LPOS key element [RANK count] [COUNT count] [MAXLEN count]"),
    exact("LMOVE key key (LEFT | RIGHT) (LEFT | RIGHT)"),
    exact("RPOPLPUSH key key"),
    exact("LMPOP numkeys (LEFT | RIGHT) [COUNT count]"),
    exact("DEBUG DIGEST-VALUE key"),
    exact("OBJECT ENCODING key"),
    kind("DUMP key"),
];

/// Lists alone, on keys that nothing else touches: the reference converts a sorted set when it sorts
/// it, and the order of a set is nobody's business.
const SORTING: &[Row] = &[
    exact("RPUSH sortkey int..."),
    exact("RPUSH sortkey value..."),
    exact("RPUSH sortkey crowd"),
    exact("LPOP sortkey count"),
    exact("SORT sortkey [LIMIT position position] [ASC | DESC] [ALPHA] [STORE sortkey]"),
    exact("SORT_RO sortkey BY pattern GET pattern GET # [DESC] [ALPHA]"),
    exact("SORT sortkey BY s* GET s* [LIMIT position position] [DESC]"),
];

const SET: &[Row] = &[
    exact("SADD key element..."),
    exact("SADD key value..."),
    exact("SADD key crowd"),
    exact("SREM key element..."),
    exact("SREM key crowd"),
    exact("SCARD key"),
    exact("SISMEMBER key element"),
    exact("SMISMEMBER key value..."),
    exact("SMOVE key key element"),
    unordered("SMEMBERS key"),
    unordered("SSCAN key 0 COUNT 10000 [MATCH pattern]"),
    kind("SRANDMEMBER key [count]"),
    unordered("SINTER key..."),
    unordered("SUNION key..."),
    unordered("SDIFF key..."),
    exact("SINTERCARD numkeys [LIMIT count]"),
    exact("SINTERSTORE key key..."),
    exact("SUNIONSTORE key key..."),
    exact("SDIFFSTORE key key..."),
    exact("DEBUG DIGEST-VALUE key"),
    exact("OBJECT ENCODING key"),
];

const HASH: &[Row] = &[
    exact("HSET key (element value)..."),
    exact("HSET key (element value)..."),
    exact("HSET key crowd"),
    exact("HMSET key (element value)..."),
    exact("HSETNX key element value"),
    exact("HGET key element"),
    exact("HMGET key element..."),
    exact("HDEL key element..."),
    exact("HDEL key crowd"),
    exact("HEXISTS key element"),
    exact("HLEN key"),
    exact("HSTRLEN key element"),
    exact("HINCRBY key element int"),
    exact("HINCRBYFLOAT key element float"),
    unordered("HGETALL key"),
    unordered("HKEYS key"),
    unordered("HVALS key"),
    unordered("HSCAN key 0 COUNT 10000 [MATCH pattern] [NOVALUES]"),
    kind("HRANDFIELD key [count [WITHVALUES]]"),
    exact("DEBUG DIGEST-VALUE key"),
    exact("OBJECT ENCODING key"),
];

const HASH_EXPIRY: &[Row] = &[
    exact("HSET key (element value)..."),
    exact("HEXPIRE key seconds [NX | XX | GT | LT] FIELDS fields"),
    exact("HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS fields"),
    exact("HEXPIREAT key unixseconds [NX | XX | GT | LT] FIELDS fields"),
    exact("HPEXPIREAT key unixmilliseconds [NX | XX | GT | LT] FIELDS fields"),
    near("HTTL key FIELDS fields", TOLERANCE_S),
    near("HPTTL key FIELDS fields", TOLERANCE_MS),
    near("HEXPIRETIME key FIELDS fields", TOLERANCE_S),
    near("HPEXPIRETIME key FIELDS fields", TOLERANCE_MS),
    exact("HPERSIST key FIELDS fields"),
    exact(
        "HGETEX key [EX seconds | PX milliseconds | EXAT unixseconds | PXAT unixmilliseconds | PERSIST] FIELDS fields",
    ),
    exact(
        "HSETEX key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unixseconds | PXAT unixmilliseconds | KEEPTTL] FIELDS 2 element value element value",
    ),
    exact("HGETDEL key FIELDS fields"),
    exact("HINCRBY key element int"),
    unordered("HGETALL key"),
    exact("HLEN key"),
    exact("OBJECT ENCODING key"),
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
    exact("ZADD key crowd"),
    exact("ZRANGESTORE key key scorebound scorebound BYSCORE [REV] [LIMIT position position]"),
    unordered("ZSCAN key 0 COUNT 10000 [MATCH pattern]"),
    exact("ZMPOP numkeys (MIN | MAX) [COUNT count]"),
    exact("DEBUG DIGEST-VALUE key"),
    exact("OBJECT ENCODING key"),
    kind("DUMP key"),
];

/// Ranges by text are defined only where all scores are equal: keys that nothing else touches.
const LEXICAL: &[Row] = &[
    exact("ZADD lexkey (0 element)..."),
    exact("ZADD lexkey (0 value)..."),
    exact("ZREM lexkey element..."),
    exact("ZLEXCOUNT lexkey lexbound lexbound"),
    exact("ZRANGEBYLEX lexkey lexbound lexbound [LIMIT position position]"),
    exact("ZREVRANGEBYLEX lexkey lexbound lexbound [LIMIT position position]"),
    exact("ZRANGE lexkey lexbound lexbound BYLEX [REV] [LIMIT position position]"),
    exact("ZRANGESTORE lexkey lexkey lexbound lexbound BYLEX [REV] [LIMIT position position]"),
    exact("ZREMRANGEBYLEX lexkey lexbound lexbound"),
    unordered("ZSCAN lexkey 0 COUNT 10000 [MATCH pattern]"),
    exact("OBJECT ENCODING lexkey"),
];

const STREAM: &[Row] = &[
    exact("XADD key newid (element value)..."),
    exact("XADD key newid (element value)..."),
    exact("XADD key newid element element element element"),
    exact(
        "XADD key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [(MAXLEN | MINID) [= | ~] count [LIMIT count]] newid (element value)...",
    ),
    exact("XLEN key"),
    exact("XRANGE key rangeid rangeid [COUNT count]"),
    exact("XREVRANGE key rangeid rangeid [COUNT count]"),
    exact("XREAD [COUNT count] STREAMS key key streamid streamid"),
    exact("XDEL key streamid..."),
    exact("XDELEX key [KEEPREF | DELREF | ACKED] IDS ids"),
    exact("XTRIM key (MAXLEN | MINID) [= | ~] count [LIMIT count] [KEEPREF | DELREF | ACKED]"),
    exact("XSETID key streamid [ENTRIESADDED count] [MAXDELETEDID streamid]"),
    exact("XINFO STREAM key"),
    exact("DEBUG DIGEST-VALUE key"),
    exact("OBJECT ENCODING key"),
];

const GROUPS: &[Row] = &[
    exact("XADD key newid element value"),
    exact("XADD key newid element value"),
    exact("XGROUP CREATE key group (groupid | 0) [MKSTREAM] [ENTRIESREAD count]"),
    exact("XGROUP CREATE key group 0"),
    exact("XGROUP SETID key group groupid [ENTRIESREAD count]"),
    exact("XGROUP DESTROY key group"),
    exact("XGROUP CREATECONSUMER key group consumer"),
    exact("XGROUP DELCONSUMER key group consumer"),
    exact("XREADGROUP GROUP group consumer [COUNT count] [NOACK] STREAMS key >"),
    exact("XREADGROUP GROUP group consumer [COUNT count] [NOACK] STREAMS key >"),
    exact("XREADGROUP GROUP group consumer [COUNT count] STREAMS key streamid"),
    exact("XACK key group streamid..."),
    exact("XACKDEL key group [KEEPREF | DELREF | ACKED] IDS ids"),
    exact("XDELEX key [KEEPREF | DELREF | ACKED] IDS ids"),
    exact("XTRIM key MAXLEN count [KEEPREF | DELREF | ACKED]"),
    exact("XDEL key streamid"),
    exact("XPENDING key group"),
    near("XPENDING key group [IDLE count] rangeid rangeid count [consumer]", TOLERANCE_MS),
    exact("XCLAIM key group consumer 0 streamid... [RETRYCOUNT count] [FORCE] [JUSTID]"),
    exact("XAUTOCLAIM key group consumer 0 streamid [COUNT count] [JUSTID]"),
    exact("XINFO GROUPS key"),
    near("XINFO CONSUMERS key group", TOLERANCE_MS),
    near("XINFO STREAM key FULL [COUNT count]", TOLERANCE_MS),
];

/// On keys that nothing else touches: what is damaged may be changed in part there.
const HYPERLOGLOG: &[Row] = &[
    exact("PFADD hllkey [value]..."),
    exact("PFADD hllkey crowd"),
    exact("PFADD hllkey noise"),
    exact("PFCOUNT hllkey..."),
    exact("PFMERGE hllkey hllkey..."),
    exact("GET hllkey"),
    exact("STRLEN hllkey"),
];

const GEO: &[Row] = &[
    exact("GEOADD key [NX | XX] [CH] (longitude latitude element)..."),
    exact("GEOADD key (longitude latitude element)..."),
    exact("GEODIST key element element [M | KM | FT | MI | XX]"),
    exact("GEOPOS key element..."),
    exact("GEOHASH key element..."),
    unordered("GEOSEARCH key FROMMEMBER element BYRADIUS radius (M | KM | FT | MI)"),
    exact(
        "GEOSEARCH key (FROMMEMBER element | FROMLONLAT longitude latitude) (BYRADIUS radius KM | BYBOX radius radius KM) (ASC | DESC) [COUNT count] [WITHCOORD] [WITHDIST] [WITHHASH]",
    ),
    exact(
        "GEOSEARCHSTORE key key (FROMMEMBER element | FROMLONLAT longitude latitude) (BYRADIUS radius KM | BYBOX radius radius KM) [ASC | DESC] [COUNT count] [STOREDIST]",
    ),
    exact(
        "GEORADIUS key longitude latitude radius (M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count] ASC",
    ),
    exact("GEORADIUSBYMEMBER key element radius KM DESC [STORE key | STOREDIST key]"),
    exact("ZREM key element"),
    exact("ZRANGE key 0 -1 WITHSCORES"),
];

/// What does not depend on the random levels of a graph, on keys that nothing else touches.
const VECTOR_SET: &[Row] = &[
    exact("VADD vectorkey VALUES 3 component component component element"),
    exact("VADD vectorkey VALUES 3 component component component element (NOQUANT | Q8 | BIN)"),
    exact("VADD vectorkey VALUES 3 component component component element SETATTR json"),
    exact("VREM vectorkey element"),
    exact("VCARD vectorkey"),
    exact("VDIM vectorkey"),
    exact("VEMB vectorkey element"),
    exact("VISMEMBER vectorkey element"),
    exact("VGETATTR vectorkey element"),
    exact("VSETATTR vectorkey element attributes"),
    unordered("VSIM vectorkey VALUES 3 component component component COUNT 100 TRUTH WITHSCORES"),
    unordered("VSIM vectorkey ELE element COUNT 100 TRUTH [WITHSCORES] [WITHATTRIBS]"),
    kind("VSIM vectorkey ELE element"),
    kind("VRANDMEMBER vectorkey [count]"),
    kind("VINFO vectorkey"),
];

/// What is the same for every type.
const ANY: &[Row] = &[
    exact("COPY anykey anykey [REPLACE]"),
    exact("RENAME anykey anykey"),
    exact("RENAMENX anykey anykey"),
    exact("DEL anykey"),
    exact("UNLINK anykey"),
    exact("TYPE anykey"),
    exact("EXISTS anykey"),
    exact("TOUCH anykey"),
    exact("OBJECT ENCODING anykey"),
    exact("DEBUG DIGEST-VALUE anykey"),
    exact("PEXPIRE anykey milliseconds"),
    exact("PERSIST anykey"),
    exact("MOVE anykey db"),
];

/// All families.
pub const FAMILIES: &[Family] = &[
    Family { prefix: "s", weight: 40, rows: STRING },
    Family { prefix: "s", weight: 20, rows: GENERIC },
    Family { prefix: "s", weight: 15, rows: EXPIRY },
    Family { prefix: "s", weight: 3, rows: DATABASES },
    Family { prefix: "s", weight: 12, rows: TRANSACTIONS },
    Family { prefix: "b", weight: 12, rows: BITMAP },
    Family { prefix: "l", weight: 30, rows: LIST },
    Family { prefix: "s", weight: 8, rows: SORTING },
    Family { prefix: "t", weight: 30, rows: SET },
    Family { prefix: "h", weight: 25, rows: HASH },
    Family { prefix: "h", weight: 20, rows: HASH_EXPIRY },
    Family { prefix: "z", weight: 30, rows: SORTED_SET },
    Family { prefix: "z", weight: 10, rows: LEXICAL },
    Family { prefix: "x", weight: 20, rows: STREAM },
    Family { prefix: "x", weight: 25, rows: GROUPS },
    Family { prefix: "p", weight: 10, rows: HYPERLOGLOG },
    Family { prefix: "g", weight: 12, rows: GEO },
    Family { prefix: "v", weight: 10, rows: VECTOR_SET },
    Family { prefix: "s", weight: 15, rows: ANY },
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
