//! Tests of the request parser: cases by hand, and properties over random requests and splits.

use super::*;
use proptest::prelude::*;

type Requests = Vec<Vec<Vec<u8>>>;

/// Feeds `input` in the given pieces; returns the requests and the error that ended them.
fn parse_pieces(
    input: &[u8],
    cuts: &[usize],
    limits: &Limits,
) -> (Requests, Option<ProtocolError>) {
    let mut parser = RequestParser::default();
    let (mut requests, mut buf, mut fed) = (Vec::new(), Vec::new(), 0);
    for &cut in cuts.iter().chain([&input.len()]) {
        buf.extend_from_slice(&input[fed..cut]);
        fed = cut;
        let mut start = 0;
        loop {
            let mut spans = Vec::new();
            match parser.parse(&mut buf, start, limits, &mut spans) {
                Err(error) => return (requests, Some(error)),
                Ok(Progress::Incomplete { wanted }) => {
                    assert!(wanted > 0 && spans.is_empty());
                    break;
                }
                Ok(Progress::Complete { consumed }) => {
                    requests.push(spans.iter().map(|span| span.of(&buf).to_vec()).collect());
                    start += consumed;
                }
            }
        }
        // The buffer is compacted between reads, as a connection does it.
        buf.drain(..start);
    }
    (requests, None)
}

fn parse_all(input: &[u8]) -> (Requests, Option<ProtocolError>) {
    parse_pieces(input, &[], &Limits::default())
}

fn check(input: &[u8], expected: &[&[&str]]) {
    let expected: Requests = expected
        .iter()
        .map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect())
        .collect();
    assert_eq!(parse_all(input), (expected, None), "{}", input.escape_ascii());
}

fn check_error(input: &[u8], text: &str) {
    let error = parse_all(input).1.unwrap_or_else(|| panic!("{}", input.escape_ascii()));
    assert_eq!(error.to_string(), text, "{}", input.escape_ascii());
}

#[test]
fn multibulk_and_inline() {
    check(b"*1\r\n$4\r\nPING\r\n", &[&["PING"]]);
    check(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", &[&["GET", ""]]);
    check(b"PING\r\nPING\n", &[&["PING"], &["PING"]]);
    check(b"SET \"a b\" 'c'\r\n*1\r\n$1\r\nx\r\n", &[&["SET", "a b", "c"], &["x"]]);
    check(b"*0\r\n*-1\r\n\r\n", &[&[], &[], &[]]);
    check(b"*2\r\n$3\r\nGET\r\n$1", &[]);
}

#[test]
fn line_ends_are_not_looked_at_twice() {
    // Compat: neither the LF of a header nor the CR LF after a bulk is checked.
    check(b"*1\rX$4\rXPINGXX", &[&["PING"]]);
}

#[test]
fn errors_have_the_texts_of_the_reference() {
    check_error(b"*3x\r\n", "Protocol error: invalid multibulk length");
    check_error(b"*\r\n", "Protocol error: invalid multibulk length");
    check_error(b"*+1\r\n", "Protocol error: invalid multibulk length");
    check_error(b"*01\r\n", "Protocol error: invalid multibulk length");
    check_error(b"*20000000000000000000\r\n", "Protocol error: invalid multibulk length");
    check_error(b"*2147483648\r\n", "Protocol error: invalid multibulk length");
    check_error(b"*1\r\n$-1\r\n", "Protocol error: invalid bulk length");
    check_error(b"*1\r\n$536870913\r\n", "Protocol error: invalid bulk length");
    check_error(b"*1\r\n$9223372036854775807\r\n", "Protocol error: invalid bulk length");
    check_error(b"*1\r\n$x\r\n", "Protocol error: invalid bulk length");
    check_error(b"*1\r\nfoo\r\n", "Protocol error: expected '$', got 'f'");
    check_error(b"*1\r\n\r\n", "Protocol error: expected '$', got ' '");
    check_error(b"SET \"a\r\n", "Protocol error: unbalanced quotes in request");
}

#[test]
fn long_lines_are_refused() {
    let long = vec![b'1'; LINE_BYTES_MAX + 1];
    check_error(&[b"*", &long[..]].concat(), "Protocol error: too big mbulk count string");
    check_error(&[b"*1\r\n$", &long[..]].concat(), "Protocol error: too big bulk count string");
    check_error(&long, "Protocol error: too big inline request");
}

#[test]
fn unauthenticated_clients_are_limited() {
    let check = |input: &[u8], text: &str| {
        let error = parse_pieces(input, &[], &Limits::UNAUTHENTICATED).1.unwrap();
        assert_eq!(error.to_string(), text);
    };
    check(b"*11\r\n", "Protocol error: unauthenticated multibulk length");
    check(b"*1\r\n$16385\r\n", "Protocol error: unauthenticated bulk length");
    let allowed = [b"*10\r\n$16384\r\n".as_slice(), &[b'x'; 16384], b"\r\n"].concat();
    assert_eq!(parse_pieces(&allowed, &[], &Limits::UNAUTHENTICATED).1, None);
}

#[test]
fn claimed_lengths_allocate_nothing() {
    let mut parser = RequestParser::default();
    let mut buf = b"*2147483647\r\n$536870912\r\nabc".to_vec();
    let mut spans = Vec::new();
    let progress = parser.parse(&mut buf, 0, &Limits::default(), &mut spans).unwrap();
    assert_eq!(progress, Progress::Incomplete { wanted: 536_870_911 });
    assert_eq!((spans.capacity(), parser.mem_bytes()), (0, 0));
    assert!(parser.is_inside_request());
}

/// A request as a client library would send it, or as an inline line.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let args = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..6);
    (args, any::<bool>()).prop_map(|(args, inline)| {
        let mut out = Vec::new();
        if inline {
            for arg in &args {
                out.extend_from_slice(crate::words::quote(arg).as_bytes());
                out.push(b' ');
            }
        } else {
            out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
            for arg in &args {
                out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
                out.extend_from_slice(arg);
                out.extend_from_slice(b"\r\n");
            }
            return out;
        }
        out.extend_from_slice(b"\r\n");
        out
    })
}

/// Bytes that are likely to lead into every corner of the parser.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"*".to_vec()),
        Just(b"$".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"-1".to_vec()),
        Just(b"\"".to_vec()),
        (0i64..12).prop_map(|number| number.to_string().into_bytes()),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..5),
        request(),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn what_was_read_of_a_request_is_known() {
    let mut parser = RequestParser::default();
    let mut input = b"*3\r\n$3\r\nSET\r\n$5\r\nhello\r\n$10\r\n0123".to_vec();
    let (mut spans, limits) = (Vec::new(), Limits::default());
    for (more, n_read, words_bytes) in [("", 29, 8), ("45", 29, 8), ("6789\r", 29, 8)] {
        input.extend_from_slice(more.as_bytes());
        let progress = parser.parse(&mut input, 0, &limits, &mut spans);
        assert!(matches!(progress, Ok(Progress::Incomplete { .. })));
        assert_eq!((parser.n_read(), parser.words_bytes()), (n_read, words_bytes));
    }
    input.push(b'\n');
    let progress = parser.parse(&mut input, 0, &limits, &mut spans);
    assert_eq!(progress, Ok(Progress::Complete { consumed: input.len() }));
    assert_eq!((parser.n_read(), parser.words_bytes(), spans.len()), (0, 0, 3));
}

fn sorted_cuts(cuts: Vec<proptest::sample::Index>, len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    fn splits_do_not_matter(
        requests in proptest::collection::vec(request(), 0..5),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
    ) {
        let input = requests.concat();
        let cuts = sorted_cuts(cuts, input.len());
        let whole = parse_all(&input);
        prop_assert_eq!(whole.0.len(), requests.len());
        prop_assert_eq!(parse_pieces(&input, &cuts, &Limits::default()), whole);
    }

    #[test]
    fn splits_of_garbage_do_not_matter(
        input in garbage(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
    ) {
        let cuts = sorted_cuts(cuts, input.len());
        for limits in [Limits::default(), Limits::UNAUTHENTICATED] {
            let whole = parse_pieces(&input, &[], &limits);
            prop_assert_eq!(&parse_pieces(&input, &cuts, &limits), &whole);
        }
    }
}
