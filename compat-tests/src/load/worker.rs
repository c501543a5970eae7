//! One thread of the load: an event loop over its connections.

use super::replies::Counter;
use super::template::{Batch, Draw};
use super::{LATENCY_NS_MAX, Load, Outcome};
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

const READ_BYTES: usize = 256 * 1024;
/// Batches of one connection that may be under way in an open loop.
const N_UNDER_WAY_MAX: usize = 64;

struct Connection {
    stream: TcpStream,
    replies: Counter,
    /// Replies of the oldest batch that have come.
    n_replies: u64,
    /// When each batch that is under way counts from, and the replies it gets, oldest first.
    begun: VecDeque<(Instant, u64)>,
    /// What the socket has not taken.
    unsent: Vec<u8>,
    n_sent: usize,
    /// When the next batch is to be sent in an open loop.
    due: Instant,
}

/// Not the number of a connection.
const TIMER: Token = Token(usize::MAX);

struct Worker<'a> {
    load: &'a Load,
    poll: Poll,
    /// Those behind the connections of the load read, and send nothing.
    subscribers: Vec<TcpStream>,
    /// Wakes the loop when a batch is due, to the microsecond; waiting for events ends at milliseconds.
    timer: TimerFd,
    connections: Vec<Connection>,
    batches: Vec<Batch>,
    weights: Vec<u32>,
    draw: Draw,
    /// Time between two batches of a connection in an open loop.
    interval: Option<Duration>,
    /// What was answered before does not count.
    counts_from: Instant,
    outcome: Outcome,
    n_reply_bytes: u64,
    n_replies: u64,
}

/// Runs thread number `index` of so many.
pub(super) fn run(load: &Load, index: usize, n_threads: usize) -> io::Result<Outcome> {
    let n_connections = (load.n_connections + n_threads - 1 - index) / n_threads;
    let poll = Poll::new()?;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
    let timer_fd = timer.as_fd().as_raw_fd();
    poll.registry().register(&mut SourceFd(&timer_fd), TIMER, Interest::READABLE)?;
    let connections = (0..n_connections).map(|_| connect(load)).collect::<io::Result<_>>()?;
    let now = Instant::now();
    let interval = load
        .rate
        .map(|rate| Duration::from_secs_f64((load.pipeline * load.n_connections) as f64 / rate));
    let mut worker = Worker {
        load,
        poll,
        subscribers: (0..load.n_subscribers).map(|_| subscribe(load)).collect::<io::Result<_>>()?,
        timer,
        connections,
        batches: load.mix.iter().map(|(_, template)| template.batch(load.pipeline)).collect(),
        weights: load.mix.iter().map(|(weight, _)| *weight).collect(),
        draw: load.keys.draw(index as u64 + 1),
        interval,
        counts_from: now + load.warm_up,
        outcome: Outcome::empty(),
        n_reply_bytes: 0,
        n_replies: 0,
    };
    worker.begin(now, index, n_threads)?;
    worker.turn()?;
    let Worker { mut outcome, n_reply_bytes, n_replies, .. } = worker;
    outcome.request_bytes = load.mix.iter().map(|(_, template)| template.len()).max().unwrap_or(0);
    outcome.reply_bytes = n_reply_bytes / n_replies.max(1);
    Ok(outcome)
}

fn subscribe(load: &Load) -> io::Result<TcpStream> {
    let mut stream = std::net::TcpStream::connect(load.address)?;
    stream.write_all(&crate::wire::request(&["SUBSCRIBE", &load.channel]))?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

fn connect(load: &Load) -> io::Result<Connection> {
    let stream = std::net::TcpStream::connect(load.address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(Connection {
        stream: TcpStream::from_std(stream),
        replies: Counter::default(),
        n_replies: 0,
        begun: VecDeque::new(),
        unsent: Vec::new(),
        n_sent: 0,
        due: Instant::now(),
    })
}

impl Worker<'_> {
    fn begin(&mut self, now: Instant, index: usize, n_threads: usize) -> io::Result<()> {
        for (number, stream) in self.subscribers.iter_mut().enumerate() {
            let token = Token(self.connections.len() + number);
            self.poll.registry().register(stream, token, Interest::READABLE)?;
        }
        for number in 0..self.connections.len() {
            let connection = &mut self.connections[number];
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut connection.stream, Token(number), interest)?;
            match self.interval {
                // Spread over the interval: they should not all send at once.
                Some(interval) => {
                    let share =
                        (number * n_threads + index) as f64 / self.load.n_connections as f64;
                    connection.due = now + interval.mul_f64(share);
                }
                None => self.send_batch(number, now)?,
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        let ends = self.counts_from + self.load.duration;
        let mut events = Events::with_capacity(1024);
        let mut input = vec![0; READ_BYTES];
        loop {
            let now = Instant::now();
            if now >= ends {
                self.outcome.elapsed = now - self.counts_from;
                return Ok(());
            }
            if let Some(due) = self.send_due(now)? {
                let rest = due.saturating_duration_since(now).max(Duration::from_nanos(1));
                let flags = TimerSetTimeFlags::empty();
                self.timer.set(Expiration::OneShot(rest.into()), flags)?;
            }
            match self.poll.poll(&mut events, Some(ends.saturating_duration_since(now))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                let Token(number) = event.token();
                if event.token() == TIMER {
                    continue;
                }
                if let Some(number) = number.checked_sub(self.connections.len()) {
                    drain(&mut self.subscribers[number], &mut input)?;
                    continue;
                }
                if event.is_writable() && !self.connections[number].unsent.is_empty() {
                    flush(&mut self.connections[number])?;
                }
                if event.is_readable() {
                    self.receive(number, &mut input)?;
                }
            }
        }
    }

    /// Sends what the timetable says, and tells when the next batch is due.
    fn send_due(&mut self, now: Instant) -> io::Result<Option<Instant>> {
        let Some(interval) = self.interval else { return Ok(None) };
        let mut next: Option<Instant> = None;
        for number in 0..self.connections.len() {
            while self.connections[number].due <= now
                && self.connections[number].begun.len() < N_UNDER_WAY_MAX
            {
                let due = self.connections[number].due;
                self.connections[number].due += interval;
                self.send_batch(number, due)?;
            }
            let due = self.connections[number].due;
            if due > now {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        Ok(next)
    }

    fn send_batch(&mut self, number: usize, begun: Instant) -> io::Result<()> {
        let batch = self.choose();
        let n_replies = self.batches[batch].n_replies();
        let bytes = self.batches[batch].draw(&mut self.draw);
        let connection = &mut self.connections[number];
        connection.begun.push_back((begun, n_replies));
        let n_sent =
            if connection.unsent.is_empty() { send(&mut connection.stream, bytes)? } else { 0 };
        if n_sent < bytes.len() {
            connection.unsent.extend_from_slice(&bytes[n_sent..]);
        }
        Ok(())
    }

    fn choose(&mut self) -> usize {
        if self.weights.len() == 1 {
            return 0;
        }
        let mut drawn = self.draw.below(self.weights.iter().sum());
        self.weights
            .iter()
            .position(|weight| match drawn.checked_sub(*weight) {
                Some(rest) => {
                    drawn = rest;
                    false
                }
                None => true,
            })
            .unwrap_or(0)
    }

    /// Reads what has come until there is no more, and sends the next batch for one that is answered.
    fn receive(&mut self, number: usize, input: &mut [u8]) -> io::Result<()> {
        loop {
            let connection = &mut self.connections[number];
            let n_bytes = match connection.stream.read(input) {
                Ok(0) => return Err(io::Error::other("the server has closed a connection")),
                Ok(n_bytes) => n_bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            connection.replies.feed(&input[..n_bytes])?;
            let (n_replies, n_errors) = connection.replies.take();
            if n_errors > 0 {
                self.outcome.n_errors += n_errors;
                self.outcome.error = connection.replies.error().map(str::to_string);
            }
            connection.n_replies += n_replies;
            (self.n_reply_bytes, self.n_replies) =
                (self.n_reply_bytes + n_bytes as u64, self.n_replies + n_replies);
            let now = Instant::now();
            while let Some((begun, n_wanted)) = connection.begun.front().copied()
                && connection.n_replies >= n_wanted
            {
                connection.n_replies -= n_wanted;
                connection.begun.pop_front();
                if now >= self.counts_from {
                    let took_ns = (now - begun).as_nanos() as u64;
                    let took_ns = took_ns.clamp(1, LATENCY_NS_MAX);
                    self.outcome.n_requests += self.load.pipeline as u64;
                    self.outcome
                        .latencies_ns
                        .saturating_record_n(took_ns, self.load.pipeline as u64);
                }
            }
            if connection.begun.is_empty() && connection.n_replies > 0 {
                return Err(io::Error::other("more replies than requests"));
            }
            if self.interval.is_none() && connection.begun.is_empty() {
                self.send_batch(number, now)?;
            }
            // The socket is empty, most likely: another read would only say so. What comes later
            // makes an event of its own.
            if n_bytes < input.len() {
                return Ok(());
            }
        }
    }
}

/// Reads what has come, and forgets it.
fn drain(stream: &mut TcpStream, input: &mut [u8]) -> io::Result<()> {
    loop {
        match stream.read(input) {
            Ok(0) => return Err(io::Error::other("the server has closed a subscriber")),
            Ok(n_bytes) if n_bytes < input.len() => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn flush(connection: &mut Connection) -> io::Result<()> {
    let unsent = &connection.unsent[connection.n_sent..];
    connection.n_sent += send(&mut connection.stream, unsent)?;
    if connection.n_sent == connection.unsent.len() {
        (connection.n_sent, connection.unsent) = (0, Vec::new());
    }
    Ok(())
}

/// Sends as much as the socket takes.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut n_sent = 0;
    while n_sent < bytes.len() {
        match stream.write(&bytes[n_sent..]) {
            Ok(n_bytes) => n_sent += n_bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n_sent)
}
