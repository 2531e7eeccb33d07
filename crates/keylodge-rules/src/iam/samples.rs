//! Members, names and policies for property tests. Few enough that they often meet.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Binding, BindingDraft, Condition, Expression, Member, Policy, RoleName};

pub(super) fn binding_draft(role: &str, members: &[&str]) -> BindingDraft {
    let members = members.iter().map(|member| (*member).to_owned()).collect();
    BindingDraft { role: role.to_owned(), members, condition: None }
}

pub(super) fn until(moment: &str) -> Condition {
    let expression = Expression::parse(&format!("request.time < timestamp('{moment}')")).unwrap();
    Condition { title: String::new(), description: String::new(), expression }
}

pub(super) fn role_name() -> impl Strategy<Value = RoleName> {
    prop_oneof![
        "roles/[a-zA-Z0-9_.]{3,64}",
        "projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/roles/[a-zA-Z0-9_.]{3,64}",
        "projects/[1-9][0-9]{0,17}/roles/[a-zA-Z0-9_.]{3,64}",
        "organizations/[1-9][0-9]{0,17}/roles/[a-zA-Z0-9_.]{3,64}",
    ]
    .prop_map(|text| RoleName::parse(&text).unwrap())
}

pub(super) fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        "(user|serviceAccount|group):[a-zA-Z0-9._+-]{1,20}(@[a-zA-Z0-9]{1,10}(\\.[a-z0-9]{1,5}){0,3})?",
        "domain:[a-zA-Z0-9]{1,10}(\\.[a-zA-Z0-9]{1,5}){0,3}",
        "project(Owner|Editor|Viewer):[a-z][a-z0-9-]{4,28}[a-z0-9]",
        "principal(Set)?://[a-zA-Z0-9/*:._-]{1,60}",
        "deleted:(user|serviceAccount|group):[a-z0-9]{1,9}@[a-z]{1,9}\\?uid=[0-9]{1,21}",
        "deleted:principal://[a-z0-9/:._-]{1,60}",
        "allUsers|allAuthenticatedUsers",
    ]
    .prop_map(|text| Member::parse(&text).unwrap())
}

pub(super) fn caller() -> impl Strategy<Value = Member> {
    "(user|serviceAccount):[abAB]@[xy]\\.test".prop_map(|text| Member::parse(&text).unwrap())
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let role = select(vec![
        "roles/viewer",
        "roles/serviceusage.apiKeysAdmin",
        "roles/no_such_role",
        "projects/my-project/roles/one",
        "projects/my-project/roles/other",
    ])
    .prop_map(|text| RoleName::parse(text).unwrap());
    let member = prop_oneof![4 => caller(), 1 => "domain:[xX]\\.test".prop_map(|text| Member::parse(&text).unwrap())];
    let condition =
        select(vec!["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z"]).prop_map(until);
    let binding = (role, vec(member, 0..4), option::weighted(0.3, condition))
        .prop_map(|(role, members, condition)| Binding { role, members, condition });
    vec(binding, 0..8).prop_map(|bindings| Policy { bindings, ..Policy::default() })
}
