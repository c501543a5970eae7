//! The numbers of the format.

/// The type byte before a string value.
pub const TYPE_STRING: u8 = 0;
/// Before a list: its elements.
pub const TYPE_LIST: u8 = 1;
/// Before a list: a ziplist.
pub const TYPE_LIST_ZIPLIST: u8 = 10;
/// Before a list: nodes that are ziplists.
pub const TYPE_LIST_QUICKLIST: u8 = 14;
/// Before a set: its members, string by string.
pub const TYPE_SET: u8 = 2;
/// Before a set that is an intset.
pub const TYPE_SET_INTSET: u8 = 11;
/// Before a set that is a listpack.
pub const TYPE_SET_LISTPACK: u8 = 20;
/// Before a sorted set: members with scores as text.
pub const TYPE_ZSET: u8 = 3;
/// Before a sorted set: members with scores as doubles.
pub const TYPE_ZSET_2: u8 = 5;
/// Before a sorted set that is a ziplist.
pub const TYPE_ZSET_ZIPLIST: u8 = 12;
/// Before a sorted set that is a listpack.
pub const TYPE_ZSET_LISTPACK: u8 = 17;
/// Before a list: nodes that are listpacks or single elements.
pub const TYPE_LIST_QUICKLIST_2: u8 = 18;
/// Before a stream, as Redis 5 to 6 wrote it,
pub const TYPE_STREAM_LISTPACKS: u8 = 15;
/// as 7.0 did,
pub const TYPE_STREAM_LISTPACKS_2: u8 = 19;
/// and as it is written since 7.2.
pub const TYPE_STREAM_LISTPACKS_3: u8 = 21;

/// Before a hash: fields and values, as strings.
pub const TYPE_HASH: u8 = 4;
/// Before a hash: a zipmap (until 2.6).
pub const TYPE_HASH_ZIPMAP: u8 = 9;
/// Before a hash: a ziplist (until 7.0).
pub const TYPE_HASH_ZIPLIST: u8 = 13;
/// Before a hash: a listpack.
pub const TYPE_HASH_LISTPACK: u8 = 16;
/// Before a hash: times, fields and values (release candidates of 7.4).
pub const TYPE_HASH_METADATA_PRE_GA: u8 = 22;
/// Before a hash: a listpack with times (release candidates of 7.4).
pub const TYPE_HASH_LISTPACK_EX_PRE_GA: u8 = 23;
/// Before a hash: the earliest time; times after it, fields and values.
pub const TYPE_HASH_METADATA: u8 = 24;
/// Before a hash: the earliest time, and a listpack with times.
pub const TYPE_HASH_LISTPACK_EX: u8 = 25;

/// The two high bits of a length's first byte: six bits of length follow in the same byte,
pub const LEN_6_BITS: u8 = 0;
/// fourteen in this and the next,
pub const LEN_14_BITS: u8 = 1;
/// or no length at all, but one of the encodings below.
pub const LEN_ENCODED: u8 = 3;
/// A whole byte: 32 bits of length follow, the highest first.
pub const LEN_32_BITS: u8 = 0x80;
/// A whole byte: 64 bits of length follow, the highest first.
pub const LEN_64_BITS: u8 = 0x81;

/// A string that is the text of an integer of 8 bits.
pub const ENCODING_INT8: u8 = 0;
/// Of 16 bits, the lowest first.
pub const ENCODING_INT16: u8 = 1;
/// Of 32 bits, the lowest first.
pub const ENCODING_INT32: u8 = 2;
/// A compressed string: compressed length, length, LZF.
pub const ENCODING_LZF: u8 = 3;
