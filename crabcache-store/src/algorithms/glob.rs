//! Patterns with `*`, `?`, `[a-z]`, `[^...]` and `\`, as KEYS, PSUBSCRIBE and CONFIG GET take them.
//!
//! Iterative: when a match fails after a `*`, that `*` (and never an earlier one) takes one byte
//! more. So the work is bounded by the product of the two lengths, whatever the pattern, and there
//! is no recursion.

/// Whether upper and lower case are the same (for ASCII letters).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// They differ.
    Sensitive,
    /// They are the same.
    Insensitive,
}

/// Compat: a pattern whose match would have to go past so many groups of `*` matches nothing.
const N_STARS_MAX: usize = 1000;

/// Whether all of `text` matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    if text.is_empty() {
        // Compat: not even `*` matches the empty string.
        return pattern.is_empty();
    }
    let (mut at, mut pos, mut n_stars) = (0, 0, 0);
    // The pattern after the last `*`, and how much of the text that `*` leaves to it.
    let mut retry: Option<(usize, usize)> = None;
    while pos < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += pattern[at..].iter().take_while(|byte| **byte == b'*').count();
                if at == pattern.len() {
                    return true;
                }
                n_stars += 1;
                if n_stars > N_STARS_MAX {
                    return false;
                }
                retry = Some((at, pos));
                continue;
            }
            Some(_) => {
                if let Some(len) = match_one(&pattern[at..], text[pos], case) {
                    at += len;
                    pos += 1;
                    continue;
                }
            }
            None => {}
        }
        let Some((after_star, from)) = retry else { return false };
        at = after_star;
        pos = from + 1;
        retry = Some((after_star, pos));
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The text that all matches of `pattern` begin with: what stands before the first special byte.
/// Second: whether that is the whole pattern, so that nothing else matches.
pub fn literal_prefix(pattern: &[u8]) -> (&[u8], bool) {
    let len = pattern.iter().position(|byte| b"*?[\\".contains(byte)).unwrap_or(pattern.len());
    (&pattern[..len], len == pattern.len())
}

/// Matches one byte with the beginning of a pattern that is not empty and does not begin with `*`.
/// Gives the length of what was used of the pattern.
fn match_one(pattern: &[u8], byte: u8, case: Case) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', ..] => match_set(pattern, byte, case),
        [b'\\', literal, ..] => equal(*literal, byte, case).then_some(2),
        [literal, ..] => equal(*literal, byte, case).then_some(1),
        [] => None,
    }
}

/// Matches one byte with a set in brackets; a set that is not closed reaches to the end.
fn match_set(pattern: &[u8], byte: u8, case: Case) -> Option<usize> {
    let mut at = 1;
    let is_negated = pattern.get(at) == Some(&b'^');
    at += usize::from(is_negated);
    let mut is_in_set = false;
    loop {
        match &pattern[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', literal, ..] => {
                // Compat: an escaped letter in a set is compared with its case.
                is_in_set |= *literal == byte;
                at += 2;
            }
            [start, b'-', end, ..] => {
                is_in_set |= is_between(*start, *end, byte, case);
                at += 3;
            }
            [literal, ..] => {
                is_in_set |= equal(*literal, byte, case);
                at += 1;
            }
        }
    }
    (is_in_set != is_negated).then_some(at)
}

/// Compat: bytes above 127 stand below all others, and a range is put in order before letter case
/// is set aside.
fn is_between(start: u8, end: u8, byte: u8, case: Case) -> bool {
    let (start, end) =
        if start.cast_signed() > end.cast_signed() { (end, start) } else { (start, end) };
    let fold = |byte: u8| match case {
        Case::Sensitive => byte.cast_signed(),
        Case::Insensitive => byte.to_ascii_lowercase().cast_signed(),
    };
    (fold(start)..=fold(end)).contains(&fold(byte))
}

fn equal(a: u8, b: u8, case: Case) -> bool {
    match case {
        Case::Sensitive => a == b,
        Case::Insensitive => a.eq_ignore_ascii_case(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        let cases: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("*", "", false),
            ("", "a", false),
            ("*", "abc", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("a**", "a", true),
            ("h?llo", "hallo", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hello", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a\\", "a\\", true),
            ("[abc", "c", true),
            ("[", "[", false),
            ("[^", "x", true),
            ("[]", "]", false),
            ("[^]", "x", true),
            ("[\\]]", "]", true),
            ("[a-]b]", "Zb]", false),
            ("[a-]b", "b", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
        ];
        for (pattern, text, expected) in cases {
            let found = matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive);
            assert_eq!(found, *expected, "{pattern} {text}");
        }
        assert!(matches(b"MAX[M-N]e*", b"maxmemory", Case::Insensitive));
        assert!(!matches(b"MAX*", b"maxmemory", Case::Sensitive));
        assert!(!matches(b"[\\A]", b"a", Case::Insensitive));
        assert!(!matches(b"[Z-a]", b"b", Case::Insensitive));
        assert!(matches(b"[a-\xff]", b"\xff", Case::Sensitive));
        assert!(matches(b"[a-\xff]", b"A", Case::Sensitive));
        assert!(!matches(b"[a-\xff]", b"b", Case::Sensitive));
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "a*".repeat(900) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(50_000).as_bytes(), Case::Sensitive));
        let pattern = "*?".repeat(50_000);
        assert!(!matches(pattern.as_bytes(), "a".repeat(50_000).as_bytes(), Case::Sensitive));
    }

    #[test]
    fn a_thousand_stars_and_a_last_one_are_allowed() {
        let text = "a".repeat(3000);
        let check = |pattern: String| matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive);
        assert!(check("*a".repeat(1000)));
        assert!(check("*a".repeat(1000) + "**"));
        assert!(!check("*a".repeat(1001)));
    }

    #[test]
    fn prefixes() {
        assert_eq!(literal_prefix(b"user:{7}:*"), (&b"user:{7}:"[..], false));
        assert_eq!(literal_prefix(b"plain"), (&b"plain"[..], true));
        assert_eq!(literal_prefix(b"a\\*"), (&b"a"[..], false));
        assert_eq!(literal_prefix(b""), (&b""[..], true));
    }

    #[derive(Debug)]
    enum Token {
        Star,
        One,
        Literal(u8),
        Set(bool, Vec<(u8, u8)>),
    }

    /// The pattern cut into tokens: a second reading of the same rules, without letter case.
    fn tokens(mut rest: &[u8]) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            tokens.push(match first {
                b'*' => Token::Star,
                b'?' => Token::One,
                b'\\' if !rest.is_empty() => {
                    let literal = rest[0];
                    rest = &rest[1..];
                    Token::Literal(literal)
                }
                b'[' => {
                    let is_negated = rest.first() == Some(&b'^');
                    rest = &rest[usize::from(is_negated)..];
                    let mut ranges = Vec::new();
                    while let Some((first, tail)) = rest.split_first() {
                        rest = tail;
                        match (first, rest) {
                            (b'\\', [literal, tail @ ..]) => {
                                ranges.push((*literal, *literal));
                                rest = tail;
                            }
                            (b']', _) => break,
                            (first, [b'-', last, tail @ ..]) => {
                                ranges.push((*first.min(last), *first.max(last)));
                                rest = tail;
                            }
                            (first, _) => ranges.push((*first, *first)),
                        }
                    }
                    Token::Set(is_negated, ranges)
                }
                literal => Token::Literal(*literal),
            });
        }
        tokens
    }

    /// What tokens mean, without regard to cost.
    fn model(tokens: &[Token], text: &[u8]) -> bool {
        let Some((token, tokens)) = tokens.split_first() else { return text.is_empty() };
        if let Token::Star = token {
            return (0..=text.len()).any(|skip| model(tokens, &text[skip..]));
        }
        let Some((byte, text)) = text.split_first() else { return false };
        let is_matched = match token {
            Token::Literal(literal) => literal == byte,
            Token::Set(is_negated, ranges) => {
                ranges.iter().any(|(first, last)| (first..=last).contains(&byte)) != *is_negated
            }
            Token::Star | Token::One => true,
        };
        is_matched && model(tokens, text)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 50 } else { 3_000 }))]

        #[test]
        fn agrees_with_the_model(pattern in r"[abc*?\[\]^\\-]{0,9}", text in r"[abc\]\\*-]{1,8}") {
            let found = matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive);
            prop_assert_eq!(found, model(&tokens(pattern.as_bytes()), text.as_bytes()));
        }

        #[test]
        fn case_does_not_matter_for_letters(pattern in r"[abAB*?]{0,6}", text in r"[abAB]{1,6}") {
            let lower = (pattern.to_lowercase(), text.to_lowercase());
            prop_assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), Case::Insensitive),
                matches(lower.0.as_bytes(), lower.1.as_bytes(), Case::Sensitive)
            );
        }

        #[test]
        fn matches_begin_with_the_prefix(pattern in r"[ab*?\[\]\\]{0,6}", text in r"[ab]{1,6}") {
            if matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive) {
                let (prefix, is_all) = literal_prefix(pattern.as_bytes());
                prop_assert!(text.as_bytes().starts_with(prefix));
                prop_assert!(!is_all || prefix == text.as_bytes());
            }
        }
    }
}
