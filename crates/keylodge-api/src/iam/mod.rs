//! IAM (`google.iam.v1`, `google.iam.admin.v1`), as Resource Manager and the IAM API speak it.

mod bytes;
mod permissions;
mod policy;
mod role;
mod set_policy;

pub use bytes::parse as parse_etag;
pub use permissions::{QueryTestablePermissionsRequest, TestIamPermissionsRequest, TestIamPermissionsResponse};
pub use policy::{AuditConfig, AuditLogConfig, Binding, Expr, GetIamPolicyRequest, Policy};
pub use role::{CreateRoleRequest, ListRolesResponse, Role, RoleFields, RoleMask, RoleView, UndeleteRoleRequest};
pub use set_policy::{PolicyMask, SetIamPolicyRequest, bad_policy, stale_policy};
