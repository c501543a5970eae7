//! What workers ask of the main thread, which has the listening sockets and ends the process.

use crate::config::Config;
use crate::error::Logged;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// An order to the main thread.
pub enum Order {
    /// Close the listening TCP sockets and open those of this configuration, or the old ones again
    /// if that fails.
    Listen(Box<Config>, SyncSender<Result<(), Logged>>),
    /// End the process; all that could speak against it was checked. Who asks waits until the other
    /// end is gone: until nobody can connect any more.
    Shutdown(SyncSender<()>),
}

/// The way to the main thread. In tests there is none.
#[derive(Default)]
pub struct Control {
    orders: OnceLock<UnboundedSender<Order>>,
}

impl Control {
    /// Makes the calling thread the one that gets the orders.
    pub fn connect(&self) -> UnboundedReceiver<Order> {
        let (sender, receiver) = unbounded_channel();
        // A second caller would get no orders.
        let _ = self.orders.set(sender);
        receiver
    }

    /// Listens where `config` says. Waits until that is done: it takes as long as opening sockets.
    ///
    /// # Errors
    /// If a socket cannot be opened; it was logged, and the old ones are open again.
    pub fn listen(&self, config: &Config) -> Result<(), Logged> {
        let Some(orders) = self.orders.get() else { return Ok(()) };
        let (done, is_done) = sync_channel(1);
        orders.send(Order::Listen(Box::new(config.clone()), done)).map_err(|_| Logged)?;
        // Without an answer the process is about to end.
        is_done.recv().unwrap_or(Err(Logged))
    }

    /// Ends the process. Waits until nobody can connect any more: who sees a connection end because
    /// of it must not find the server again.
    pub fn shutdown(&self) {
        const TIME_MAX: Duration = Duration::from_secs(1);
        let Some(orders) = self.orders.get() else { return };
        let (asked, is_closed) = sync_channel(0);
        // If nobody listens the process is ending already.
        if orders.send(Order::Shutdown(asked)).is_ok() {
            // The answer is that there will be none.
            let _ = is_closed.recv_timeout(TIME_MAX);
        }
    }
}
