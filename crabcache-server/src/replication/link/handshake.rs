//! What a replica and its primary say to each other before data flows.

use super::Lost;
use super::socket::Socket;
use crate::config::Config;
use crate::replication::history::REPLID_LEN;
use crate::server::Server;

/// How the primary will go on.
pub(super) enum Answer {
    /// With the stream, from where we are; perhaps under another name.
    Continue(Option<String>),
    /// With a snapshot.
    Full {
        /// The name of its history.
        replid: String,
        /// The offset of the snapshot.
        offset: u64,
    },
}

/// Says who we are.
pub(super) fn introduce(server: &Server, config: &Config, socket: &mut Socket) -> Result<(), Lost> {
    let reply = socket.request(server, &[b"PING"])?;
    // A primary that wants a password says so, and one whose script is over its time.
    let is_alive = ["+PONG", "-NOAUTH", "-NOPERM", "-BUSY"];
    if !is_alive.iter().any(|beginning| reply.starts_with(beginning)) {
        tracing::warn!("Error reply to PING from master: '{}'", reply.escape_debug());
        return Err(Lost::Told);
    }
    tracing::info!("Master replied to PING, replication can continue...");
    authenticate(server, config, socket)?;
    let port = listening_port(config).to_string();
    tell(server, socket, &[b"REPLCONF", b"listening-port", port.as_bytes()])?;
    if !config.replica_announce_ip.is_empty() {
        let ip = config.replica_announce_ip.as_bytes();
        tell(server, socket, &[b"REPLCONF", b"ip-address", ip])?;
    }
    let capabilities: &[&[u8]] =
        &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2", b"capa", b"crabcache"];
    tell(server, socket, capabilities)
}

fn authenticate(server: &Server, config: &Config, socket: &mut Socket) -> Result<(), Lost> {
    if config.masterauth.is_empty() {
        return Ok(());
    }
    let (user, password) = (config.masteruser.as_bytes(), config.masterauth.as_slice());
    let reply = if user.is_empty() {
        socket.request(server, &[b"AUTH", password])?
    } else {
        socket.request(server, &[b"AUTH", user, password])?
    };
    if reply.starts_with('-') {
        tracing::warn!("Unable to AUTH to MASTER: {reply}");
        return Err(Lost::Told);
    }
    Ok(())
}

/// The port that others are to reach us by.
fn listening_port(config: &Config) -> i64 {
    match config.replica_announce_port {
        0 if config.tls_replication => config.tls_port,
        0 => config.port,
        announced => announced,
    }
}

/// Tells something that the primary may not understand.
fn tell(server: &Server, socket: &mut Socket, words: &[&[u8]]) -> Result<(), Lost> {
    let reply = socket.request(server, words)?;
    if reply.starts_with('-') {
        let what = String::from_utf8_lossy(words[1]);
        tracing::info!("(Non critical) Master does not understand REPLCONF {what}: {reply}");
    }
    Ok(())
}

/// Asks for data; whether of a replica that is to become the primary first.
pub(super) fn ask(
    server: &Server,
    socket: &mut Socket,
    is_handing_over: bool,
) -> Result<Answer, Lost> {
    let (replid, offset) = (
        server.replication.history.lock().replid.clone(),
        (server.log.ends().replicas + 1).to_string(),
    );
    tracing::info!("Trying a partial resynchronization (request {replid}:{offset}).");
    let words = [b"PSYNC", replid.as_bytes(), offset.as_bytes(), b"FAILOVER"];
    let n_words = if is_handing_over { 4 } else { 3 };
    let reply = socket.request(server, &words[..n_words])?;
    let mut words = reply.split(' ');
    match words.next() {
        Some("+FULLRESYNC") => {
            let (replid, offset) = (words.next(), words.next().and_then(|word| word.parse().ok()));
            let Some((replid, offset)) = replid.filter(|id| id.len() == REPLID_LEN).zip(offset)
            else {
                tracing::warn!("Master replied with wrong +FULLRESYNC syntax.");
                return Err(Lost::Told);
            };
            tracing::info!("Full resync from master: {replid}:{offset}");
            Ok(Answer::Full { replid: replid.to_string(), offset })
        }
        Some("+CONTINUE") => {
            tracing::info!("Successful partial resynchronization with master.");
            let replid = words.next().filter(|id| id.len() == REPLID_LEN);
            Ok(Answer::Continue(replid.map(str::to_string)))
        }
        Some("-NOMASTERLINK" | "-LOADING") => {
            tracing::info!(
                "Master is currently unable to PSYNC but should be in the future: {reply}"
            );
            Err(Lost::Told)
        }
        // It does not know the command.
        Some("-ERR") if !is_handing_over => ask_as_of_old(socket),
        _ => {
            let reply = reply.escape_debug();
            tracing::warn!("Unexpected reply to PSYNC from master: {reply}");
            Err(Lost::Told)
        }
    }
}

/// Asks a primary for data that knows nothing of offsets.
fn ask_as_of_old(socket: &mut Socket) -> Result<Answer, Lost> {
    tracing::info!("Retrying with SYNC...");
    socket.send(b"SYNC\r\n")?;
    // It has a history that nobody can go on with.
    Ok(Answer::Full { replid: crate::server::random_id(), offset: 0 })
}
