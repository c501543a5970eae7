//! Tests of the settings; what clients see of them is tested from outside.

use super::settings::{make, make_client};
use crate::config::{Config, TlsAuthClients};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::pem::LineEnding;
use std::path::PathBuf;
use tempfile::TempDir;

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
        let files = Files { folder };
        std::fs::write(files.path("crt"), made.cert.pem()).unwrap();
        std::fs::write(files.path("key"), made.signing_key.serialize_pem()).unwrap();
        let der = made.signing_key.serialize_der();
        let key = PrivateKeyInfoRef::try_from(der.as_slice()).unwrap();
        let locked = key.encrypt_with_rng(&mut rand::rng(), "1234").unwrap();
        let pem = locked.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap();
        std::fs::write(files.path("locked"), pem.as_bytes()).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        std::fs::write(files.path("other"), other.serialize_pem()).unwrap();
        std::fs::write(files.path("junk"), "junk").unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_string()
    }

    fn config(&self) -> Config {
        Config {
            tls_port: 1,
            tls_cert_file: self.text("crt"),
            tls_key_file: self.text("key"),
            tls_ca_cert_file: self.text("crt"),
            ..Config::default()
        }
    }
}

#[test]
fn settings_follow_the_configuration() {
    let files = Files::new();
    let config = files.config();
    let settings = make(&config).unwrap();
    assert!(settings.session_storage.can_cache() && !settings.ignore_client_order);
    let other = Config {
        tls_auth_clients: TlsAuthClients::No,
        tls_ca_cert_file: String::new(),
        tls_session_caching: false,
        tls_prefer_server_ciphers: true,
        tls_protocols: "TLSv1.2 tlsv1.1".to_string(),
        ..config.clone()
    };
    let settings = make(&other).unwrap();
    assert!(!settings.session_storage.can_cache() && settings.ignore_client_order);
    let folder = files.folder.path().to_str().unwrap().to_string();
    let by_folder =
        Config { tls_ca_cert_file: String::new(), tls_ca_cert_dir: folder, ..config.clone() };
    assert!(make(&by_folder).is_ok());
}

#[test]
fn what_cannot_be_is_told() {
    let files = Files::new();
    let check = |change: &dyn Fn(&mut Config), expected: &str| {
        let mut config = files.config();
        change(&mut config);
        let error = make(&config).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(&|config| config.tls_cert_file.clear(), "No tls-cert-file configured!");
    check(&|config| config.tls_key_file.clear(), "No tls-key-file configured!");
    check(&|config| config.tls_ca_cert_file.clear(), "Either tls-ca-cert-file or");
    check(&|config| config.tls_cert_file = files.text("junk"), "Failed to load certificate: ");
    check(&|config| config.tls_cert_file = files.text("nosuch"), "Failed to load certificate: ");
    check(&|config| config.tls_key_file = files.text("junk"), "Failed to load private key: ");
    check(&|config| config.tls_key_file = files.text("other"), "Failed to load private key: ");
    check(&|config| config.tls_ca_cert_file = files.text("junk"), "Failed to configure CA");
    check(&|config| config.tls_protocols = "SSLv3".to_string(), "Invalid tls-protocols");
    check(&|config| config.tls_protocols = "TLSv1.1".to_string(), "None of tls-protocols");
    check(&|config| config.tls_ciphers = "AES128-SHA".to_string(), "Failed to configure ciphers");
    check(&|config| config.tls_ciphersuites = "x".to_string(), "Failed to configure ciphersuites");
}

#[test]
fn keys_may_be_encrypted() {
    let files = Files::new();
    let with = |password: &str| {
        let password = password.to_string();
        make(&Config {
            tls_key_file: files.text("locked"),
            tls_key_file_pass: password,
            ..files.config()
        })
    };
    assert!(with("1234").is_ok());
    assert!(with("").unwrap_err().to_string().contains("tls-key-file-pass is empty"));
    assert!(with("wrong").is_err());
}

/// A certificate of X.509 version 1, which rustls cannot look into.
const OLD_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFzCBvQIUVp8oAWUJNq4cxLE+lLudAGO8vrAwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwIBcNMjYxMTI5MDExNDE3WhgPMjEyNjExMDUwMTE0MTdaMA0xCzAJ
BgNVBAMMAnYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEw4PlH7VuW2K6jAFf
VdlJ1jzJJrXiIUJsTn/0DSy5ID97NcMUL70kheSfaC3asnhP8rpGghZSTVHF7Uae
m4iOMTAKBggqhkjOPQQDAgNJADBGAiEAlYU1oNEoMZGO+4BQvkrabbwH/e18LLXu
q9yKlXHI8mICIQDZP6YIKvWuXsoPT/uZ3R/EW/wKyl4QrzErpeXxPnWLoQ==
-----END CERTIFICATE-----
";

/// Its key, which opens nothing.
const OLD_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg7ADpAYcw/Fk3vcJX
X/KD/Hjf6c6+2TABa/fw951iwMihRANCAATDg+UftW5bYrqMAV9V2UnWPMkmteIh
QmxOf/QNLLkgP3s1wxQvvSSF5J9oLdqyeE/yukaCFlJNUcXtRp6biI4x
-----END PRIVATE KEY-----
";

#[test]
fn old_certificates_are_shown_on_both_sides() {
    let files = Files::new();
    std::fs::write(files.path("old"), OLD_CERTIFICATE).unwrap();
    std::fs::write(files.path("old-key"), OLD_KEY).unwrap();
    let (tls_cert_file, tls_key_file) = (files.text("old"), files.text("old-key"));
    let config = Config { tls_cert_file, tls_key_file, ..files.config() };
    assert!(make(&config).is_ok());
    assert!(make_client(&config).unwrap().client_auth_cert_resolver.has_certs());
    let other = Config { tls_key_file: files.text("other"), ..files.config() };
    assert!(make(&other).is_err() && make_client(&other).is_err());
}
