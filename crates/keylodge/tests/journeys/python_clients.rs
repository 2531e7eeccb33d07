//! Google's Python libraries that manage keys, projects and services, unchanged: they are given a URL and a token.

use crate::support::sdk::{python_packages, run_python_as_owner};
use crate::support::server::scripted;

const LIBRARIES: &[(&str, &str)] = &[
    ("google-cloud-api-keys", "0.9.1"),
    ("google-cloud-resource-manager", "1.19.0"),
    ("google-cloud-service-usage", "1.18.0"),
];

#[test]
fn the_python_libraries_manage_keys_projects_services_and_policies() {
    println!("{}", run_python_as_owner(&scripted().up(), &python_packages(LIBRARIES), "manage.py"));
}
