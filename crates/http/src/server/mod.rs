//! The accept loop: TLS per connection, one caller per connection, bounded in number and time.
//!
//! Invariant: a stop lets every request that was begun end, up to the deadline.

mod connection;
mod doorkeeper;
mod idle;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use metricstor_pki::{Revocations, ServerTls};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::connection::Connections;
use self::doorkeeper::Doorkeeper;
use crate::app::App;

/// How a listener knows its callers.
#[derive(Clone)]
pub enum Security {
    /// Mutual TLS: the caller is who the certificate says.
    Tls { tls: Arc<ServerTls>, revocations: Arc<Revocations> },
    /// Plain HTTP; every caller is the local administrator.
    Loopback,
}

/// A bound socket.
pub struct Listener {
    socket: TcpListener,
    security: Security,
}

/// Why an address cannot be listened on, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{0} is not a loopback address: without TLS only 127.0.0.0/8 and ::1 are allowed")]
    NotLoopback(SocketAddr),
    #[error("{0} is in use by another process: stop it or choose another address")]
    InUse(SocketAddr),
    #[error("cannot listen on {address}: {source}")]
    Other { address: SocketAddr, source: io::Error },
}

impl Listener {
    pub async fn bind(address: SocketAddr, security: Security) -> Result<Self, ListenError> {
        if matches!(security, Security::Loopback) && !address.ip().is_loopback() {
            return Err(ListenError::NotLoopback(address));
        }
        match TcpListener::bind(address).await {
            Ok(socket) => Ok(Self { socket, security }),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(ListenError::InUse(address)),
            Err(source) => Err(ListenError::Other { address, source }),
        }
    }

    /// The address in use, with the port the kernel chose when 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// The stack of every thread; only what is touched takes memory. Evaluating recurses as deep as the
/// parser allows queries to be nested, which the usual 2 MiB do not hold.
const STACK_BYTES: usize = 32 << 20;

/// The runtime that [`serve`] has to run on.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()
}

/// Serves until `stop` resolves, then drains; connections still open at the deadline are cut.
pub async fn serve(app: Arc<App>, listeners: Vec<Listener>, stop: impl Future<Output = ()>) {
    let deadline = app.config.connections.shutdown_deadline;
    let doorkeeper = Arc::new(Doorkeeper::new(&app.config.connections));
    let (stopping, stopped) = watch::channel(false);
    let mut loops = JoinSet::new();
    for listener in listeners {
        let connections = Connections::new(Arc::clone(&app), listener.security);
        loops.spawn(accept(listener.socket, connections, Arc::clone(&doorkeeper), stopped.clone()));
    }
    stop.await;
    app.ready.store(false, Ordering::Relaxed);
    // The receivers live in the loops; a loop that is gone needs no word.
    let _ = stopping.send(true);
    let drained = async {
        while let Some(ended) = loops.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "an accept loop failed");
            }
        }
    };
    if timeout(deadline, drained).await.is_err() {
        tracing::warn!(?deadline, "cutting connections that are still open after the deadline");
    }
}

/// Accepts until told to stop, then waits for this listener's connections.
async fn accept(
    socket: TcpListener,
    connections: Connections,
    doorkeeper: Arc<Doorkeeper>,
    mut stopped: watch::Receiver<bool>,
) {
    let connections = Arc::new(connections);
    let graceful = GracefulShutdown::new();
    loop {
        // Waiting for a place first leaves what is too much in the kernel's queue.
        let next = async {
            let place = doorkeeper.place().await;
            (place, socket.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(guest) = doorkeeper.admit(place, peer.ip()) else {
                    connections.instruments().refused.with(&["address_limit"]).inc();
                    continue;
                };
                let connections = Arc::clone(&connections);
                let watcher = graceful.watcher();
                tokio::spawn(async move {
                    connections.run(stream, peer, watcher).await;
                    drop(guest);
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: wait for some to be closed.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(socket);
    graceful.shutdown().await;
}
