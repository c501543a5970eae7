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

/// Before a value of a module that had not yet been released with 4.0; cannot be skipped.
pub const TYPE_MODULE_PRE_GA: u8 = 6;
/// Before a value of a module: parts that tell their own form, so that it can be skipped.
pub const TYPE_MODULE_2: u8 = 7;
/// Before a hash with times, as Valkey 9 writes it: fields, values, times in milliseconds.
pub const TYPE_VALKEY_HASH: u8 = 22;

/// No further part of a module's value.
pub const MODULE_EOF: u64 = 0;
/// A part: a signed integer, as a length.
pub const MODULE_SINT: u64 = 1;
/// A part: an unsigned integer, as a length.
pub const MODULE_UINT: u64 = 2;
/// A part: four bytes.
pub const MODULE_FLOAT: u64 = 3;
/// A part: eight bytes.
pub const MODULE_DOUBLE: u64 = 4;
/// A part: a string.
pub const MODULE_STRING: u64 = 5;

/// Valkey: slots that are being imported, in what form its version says.
pub const VALKEY_SLOT_IMPORT: u8 = 243;
/// Number, keys and keys with expiry of a cluster slot that follows.
pub const SLOT_INFO: u8 = 244;
/// A library of functions, as a string.
pub const FUNCTION2: u8 = 245;
/// A library of functions, as release candidates of 7.0 wrote it.
pub const FUNCTION_PRE_GA: u8 = 246;
/// Data of a module that belong to no key.
pub const MODULE_AUX: u8 = 247;
/// Seconds since the next key was used.
pub const IDLE: u8 = 248;
/// How often the next key was used: a byte.
pub const FREQ: u8 = 249;
/// A name and a value about the file.
pub const AUX: u8 = 250;
/// Keys and keys with expiry of the database that follows.
pub const RESIZEDB: u8 = 251;
/// When the next key expires: Unix milliseconds.
pub const EXPIRETIME_MS: u8 = 252;
/// When the next key expires: Unix seconds.
pub const EXPIRETIME: u8 = 253;
/// The number of the database that follows.
pub const SELECTDB: u8 = 254;
/// The end; a checksum follows.
pub const EOF: u8 = 255;

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
