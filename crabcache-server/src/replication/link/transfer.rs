//! Receives a snapshot into a file and makes sure that it is sound, before anything of the old data
//! is given up.

use super::socket::Socket;
use super::{Lost, Transfer};
use crate::config::Config;
use crate::config::apply::system_text;
use crate::persistence::file::TempFile;
use crate::persistence::load;
use crate::server::Server;
use std::path::Path;

/// Bytes that are received at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Characters of the mark that ends a snapshot whose length is not known before.
const MARK_LEN: usize = 40;
/// After so many bytes INFO is told.
const SHOWN_BYTES: u64 = 1 << 20;

/// How the end of a snapshot is known.
enum End {
    /// After so many bytes.
    Len(u64),
    /// Behind this mark.
    Mark(Vec<u8>),
}

/// Receives a snapshot.
pub(super) fn receive(
    server: &Server,
    config: &Config,
    socket: &mut Socket,
) -> Result<TempFile, Lost> {
    let end = read_header(server, socket)?;
    let name = format!("temp-{}.{}.rdb", server.clock.unix_ms() / 1000, std::process::id());
    let path = Path::new(&config.dir).join(name);
    let mut file = TempFile::create(path, false).map_err(|error| {
        let text = system_text(&error);
        tracing::warn!(
            "Opening the temp file needed for MASTER <-> REPLICA synchronization: {text}"
        );
        Lost::Told
    })?;
    match end {
        End::Len(len) => {
            tracing::info!("MASTER <-> REPLICA sync: receiving {len} bytes from master to disk");
            receive_len(server, socket, &mut file, len)?;
        }
        End::Mark(mark) => {
            tracing::info!(
                "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to disk"
            );
            receive_to_mark(server, socket, &mut file, &mark)?;
        }
    }
    let reader = file.reader()?;
    load::examine(server, config, reader).map_err(|error| {
        tracing::warn!(
            "MASTER <-> REPLICA sync: the snapshot that was received cannot be loaded, the data stays \
             as it is: {error}"
        );
        Lost::Told
    })?;
    Ok(file)
}

fn read_header(server: &Server, socket: &mut Socket) -> Result<End, Lost> {
    let line = socket.read_line(server)?;
    if let Some(mark) = line.strip_prefix("$EOF:").filter(|mark| mark.len() >= MARK_LEN) {
        return Ok(End::Mark(mark.as_bytes()[..MARK_LEN].to_vec()));
    }
    if let Some(len) = line.strip_prefix('$').and_then(|len| len.parse().ok()) {
        return Ok(End::Len(len));
    }
    if let Some(error) = line.strip_prefix('-') {
        tracing::warn!("MASTER aborted replication with an error: {error}");
    } else {
        tracing::warn!(
            "Bad protocol from MASTER, the first byte is not '$' (we received '{}'), are you \
             sure the host and port are right?",
            line.escape_debug()
        );
    }
    Err(Lost::Told)
}

fn receive_len(
    server: &Server,
    socket: &mut Socket,
    file: &mut TempFile,
    len: u64,
) -> Result<(), Lost> {
    let mut buffer = vec![0; CHUNK_BYTES];
    while file.n_bytes() < len {
        let rest = usize::try_from(len - file.n_bytes()).unwrap_or(usize::MAX);
        let wanted = rest.min(buffer.len());
        let n_bytes = socket.read(server, &mut buffer[..wanted])?;
        write(server, file, &buffer[..n_bytes], len)?;
    }
    Ok(())
}

fn receive_to_mark(
    server: &Server,
    socket: &mut Socket,
    file: &mut TempFile,
    mark: &[u8],
) -> Result<(), Lost> {
    // The last bytes received: they may be the mark, or its beginning.
    let (mut kept, mut buffer) = (Vec::new(), vec![0; CHUNK_BYTES]);
    while kept != mark {
        let n_bytes = socket.read(server, &mut buffer)?;
        kept.extend_from_slice(&buffer[..n_bytes]);
        let sure = kept.len().saturating_sub(MARK_LEN);
        write(server, file, &kept[..sure], 0)?;
        kept.drain(..sure);
    }
    Ok(())
}

fn write(server: &Server, file: &mut TempFile, bytes: &[u8], len: u64) -> Result<(), Lost> {
    let before = file.n_bytes();
    file.write(bytes).map_err(|error| {
        let text = system_text(&error);
        tracing::warn!(
            "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA \
             synchronization: {text}"
        );
        Lost::Told
    })?;
    if before / SHOWN_BYTES != file.n_bytes() / SHOWN_BYTES || before == 0 {
        let transfer = Transfer { total_bytes: len, read_bytes: file.n_bytes() };
        server.replication.link.note_transfer(transfer);
    }
    Ok(())
}
