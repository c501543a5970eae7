//! A load generator that costs less than the servers it measures.
//!
//! Threads with an event loop each send batches of requests that are written into a buffer once;
//! only the random numbers in them change from batch to batch ([`template`]). Replies are counted, not
//! decoded ([`replies`]).
//!
//! - *Closed loop*: each connection sends its next batch when the last one was answered. That finds
//!   the highest rate; its latencies leave out what a slow server kept the client from asking.
//! - *Open loop* (`rate`): each connection has a timetable. A batch that could not be sent in time
//!   counts from when it should have been: no pause of the server hides others.
//!
//! What this is not: it checks no reply but that it is no error, unless errors are expected.

pub mod replies;
pub mod template;
mod worker;

use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::time::Duration;
use template::Template;

/// Latencies in nanoseconds are kept to three digits, up to a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// What is to be sent, how and for how long.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub address: SocketAddr,
    /// Threads that send.
    pub n_threads: usize,
    /// Connections, over all threads; at least one for each.
    pub n_connections: usize,
    /// Requests of a batch.
    pub pipeline: usize,
    /// What is sent, each with a weight: for every batch, one is drawn.
    pub mix: Vec<(u32, Template)>,
    /// How the random numbers in requests are drawn.
    pub keys: template::Numbers,
    /// What comes before the time that counts.
    pub warm_up: Duration,
    /// The time that counts.
    pub duration: Duration,
    /// Requests a second, over all connections, for an open loop.
    pub rate: Option<f64>,
    /// Further connections of each thread, which subscribe to a channel and read what comes.
    pub n_subscribers: usize,
    /// The channel.
    pub channel: String,
}

/// What came of a load, without its warm-up.
#[derive(Debug)]
pub struct Outcome {
    /// Requests that were answered in time.
    pub n_requests: u64,
    /// Error replies among the answers.
    pub n_errors: u64,
    /// One of the errors.
    pub error: Option<String>,
    /// The time that it took.
    pub elapsed: Duration,
    /// Nanoseconds from the sending of a request, or from when it should have been sent, to its reply.
    pub latencies_ns: Histogram<u64>,
    /// Bytes of one request and of one reply, the most frequent ones.
    pub request_bytes: usize,
    /// See `request_bytes`.
    pub reply_bytes: u64,
}

impl Outcome {
    fn empty() -> Outcome {
        let latencies_ns = Histogram::new_with_max(LATENCY_NS_MAX, 3)
            .unwrap_or_else(|error| unreachable!("constant bounds: {error}"));
        Outcome {
            n_requests: 0,
            n_errors: 0,
            error: None,
            elapsed: Duration::ZERO,
            latencies_ns,
            request_bytes: 0,
            reply_bytes: 0,
        }
    }

    fn add(&mut self, other: Outcome) {
        self.n_requests += other.n_requests;
        self.n_errors += other.n_errors;
        self.error = self.error.take().or(other.error);
        self.elapsed = self.elapsed.max(other.elapsed);
        // Both have the same bounds.
        let _ = self.latencies_ns.add(&other.latencies_ns);
        self.request_bytes = self.request_bytes.max(other.request_bytes);
        self.reply_bytes = self.reply_bytes.max(other.reply_bytes);
    }
}

/// Puts a server under load.
///
/// # Errors
/// If it cannot be reached, or closes a connection, or sends what is no reply.
pub fn run(load: &Load) -> std::io::Result<Outcome> {
    let n_threads = load.n_threads.clamp(1, load.n_connections.max(1));
    let threads: Vec<_> = (0..n_threads)
        .map(|index| {
            let load = load.clone();
            std::thread::spawn(move || worker::run(&load, index, n_threads))
        })
        .collect();
    let mut outcome = Outcome::empty();
    for thread in threads {
        let part =
            thread.join().map_err(|_| std::io::Error::other("a thread of the load failed"))?;
        outcome.add(part?);
    }
    Ok(outcome)
}
