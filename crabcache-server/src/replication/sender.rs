//! The connection of a replica, from its PSYNC on: sends it a snapshot if it needs one, then the
//! stream, and takes its acknowledgements.
//!
//! ```text
//!  PSYNC --> +CONTINUE ---------------------------------------------------> stream
//!        \-> +FULLRESYNC, waits, $EOF:... snapshot ..., first acknowledgement --/
//! ```
//!
//! The connection is no client's any more: nothing that the replica asks for can be answered in the
//! middle of the stream, so a replica that asks is cut.

use super::full_sync;
use super::log::Reader;
use super::replicas::{Introduction, Replica, Stage, SyncRequest};
use super::spool::Spool;
use crate::client::{ClientHandle, Running, describe};
use crate::command::table::Found;
use crate::command::{Args, Flags};
use crate::error::CommandError;
use crate::output_limits;
use crate::server::{Server, random_id};
use bytes::{Buf, BytesMut};
use crabcache_resp::number::parse_i64;
use crabcache_resp::{Limits, Progress, RequestParser};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a snapshot that are sent at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// A replica that waits is told so often that the link is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// What a replica may send without a complete request.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Serves a replica until its connection ends. `input` is what it has sent behind its request.
pub async fn serve<S: AsyncRead + AsyncWrite>(
    server: &Server,
    stream: S,
    client: &Arc<ClientHandle>,
    (introduction, request): (Introduction, SyncRequest),
    input: BytesMut,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (replica, greeting) = admit(server, client, introduction, &request);
    tokio::select! {
        () = killed_or_cut(&replica) => {}
        _ = receive(server, &replica, &mut reader, input) => {}
        _ = send(server, &replica, &mut writer, greeting) => {}
    }
    if let Some(reader) = replica.reader() {
        if reader.is_cut() && !client.is_killed() {
            client.output_bytes.store(server.log.lag(&reader), Ordering::Relaxed);
            output_limits::cut(server, client);
        }
        server.log.forget_reader(&reader);
    }
    tracing::info!("Connection with replica {} lost.", replica.name());
    server.replication.replicas.remove(&replica, server.clock.unix_ms());
    if matches!(replica.stage(), Stage::Snapshot(..)) {
        full_sync::end_if_unwanted(server);
    }
}

/// Decides how the replica goes on, and enters it into the list. Returns what it is told.
fn admit(
    server: &Server,
    client: &Arc<ClientHandle>,
    introduction: Introduction,
    request: &SyncRequest,
) -> (Arc<Replica>, Option<String>) {
    let now_ms = server.clock.unix_ms();
    let expects_no_header = *request == SyncRequest::Sync;
    let introduction = Introduction { expects_no_header, ..introduction };
    let replica = Replica::new(client.clone(), introduction, Stage::Waiting(now_ms), now_ms);
    tracing::info!("Replica {} asks for synchronization", replica.name());
    let mut greeting = None;
    if let SyncRequest::Psync { replid, offset } = request
        && let Some(reader) = resume(server, &replica, replid, *offset)
    {
        let replid = server.replication.history.lock().replid.clone();
        greeting = Some(match replica.introduction.knows_psync2 {
            true => format!("+CONTINUE {replid}\r\n"),
            false => "+CONTINUE\r\n".to_string(),
        });
        server.stats.sync_partial_ok.fetch_add(1, Ordering::Relaxed);
        replica.set_stage(Stage::Online(reader));
    } else {
        server.stats.sync_full.fetch_add(1, Ordering::Relaxed);
    }
    let replica = Arc::new(replica);
    server.replication.replicas.add(replica.clone());
    (replica, greeting)
}

/// Where the replica can go on with the stream, if it can.
fn resume(server: &Server, replica: &Replica, replid: &str, offset: i64) -> Option<Arc<Reader>> {
    let history = server.replication.history.lock();
    if !history.knows(replid, offset) {
        if replid == "?" {
            tracing::info!("Full resync requested by replica {}", replica.name());
        } else if replid == history.replid2 {
            tracing::info!(
                "Partial resynchronization not accepted: Requested offset for second ID was {offset}, \
                 but I can reply up to {}",
                history.second_offset
            );
        } else {
            tracing::info!(
                "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for \
                 '{replid}', my replication IDs are '{}' and '{}')",
                history.replid,
                history.replid2
            );
        }
    } else if let Some(reader) = offset
        .checked_sub(1)
        .and_then(|at| server.log.reader_at(&replica.client, u64::try_from(at).ok()?))
    {
        tracing::info!(
            "Partial resynchronization request from {} accepted. Sending {} bytes of backlog \
             starting from offset {offset}.",
            replica.name(),
            server.log.ends().replicas.saturating_sub(reader.position())
        );
        return Some(reader);
    } else {
        tracing::info!(
            "Unable to partial resync with replica {} for lack of backlog (Replica request was: \
             {offset}).",
            replica.name()
        );
    }
    if replid != "?" {
        server.stats.sync_partial_err.fetch_add(1, Ordering::Relaxed);
    }
    None
}

/// Ends when the connection is to end.
async fn killed_or_cut(replica: &Replica) {
    poll_fn(|cx| {
        replica.client.register(cx.waker());
        let is_cut = || replica.reader().is_some_and(|reader| reader.is_cut());
        if replica.client.is_killed() || is_cut() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Takes what the replica sends, until it sends no more.
async fn receive(
    server: &Server,
    replica: &Replica,
    stream: &mut (impl AsyncRead + Unpin),
    mut input: BytesMut,
) -> io::Result<()> {
    let (mut parser, mut spans) = (RequestParser::default(), Vec::new());
    loop {
        loop {
            spans.clear();
            match parser.parse(&mut input, 0, &Limits::default(), &mut spans) {
                Ok(Progress::Complete { consumed }) => {
                    let args = Args::new(&input, &spans);
                    if args.len() >= 2 && args.is(0, "replconf") && args.is(1, "ack") {
                        acknowledge(server, replica, args);
                    } else if wants_reply(args) {
                        tell_cut(server, replica, args);
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    input.advance(consumed);
                }
                Ok(Progress::Incomplete { .. }) if input.len() <= INPUT_BYTES_MAX => break,
                Ok(Progress::Incomplete { .. }) | Err(_) => {
                    tracing::warn!("Replica {} sends what is no request", replica.name());
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// Whether a reply would have to be given to a request that is no acknowledgement.
fn wants_reply(args: Args<'_>) -> bool {
    // Compat: who is a replica already is not told.
    !args.is_empty() && !args.is(0, "sync") && !args.is(0, "psync")
}

/// Tells the log why a replica is cut.
fn tell_cut(server: &Server, replica: &Replica, args: Args<'_>) {
    let row = match server.commands.find(args) {
        Found::Row(row) | Found::NoSubcommand(row) => Some(row),
        Found::Nothing => None,
    };
    let name = row.map_or("<unknown>", |row| row.original_name());
    tracing::warn!(
        "Replica generated a reply to command '{name}', disconnecting it: {}",
        describe(server, &replica.client, Running::default())
    );
    if row.is_some_and(|row| row.spec.flags.intersects(Flags::READONLY | Flags::WRITE)) {
        tracing::warn!(
            "== CRITICAL == This master is sending an error to its replica: '{}' after processing the \
             command '{name}'",
            CommandError::ReplicaTouchesKeyspace.without_code()
        );
    }
}

/// REPLCONF ACK offset [FACK offset-on-disk]
fn acknowledge(server: &Server, replica: &Replica, args: Args<'_>) {
    let now_ms = server.clock.unix_ms();
    replica.client.touch(now_ms);
    let number = |index| parse_i64(args.get(index)).and_then(|offset| u64::try_from(offset).ok());
    if args.len() >= 3
        && let Some(offset) = number(2)
    {
        replica.acked.fetch_max(offset, Ordering::Relaxed);
    }
    if args.len() >= 5
        && args.is(3, "fack")
        && let Some(offset) = number(4)
    {
        replica.acked_aof.fetch_max(offset, Ordering::Relaxed);
    }
    replica.acked_ms.store(now_ms, Ordering::Relaxed);
    if replica.awaits_ack.swap(false, Ordering::Relaxed) {
        replica.news.notify_one();
        server.replication.replicas.count_good(server, &server.config.get(), now_ms);
    }
    server.replication.replicas.serve_waiting(server);
    if server.conditions.is_failing_over() {
        server.replication.link.look();
    }
}

/// Sends all that the replica is to get.
async fn send(
    server: &Server,
    replica: &Replica,
    stream: &mut (impl AsyncWrite + Unpin),
    greeting: Option<String>,
) -> io::Result<()> {
    if let Some(greeting) = greeting {
        stream.write_all(greeting.as_bytes()).await?;
    }
    loop {
        match replica.stage() {
            Stage::Waiting(_) => await_news(replica, stream).await?,
            Stage::Snapshot(spool, reader) => {
                send_snapshot(server, replica, stream, &spool, &reader).await?;
            }
            Stage::Online(reader) => {
                while replica.awaits_ack.load(Ordering::Relaxed) {
                    replica.news.notified().await;
                }
                return send_stream(server, replica, stream, &reader).await;
            }
            // It goes when it has enough.
            Stage::Served => std::future::pending().await,
        }
    }
}

/// Waits for the next stage.
async fn await_news(replica: &Replica, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    if tokio::time::timeout(SIGN_OF_LIFE, replica.news.notified()).await.is_err() {
        stream.write_all(b"\n").await?;
        stream.flush().await?;
    }
    Ok(())
}

async fn send_snapshot(
    server: &Server,
    replica: &Replica,
    stream: &mut (impl AsyncWrite + Unpin),
    spool: &Spool,
    reader: &Arc<Reader>,
) -> io::Result<()> {
    if !replica.introduction.expects_no_header {
        let replid = server.replication.history.lock().replid.clone();
        let header = format!("+FULLRESYNC {replid} {}\r\n", reader.position());
        stream.write_all(header.as_bytes()).await?;
    }
    let is_streamed = replica.introduction.knows_eof && server.config.get().repl_diskless_sync;
    let mark = random_id();
    if is_streamed {
        stream.write_all(format!("$EOF:{mark}\r\n").as_bytes()).await?;
    } else {
        await_completion(spool, stream).await?;
        stream.write_all(format!("${}\r\n", spool.len()).as_bytes()).await?;
    }
    let (mut offset, mut buffer) = (0, vec![0; CHUNK_BYTES]);
    while let Some(n_bytes) = spool.read(offset, &mut buffer).await? {
        stream.write_all(&buffer[..n_bytes]).await?;
        offset += n_bytes as u64;
    }
    if is_streamed {
        stream.write_all(mark.as_bytes()).await?;
    }
    stream.flush().await?;
    if replica.introduction.wants_rdb_only {
        server.log.forget_reader(reader);
        replica.set_stage(Stage::Served);
        return Ok(());
    }
    // Behind a mark, the replica must not find anything before it has seen that it is one.
    replica.awaits_ack.store(is_streamed, Ordering::Relaxed);
    replica.acked_ms.store(server.clock.unix_ms(), Ordering::Relaxed);
    if is_streamed {
        tracing::info!(
            "Streamed RDB transfer with replica {} succeeded (socket). Waiting for REPLCONF ACK from \
             replica to enable streaming",
            replica.name()
        );
    }
    replica.set_stage(Stage::Online(reader.clone()));
    let (config, now_ms) = (server.config.get(), server.clock.unix_ms());
    server.replication.replicas.count_good(server, &config, now_ms);
    Ok(())
}

/// Waits until the snapshot is complete.
async fn await_completion(spool: &Spool, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut completed = std::pin::pin!(spool.completed());
    loop {
        tokio::select! {
            is_complete = &mut completed => {
                return is_complete.then_some(()).ok_or(io::ErrorKind::UnexpectedEof.into());
            }
            () = tokio::time::sleep(SIGN_OF_LIFE) => stream.write_all(b"\n").await?,
        }
    }
}

async fn send_stream(
    server: &Server,
    replica: &Replica,
    stream: &mut (impl AsyncWrite + Unpin),
    reader: &Reader,
) -> io::Result<()> {
    tracing::info!("Synchronization with replica {} succeeded", replica.name());
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if !server.log.read(reader, &mut bytes) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if replica.client.is_killed() {
            // What came into the log behind that, it is not to get.
            return Ok(());
        }
        if bytes.is_empty() {
            stream.flush().await?;
            reader.news().await;
            continue;
        }
        stream.write_all(&bytes).await?;
        server.stats.total_net_repl_output_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        ClientHandle::add(&replica.client.net_out_bytes, bytes.len() as u64);
        reader.advance_to(reader.position() + bytes.len() as u64);
        server.memory.used.note();
    }
}
