//! The variables of the component, from flags and the environment.

use crate::wasi::Variables;
use durable_streams_edge::limits::{Malformed, VARIABLES, Variable};

/// What a variable's name in the environment begins with.
const PREFIX: &str = "DS_";
/// Names with that prefix that are not for the host but for its build and its tests.
const FOREIGN: [&str; 3] = ["DS_EMBED_", "DS_WASM_", "DS_TEST_"];

/// Why the variables can't be used.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// There is no such variable.
    #[error("unknown variable {name:?}; there are {known}")]
    Unknown {
        /// As it was given.
        name: String,
        /// All there are.
        known: String,
    },
    /// It has no value.
    #[error("--variable {0:?} has no value, expected name=value")]
    NoValue(String),
    /// Its value means nothing.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// The value of every variable: that of the last flag (`name=value`), else that of the
/// environment (`DS_<NAME>`), else the default.
///
/// Whether a swap of an absent key is guarded is the store's to say,
/// so `kv_guarded_create` is as that one `guards_creation` unless something else was asked for.
///
/// # Errors
///
/// The first variable that is unknown or malformed.
pub fn resolve(
    flags: &[String],
    environment: impl IntoIterator<Item = (String, String)>,
    guards_creation: bool,
) -> Result<Variables, VariableError> {
    let default = |row: &Variable| (row.name.to_owned(), row.default.to_owned());
    let mut variables: Variables = VARIABLES.iter().map(default).collect();
    variables.insert("kv_guarded_create".to_owned(), guards_creation.to_string());
    for (given, value) in environment {
        let foreign = FOREIGN.iter().any(|prefix| given.starts_with(prefix));
        if let Some(name) = given.strip_prefix(PREFIX)
            && !foreign
            && !is_service_link(name)
        {
            put(&mut variables, &name.to_ascii_lowercase(), value)
                .map_err(|error| error.named(&given))?;
        }
    }
    for flag in flags {
        let (name, value) = flag
            .split_once('=')
            .ok_or_else(|| VariableError::NoValue(flag.clone()))?;
        put(&mut variables, name, value.to_owned())?;
    }
    Ok(variables)
}

impl VariableError {
    /// The same of a variable that was called `given`.
    fn named(self, given: &str) -> Self {
        match self {
            Self::Unknown { known, .. } => Self::Unknown {
                name: given.to_owned(),
                known,
            },
            other => other,
        }
    }
}

/// Whether Kubernetes gives such variables to every container beside a service called `ds`, or
/// `ds-` something: `DS_SERVICE_HOST`, `DS_SERVICE_PORT_HTTP`, `DS_PORT`, `DS_PORT_80_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    let name = format!("_{name}");
    let is_number = |text: &str| text.starts_with(|digit: char| digit.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, port)| is_number(port))
}

fn put(variables: &mut Variables, name: &str, value: String) -> Result<(), VariableError> {
    let unknown = || VariableError::Unknown {
        name: name.to_owned(),
        known: VARIABLES
            .iter()
            .map(|row| row.name)
            .collect::<Vec<_>>()
            .join(", "),
    };
    let row = VARIABLES.iter().find(|row| row.name == name);
    row.ok_or_else(unknown)?.check(&value)?;
    variables.insert(name.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: &[&str], environment: &[(&str, &str)]) -> Result<Variables, String> {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        super::resolve(&flags, environment, true).map_err(|error| error.to_string())
    }

    #[test]
    fn every_variable_has_a_value_and_creation_is_guarded_where_the_store_does_it() {
        let variables = resolve(&[], &[]).expect("the defaults are good");
        assert_eq!(variables.len(), VARIABLES.len());
        assert_eq!(variables["page_bytes"], "1048576");
        assert_eq!(variables["kv_guarded_create"], "true");
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_default() {
        let environment = [("DS_PAGE_BYTES", "5"), ("DS_REGISTRY", "false")];
        let flags = ["page_bytes=6", "page_bytes=7", "kv_guarded_create=false"];
        let variables = resolve(&flags, &environment).expect("all are good");
        assert_eq!(variables["page_bytes"], "7");
        assert_eq!(variables["registry"], "false");
        assert_eq!(variables["kv_guarded_create"], "false");
    }

    #[test]
    fn an_unknown_or_malformed_variable_is_named() {
        for flag in ["no_such=1", "page_bytes", "page_bytes=many", "=1", ""] {
            let error = resolve(&[flag], &[]).expect_err("refused");
            let name = flag.split('=').next().unwrap_or_default();
            assert!(error.contains(name), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let error = resolve(&[], &[("DS_PAGE_BYTE", "1")]).expect_err("refused");
        assert!(error.contains("\"DS_PAGE_BYTE\""), "{error}");
    }

    /// Beside a service called `ds` the server did not start.
    #[test]
    fn what_kubernetes_says_of_services_is_not_ours() {
        let links = [
            "DS_SERVICE_HOST",
            "DS_SERVICE_PORT",
            "DS_SERVICE_PORT_HTTP",
            "DS_PORT",
            "DS_PORT_80_TCP",
            "DS_PORT_80_TCP_ADDR",
            "DS_EDGE_SERVICE_HOST",
            "DS_EDGE_PORT_443_TCP_PROTO",
        ];
        let environment = links.map(|name| (name, "tcp://10.0.0.1:80"));
        assert!(resolve(&[], &environment).is_ok());
        for row in VARIABLES {
            assert!(!is_service_link(&row.name.to_ascii_uppercase()));
        }
        assert!(resolve(&[], &[("DS_PORT_NAME", "x")]).is_err());
    }

    #[test]
    fn variables_of_the_build_and_the_tests_are_not_ours() {
        let environment = [("DS_EMBED_COMPONENT", "x"), ("PAGE_BYTES", "x")];
        assert!(resolve(&[], &environment).is_ok());
    }
}
