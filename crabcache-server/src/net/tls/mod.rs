//! TLS: what new connections are offered, and their handshakes.
//!
//! - `settings.rs` makes rustls settings of the configuration, `files.rs` reads certificates and
//!   keys, `ciphers.rs` knows OpenSSL's names.
//!
//! Settings are replaced whole (CONFIG SET); connections keep those that they began with. A
//! handshake runs on its connection's worker as a task of its own: one that is slow holds up nobody,
//! and one that takes too long ends.

mod ciphers;
mod files;
mod settings;

use super::stream::Socket;
use crate::config::Config;
use crate::error::Logged;
use arc_swap::ArcSwapOption;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, ServerConfig, StreamOwned};
use tokio_rustls::server::TlsStream;

/// Time that a client has for its handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The settings of new connections.
#[derive(Debug, Default)]
pub struct Tls {
    settings: ArcSwapOption<ServerConfig>,
}

impl Tls {
    /// Whether the configuration needs settings.
    pub fn is_wanted(config: &Config) -> bool {
        config.tls_port != 0 || config.tls_cluster || config.tls_replication
    }

    /// Puts the settings of `config` in force, if it needs some.
    ///
    /// # Errors
    /// If they cannot be made, which was logged; the old ones stay in force.
    pub fn configure(&self, config: &Config) -> Result<(), Logged> {
        if !Tls::is_wanted(config) {
            return Ok(());
        }
        match settings::make(config) {
            Ok(settings) => {
                self.settings.store(Some(Arc::new(settings)));
                Ok(())
            }
            Err(error) => {
                tracing::warn!("{error}");
                Err(Logged)
            }
        }
    }

    /// The settings in force.
    pub(super) fn settings(&self) -> Option<Arc<ServerConfig>> {
        self.settings.load_full()
    }
}

/// Speaks TLS with a server that this program has connected to. The handshake is still to be done.
///
/// # Errors
/// If the settings cannot be made.
pub fn connect(
    config: &Config,
    host: &str,
    socket: TcpStream,
) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let settings = settings::make_client(config).map_err(|error| error.to_string())?;
    let name = ServerName::try_from(host.to_string()).map_err(|error| error.to_string())?;
    let connection = ClientConnection::new(Arc::new(settings), name);
    Ok(StreamOwned::new(connection.map_err(|error| error.to_string())?, socket))
}

/// A socket that TLS is to be spoken on.
#[derive(Debug)]
pub(super) struct RawTls {
    pub(super) socket: TcpStream,
    pub(super) settings: Arc<ServerConfig>,
}

impl RawTls {
    /// Shakes hands. The socket is registered with the runtime of the calling thread.
    pub(super) async fn accept(self) -> io::Result<TlsStream<Socket<tokio::net::TcpStream>>> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        tokio::time::timeout(HANDSHAKE_TIME, self.shake_hands()).await.map_err(late)?
    }

    async fn shake_hands(self) -> io::Result<TlsStream<Socket<tokio::net::TcpStream>>> {
        /// The first byte of a handshake.
        const HANDSHAKE: u8 = 22;
        let socket = tokio::net::TcpStream::from_std(self.socket)?;
        let mut first = [HANDSHAKE];
        socket.peek(&mut first).await?;
        // Compat: who speaks something else gets no alert, which it would take for an answer.
        if first != [HANDSHAKE] {
            return Err(io::ErrorKind::InvalidData.into());
        }
        TlsAcceptor::from(self.settings).accept(Socket::new(socket)).await
    }

    /// Says `line` and closes, on the runtime of the calling thread. Where many are to be told at
    /// once, some are closed without a word.
    pub(super) fn refuse(self, line: &'static str) {
        static TOLD: Semaphore = Semaphore::const_new(8);
        let Ok(permit) = TOLD.try_acquire() else { return };
        tokio::spawn(async move {
            let _permit = permit;
            if let Ok(mut stream) = self.accept().await {
                // Whether the peer gets to read it is its own affair.
                let _ = stream.write_all(line.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
    }
}

#[cfg(test)]
mod tests;
