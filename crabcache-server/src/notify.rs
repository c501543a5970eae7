//! Keyspace events: what can happen to a key, by class and name, and how subscribers learn of it.
//!
//! An event is published while the stripe of its key is locked, so the events of a key come in the
//! order of its changes.

use crate::pubsub;
use crate::server::Server;
use crate::server::interest::{Interest, Interests};
use bitflags::bitflags;
use std::sync::atomic::{AtomicU32, Ordering};

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
    EVICTED = EVICTED "evicted";
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

/// The classes that are published (`notify-keyspace-events`).
#[derive(Debug, Default)]
pub struct Notifications {
    classes: AtomicU32,
}

impl Notifications {
    /// Publishes events of these classes from now on.
    pub fn set(&self, classes: Classes, interests: &Interests) {
        let is_any = classes.intersects(Classes::KEYSPACE | Classes::KEYEVENT);
        let wants = |wanted: Classes| is_any && classes.intersects(wanted);
        self.classes.store(if is_any { classes.bits() } else { 0 }, Ordering::Relaxed);
        let places = Classes::KEYSPACE | Classes::KEYEVENT;
        interests.set(Interest::EVENTS, wants(Classes::all().difference(places)));
        interests.set(Interest::MISSES, wants(Classes::KEY_MISS));
        let fine = Classes::NEW | Classes::OVERWRITTEN | Classes::TYPE_CHANGED;
        interests.set(Interest::FINE_EVENTS, wants(fine));
    }

    fn get(&self) -> Classes {
        Classes::from_bits_truncate(self.classes.load(Ordering::Relaxed))
    }
}

/// Publishes an event, if its class is published and anybody has subscribed to anything.
#[inline]
pub fn publish(server: &Server, db: usize, key: &[u8], event: Event) {
    let classes = server.notifications.get();
    if classes.contains(event.class) && !server.pubsub.is_empty() {
        publish_wanted(server, classes, db, key, event);
    }
}

#[cold]
fn publish_wanted(server: &Server, classes: Classes, db: usize, key: &[u8], event: Event) {
    if classes.contains(Classes::KEYSPACE) {
        let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
        pubsub::publish(server, false, &channel, event.name.as_bytes());
    }
    if classes.contains(Classes::KEYEVENT) {
        let channel = format!("__keyevent@{db}__:{}", event.name);
        pubsub::publish(server, false, channel.as_bytes(), key);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    /// What subscribers of everything are sent about these commands, with `letters` on.
    fn published(letters: &str, lines: &[&str]) -> String {
        let mut t = TestServer::new();
        t.check(&format!("CONFIG SET notify-keyspace-events \"{letters}\""), "+OK");
        let mut client = t.client();
        t.run_as(&mut client, "PSUBSCRIBE *");
        for line in lines {
            t.run(line);
        }
        let text = t.taken_by(&mut client);
        let words = text.split(' ').filter(|word| !word.is_empty() && !word.starts_with('$'));
        let words: Vec<&str> =
            words.filter(|word| !["*4", "pmessage", "*"].contains(word)).collect();
        words.chunks(2).map(|pair| pair.join(" ")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn letters_choose_what_is_published() {
        let lines = ["SET k v", "EXPIRE k 100", "GET nosuch", "SELECT 9", "SADD s 1"];
        assert_eq!(published("", &lines), "");
        assert_eq!(published("A", &lines), "");
        assert_eq!(published("KE", &lines), "");
        assert_eq!(published("K$", &lines), "__keyspace@0__:k set");
        assert_eq!(published("E$m", &lines), "__keyevent@0__:set k, __keyevent@0__:keymiss nosuch");
        assert_eq!(published("KEg", &lines), "__keyspace@0__:k expire, __keyevent@0__:expire k");
        assert_eq!(
            published("EAn", &lines),
            "__keyevent@0__:new k, __keyevent@0__:set k, __keyevent@0__:expire k, \
             __keyevent@9__:new s, __keyevent@9__:sadd s"
        );
    }

    #[test]
    fn events_of_a_client_follow_its_reply() {
        let mut t = TestServer::new();
        t.run("CONFIG SET notify-keyspace-events KA");
        t.run("HELLO 3");
        t.run("SUBSCRIBE __keyspace@0__:k");
        t.check("SET k v", "+OK >[\"message\", \"__keyspace@0__:k\", \"set\"]");
        t.check_all(&[("MULTI", "+OK"), ("DEL k", "+QUEUED"), ("PING", "+QUEUED")]);
        t.check("EXEC", "[:1, +PONG] >[\"message\", \"__keyspace@0__:k\", \"del\"]");
    }
}
