//! Settings of rustls as the configuration asks for them.

use super::{ciphers, files};
use crate::config::{Config, TlsAuthClients};
use std::sync::Arc;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{
    NoClientAuth, NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, InconsistentKeys, RootCertStore,
    ServerConfig, SignatureScheme, SupportedProtocolVersion,
};

/// Why TLS cannot be set up: for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("No tls-cert-file configured!")]
    NoCertificate,
    #[error("No tls-key-file configured!")]
    NoKey,
    #[error(
        "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or tls-auth-clients are enabled!"
    )]
    NoAuthorities,
    #[error("Failed to load certificate: {0}: {1}")]
    Certificate(String, String),
    #[error("Failed to load private key: {0}: {1}")]
    Key(String, String),
    #[error("Failed to configure CA certificate(s) file/directory: {0}")]
    Authorities(String),
    #[error(
        "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'."
    )]
    Protocols,
    #[error("None of tls-protocols is supported: TLSv1.2 and TLSv1.3 are.")]
    OldProtocols,
    #[error("Failed to configure ciphers: {0}")]
    Ciphers(String),
    #[error("Failed to configure ciphersuites: {0}")]
    Ciphersuites(String),
    #[error("Failed to configure TLS: {0}")]
    Other(Error),
}

/// Makes the settings for connections to other servers.
pub(super) fn make_client(config: &Config) -> Result<ClientConfig, TlsError> {
    let cipher_suites = ciphers::choose(&config.tls_ciphersuites, &config.tls_ciphers)?;
    let provider = Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() });
    let roots = files::authorities(&config.tls_ca_cert_file, &config.tls_ca_cert_dir)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| TlsError::Authorities(error.to_string()))?;
    let shown = match config.tls_client_cert_file.as_str() {
        "" => Shown::by_server(config),
        own => Shown {
            certificate: own,
            key: &config.tls_client_key_file,
            password: &config.tls_client_key_file_pass,
        },
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(&config.tls_protocols)?)
        .map_err(TlsError::Other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyName(verifier)));
    if shown.certificate.is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let key = shown.load(&provider)?;
    Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))))
}

/// Verifies who has signed a server's certificate, and not its name. Compat: servers are known by
/// their addresses, which certificates seldom have.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Makes the settings that `config` asks for.
pub(super) fn make(config: &Config) -> Result<ServerConfig, TlsError> {
    if config.tls_cert_file.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    if config.tls_key_file.is_empty() {
        return Err(TlsError::NoKey);
    }
    let has_authorities = !config.tls_ca_cert_file.is_empty() || !config.tls_ca_cert_dir.is_empty();
    let asks = config.tls_auth_clients != TlsAuthClients::No;
    if (asks || config.tls_cluster || config.tls_replication) && !has_authorities {
        return Err(TlsError::NoAuthorities);
    }
    let cipher_suites = ciphers::choose(&config.tls_ciphersuites, &config.tls_ciphers)?;
    let provider = Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() });
    let versions = versions(&config.tls_protocols)?;
    let roots = if has_authorities {
        files::authorities(&config.tls_ca_cert_file, &config.tls_ca_cert_dir)?
    } else {
        RootCertStore::empty()
    };
    let verifier = verifier(config.tls_auth_clients, roots, provider.clone())?;
    let key = Shown::by_server(config).load(&provider)?;
    let mut settings = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(TlsError::Other)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    settings.ignore_client_order = config.tls_prefer_server_ciphers;
    if config.tls_session_caching {
        let size = usize::try_from(config.tls_session_cache_size).unwrap_or(usize::MAX);
        // Compat: no size is no limit.
        let size = if size == 0 { usize::MAX } else { size };
        settings.session_storage = ServerSessionMemoryCache::new(size.min(SESSIONS_MAX));
    } else {
        settings.session_storage = Arc::new(NoServerSessionStorage {});
        settings.send_tls13_tickets = 0;
    }
    Ok(settings)
}

/// More sessions are never kept: the cache allocates for so many.
const SESSIONS_MAX: usize = 1 << 16;

fn versions(protocols: &str) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    if protocols.is_empty() {
        return Ok(vec![&TLS13, &TLS12]);
    }
    let mut versions = Vec::new();
    for word in protocols.split_ascii_whitespace() {
        match word.to_ascii_lowercase().as_str() {
            "tlsv1.3" => versions.push(&TLS13),
            "tlsv1.2" => versions.push(&TLS12),
            "tlsv1.1" | "tlsv1" => tracing::warn!("{word} is insecure and not supported."),
            _ => return Err(TlsError::Protocols),
        }
    }
    if versions.is_empty() { Err(TlsError::OldProtocols) } else { Ok(versions) }
}

fn verifier(
    mode: TlsAuthClients,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if mode == TlsAuthClients::No {
        return Ok(Arc::new(NoClientAuth));
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match mode {
        TlsAuthClients::Optional => builder.allow_unauthenticated(),
        _ => builder,
    };
    builder.build().map_err(|error| TlsError::Authorities(error.to_string()))
}

/// The files of a certificate that is shown, and of its key.
struct Shown<'c> {
    certificate: &'c str,
    key: &'c str,
    password: &'c str,
}

impl Shown<'_> {
    fn by_server(config: &Config) -> Shown<'_> {
        Shown {
            certificate: &config.tls_cert_file,
            key: &config.tls_key_file,
            password: &config.tls_key_file_pass,
        }
    }

    fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let certificates = files::certificates(self.certificate)?;
        let key = files::private_key(self.key, self.password)?;
        let fail = |error: Error| TlsError::Key(self.key.to_string(), error.to_string());
        let key = provider.key_provider.load_private_key(key).map_err(fail)?;
        let certified = CertifiedKey::new(certificates, key);
        // Certificates that rustls cannot look into (of version 1) are shown all the same.
        match certified.keys_match() {
            Err(error @ Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(fail(error)),
            _ => Ok(certified),
        }
    }
}
