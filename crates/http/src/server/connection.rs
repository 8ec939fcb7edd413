//! One connection: handshake, identity, then HTTP/1.1 or HTTP/2 until it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use metricstor_pki::{Identity, ServerTls};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use super::Security;
use super::idle::Idle;
use crate::app::App;
use crate::caller::Caller;
use crate::instruments::Instruments;
use crate::route::router;

/// What all connections of a listener share.
pub struct Connections {
    app: Arc<App>,
    router: Router,
    security: Security,
    http: Builder<TokioExecutor>,
}

/// Why a connection never came to speak HTTP.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("the handshake took too long")]
    Timeout,
    #[error("TLS: {0}")]
    Tls(#[from] io::Error),
    #[error("the client certificate names nobody: {0}")]
    Identity(#[from] metricstor_pki::IdentityError),
}

impl HandshakeError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
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
        Self { router: router(Arc::clone(&app)), app, security, http }
    }

    pub fn instruments(&self) -> &Instruments {
        &self.app.instruments
    }

    pub async fn run(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        let _open = self.instruments().connections.hold();
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        match &self.security {
            Security::Loopback => self.speak(stream, peer, Caller::Local, watcher).await,
            Security::Tls { tls, .. } => {
                let limit = self.app.config.connections.handshake_timeout;
                let shaken = timeout(limit, handshake(stream, tls)).await;
                match shaken.unwrap_or(Err(HandshakeError::Timeout)) {
                    Ok((stream, caller)) => self.speak(stream, peer, caller, watcher).await,
                    Err(error) => {
                        self.instruments().refused.with(&[error.reason()]).inc();
                        tracing::info!(%peer, %error, "refused a connection");
                    }
                }
            }
        }
    }

    async fn speak<S>(&self, stream: S, peer: SocketAddr, caller: Caller, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let revocations = match &self.security {
            Security::Tls { revocations, .. } => Some(Arc::clone(revocations)),
            Security::Loopback => None,
        };
        let router = self.router.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let void = match (&caller, &revocations) {
                (Caller::Certified(identity), Some(all)) => all.is_revoked(identity),
                _ => false,
            };
            let caller = if void { Caller::Anonymous } else { caller.clone() };
            request.extensions_mut().insert(caller);
            router.clone().oneshot(request)
        });
        let stream = Idle::new(stream, self.app.config.connections.idle_timeout);
        let connection = self.http.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%peer, error, "a connection ended early");
        }
    }
}

/// The configuration is chosen now, so a renewed certificate serves from the next connection on.
async fn handshake(
    stream: TcpStream,
    tls: &ServerTls,
) -> Result<(TlsStream<TcpStream>, Caller), HandshakeError> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let config = tls.config(ServerTls::door(&start.client_hello()));
    let stream = start.into_stream(config).await?;
    let caller = match stream.get_ref().1.peer_certificates().and_then(<[_]>::first) {
        Some(leaf) => Caller::Certified(Arc::new(Identity::from_certificate(leaf)?)),
        None => Caller::Anonymous,
    };
    Ok((stream, caller))
}
