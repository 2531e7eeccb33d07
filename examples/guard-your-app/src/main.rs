//! The listener, the time and the dice; everything else is in the library.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::ServiceExt;
use axum::extract::Request;
use keylodge_gate::source::random;
use keylodge_gate::{Clock, Entropy};
use keylodge_rules::{OperatorToken, Timestamp};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let clock: Clock = Arc::new(system_time);
    let entropy: Entropy = Arc::new(system_random);
    let admin = OperatorToken::issue(&random(&entropy));
    let app = guard_your_app::app(&admin, clock, entropy);

    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    writeln!(io::stdout(), "http://{}\nADMIN_TOKEN={}", listener.local_addr()?, admin.reveal())?;
    axum::serve(listener, ServiceExt::<Request>::into_make_service(app)).await
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "this is the entropy that everything else is given")]
fn system_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives randomness, or nothing secret can be made");
}
