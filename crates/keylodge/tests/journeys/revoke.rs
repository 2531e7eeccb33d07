//! Revoke means now.

use crate::support::http::generate;
use crate::support::manage::Owner;
use crate::support::server::scripted;

/// A project has at most 300 keys, deleted ones included.
const KEYS_PER_PROJECT: usize = 250;
const PROJECTS: usize = 4;

#[test]
fn a_thousand_deleted_keys_are_refused_by_the_very_next_request_on_every_connection() {
    let server = scripted().up();
    let mut owner = Owner::of(&server);
    let (mut one, mut other) = (server.connect(), server.connect());

    for project in 0..PROJECTS {
        let project = format!("revoke-{project}");
        owner.create_project(&project);
        for number in 0..KEYS_PER_PROJECT {
            let made = owner.create_key(&project, &format!("key-{number}"));
            let call = generate("Hello").key(&made.string);
            one.call(&call).good();
            other.call(&call).good();

            owner.delete_key(&project, &made.id);

            for connection in [&mut one, &mut other] {
                let refused = connection.call(&call);
                assert_eq!(refused.status, 400, "{project} {number}: {}", refused.text());
                assert_eq!(refused.json()["error"]["details"][0]["reason"], "API_KEY_INVALID");
            }
        }
    }
}

#[test]
fn a_service_that_is_switched_off_is_refused_by_the_very_next_request() {
    let server = scripted().up();
    let (mut owner, mut connection) = (Owner::of(&server), server.connect());
    let call = generate("Hello").key(&server.key());

    for round in 0..50 {
        owner.switch("default-project", "disable");
        assert_eq!(connection.call(&call).status, 403, "round {round}");
        owner.switch("default-project", "enable");
        assert_eq!(connection.call(&call).status, 200, "round {round}");
    }
}
