//! The question everything else exists for: may this key make this call?

use crate::{Key, Known, Project, ProjectState, Refusal, ServiceName, Stage, Timestamp};

/// One request as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The service it is for.
    pub service: ServiceName,
}

/// Yes: the key and the project that the call is made for.
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'index> {
    /// The key that was presented.
    pub key: &'index Key,
    /// The project that pays for the call.
    pub project: &'index Project,
}

/// Decides about a call with a key that was looked up in the index.
///
/// The order of checks is Google's as far as its error messages show it: key known, life stage, consumer, service.
/// It costs a few comparisons. If it said yes wrongly, a revoked key would spend its owner's money; if no wrongly, a
/// running application would stop. Nothing depends on `now` yet: no key expires by itself.
///
/// # Errors
/// The first rule that speaks against the call.
pub fn admit<'index>(known: Option<Known<'index>>, call: &Call, _now: Timestamp) -> Result<Admitted<'index>, Refusal> {
    let Known { key, project } = known.ok_or(Refusal::UnknownKey)?;
    match key.stage {
        Stage::Live => {}
        Stage::Deleted { .. } => {
            return Err(Refusal::KeyDeleted { key: key.uid.clone(), project: project.number });
        }
    }
    match project.state {
        ProjectState::Active => {}
        ProjectState::DeleteRequested => return Err(Refusal::ProjectDeleted { project: project.number }),
    }
    if !project.services.contains(&call.service) {
        return Err(Refusal::ServiceDisabled { project: project.number, service: call.service.clone() });
    }
    Ok(Admitted { key, project })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyHash, KeyId, KeyUid, ProjectId, ProjectNumber};

    fn service() -> ServiceName {
        ServiceName::parse("generativelanguage.googleapis.com").unwrap()
    }

    fn check(change: impl FnOnce(&mut Key, &mut Project)) -> Result<(), Refusal> {
        let number = ProjectNumber::from_random([0; 8]);
        let mut project = Project {
            number,
            id: ProjectId::parse("default-project").unwrap(),
            state: ProjectState::Active,
            services: [service()].into(),
        };
        let uid = KeyUid::from_random([0; 16]);
        let mut key = Key {
            id: KeyId::from(uid.clone()),
            uid,
            project: number,
            hash: KeyHash::from_bytes([0; 32]),
            stage: Stage::Live,
        };
        change(&mut key, &mut project);
        let known = Some(Known { key: &key, project: &project });
        admit(known, &Call { service: service() }, Timestamp::from_micros(0)).map(|_| ())
    }

    #[test]
    fn a_live_key_of_an_active_project_with_the_service_on_passes() {
        assert_eq!(check(|_, _| {}), Ok(()));
    }

    #[test]
    fn a_deleted_key_is_refused_before_anything_about_its_project_is_said() {
        let refusal = check(|key, project| {
            key.stage = Stage::Deleted { at: Timestamp::from_micros(5) };
            project.state = ProjectState::DeleteRequested;
            project.services.clear();
        });

        assert!(matches!(refusal, Err(Refusal::KeyDeleted { .. })), "{refusal:?}");
    }

    #[test]
    fn the_keys_of_a_deleted_project_are_refused() {
        let refusal = check(|_, project| project.state = ProjectState::DeleteRequested);

        assert!(matches!(refusal, Err(Refusal::ProjectDeleted { .. })), "{refusal:?}");
    }

    #[test]
    fn a_service_that_is_off_is_refused_by_name() {
        let refusal = check(|_, project| project.services.clear());

        assert!(matches!(refusal, Err(Refusal::ServiceDisabled { service: off, .. }) if off == service()));
    }
}
