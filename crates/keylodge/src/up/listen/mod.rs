//! Takes connections until told to stop, then lets what is in flight finish within a limit.
//!
//! ```text
//! accept ─ PROXY header ─ TLS ─ HTTP/1.1 or HTTP/2 ─ framing ─ who called ─ the listener's service
//! ```
//!
//! Every step of a connection has a deadline and a bound. All listeners go the same way; they differ in their settings
//! and in the service that answers.

mod connection;
mod framing;
mod front;
mod held;
mod proxy_header;
mod stop;
mod timer;
mod tls;

use std::sync::{Arc, Once};
use std::time::Duration;

use keylodge_gate::TrustedProxies;
use keylodge_services::Plane;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::settings::{Listen, Listeners};
use connection::{Connections, Http};
use stop::Stop;

pub(crate) use stop::{Neighbour, StopSignal};
pub(crate) use tls::{Tls, keep_fresh};

/// How long to wait before accepting again when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket that listens, and how its connections begin.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    url: String,
    tls: Option<Arc<Tls>>,
    proxy_protocol: bool,
}

impl Listener {
    /// Binds the address; connections wait until [`serve`] takes them.
    ///
    /// # Errors
    /// A sentence for whoever started the program.
    pub(crate) async fn bind(listen: &Listen, tls: Option<Arc<Tls>>) -> Result<Self, String> {
        let socket = TcpListener::bind(listen.address).await.map_err(|error| {
            format!(
                "cannot listen on {}: {error}; is another Keylodge running? Choose another with --listen",
                listen.address
            )
        })?;
        let address = socket.local_addr().map_err(|error| format!("cannot listen: {error}"))?;
        let url = format!("{}://{address}", listen.scheme());
        Ok(Self { socket, url, tls, proxy_protocol: listen.proxy_protocol })
    }

    /// Scheme, address and port, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// Serves until told to stop, then drains. Told once more, or after the limit, it cuts off what is left.
///
/// Beside each listener stands the plane that answers there.
pub(crate) async fn serve(listeners: Vec<(Listener, Plane)>, settings: &Listeners, mut signal: StopSignal) {
    let stop = Stop::new();
    let proxies = Arc::new(settings.proxies.clone());
    let http = Arc::new(Http::new(settings.http));
    let mut accepting = JoinSet::new();
    for (listener, plane) in listeners {
        accepting.spawn(accept(Accept {
            listener,
            plane,
            places: Arc::new(Semaphore::new(settings.connections_max)),
            proxies: Arc::clone(&proxies),
            http: Arc::clone(&http),
            stop: stop.clone(),
        }));
    }
    signal.given().await;
    stop.tell();
    let mut connections: Vec<JoinSet<()>> = Vec::new();
    while let Some(ended) = accepting.join_next().await {
        // A panic there was logged; the connections went with it.
        connections.extend(ended);
    }
    let in_flight: usize = connections.iter().map(JoinSet::len).sum();
    tracing::info!(connections = in_flight, "stopping: no new connections, calls in flight go on");
    let limit = settings.drain_time_max;
    let drained = async {
        for connections in &mut connections {
            while connections.join_next().await.is_some() {}
        }
    };
    tokio::select! {
        () = drained => {}
        () = tokio::time::sleep(limit) => {
            tracing::warn!(seconds = limit.as_secs(), "calls still in flight at the limit are cut off");
        }
        () = signal.given() => tracing::warn!("told to stop again; calls still in flight are cut off"),
    }
    for mut connections in connections {
        connections.shutdown().await;
    }
}

/// What one listener works with.
struct Accept {
    listener: Listener,
    plane: Plane,
    places: Arc<Semaphore>,
    proxies: Arc<TrustedProxies>,
    http: Arc<Http>,
    stop: Stop,
}

/// Takes connections until told to stop. Gives back those that go on.
async fn accept(accept: Accept) -> JoinSet<()> {
    let Accept { listener, plane, places, proxies, http, stop } = accept;
    let Listener { socket, tls, proxy_protocol, .. } = listener;
    let shared = Arc::new(Connections { tls, proxy_protocol, proxies, http, stranger_warned: Once::new() });
    let mut connections = JoinSet::new();
    let mut told = stop.told();
    loop {
        // Connections that ended are let go of, so that the set holds only those that live.
        while connections.try_join_next().is_some() {}
        let place = Arc::clone(&places).acquire_owned();
        let accepted = tokio::select! {
            () = &mut told => return connections,
            accepted = async {
                let place = place.await;
                (place, socket.accept().await)
            } => accepted,
        };
        let (Ok(place), Ok((stream, peer))) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Small chunks of a stream must leave at once.
        let _ = stream.set_nodelay(true);
        let visit = plane.visit();
        let (shared, told) = (Arc::clone(&shared), stop.told());
        connections.spawn(async move {
            if let Err(error) = shared.serve(stream, peer, visit, told).await {
                tracing::debug!(%peer, error = %error, "a connection ended badly");
            }
            drop(place);
        });
    }
}
