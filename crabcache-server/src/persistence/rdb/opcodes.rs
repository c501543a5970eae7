//! The numbers of the format.

/// The type byte before a string value.
pub const TYPE_STRING: u8 = 0;
/// Before a list: its elements.
pub const TYPE_LIST: u8 = 1;
/// Before a list: a ziplist.
pub const TYPE_LIST_ZIPLIST: u8 = 10;
/// Before a list: nodes that are ziplists.
pub const TYPE_LIST_QUICKLIST: u8 = 14;
/// Before a list: nodes that are listpacks or single elements.
pub const TYPE_LIST_QUICKLIST_2: u8 = 18;

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
