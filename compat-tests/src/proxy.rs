//! A link between two servers that breaks where it is told to.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hands on what comes to its port, until it breaks.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    /// Bytes of both directions until the link breaks; below zero: it does not.
    bytes_left: AtomicI64,
    open: Mutex<Vec<TcpStream>>,
    n_connections: AtomicU64,
    is_over: AtomicBool,
}

impl Proxy {
    /// A link to `target`.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start(target: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            bytes_left: AtomicI64::new(-1),
            open: Mutex::default(),
            n_connections: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let (address, own) = (listener.local_addr()?, shared.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if own.is_over.load(Ordering::Relaxed) {
                    return;
                }
                // Who cannot be reached hangs up.
                let _ = own.connect(stream);
            }
        });
        Ok(Proxy { address, shared })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Breaks the link once so many bytes have passed.
    pub fn break_after(&self, n_bytes: u32) {
        self.shared.bytes_left.store(n_bytes.into(), Ordering::Relaxed);
    }

    /// Breaks the link now.
    pub fn cut(&self) {
        for stream in lock(&self.shared.open).drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The link does not break any more, and leads to `target`.
    pub fn mend(&self, target: SocketAddr) {
        self.shared.bytes_left.store(-1, Ordering::Relaxed);
        let mut own = lock(&self.shared.target);
        let is_elsewhere = std::mem::replace(&mut *own, target) != target;
        drop(own);
        if is_elsewhere {
            self.cut();
        }
    }

    /// Connections that have come.
    pub fn n_connections(&self) -> u64 {
        self.shared.n_connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.cut();
        // The thread that accepts looks after each connection.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, near: TcpStream) -> io::Result<()> {
        self.n_connections.fetch_add(1, Ordering::Relaxed);
        let target = *lock(&self.target);
        let far = TcpStream::connect(target)?;
        for stream in [&near, &far] {
            stream.set_nodelay(true)?;
            lock(&self.open).push(stream.try_clone()?);
        }
        let (own, from, to) = (self.clone(), near.try_clone()?, far.try_clone()?);
        std::thread::spawn(move || own.hand_on(&from, &to));
        let own = self.clone();
        std::thread::spawn(move || own.hand_on(&far, &near));
        Ok(())
    }

    /// Until an end hangs up or the link breaks.
    fn hand_on(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(n_bytes @ 1..) = from.read(&mut buffer) {
            let n_passed = self.let_pass(n_bytes);
            if to.write_all(&buffer[..n_passed]).is_err() || n_passed < n_bytes {
                break;
            }
        }
        for stream in [from, to] {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many of the bytes pass.
    fn let_pass(&self, n_bytes: usize) -> usize {
        let wanted = i64::try_from(n_bytes).unwrap_or(i64::MAX);
        let take = |left: i64| (left >= 0).then(|| (left - wanted).max(0));
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        match self.bytes_left.fetch_update(set, get, take) {
            Ok(left) => usize::try_from(left).unwrap_or(0).min(n_bytes),
            // It does not break.
            Err(_) => n_bytes,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
