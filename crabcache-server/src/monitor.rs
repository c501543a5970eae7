//! MONITOR: shows every command that runs to the clients that asked.
//!
//! Lines are collected while a batch of commands runs and sent to all monitors at its end, so that
//! a monitor costs a command the formatting of its line and not a lock. A monitor that does not
//! keep up is cut (`output_limits.rs`): it can never hold up the commands of others.
//!
//! Passwords are shown as `(redacted)`, administrators' commands not at all.

use crate::client::{Client, ClientFlags, ClientHandle};
use crate::command::{Args, Ctx, Flags};
use crate::output_limits;
use crate::server::Server;
use crate::server::interest::Interest;
use crabcache_resp::words::quote;
use parking_lot::Mutex;
use std::sync::Arc;

/// The clients that asked.
#[derive(Debug, Default)]
pub struct Monitors {
    all: Mutex<Vec<Arc<ClientHandle>>>,
}

impl Monitors {
    /// Makes a client a monitor.
    pub fn add(&self, server: &Server, client: &mut Client) {
        let mut all = self.all.lock();
        all.push(client.handle.clone());
        client.set_flag(ClientFlags::MONITOR, true);
        server.interests.set(Interest::MONITOR, true);
    }

    /// Makes it none any more, if it is one.
    pub fn remove(&self, server: &Server, client: &mut Client) {
        if client.flags.contains(ClientFlags::MONITOR) {
            let mut all = self.all.lock();
            all.retain(|monitor| monitor.id != client.handle.id);
            client.set_flag(ClientFlags::MONITOR, false);
            server.interests.set(Interest::MONITOR, !all.is_empty());
        }
    }

    /// Number of monitors.
    pub fn len(&self) -> usize {
        self.all.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Shows a command that has run, if anybody looks on.
#[inline]
pub fn show_if_wanted(ctx: &mut Ctx<'_>, args: Args<'_>) {
    if ctx.server.interests.get().contains(Interest::MONITOR) {
        show(ctx, args);
    }
}

/// Shows a command before it runs, so that those that it runs are shown after it: scripts.
#[inline]
pub fn show_now(ctx: &mut Ctx<'_>, args: Args<'_>) {
    if ctx.server.interests.get().contains(Interest::MONITOR) {
        write_line(ctx, args);
    }
}

#[cold]
fn show(ctx: &mut Ctx<'_>, args: Args<'_>) {
    if !ctx.row.flags.intersects(Flags::SKIP_MONITOR | Flags::ADMIN) {
        write_line(ctx, args);
    }
}

fn write_line(ctx: &mut Ctx<'_>, args: Args<'_>) {
    let now_us = ctx.server.clock.unix_us();
    let (peer, db) = (&ctx.client.handle.peer, ctx.client.db);
    let scheme = if peer.is_unix { "unix:" } else { "" };
    let addr = if peer.is_unix { peer.laddr.trim_end_matches(":0") } else { &peer.addr };
    let (scheme, addr) = if ctx.in_script { ("", "lua") } else { (scheme, addr) };
    let (seconds, micros) = (now_us / 1_000_000, now_us % 1_000_000);
    let mut line = format!("+{seconds}.{micros:06} [{db} {scheme}{addr}]");
    for index in 0..args.len() {
        line.push(' ');
        line.push_str(&quote(ctx.row.shown_word(args, index)));
    }
    line.push_str("\r\n");
    ctx.shown.extend_from_slice(line.as_bytes());
}

/// Sends the lines of a batch.
#[inline]
pub fn send(ctx: &mut Ctx<'_>) {
    if !ctx.shown.is_empty() {
        send_lines(ctx);
    }
}

#[cold]
fn send_lines(ctx: &mut Ctx<'_>) {
    let lines = std::mem::take(&mut ctx.shown);
    for monitor in &*ctx.server.monitors.all.lock() {
        if monitor.id == ctx.client.handle.id {
            ctx.reply.raw(&lines);
        } else if !monitor.is_killed() {
            let n_bytes = monitor.push(&lines);
            output_limits::enforce(ctx.server, &ctx.config, monitor, n_bytes, ctx.env.now_ms);
        }
    }
}
