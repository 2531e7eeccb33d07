//! Certificates made on the spot, and clients that speak TLS and HTTP/2.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
#[cfg(feature = "embedded-model")]
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::WAIT_MAX;
use super::server::{Folder, Server, Start};

/// A self-signed certificate for `localhost` and its key.
#[derive(Debug)]
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// A connection over which somebody speaks TLS.
pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Identity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        Self { certificate: made.cert.der().clone(), key: made.signing_key.serialize_der() }
    }

    /// Writes the certificate into a folder, as the servers of [`Identity::serve`] read it.
    pub(crate) fn write_certificate(&self, folder: &Folder) {
        folder.write("tls.crt", &pem("CERTIFICATE", &self.certificate));
    }

    /// The same for its key.
    pub(crate) fn write_key(&self, folder: &Folder) {
        folder.write("tls.key", &pem("PRIVATE KEY", &self.key));
    }

    /// A server with this certificate.
    pub(crate) fn serve(&self, start: Start) -> Start {
        let folder = start.folder().clone();
        self.write_certificate(&folder);
        self.write_key(&folder);
        let path = |file: &str| folder.path().join(file).to_string_lossy().into_owned();
        start.set("tls.certificate", &path("tls.crt")).set("tls.key", &path("tls.key"))
    }

    /// A connection to the data plane by somebody who trusts this certificate and no other.
    pub(crate) fn connect(&self, server: &Server) -> io::Result<Stream> {
        self.connect_to(server.address())
    }

    /// A connection to some address.
    pub(crate) fn connect_to(&self, address: &str) -> io::Result<Stream> {
        shake_hands(&self.certificate, TcpStream::connect(address)?)
    }

    /// A connection to the data plane that says this before TLS begins.
    pub(crate) fn connect_after(&self, server: &Server, first: &[u8]) -> io::Result<Stream> {
        let mut stream = TcpStream::connect(server.address())?;
        stream.write_all(first)?;
        shake_hands(&self.certificate, stream)
    }

    /// A connection that speaks HTTP/2.
    pub(crate) async fn connect_h2(&self, server: &Server) -> http2::SendRequest<String> {
        let stream = tokio::net::TcpStream::connect(server.address()).await.expect("the server takes connections");
        let stream = TlsConnector::from(client(&self.certificate, b"h2"))
            .connect(name(), stream)
            .await
            .expect("hands are shaken");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        speak_h2(stream).await
    }
}

/// A connection to the data plane by somebody who trusts the certificate that the server made by itself.
#[cfg(feature = "embedded-model")]
pub(crate) fn connect_self_signed(server: &Server) -> io::Result<Stream> {
    let trust = server.trust();
    let (_, file) = trust.iter().find(|(name, _)| name == "SSL_CERT_FILE").expect("a file is named");
    let trusted = CertificateDer::from_pem_file(file).expect("the file is a certificate");
    shake_hands(&trusted, TcpStream::connect(server.address())?)
}

fn shake_hands(trusted: &CertificateDer<'static>, mut stream: TcpStream) -> io::Result<Stream> {
    stream.set_read_timeout(Some(WAIT_MAX))?;
    let mut tls = ClientConnection::new(client(trusted, b"http/1.1"), name()).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(tls, stream))
}

fn client(trusted: &CertificateDer<'static>, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("the certificate is one");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("the provider has what they take");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// Begins HTTP/2 on a connection.
pub(crate) async fn speak_h2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> http2::SendRequest<String> {
    let (requests, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 begins");
    // It ends with the server or with the test's runtime.
    tokio::spawn(connection);
    requests
}

/// Sends a request without a body on a connection that stays open, and reads the head of the answer and its body.
#[track_caller]
pub(crate) fn ask(stream: &mut Stream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server takes the request");
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    // All that is asked for here fits into one record.
    let count = stream.read(&mut piece).expect("the server answers");
    heard.extend_from_slice(&piece[..count]);
    String::from_utf8(heard).expect("the answer is text")
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
