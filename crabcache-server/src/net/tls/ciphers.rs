//! Cipher suites by the names that OpenSSL gives them.
//!
//! rustls has only suites with forward secrecy and authenticated encryption. Of a list, what it does
//! not have is left out, as OpenSSL leaves out names that it does not know; a list of which nothing
//! is left is an error.

use super::settings::TlsError;
use tokio_rustls::rustls::SupportedCipherSuite;
use tokio_rustls::rustls::crypto::ring::cipher_suite as suites;

/// Suites of TLS 1.2 with OpenSSL's names, best first.
const TLS12: &[(&str, SupportedCipherSuite)] = &[
    ("ECDHE-ECDSA-AES256-GCM-SHA384", suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES256-GCM-SHA384", suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-AES128-GCM-SHA256", suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
];

/// Suites of TLS 1.3, best first.
const TLS13: &[(&str, SupportedCipherSuite)] = &[
    ("TLS_AES_256_GCM_SHA384", suites::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", suites::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_AES_128_GCM_SHA256", suites::TLS13_AES_128_GCM_SHA256),
];

/// The suites that `tls-ciphersuites` (of TLS 1.3) and `tls-ciphers` (of TLS 1.2) ask for.
///
/// # Errors
/// A list that asks for nothing that there is.
pub(super) fn choose(
    ciphersuites: &str,
    ciphers: &str,
) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let mut chosen = choose13(ciphersuites)?;
    chosen.extend(choose12(ciphers)?);
    Ok(chosen)
}

/// Names, all of which must be known.
fn choose13(list: &str) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    if list.is_empty() {
        return Ok(TLS13.iter().map(|(_, suite)| *suite).collect());
    }
    let find = |name: &str| TLS13.iter().find(|(own, _)| *own == name).map(|(_, suite)| *suite);
    let found = list.split(':').map(find).collect::<Option<Vec<_>>>();
    found.ok_or_else(|| TlsError::Ciphersuites(list.to_string()))
}

/// A list of OpenSSL: names of suites and of kinds of them; `-` or `!` takes away.
fn choose12(list: &str) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    if list.is_empty() {
        return Ok(TLS12.iter().map(|(_, suite)| *suite).collect());
    }
    let mut chosen: Vec<usize> = Vec::new();
    let mut banned: Vec<usize> = Vec::new();
    for word in list.split([':', ',', ' ']) {
        let is_meant = |words: &str, index: &usize| {
            words.split('+').all(|word| is_of_kind(TLS12[*index].0, word))
        };
        let all = 0..TLS12.len();
        match word.as_bytes().first() {
            // Orders of the suites chosen so far: they are in order.
            None | Some(b'@' | b'+') => {}
            Some(b'!') => banned.extend(all.filter(|index| is_meant(&word[1..], index))),
            Some(b'-') => chosen.retain(|index| !is_meant(&word[1..], index)),
            Some(_) => {
                let more: Vec<usize> =
                    all.filter(|index| is_meant(word, index) && !chosen.contains(index)).collect();
                chosen.extend(more);
            }
        }
    }
    chosen.retain(|index| !banned.contains(index));
    if chosen.is_empty() {
        return Err(TlsError::Ciphers(list.to_string()));
    }
    Ok(chosen.into_iter().map(|index| TLS12[index].1).collect())
}

/// Whether a suite has this name, or is of the kind of this name.
fn is_of_kind(suite: &str, word: &str) -> bool {
    let has = |part: &str| suite.split('-').any(|own| own == part);
    match word {
        "DEFAULT" | "ALL" | "HIGH" | "TLSv1.2" | "EECDH" | "kEECDH" | "kECDHE" => true,
        "AES" => has("AES128") || has("AES256"),
        "AESGCM" => has("GCM"),
        "aECDSA" => has("ECDSA"),
        "aRSA" => has("RSA"),
        // The exchange of keys by RSA alone.
        "RSA" | "kRSA" => false,
        _ => suite == word || has(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<&'static str> {
        let chosen = choose12(list).unwrap_or_default();
        let name = |suite| TLS12.iter().find(|(_, own)| *own == suite).unwrap().0;
        chosen.into_iter().map(name).collect()
    }

    #[test]
    fn lists_of_openssl() {
        let all: Vec<&str> = TLS12.iter().map(|(name, _)| *name).collect();
        for list in ["", "DEFAULT", "HIGH:!aNULL:!MD5", "DEFAULT:-AES128-SHA256", "ALL:@STRENGTH"] {
            assert_eq!(names(list), all, "{list}");
        }
        let rsa256 = "ECDHE-RSA-AES256-GCM-SHA384";
        for list in [
            rsa256,
            "ECDHE-RSA-AES256-GCM-SHA384:AES128-SHA256",
            "aRSA+AES256",
            "HIGH:!ECDSA:-CHACHA20:!AES128",
        ] {
            assert_eq!(names(list), [rsa256], "{list}");
        }
        assert_eq!(names("AES128+aRSA:AES256+aRSA"), [all[5], all[1]]);
        for list in ["AES128-SHA256", "nosuch", "ALL:!ALL", "RSA+AES"] {
            assert!(choose12(list).is_err(), "{list}");
        }
        assert_eq!(choose13("TLS_AES_128_GCM_SHA256").unwrap().len(), 1);
        assert!(choose13("TLS_AES_128_GCM_SHA256:nosuch").is_err());
        assert_eq!(choose("", "").unwrap().len(), 9);
    }
}
