//! A management call: the line of the table that it means, its caller, and what the caller may do.

pub(crate) mod access;
mod call;
pub(crate) mod route;

pub(crate) use call::Call;
pub use route::{On, Route};
