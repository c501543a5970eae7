//! The workers together: who gets a connection, and who hands one over to whom.
//!
//! Connections are served by as few workers as their load needs (`balance.rs` says how many). What a
//! worker is to give away leaves it piece by piece: a connection that has been served and waits for
//! more asks where it belongs, and goes there. So those move that have something to do, between two
//! requests, and nothing of what they have under way is lost.

use super::connection::Moved;
use super::stream::RawStream;
use super::worker;
use crate::client::ClientHandle;
use crate::clock::Clock;
use crate::server::Server;
use crate::stats::Counter;
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A connection that a worker is to serve.
pub(super) struct Accepted {
    pub(super) stream: RawStream,
    pub(super) handle: Arc<ClientHandle>,
    pub(super) needs_auth: bool,
}

/// What a worker is given.
pub(super) enum Given {
    /// A connection that has just come.
    New(Accepted),
    /// One that another worker had.
    Moved(Moved),
    /// Nothing more: its connections are dropped.
    End,
}

/// See the module's text.
pub struct Crew {
    members: Box<[CachePadded<Member>]>,
    /// Workers that get connections: the first so many.
    n_in_use: AtomicUsize,
    /// Counts the looks of the balance.
    n_looks: AtomicU32,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What is known of one worker.
struct Member {
    queue: UnboundedSender<Given>,
    /// Connections that it serves or is about to.
    n_connections: AtomicUsize,
    /// Those that have been served since the last look.
    n_served: AtomicUsize,
    /// Connections that it is to give to `heir`.
    n_to_give: AtomicUsize,
    heir: AtomicUsize,
    /// The system's number of its thread; 0: not known yet.
    thread_id: AtomicI32,
    /// Nanoseconds in which it has looked for something to do, and would have slept otherwise.
    spun_ns: Counter,
}

/// What the balance sees of one worker.
pub(super) struct Seen {
    pub(super) thread_id: i32,
    /// Connections that have been served since the last look.
    pub(super) n_served: usize,
    /// Nanoseconds in which it has looked for something to do, ever.
    pub(super) spun_ns: u64,
}

impl Crew {
    /// Starts a thread for every worker of the server.
    ///
    /// # Errors
    /// If a thread or its runtime cannot be made.
    pub fn start(server: &Arc<Server>) -> io::Result<Arc<Crew>> {
        let (members, queues): (Vec<_>, Vec<_>) = (0..server.n_workers).map(|_| member()).unzip();
        let crew = Arc::new(Crew {
            members: members.into(),
            n_in_use: AtomicUsize::new(1),
            n_looks: AtomicU32::new(0),
            threads: Mutex::default(),
        });
        for (index, queue) in queues.into_iter().enumerate() {
            let thread = worker::start(server, &crew, index, queue)?;
            crew.threads.lock().push(thread);
        }
        Ok(crew)
    }

    /// Number of workers.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Connections that are served or about to be.
    pub fn n_connections(&self) -> usize {
        self.members.iter().map(|member| member.n_connections.load(Ordering::Relaxed)).sum()
    }

    /// Of the workers in use, the one with the fewest connections. A worker that a script holds up is
    /// the last choice, and then all are in use.
    pub(super) fn least_loaded(&self, server: &Server) -> usize {
        let running = &server.scripting.running;
        let n_connections =
            |index: &usize| self.members[*index].n_connections.load(Ordering::Relaxed);
        let free =
            |end| (0..end).filter(|index| !running.is_overtime(*index)).min_by_key(n_connections);
        free(self.n_in_use()).or_else(|| free(self.len())).unwrap_or(0)
    }

    /// Gives a worker a connection. If it has stopped, the socket is closed.
    pub(super) fn give(&self, index: usize, given: Given) {
        let member = &self.members[index];
        member.n_connections.fetch_add(1, Ordering::Relaxed);
        if member.queue.send(given).is_err() {
            self.note_gone(index);
        }
    }

    /// A worker no longer has a connection that it was given.
    pub(super) fn note_gone(&self, index: usize) {
        self.members[index].n_connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Ends the workers: their connections are dropped.
    pub fn stop(&self) {
        for member in &self.members {
            // One that is gone has ended.
            let _ = member.queue.send(Given::End);
        }
        for thread in self.threads.lock().drain(..) {
            // A panic of a worker has been logged by its own thread.
            let _ = thread.join();
        }
    }

    /// Whether connections of a worker might have to go; notes that one of them has been served.
    /// `seen` is of the connection: the last look that counts it.
    #[inline]
    pub(super) fn note_served(&self, index: usize, seen: &mut u32) -> bool {
        let member = &self.members[index];
        let n_looks = self.n_looks.load(Ordering::Relaxed);
        if *seen != n_looks {
            *seen = n_looks;
            // Others only read it.
            member.n_served.store(member.n_served.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        member.n_to_give.load(Ordering::Relaxed) > 0 || index >= self.n_in_use()
    }

    /// Who is to have a connection of this worker, if not the worker itself. To be asked once for
    /// each connection that can go.
    #[cold]
    pub(super) fn destination(&self, server: &Server, index: usize) -> Option<usize> {
        let member = &self.members[index];
        let to = if index >= self.n_in_use() {
            self.least_loaded(server)
        } else {
            let n_to_give = member.n_to_give.load(Ordering::Relaxed).checked_sub(1)?;
            member.n_to_give.store(n_to_give, Ordering::Relaxed);
            member.heir.load(Ordering::Relaxed)
        };
        (to != index && !server.scripting.running.is_overtime(to)).then_some(to)
    }

    /// Workers in use.
    #[inline]
    pub(super) fn n_in_use(&self) -> usize {
        self.n_in_use.load(Ordering::Relaxed)
    }

    /// Has the first `n_in_use` workers serve the connections.
    pub(super) fn use_workers(&self, n_in_use: usize) {
        self.n_in_use.store(n_in_use, Ordering::Relaxed);
    }

    /// Has a worker give so many of its connections to another one, instead of what it was told
    /// before.
    pub(super) fn have_given(&self, from: usize, to: usize, n_connections: usize) {
        let member = &self.members[from];
        member.heir.store(to, Ordering::Relaxed);
        member.n_to_give.store(n_connections, Ordering::Relaxed);
    }

    /// Notes the thread of a worker.
    pub(super) fn note_thread(&self, index: usize, thread_id: i32) {
        self.members[index].thread_id.store(thread_id, Ordering::Relaxed);
    }

    /// Notes time in which a worker has looked for something to do. On its own thread.
    #[inline]
    pub(super) fn note_spun(&self, index: usize, ns: u64) {
        self.members[index].spun_ns.add(ns);
    }

    /// Processor time that a worker has had, in nanoseconds; 0 if it is not known.
    pub(super) fn cpu_ns(&self, clock: &Clock, index: usize) -> u64 {
        clock.thread_cpu_ns(self.members[index].thread_id.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// What has become of each worker since the last call.
    pub(super) fn look(&self) -> Vec<Seen> {
        self.n_looks.fetch_add(1, Ordering::Relaxed);
        let look = |member: &CachePadded<Member>| Seen {
            thread_id: member.thread_id.load(Ordering::Relaxed),
            n_served: member.n_served.swap(0, Ordering::Relaxed),
            spun_ns: member.spun_ns.get(),
        };
        self.members.iter().map(look).collect()
    }
}

fn member() -> (CachePadded<Member>, UnboundedReceiver<Given>) {
    let (queue, given) = unbounded_channel();
    let member = Member {
        queue,
        n_connections: AtomicUsize::new(0),
        n_served: AtomicUsize::new(0),
        n_to_give: AtomicUsize::new(0),
        heir: AtomicUsize::new(0),
        thread_id: AtomicI32::new(0),
        spun_ns: Counter::default(),
    };
    (member.into(), given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Peer;
    use crate::config::Config;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    fn crew_of(n_workers: i64) -> (Arc<Server>, Arc<Crew>) {
        let config = Config { io_threads: n_workers, ..Config::default() };
        let server = Arc::new(Server::new(config).unwrap());
        let crew = Crew::start(&server).unwrap();
        (server, crew)
    }

    /// The client's end of a new connection.
    fn connect(server: &Server, crew: &Crew) -> UnixStream {
        let (near, far) = UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        near.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let worker = crew.least_loaded(server);
        let user = server.users.default_user();
        let handle =
            server.clients.add(Peer::default(), worker, user.clone(), server.clock.unix_ms());
        let accepted = Accepted { stream: RawStream::Unix(far), handle, needs_auth: false };
        crew.give(worker, Given::New(accepted));
        near
    }

    fn call(stream: &mut UnixStream, request: &str) -> String {
        stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(len) = line.strip_prefix('$').and_then(|len| len.trim().parse::<usize>().ok()) {
            let mut text = vec![0; len + 2];
            reader.read_exact(&mut text).unwrap();
            line = String::from_utf8(text).unwrap();
        }
        line.trim_end().to_string()
    }

    fn worker_of(stream: &mut UnixStream) -> usize {
        let info = call(stream, "CLIENT INFO");
        let (_, rest) = info.split_once("io-thread=").unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn connections_gather_and_spread() {
        let (server, crew) = crew_of(2);
        let mut streams: Vec<_> = (0..8).map(|_| connect(&server, &crew)).collect();
        let mut workers = || -> Vec<_> { streams.iter_mut().map(worker_of).collect() };
        assert_eq!(workers(), [0; 8]);
        crew.use_workers(2);
        crew.have_given(0, 1, 3);
        // Each goes when it has been served.
        workers();
        assert_eq!(workers().iter().sum::<usize>(), 3);
        crew.use_workers(1);
        workers();
        assert_eq!(workers(), [0; 8]);
        assert_eq!(crew.n_connections(), 8);
        assert_eq!(server.clients.len(), 8);
        drop(streams);
        while crew.n_connections() > 0 || !server.clients.is_empty() {
            std::thread::yield_now();
        }
        crew.stop();
    }

    #[test]
    fn what_clients_have_under_way_moves_with_them() {
        let (server, crew) = crew_of(2);
        let (mut one, mut two) = (connect(&server, &crew), connect(&server, &crew));
        for request in ["SELECT 3", "MULTI", "SET k v"] {
            crew.use_workers(2);
            crew.have_given(0, 1, 1);
            call(&mut one, request);
            crew.use_workers(1);
        }
        assert_eq!(call(&mut one, "EXEC"), "*1");
        assert_eq!(call(&mut two, "SELECT 3"), "+OK");
        assert_eq!(call(&mut two, "GET k"), "v");
        crew.stop();
    }

    #[test]
    fn no_request_is_lost_on_the_way() {
        const N_CLIENTS: usize = 6;
        const N_REQUESTS: usize = 3000;
        let (server, crew) = crew_of(3);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..N_CLIENTS)
                .map(|client| {
                    let mut stream = connect(&server, &crew);
                    scope.spawn(move || {
                        // Alone and in batches.
                        let mut numbers = 1..=N_REQUESTS;
                        for batch_len in [1, 4].into_iter().cycle() {
                            let batch: Vec<_> = numbers.by_ref().take(batch_len).collect();
                            if batch.is_empty() {
                                break;
                            }
                            let request = format!("INCR counter:{client}\r\n");
                            stream.write_all(request.repeat(batch.len()).as_bytes()).unwrap();
                            let mut replies = BufReader::new(&mut stream).lines();
                            for number in batch {
                                assert_eq!(replies.next().unwrap().unwrap(), format!(":{number}"));
                            }
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                for n_in_use in [1, 2, 3].into_iter().cycle() {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    crew.use_workers(n_in_use);
                    crew.have_given(0, n_in_use - 1, 2);
                    std::thread::sleep(Duration::from_micros(300));
                }
            });
            let results: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
            is_over.store(true, Ordering::Relaxed);
            assert!(results.iter().all(Result::is_ok));
        });
        crew.stop();
    }
}
