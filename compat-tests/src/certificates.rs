//! Certificates for tests of TLS, made anew for each.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::path::PathBuf;
use tempfile::TempDir;

/// Certificates of two authorities, `one` and `two`, each with a server's and a client's.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// Makes them.
    #[expect(clippy::new_without_default, reason = "it writes files")]
    pub fn new() -> Certificates {
        let files = Certificates(tempfile::tempdir().unwrap());
        for name in ["one", "two"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            let ca = params.self_signed(&key).unwrap();
            std::fs::write(files.path(&format!("{name}-ca.crt")), ca.pem()).unwrap();
            let issuer = Issuer::new(params, key);
            for end in ["server", "client"] {
                let key = KeyPair::generate().unwrap();
                let mut params = CertificateParams::new(["localhost".to_string()]).unwrap();
                params.distinguished_name.push(DnType::CommonName, format!("{end} of {name}"));
                let signed: Certificate = params.signed_by(&key, &issuer).unwrap();
                std::fs::write(files.path(&format!("{name}-{end}.crt")), signed.pem()).unwrap();
                let pem = key.serialize_pem();
                std::fs::write(files.path(&format!("{name}-{end}.key")), pem).unwrap();
            }
        }
        files
    }

    /// Where a file is: `one-ca.crt`, `two-client.key` and so on.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// As [`Certificates::path`].
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_string()
    }
}
