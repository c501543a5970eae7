//! Keyspace events: what can happen to a key, by class and name.

use bitflags::bitflags;

bitflags! {
    /// Classes of events, as `notify-keyspace-events` names them by letter.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Classes: u32 {
        /// K: published to `__keyspace@<db>__:<key>`.
        const KEYSPACE = 1;
        /// E: published to `__keyevent@<db>__:<event>`.
        const KEYEVENT = 1 << 1;
        /// g: commands of any type.
        const GENERIC = 1 << 2;
        /// $
        const STRING = 1 << 3;
        /// l
        const LIST = 1 << 4;
        /// s
        const SET = 1 << 5;
        /// h
        const HASH = 1 << 6;
        /// z
        const ZSET = 1 << 7;
        /// x: a key expired.
        const EXPIRED = 1 << 8;
        /// e: a key was evicted.
        const EVICTED = 1 << 9;
        /// t
        const STREAM = 1 << 10;
        /// m: a key was looked for and is not there.
        const KEY_MISS = 1 << 11;
        /// d: from a module.
        const MODULE = 1 << 12;
        /// n: a key is new.
        const NEW = 1 << 13;
        /// o: a value was overwritten.
        const OVERWRITTEN = 1 << 14;
        /// c: a key's type was changed.
        const TYPE_CHANGED = 1 << 15;
    }
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Its class.
    pub class: Classes,
    /// Its name.
    pub name: &'static str,
}

macro_rules! events {
    ($($constant:ident = $class:ident $name:literal;)*) => {
        impl Event {
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Event = Event { class: Classes::$class, name: $name };
            )*
        }
    };
}

events! {
    SET = STRING "set";
    DEL = GENERIC "del";
    EXPIRE = GENERIC "expire";
    PERSIST = GENERIC "persist";
    RENAME_FROM = GENERIC "rename_from";
    RENAME_TO = GENERIC "rename_to";
    MOVE_FROM = GENERIC "move_from";
    MOVE_TO = GENERIC "move_to";
    COPY_TO = GENERIC "copy_to";
    RESTORE = GENERIC "restore";
    EXPIRED = EXPIRED "expired";
    KEY_MISS = KEY_MISS "keymiss";
    NEW = NEW "new";
    OVERWRITTEN = OVERWRITTEN "overwritten";
    TYPE_CHANGED = TYPE_CHANGED "type_changed";
    HSET = HASH "hset";
    HDEL = HASH "hdel";
    HEXPIRE = HASH "hexpire";
    HEXPIRED = HASH "hexpired";
    HPERSIST = HASH "hpersist";
    HINCRBY = HASH "hincrby";
    HINCRBYFLOAT = HASH "hincrbyfloat";
    INCRBY = STRING "incrby";
    INCRBYFLOAT = STRING "incrbyfloat";
    APPEND = STRING "append";
    SETRANGE = STRING "setrange";
    SETBIT = STRING "setbit";
    PFADD = STRING "pfadd";
    LPUSH = LIST "lpush";
    RPUSH = LIST "rpush";
    LPOP = LIST "lpop";
    RPOP = LIST "rpop";
    LINSERT = LIST "linsert";
    LSET = LIST "lset";
    LREM = LIST "lrem";
    LTRIM = LIST "ltrim";
    SORTSTORE = LIST "sortstore";
    SADD = SET "sadd";
    SREM = SET "srem";
    SPOP = SET "spop";
    SINTERSTORE = SET "sinterstore";
    SUNIONSTORE = SET "sunionstore";
    SDIFFSTORE = SET "sdiffstore";
    ZADD = ZSET "zadd";
    ZINCR = ZSET "zincr";
    ZREM = ZSET "zrem";
    ZREMRANGEBYRANK = ZSET "zremrangebyrank";
    ZREMRANGEBYSCORE = ZSET "zremrangebyscore";
    ZREMRANGEBYLEX = ZSET "zremrangebylex";
    ZPOPMIN = ZSET "zpopmin";
    ZPOPMAX = ZSET "zpopmax";
    ZRANGESTORE = ZSET "zrangestore";
    ZUNIONSTORE = ZSET "zunionstore";
    ZINTERSTORE = ZSET "zinterstore";
    GEORADIUSSTORE = ZSET "georadiusstore";
    GEOSEARCHSTORE = ZSET "geosearchstore";
    ZDIFFSTORE = ZSET "zdiffstore";
    XADD = STREAM "xadd";
    XDEL = STREAM "xdel";
    XTRIM = STREAM "xtrim";
    XSETID = STREAM "xsetid";
    XGROUP_CREATE = STREAM "xgroup-create";
    XGROUP_CREATECONSUMER = STREAM "xgroup-createconsumer";
    XGROUP_DELCONSUMER = STREAM "xgroup-delconsumer";
    XGROUP_DESTROY = STREAM "xgroup-destroy";
    XGROUP_SETID = STREAM "xgroup-setid";
}
