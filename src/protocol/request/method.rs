//! Methods that a resource supports.

use super::super::headers;
use super::super::problem::{Code, Problem};
use super::fields;

/// Refuses a method that is not one of `methods`.
pub(super) fn only(method: &str, methods: &[&str]) -> Result<(), Problem> {
    if methods.contains(&method) {
        return Ok(());
    }
    let allow = format!("{}, OPTIONS", methods.join(", "));
    let detail = format!(
        "The method {} is not allowed here. Use one of {allow}.",
        fields::quote(method.as_bytes())
    );
    Err(Problem::new(Code::MethodNotAllowed, detail).with_field(headers::ALLOW, allow))
}
