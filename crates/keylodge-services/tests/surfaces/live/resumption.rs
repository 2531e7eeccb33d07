//! Going on with a session in another connection.

use serde_json::{Value, json};

use super::{Client, SCRIPT, SERVICE, setup};
use crate::support::House;

impl Client {
    /// Has a turn of a session that can go on, and gives the setup of whoever goes on with it.
    async fn handle(&mut self) -> Value {
        self.ask("Hi").await;
        let update = self.hear().await["sessionResumptionUpdate"].take();
        json!({"sessionResumption": {"handle": update["newHandle"]}})
    }
}

/// A session that can go on.
fn resumable() -> Value {
    json!({"sessionResumption": {}})
}

#[tokio::test]
async fn one_use_of_a_token_is_one_open_session_however_often_it_goes_on() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({})).await;
    let mut open = house.session_of(&token).await;
    open.set_up(&resumable()).await;
    let handle = open.handle().await;

    for _ in 0..3 {
        let mut next = house.session_of(&token).await;
        next.set_up(&handle).await;

        let (code, reason) = open.closed().await;
        assert!(code == 1000 && reason.contains("another connection"), "{code} {reason}");
        assert_eq!(next.ask("Hi").await.0, "Hello.");
        assert!(next.hear().await["sessionResumptionUpdate"]["newHandle"].is_string());
        open = next;
    }
}

#[tokio::test]
async fn a_session_goes_on_although_the_connection_before_has_the_only_place() {
    let house = House::with_script(SCRIPT).await;
    let limits = json!([{"metric": "REQUESTS", "window": "IN_FLIGHT", "value": "1"}]);
    let path = "/keylodge/v1/projects/default-project/limits";
    house.manage("PUT", path, Some(json!({ "limits": limits }))).await.ok();
    let mut lost = house.session(&resumable()).await;
    let handle = lost.handle().await;
    lost.tell("slow").await;

    let mut again = house.session(&handle).await;

    assert_eq!(again.ask("Hi").await.0, "Hello.");
}

#[tokio::test]
async fn a_session_goes_on_although_nobody_reads_the_connection_before() {
    let long = "x".repeat(1024 * 1024);
    let house = House::with_script(&format!("[[reply]]\ncontains = 'long'\ntext = '{long}'\n{SCRIPT}")).await;
    let mut lost = house.session(&resumable()).await;
    let handle = lost.handle().await;
    // More than the pipe takes: it is told to nobody.
    lost.tell("long").await;

    let mut again = house.session(&handle).await;

    assert_eq!(again.ask("Hi").await.0, "Hello.");
}

#[tokio::test]
async fn the_key_itself_does_not_go_on_with_the_session_of_a_token() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({})).await;
    let mut client = house.session_of(&token).await;
    client.set_up(&resumable()).await;
    let handle = client.handle().await;

    let mut stranger = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
    stranger.say(&setup(&handle)).await;

    let (code, reason) = stranger.closed().await;
    assert!(code == 1008 && reason.contains("not known"), "{code} {reason}");
    assert_eq!(client.ask("Hi").await.0, "Hello.", "and the session is where it was");
}

#[tokio::test]
async fn another_token_of_the_key_goes_on_with_a_session_for_a_use_of_its_own() {
    let house = House::with_script(SCRIPT).await;
    let (one, other) = (house.make_token(&json!({})).await, house.make_token(&json!({})).await);
    let mut client = house.session_of(&one).await;
    client.set_up(&resumable()).await;
    let handle = client.handle().await;

    let mut next = house.session_of(&other).await;
    next.set_up(&handle).await;
    assert_eq!(client.closed().await.0, 1000);
    // Lost before it had a handle of its own: the use was spent for the session, and it goes on.
    let mut next = house.session_of(&other).await;
    next.set_up(&handle).await;
    let handle = next.handle().await;

    let spent = house.make_token(&json!({})).await;
    house.session_of(&spent).await.set_up(&json!({})).await;
    for spent in [&spent, &one] {
        let mut refused = house.session_of(spent).await;
        refused.say(&setup(&handle)).await;
        let (code, reason) = refused.closed().await;
        assert!(code == 1008 && reason.contains("uses"), "{code} {reason}");
    }
    assert_eq!(next.ask("Hi").await.0, "Hello.", "whoever is refused takes nothing over");
    let mut again = house.session_of(&other).await;
    again.set_up(&handle).await;
}
