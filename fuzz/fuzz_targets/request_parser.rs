//! The request parser: never a panic, and the same requests however the bytes arrive.
//!
//! The first byte says how long the pieces are; the rest is the input.

#![no_main]

use crabcache_resp::{Limits, Progress, RequestParser};
use libfuzzer_sys::fuzz_target;

/// Requests, and the error that ended them.
type Parsed = (Vec<Vec<Vec<u8>>>, Option<String>);

fuzz_target!(|data: &[u8]| {
    let Some((&piece_len, input)) = data.split_first() else { return };
    for limits in [Limits::authenticated(1 << 20), Limits::UNAUTHENTICATED] {
        let whole = parse(input, input.len(), limits);
        assert_eq!(parse(input, usize::from(piece_len), limits), whole);
        assert_eq!(parse(input, 1, limits), whole);
    }
});

fn parse(input: &[u8], piece_len: usize, limits: Limits) -> Parsed {
    let mut parser = RequestParser::default();
    let (mut requests, mut buf) = (Vec::new(), Vec::new());
    for piece in input.chunks(piece_len.max(1)) {
        buf.extend_from_slice(piece);
        let mut start = 0;
        loop {
            let mut spans = Vec::new();
            match parser.parse(&mut buf, start, &limits, &mut spans) {
                Err(error) => return (requests, Some(error.to_string())),
                Ok(Progress::Incomplete { wanted }) => {
                    assert!(wanted > 0);
                    break;
                }
                Ok(Progress::Complete { consumed }) => {
                    requests.push(spans.iter().map(|span| span.of(&buf).to_vec()).collect());
                    start += consumed;
                }
            }
        }
        buf.drain(..start);
    }
    (requests, None)
}
