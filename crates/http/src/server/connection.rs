//! One connection: handshake, peer, then HTTP/1.1 or HTTP/2 until it ends.
//!
//! Invariant: no connection outlives its certificate, its identity's revocation by more than a
//! moment, or the longest life a connection may have.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use metricstor_pki::{Identity, Provisioner};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use super::Security;
use super::idle::Idle;
use super::lenient::Lenient;
use super::strangers::{Place, Stranger, Strangers};
use crate::app::App;
use crate::caller::Peer;
use crate::instruments::Instruments;
use crate::route::router;

/// How often an open connection is checked for its identity's revocation.
const REVOCATION_PERIOD: Duration = Duration::from_secs(2);
/// The reason for which the oldest stranger is let go.
const STRANGERS_LIMIT: &str = "strangers_limit";
/// How long a stranger may be silent.
const STRANGER_IDLE: Duration = Duration::from_secs(15);

/// What all connections of a listener share.
pub struct Connections {
    app: Arc<App>,
    router: Router,
    security: Security,
    strangers: Arc<Strangers>,
    http: Builder<TokioExecutor>,
}

/// Why a connection never came to speak HTTP.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("the handshake took too long")]
    Timeout,
    #[error("too many strangers at once")]
    Displaced,
    #[error("TLS: {0}")]
    Tls(#[from] io::Error),
    #[error("the client certificate names nobody: {0}")]
    Identity(#[from] metricstor_pki::IdentityError),
}

impl HandshakeError {
    /// May come by the thousand from those who do nothing but connect: counted, a log is not theirs
    /// to fill.
    fn is_flood(&self) -> bool {
        matches!(self, Self::Timeout | Self::Displaced)
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Displaced => STRANGERS_LIMIT,
            Self::Tls(_) => "tls",
            Self::Identity(_) => "identity",
        }
    }
}

impl Connections {
    pub fn new(app: Arc<App>, security: Security) -> Self {
        let limits = &app.config.connections;
        let mut http = Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle_timeout)
            .max_buf_size(limits.header_bytes)
            .max_headers(limits.header_count);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
        let strangers = Arc::new(Strangers::new(limits.strangers));
        Self { router: router(Arc::clone(&app)), app, security, strangers, http }
    }

    pub fn instruments(&self) -> &Instruments {
        &self.app.instruments
    }

    pub async fn run(&self, stream: TcpStream, address: SocketAddr, stop: watch::Receiver<bool>) {
        let _open = self.instruments().connections.hold();
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "cannot set TCP_NODELAY");
        }
        match self.security {
            Security::Loopback => self.speak(stream, Peer::Local, None, stop).await,
            Security::Tls => {
                let mut stranger = self.strangers.enter();
                match self.shake_hands(stream, address, &mut stranger).await {
                    Ok((stream, peer)) => {
                        let stranger = peer.identity().is_none().then_some(stranger);
                        self.speak(stream, peer, stranger, stop).await;
                    }
                    Err(error) => {
                        self.instruments().refused.with(&[error.reason()]).inc();
                        if error.is_flood() {
                            tracing::debug!(%address, %error, "gave up a handshake");
                        } else {
                            tracing::info!(%address, %error, "refused a connection");
                        }
                    }
                }
            }
        }
    }

    /// Who may open the socket's file is somebody on this machine whom its owner trusts.
    pub async fn run_unix(&self, stream: UnixStream, stop: watch::Receiver<bool>) {
        let _open = self.instruments().connections.hold();
        self.speak(stream, Peer::Local, None, stop).await;
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        stranger: &mut Stranger,
    ) -> Result<(TlsStream<TcpStream>, Peer), HandshakeError> {
        let limit = self.app.config.connections.handshake_timeout;
        tokio::select! {
            shaken = timeout(limit, handshake(stream, address, &self.app.pki)) => {
                shaken.unwrap_or(Err(HandshakeError::Timeout))
            }
            () = stranger.displaced() => Err(HandshakeError::Displaced),
        }
    }

    async fn speak<S>(
        &self,
        stream: S,
        peer: Peer,
        mut stranger: Option<Stranger>,
        mut stop: watch::Receiver<bool>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.app.config.connections;
        let place = stranger.as_ref().map(|stranger| Arc::clone(stranger.place()));
        let idle = idle_limit(limits.idle_timeout, place.clone());
        let (router, identity) = (self.router.clone(), peer.identity().cloned());
        let helped = Arc::new(AtomicBool::new(false));
        let is_last = Arc::clone(&helped);
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            if let Some(place) = &place {
                request.extensions_mut().insert(Arc::clone(place));
            }
            let answer = router.clone().oneshot(request);
            let is_last = is_last.load(Ordering::Relaxed);
            async move {
                let mut response = answer.await?;
                if is_last {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let stream = TokioIo::new(Idle::new(Lenient::new(stream, helped), idle));
        let connection = self.http.serve_connection(stream, service).into_owned();
        tokio::pin!(connection);
        let end = Instant::now() + self.longest_life(identity.as_deref());
        let mut due = interval(REVOCATION_PERIOD);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ending = false;
        loop {
            tokio::select! {
                done = connection.as_mut() => {
                    if let Err(error) = done {
                        tracing::debug!(error, "a connection ended early");
                    }
                    return;
                }
                _ = stop.wait_for(|stopping| *stopping), if !ending => {
                    connection.as_mut().graceful_shutdown();
                    ending = true;
                }
                () = sleep_until(end), if !ending => {
                    connection.as_mut().graceful_shutdown();
                    ending = true;
                }
                () = displaced(&mut stranger) => {
                    self.instruments().refused.with(&[STRANGERS_LIMIT]).inc();
                    return;
                }
                _ = due.tick(), if identity.is_some() => {
                    if identity.as_deref().is_some_and(|i| self.app.pki.guard().is_revoked(i)) {
                        tracing::info!(target: "audit", caller = ?identity.map(|i| i.subject.to_string()),
                            "closed the connection of a revoked identity");
                        return;
                    }
                }
            }
        }
    }

    /// Until its certificate ends, and no longer than connections may live.
    fn longest_life(&self, identity: Option<&Identity>) -> Duration {
        let limit = self.app.config.connections.max_age;
        identity.map_or(limit, |identity| {
            let now = self.app.pki.now().as_secs();
            limit.min(Duration::from_secs(identity.not_after.as_secs().saturating_sub(now)))
        })
    }
}

/// How long the other end may be silent, as long as it is a stranger and from then on.
fn idle_limit(limit: Duration, place: Option<Arc<Place>>) -> impl Fn() -> Duration {
    move || match &place {
        Some(place) if !place.is_given_up() => limit.min(STRANGER_IDLE),
        _ => limit,
    }
}

/// Resolves when this stranger has to go; never for who is known.
async fn displaced(stranger: &mut Option<Stranger>) {
    match stranger {
        Some(stranger) => stranger.displaced().await,
        None => std::future::pending().await,
    }
}

/// The configuration is chosen now, so a renewed certificate serves from the next connection on.
async fn handshake(
    stream: TcpStream,
    address: SocketAddr,
    pki: &Provisioner,
) -> Result<(TlsStream<TcpStream>, Peer), HandshakeError> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let config = pki.tls().config(pki.door(&start.client_hello()));
    let stream = start.into_stream(config).await?;
    let peer = match stream.get_ref().1.peer_certificates().and_then(<[_]>::first) {
        Some(leaf) => Peer::Certified(Arc::new(Identity::from_certificate(leaf)?)),
        None => Peer::Anonymous(address.ip()),
    };
    Ok((stream, peer))
}
