use keylodge_rules::iam::PREDEFINED;

use super::*;
use crate::Detail;

/// What `gcloud iam roles create keyRotator --project=…` sends.
const CREATE: &str = r#"{"roleId": "keyRotator", "role": {"title": "Key Rotator", "description": "Replaces keys.",
    "includedPermissions": ["keylodge.keys.rotate", "apikeys.keys.list", "apikeys.keys.list"], "stage": "GA"}}"#;

fn set(names: &[&str]) -> PermissionSet {
    names.iter().map(|name| Permission::parse(name).unwrap()).collect()
}

fn rotator() -> CustomRole {
    let request = CreateRoleRequest::parse(CREATE.as_bytes()).unwrap();
    let name = format!("projects/my-project/roles/{}", request.role_id);
    request.role.create(CustomRoleName::parse(&name).unwrap(), vec![0xfb, 0xff])
}

fn fields(body: &str) -> RoleFields {
    proto_json::parse_at("role", body.as_bytes()).unwrap()
}

fn mistakes(status: &Status) -> Vec<(&str, &str)> {
    let [Detail::BadRequest(violations)] = &status.details[..] else { panic!("one BadRequest expected: {status:?}") };
    violations.iter().map(|violation| (violation.field.as_str(), violation.description.as_str())).collect()
}

#[test]
fn a_role_is_read_and_shown() {
    assert_eq!(
        serde_json::to_string(&Role::custom(&rotator(), RoleView::Full)).unwrap(),
        concat!(
            r#"{"name":"projects/my-project/roles/keyRotator","title":"Key Rotator","description":"Replaces keys.","#,
            r#""includedPermissions":["apikeys.keys.list","keylodge.keys.rotate"],"stage":"GA","etag":"+/8="}"#
        )
    );
}

#[test]
fn a_list_shows_permissions_only_in_the_full_view() {
    let deleted = CustomRole { deleted: true, ..rotator() };
    let shown = Role::custom(&deleted, RoleView::parse("").unwrap());

    assert_eq!((shown.included_permissions.len(), shown.deleted), (0, true));
    assert_eq!(Role::custom(&deleted, RoleView::parse("FULL").unwrap()).included_permissions.len(), 2);
    assert_eq!(RoleView::parse("HALF"), None);
    assert_eq!(serde_json::to_string(&ListRolesResponse::default()).unwrap(), "{}");
}

#[test]
fn predefined_roles_are_shown_as_google_shows_them() {
    let browser = Role::predefined(&PREDEFINED[0], RoleView::Full);

    assert_eq!((browser.name.as_str(), browser.etag.as_str(), browser.stage.as_str()), ("roles/browser", "AA==", "GA"));
    assert!(browser.included_permissions.contains(&"resourcemanager.projects.list".to_owned()));
}

#[test]
fn every_mistake_of_a_new_role_is_named_with_its_path() {
    let long = "x".repeat(300);
    let body = format!(
        r#"{{"roleId": "a-b", "role": {{"title": "{long}", "description": "{long}", "stage": "HIDDEN", "etag": "%", "x": 1,
             "includedPermissions": ["apikeys.keys.get", "apikeys.*.get", "storage.buckets.get"]}}}}"#
    );
    let status = CreateRoleRequest::parse(body.as_bytes()).unwrap_err();

    assert_eq!(
        mistakes(&status),
        [
            ("role_id", "Not a valid role id: a role id has 3 to 64 letters, digits, underscores and periods."),
            (
                "role.included_permissions[1]",
                "Permission apikeys.*.get is not valid: wildcards are not allowed, name each permission."
            ),
            (
                "role.included_permissions[2]",
                "Permission storage.buckets.get is not valid: there is no such permission."
            ),
            ("role.title", "Please use at most 100 characters for the title of a role."),
            ("role.description", "Please use at most 256 characters for the description of a role."),
            (
                "role.stage",
                r#"Invalid value at 'role.stage' (type.googleapis.com/google.iam.admin.v1.Role.RoleLaunchStage), "HIDDEN""#
            ),
            ("role.etag", "Invalid value for etag (TYPE_BYTES): it is not base64."),
            ("role", "Invalid JSON payload received. Unknown name \"x\" at 'role': Cannot find field."),
        ]
    );
    assert_eq!(mistakes(&CreateRoleRequest::parse(b"{}").unwrap_err())[0].0, "role_id");
}

#[test]
fn stages_are_read_by_name_and_number() {
    for (stage, expected) in
        [(r#""DEPRECATED""#, Some(Stage::Deprecated)), ("5", Some(Stage::Disabled)), ("null", None), (r#""""#, None)]
    {
        assert_eq!(fields(&format!(r#"{{"stage": {stage}}}"#)).stage, expected, "{stage}");
    }
}

#[test]
fn an_update_sets_what_its_mask_means() {
    let given = fields(r#"{"name": "x", "title": "New", "included_permissions": ["apikeys.keys.get"], "etag": "-_8"}"#);
    assert_eq!(given.etag, [0xfb, 0xff]);
    let check = |mask, expected: CustomRole| {
        let mask = RoleMask::parse(mask, &given).unwrap();
        assert_eq!(mask.apply(&rotator(), given.clone()), expected);
    };
    let (title, permissions) = ("New".to_owned(), set(&["apikeys.keys.get"]));

    check("title", CustomRole { title: title.clone(), ..rotator() });
    check("includedPermissions,etag", CustomRole { permissions, ..rotator() });
    check("included_permissions, description", CustomRole { permissions, description: String::new(), ..rotator() });
    check("", CustomRole { title: title.clone(), permissions, ..rotator() });
    check("*", CustomRole { title, permissions, description: String::new(), stage: Stage::Alpha, ..rotator() });
    assert_eq!(mistakes(&RoleMask::parse("title,name", &given).unwrap_err())[0].0, "update_mask");
}

#[test]
fn the_etag_of_an_undelete_may_be_absent() {
    assert_eq!(proto_json::parse::<UndeleteRoleRequest>(b"{}").unwrap().etag, Vec::<u8>::new());
    assert_eq!(proto_json::parse::<UndeleteRoleRequest>(br#"{"etag": "+/8="}"#).unwrap().etag, [0xfb, 0xff]);
}
