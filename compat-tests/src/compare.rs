//! When two replies count as equal.

use crate::frame::Frame;
use crate::wire::Received;

/// How strictly replies are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Byte for byte.
    #[default]
    Exact,
    /// Elements of aggregates in any order.
    Unordered,
    /// Integers may differ by so much; everything else byte for byte.
    Approximate(i64),
    /// Only the kind of reply.
    Kind,
    /// Not at all.
    Ignored,
}

/// Whether what the two servers sent is equal.
pub fn agree(reference: &Received, ours: &Received, strictness: Strictness) -> bool {
    let (left, right) = match (reference, ours) {
        (Received::Reply(left), Received::Reply(right)) => (left, right),
        // A closed connection is an answer; silence is none.
        (Received::Closed(left), Received::Closed(right)) => return left == right,
        _ => return false,
    };
    if strictness == Strictness::Ignored || left == right {
        return true;
    }
    let (Ok(left), Ok(right)) = (Frame::parse(left), Frame::parse(right)) else { return false };
    match strictness {
        Strictness::Exact | Strictness::Ignored => false,
        Strictness::Unordered => sorted(&left) == sorted(&right),
        Strictness::Approximate(tolerance) => is_near(&left, &right, tolerance),
        Strictness::Kind => left.kind() == right.kind() && left.is_null() == right.is_null(),
    }
}

/// The bytes of a reply with the elements of all its aggregates in one order. Keys of maps stay with
/// their values.
pub fn sorted(frame: &Frame<'_>) -> Vec<u8> {
    if frame.children.is_empty() {
        return frame.raw.to_vec();
    }
    let group_len = if frame.kind() == b'%' { 2 } else { 1 };
    let mut groups: Vec<Vec<u8>> = frame
        .children
        .chunks(group_len)
        .map(|group| group.iter().flat_map(sorted).collect())
        .collect();
    groups.sort();
    let mut bytes = frame.head.to_vec();
    bytes.extend_from_slice(b"\r\n");
    bytes.extend(groups.concat());
    bytes
}

fn is_near(left: &Frame<'_>, right: &Frame<'_>, tolerance: i64) -> bool {
    if left.raw == right.raw {
        return true;
    }
    if left.kind() != right.kind() || left.children.len() != right.children.len() {
        return false;
    }
    if left.children.is_empty() {
        // Negative numbers say something (-1: no expiry).
        return match (left.int(), right.int()) {
            (Some(left), Some(right)) => {
                left.min(right) >= 0 && left.abs_diff(right) <= tolerance.unsigned_abs()
            }
            _ => false,
        };
    }
    left.children.iter().zip(&right.children).all(|(left, right)| is_near(left, right, tolerance))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, strictness: Strictness, expected: bool) {
        let received = |text: &str| Received::Reply(text.replace(' ', "\r\n").into_bytes());
        assert_eq!(
            agree(&received(left), &received(right), strictness),
            expected,
            "{left} {right}"
        );
    }

    #[test]
    fn strictness_decides() {
        use Strictness::{Approximate, Exact, Ignored, Kind, Unordered};
        check("+OK ", "+OK ", Exact, true);
        check("+OK ", "+QUEUED ", Exact, false);
        check("+OK ", "+QUEUED ", Kind, true);
        check("+OK ", ":1 ", Kind, false);
        check("$-1 ", "$1 a ", Kind, false);
        check("+OK ", ":1 ", Ignored, true);
        check("*2 :1 :2 ", "*2 :2 :1 ", Exact, false);
        check("*2 :1 :2 ", "*2 :2 :1 ", Unordered, true);
        check("*2 :1 *2 :3 :4 ", "*2 *2 :4 :3 :1 ", Unordered, true);
        check("*2 :1 :2 ", "*2 :2 :2 ", Unordered, false);
        check("%2 +a :1 +b :2 ", "%2 +b :2 +a :1 ", Unordered, true);
        check("%2 +a :1 +b :2 ", "%2 +b :1 +a :2 ", Unordered, false);
        check(":100 ", ":103 ", Approximate(3), true);
        check(":100 ", ":104 ", Approximate(3), false);
        check(":-1 ", ":1 ", Approximate(5), false);
        check(":-1 ", ":-2 ", Approximate(5), false);
        check("*2 +a $3 100 ", "*2 +a $3 101 ", Approximate(3), true);
        check("*2 +a $3 100 ", "*2 +b $3 101 ", Approximate(3), false);
    }

    #[test]
    fn silence_is_no_answer() {
        let nothing = Received::Nothing(Vec::new());
        assert!(!agree(&nothing, &nothing, Strictness::Ignored));
        let closed = Received::Closed(Vec::new());
        assert!(agree(&closed, &closed, Strictness::Exact));
        assert!(!agree(&closed, &Received::Reply(b"+OK\r\n".to_vec()), Strictness::Ignored));
    }
}
