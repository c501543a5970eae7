//! The line of CLIENT LIST, CLIENT INFO and of log messages about a client.

use super::{Client, ClientFlags, ClientHandle};
use crate::pubsub::Kind;
use crate::server::Server;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// What only the client that runs a command at this moment has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Running {
    /// Bytes of the command's words.
    pub args_bytes: usize,
    /// Bytes of replies that have not been sent yet.
    pub output_bytes: usize,
}

/// Describes a client in one line, without a line end. `running` is for the client that asks.
pub fn describe(server: &Server, client: &ClientHandle, running: Running) -> String {
    let now_ms = server.clock.unix_ms();
    let mut line = String::with_capacity(400);
    describe_peer(&mut line, client, now_ms);
    describe_state(&mut line, client, running);
    describe_session(&mut line, server, client);
    line
}

/// Formatting into a `String` cannot fail.
macro_rules! field {
    ($line:ident, $($format:tt)+) => {
        let _ = write!($line, $($format)+);
    };
}

fn describe_peer(line: &mut String, client: &ClientHandle, now_ms: i64) {
    let peer = &client.peer;
    field!(line, "id={} addr={} laddr={} fd={}", client.id, peer.addr, peer.laddr, peer.fd);
    field!(line, " name={}", client.names.lock().name);
    field!(line, " age={}", now_ms / 1000 - client.connected_ms / 1000);
    field!(line, " idle={}", (now_ms / 1000 - client.active_ms() / 1000).max(0));
    field!(line, " flags={} db={}", letters(client), client.db());
}

fn describe_state(line: &mut String, client: &ClientHandle, running: Running) {
    let load = |number: &std::sync::atomic::AtomicUsize| number.load(Ordering::Relaxed);
    let output_bytes = load(&client.output_bytes);
    let n_blocks = usize::from(output_bytes > 0);
    let [sub, psub, ssub] =
        [Kind::Channel, Kind::Pattern, Kind::ShardChannel].map(|kind| client.n_subscribed(kind));
    field!(line, " sub={sub} psub={psub} ssub={ssub}");
    field!(line, " multi={} watch={}", client.n_queued(), load(&client.n_watched));
    field!(line, " qbuf={}", load(&client.input_bytes));
    field!(line, " qbuf-free={}", load(&client.input_free_bytes));
    let words_bytes = running.args_bytes + load(&client.words_bytes);
    field!(line, " argv-mem={words_bytes} multi-mem={}", client.multi_args_bytes());
    // Compat: replies are written into a buffer of the worker. A client has one of its own only while
    // its socket does not take them; that is the list of the reference as well.
    let (size, peak) = (load(&client.output_buffer_bytes), load(&client.output_peak_bytes));
    field!(line, " rbs={size} rbp={peak} obl={}", running.output_bytes);
    field!(line, " oll={n_blocks} omem={output_bytes} tot-mem={}", mem_bytes(client));
    field!(line, " events={}", if output_bytes > 0 { "rw" } else { "r" });
}

fn describe_session(line: &mut String, server: &Server, client: &ClientHandle) {
    let load = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    let command = match client.last_command.load(Ordering::Relaxed).checked_sub(1) {
        Some(id) => &server.commands.row(id).full_name,
        None => "NULL",
    };
    let names = client.names.lock();
    let (user, redirect) = (names.user.shown_name(), client.redirect_shown());
    field!(line, " cmd={command} user={user} redir={redirect}");
    field!(line, " resp={}", client.protocol_number());
    field!(line, " lib-name={} lib-ver={}", names.lib_name, names.lib_ver);
    field!(line, " io-thread={}", client.worker());
    field!(line, " tot-net-in={}", load(&client.net_in_bytes));
    field!(line, " tot-net-out={}", load(&client.net_out_bytes));
    field!(line, " tot-cmds={}", load(&client.n_commands));
}

/// Flags as letters, in the reference's order.
fn letters(client: &ClientHandle) -> String {
    let flags = client.flags();
    let mut letters = String::new();
    let mut put = |is_so: bool, letter: char| {
        if is_so {
            letters.push(letter);
        }
    };
    put(flags.contains(ClientFlags::REPLICA), 'S');
    put(flags.contains(ClientFlags::PRIMARY), 'M');
    put(flags.contains(ClientFlags::MONITOR), 'O');
    put(flags.contains(ClientFlags::PUBSUB), 'P');
    put(flags.contains(ClientFlags::MULTI), 'x');
    put(client.wait.lock().as_ref().is_some_and(|wait| !wait.is_over()), 'b');
    put(flags.contains(ClientFlags::TRACKING), 't');
    put(client.is_redirect_broken.load(Ordering::Relaxed), 'R');
    put(flags.contains(ClientFlags::TRACKING_BCAST), 'B');
    put(client.watch_flag.is_dirty(), 'd');
    put(flags.contains(ClientFlags::CLOSE_AFTER_REPLY), 'c');
    put(flags.contains(ClientFlags::CLOSE_ASAP), 'A');
    put(flags.contains(ClientFlags::UNIX_SOCKET), 'U');
    put(flags.contains(ClientFlags::NO_EVICT), 'e');
    put(flags.contains(ClientFlags::NO_TOUCH), 'T');
    if letters.is_empty() {
        letters.push('N');
    }
    letters
}

/// What a watched key is taken to need: the key, its entry in the client's list and the stripe's.
const WATCHED_KEY_BYTES: usize = 96;

/// Bytes of memory that the client takes, buffers included.
pub fn mem_bytes(client: &ClientHandle) -> usize {
    let load = |number: &std::sync::atomic::AtomicUsize| number.load(Ordering::Relaxed);
    let names = client.names.lock();
    let texts = [&client.peer.addr, &client.peer.laddr, &names.name, &names.lib_name];
    let texts_bytes: usize = texts.iter().map(|text| text.capacity()).sum();
    size_of::<Client>()
        + size_of::<ClientHandle>()
        + texts_bytes
        + names.lib_ver.capacity()
        + load(&client.input_bytes)
        + load(&client.input_free_bytes)
        + load(&client.parsed_bytes)
        + load(&client.output_bytes).max(load(&client.output_buffer_bytes))
        + load(&client.n_watched) * WATCHED_KEY_BYTES
        + client.multi_mem_bytes()
        + load(&client.prefix_bytes)
        + client.subscriptions.lock().as_ref().map_or(0, |own| own.mem_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[test]
    fn a_line_has_the_reference_s_fields_in_its_order() {
        let t = TestServer::new();
        let client = t.client();
        let line = describe(&t.server, &client.client.handle, Running::default());
        let names: Vec<&str> =
            line.split(' ').filter_map(|field| field.split('=').next()).collect();
        let expected = "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf \
            qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp \
            lib-name lib-ver io-thread tot-net-in tot-net-out tot-cmds";
        assert_eq!(names.join(" "), expected);
    }
}
