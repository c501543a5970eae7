//! Files of certificates and private keys.

use super::settings::TlsError;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::Document;
use std::path::Path;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| crate::config::apply::system_text(&error))
}

fn parse_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// A certificate with those that vouch for it.
pub(super) fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |why| TlsError::Certificate(path.to_string(), why);
    let found = read(Path::new(path)).and_then(|pem| parse_certificates(&pem)).map_err(fail)?;
    if found.is_empty() {
        return Err(TlsError::Certificate(path.to_string(), "no certificate in it".to_string()));
    }
    Ok(found)
}

/// Those that may vouch for clients: of a file, of a folder, or of both. What else is in the folder
/// is passed over.
pub(super) fn authorities(file: &str, folder: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let fail = |why| TlsError::Authorities(why);
    if !file.is_empty() {
        let found = read(Path::new(file)).and_then(|pem| parse_certificates(&pem)).map_err(fail)?;
        for certificate in found {
            roots.add(certificate).map_err(|error| fail(error.to_string()))?;
        }
    }
    if !folder.is_empty() {
        let entries = std::fs::read_dir(folder);
        let entries = entries.map_err(|error| fail(crate::config::apply::system_text(&error)))?;
        for entry in entries.flatten() {
            let found = read(&entry.path()).and_then(|pem| parse_certificates(&pem));
            roots.add_parsable_certificates(found.unwrap_or_default());
        }
    }
    if roots.is_empty() { Err(fail("no certificate in it".to_string())) } else { Ok(roots) }
}

/// A private key, which may be encrypted with `password`.
pub(super) fn private_key(path: &str, password: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    let fail = |why| TlsError::Key(path.to_string(), why);
    let pem = read(Path::new(path)).map_err(fail)?;
    let has = |words: &str| memchr::memmem::find(&pem, words.as_bytes()).is_some();
    if has("Proc-Type: 4,ENCRYPTED") {
        let why = "it is encrypted in OpenSSL's old form: convert it with openssl pkcs8 -topk8";
        return Err(fail(why.to_string()));
    }
    if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return decrypt(&pem, password).map_err(fail);
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| fail(error.to_string()))
}

fn decrypt(pem: &[u8], password: &str) -> Result<PrivateKeyDer<'static>, String> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    if password.is_empty() {
        return Err("it is encrypted, and tls-key-file-pass is empty".to_string());
    }
    let text = std::str::from_utf8(pem).map_err(|error| error.to_string())?;
    let start = text.find(BEGIN).unwrap_or(0);
    let end = text.find(END).map_or(text.len(), |end| end + END.len());
    let block = text.get(start..end).ok_or("it ends before it begins")?;
    let (_, document) = Document::from_pem(block).map_err(|error| error.to_string())?;
    let key = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|error| error.to_string())?;
    let plain = key.decrypt(password).map_err(|error| error.to_string())?;
    Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}
