//! The accept loop: TLS per connection, one caller per connection, bounded in number and time.
//!
//! Invariant: a stop lets every request that was begun end, up to the deadline.

mod connection;
mod doorkeeper;
mod idle;
mod lenient;
mod strangers;

use std::fs::Permissions;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use self::strangers::Place;

use self::connection::Connections;
use self::doorkeeper::Doorkeeper;
use crate::app::App;

/// How a listener knows its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS: the caller is who the certificate says.
    Tls,
    /// Plain HTTP; every caller is the local administrator.
    Loopback,
}

/// A bound socket.
pub struct Listener {
    socket: Socket,
    security: Security,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
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
    #[error("{} is in use by another process: stop it or choose another path", .0.display())]
    PathInUse(PathBuf),
    #[error("{} is a file, not a socket: remove it or choose another path", .0.display())]
    NoSocket(PathBuf),
    #[error("cannot listen on {}: make its folder first, or choose another path", .0.display())]
    NoFolder(PathBuf),
    #[error("cannot listen on {}: {source}", .path.display())]
    Path { path: PathBuf, source: io::Error },
}

impl Listener {
    pub async fn bind(address: SocketAddr, security: Security) -> Result<Self, ListenError> {
        if security == Security::Loopback && !address.ip().is_loopback() {
            return Err(ListenError::NotLoopback(address));
        }
        match TcpListener::bind(address).await {
            Ok(socket) => Ok(Self { socket: Socket::Tcp(socket), security }),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(ListenError::InUse(address)),
            Err(source) => Err(ListenError::Other { address, source }),
        }
    }

    /// Listens on a file that only its owner may open. One that a process left behind is replaced.
    pub async fn bind_unix(path: &Path) -> Result<Self, ListenError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ListenError::NoFolder(path.to_owned()),
            _ => ListenError::Path { path: path.to_owned(), source },
        };
        match UnixStream::connect(path).await {
            Ok(_) => return Err(ListenError::PathInUse(path.to_owned())),
            // A file that is no socket refuses too, and is somebody's.
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                if !std::fs::symlink_metadata(path).map_err(failed)?.file_type().is_socket() {
                    return Err(ListenError::NoSocket(path.to_owned()));
                }
                std::fs::remove_file(path).map_err(failed)?;
            }
            // Nothing there, or nothing that binding would replace.
            Err(_) => {}
        }
        let socket = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { socket: Socket::Unix(socket), security: Security::Loopback })
    }

    /// The address in use, with the port the kernel chose when 0 was asked for; none for a path.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr(),
            Socket::Unix(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Socket {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(socket) => socket.accept().await.map(|(s, a)| Accepted::Tcp(s, a)),
            Self::Unix(socket) => socket.accept().await.map(|(s, _)| Accepted::Unix(s)),
        }
    }
}

impl Accepted {
    /// Whom the connection counts for; all of a Unix socket's together.
    fn address(&self) -> IpAddr {
        match self {
            Self::Tcp(_, address) => address.ip(),
            Self::Unix(_) => Ipv4Addr::UNSPECIFIED.into(),
        }
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
    let mut loops = JoinSet::new();
    for listener in listeners {
        let connections = Connections::new(Arc::clone(&app), listener.security);
        loops.spawn(accept(
            listener.socket,
            connections,
            Arc::clone(&doorkeeper),
            app.stopping.subscribe(),
        ));
    }
    stop.await;
    app.stopping.send_replace(true);
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
    socket: Socket,
    connections: Connections,
    doorkeeper: Arc<Doorkeeper>,
    mut stopped: watch::Receiver<bool>,
) {
    let connections = Arc::new(connections);
    // Closed when the last connection has dropped its end.
    let (open, mut closed) = mpsc::channel::<()>(1);
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
            Ok(accepted) => {
                let Some(guest) = doorkeeper.admit(place, accepted.address()) else {
                    connections.instruments().refused.with(&["address_limit"]).inc();
                    continue;
                };
                let (connections, stopped) = (Arc::clone(&connections), stopped.clone());
                let open = open.clone();
                tokio::spawn(async move {
                    match accepted {
                        Accepted::Tcp(stream, address) => {
                            connections.run(stream, address, stopped).await;
                        }
                        Accepted::Unix(stream) => connections.run_unix(stream, stopped).await,
                    }
                    drop((guest, open));
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: wait for some to be closed.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop((socket, open));
    let _none_left = closed.recv().await;
}
