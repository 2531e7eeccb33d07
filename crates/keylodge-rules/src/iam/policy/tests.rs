use super::super::samples::binding_draft;
use super::*;

const UNTIL_2030: &str = "request.time < timestamp('2030-01-01T00:00:00Z')";

fn draft(bindings: Vec<BindingDraft>) -> PolicyDraft {
    PolicyDraft { version: 3, bindings, ..PolicyDraft::default() }
}

fn with_condition(mut binding: BindingDraft, title: &str, expression: &str) -> BindingDraft {
    let condition = ConditionDraft { title: title.to_owned(), expression: expression.to_owned(), ..Default::default() };
    binding.condition = Some(condition);
    binding
}

fn read(draft: &PolicyDraft) -> Result<Policy, Vec<(String, String)>> {
    Policy::read(draft, &|role| role.to_string() == "projects/my-project/roles/rotator")
        .map_err(|mistakes| mistakes.into_iter().map(|mistake| (mistake.field, mistake.error.to_string())).collect())
}

fn mistake(draft: &PolicyDraft) -> (String, String) {
    let mut mistakes = read(draft).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes.remove(0)
}

fn printed(policy: &Policy) -> Vec<(String, Vec<String>, bool)> {
    let print = |binding: &Binding| {
        let members = binding.members.iter().map(Member::to_string).collect();
        (binding.role.to_string(), members, binding.condition.is_some())
    };
    policy.bindings.iter().map(print).collect()
}

#[test]
fn equal_bindings_are_merged_and_doubles_and_empty_ones_dropped() {
    let policy = read(&draft(vec![
        binding_draft("roles/viewer", &["user:Bob@example.com", "user:ada@example.com"]),
        binding_draft("roles/editor", &[]),
        with_condition(binding_draft("roles/viewer", &["user:eve@example.com"]), "t", UNTIL_2030),
        binding_draft("roles/viewer", &["user:bob@EXAMPLE.com", "serviceAccount:ci@example.com"]),
        with_condition(binding_draft("roles/viewer", &["user:ada@example.com"]), "t", UNTIL_2030),
        with_condition(binding_draft("roles/viewer", &["user:ada@example.com"]), "u", UNTIL_2030),
        binding_draft("projects/my-project/roles/rotator", &["user:ada@example.com"]),
    ]))
    .unwrap();

    let binding = |role: &str, members: &[&str], condition| {
        (role.to_owned(), members.iter().map(|member| (*member).to_owned()).collect(), condition)
    };
    assert_eq!(
        printed(&policy),
        [
            binding(
                "roles/viewer",
                &["user:ada@example.com", "user:Bob@example.com", "serviceAccount:ci@example.com"],
                false
            ),
            binding("roles/viewer", &["user:ada@example.com", "user:eve@example.com"], true),
            binding("roles/viewer", &["user:ada@example.com"], true),
            binding("projects/my-project/roles/rotator", &["user:ada@example.com"], false),
        ]
    );
}

#[test]
fn the_version_says_whether_there_are_conditions() {
    let plain = binding_draft("roles/viewer", &["user:ada@example.com"]);

    assert_eq!(read(&draft(vec![plain.clone()])).unwrap().version, 1);
    assert_eq!(read(&draft(vec![with_condition(plain, "t", UNTIL_2030)])).unwrap().version, 3);
}

#[test]
fn etag_and_audit_configs_are_kept_as_they_are() {
    let draft = PolicyDraft { etag: vec![0, 255], audit_configs: Some("[]".to_owned()), ..PolicyDraft::default() };
    let policy = read(&draft).unwrap();

    assert_eq!((policy.etag, policy.audit_configs), (draft.etag, draft.audit_configs));
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let mut policy = draft(vec![
        binding_draft("roles/viewer", &["user:ada@example.com", "ada@example.com", "allUsers"]),
        with_condition(binding_draft("roles/storage.admin", &["user:"]), &"t".repeat(101), "true"),
        binding_draft("projects/my-project/roles/other", &["allAuthenticatedUsers"]),
        binding_draft("viewer", &[]),
    ]);
    policy.version = 2;

    let mistakes = read(&policy).unwrap_err();

    let expected = [
        ("version", "Policies have version 1 or 3 (or 0, which means 1), not 2."),
        (
            "bindings[0].members[1]",
            "The member ada@example.com is of an unknown type. Please set a valid type prefix for the member.",
        ),
        ("bindings[0].members[2]", "The member allUsers is not allowed: name who should have access."),
        ("bindings[1].role", "Role roles/storage.admin is not supported for this resource."),
        (
            "bindings[1].members[0]",
            "The member user: is not well formed: a member is written user:ada@example.com, domain:example.com, deleted:user:ada@example.com?uid=1 or alike.",
        ),
        (
            "bindings[1].condition",
            "Conditions are only accepted in policies of version 3. Please set policy.version to 3.",
        ),
        ("bindings[1].condition.title", "Please use at most 100 characters."),
        (
            "bindings[1].condition.expression",
            "Keylodge understands only conditions of the form request.time < timestamp(\"2030-01-01T00:00:00Z\"), also with <=, with a time in RFC 3339.",
        ),
        ("bindings[2].role", "Role projects/my-project/roles/other is not supported for this resource."),
        ("bindings[2].members[0]", "The member allAuthenticatedUsers is not allowed: name who should have access."),
        ("bindings[3].role", "Role viewer is not supported for this resource."),
    ];
    assert_eq!(mistakes, expected.map(|(field, error)| (field.to_owned(), error.to_owned())));
}

#[test]
fn a_condition_in_version_1_is_refused() {
    let mut policy = draft(vec![with_condition(binding_draft("roles/viewer", &["user:a@b.c"]), "t", UNTIL_2030)]);

    for version in [0, 1] {
        policy.version = version;
        assert_eq!(mistake(&policy).0, "bindings[0].condition");
    }
}

#[test]
fn a_policy_names_at_most_1500_members() {
    let members: Vec<String> = (0..750).map(|at| format!("user:u{at}@example.com")).collect();
    let binding = |role: &str| BindingDraft { role: role.to_owned(), members: members.clone(), condition: None };
    let full = vec![binding("roles/viewer"), binding("roles/editor"), binding("roles/viewer")];
    assert!(read(&draft(full.clone())).is_ok(), "1500, when doubles are dropped");

    let one_more = [full, vec![binding_draft("roles/owner", &["user:one@example.com"])]].concat();
    assert_eq!(
        mistake(&draft(one_more)),
        (
            "bindings".to_owned(),
            "A policy names at most 1500 members in all its bindings, this one names 1501.".to_owned()
        )
    );
}

#[test]
fn a_policy_full_of_nonsense_gets_a_bounded_answer() {
    let long = "x".repeat(10_000);
    let mistakes = read(&draft((0..100).map(|_| binding_draft(&long, &[&long])).collect())).unwrap_err();

    assert_eq!(mistakes.len(), MISTAKES_MAX);
    assert!(mistakes.iter().all(|(_, error)| error.len() < 200));
}
