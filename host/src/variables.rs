//! The variables of the component, from flags and the environment.

mod near;

use crate::wasi::Variables;
use durable_streams_edge::access::Access;
use durable_streams_edge::limits::{Config, Malformed, VARIABLES, Variable};

/// Prefix of the variables' names in the environment.
const PREFIX: &str = "DS_";
/// Names with this prefix that belong to the build and the tests of the host.
const FOREIGN: [&str; 3] = ["DS_EMBED_", "DS_WASM_", "DS_TEST_"];
/// Variables with this prefix that belong to clients of a server.
const OF_CLIENTS: [&str; 2] = ["DS_URL", "DS_TOKEN"];

/// Reason that the variables can't be used.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// The variable does not exist.
    #[error("unknown variable {name:?}; the variables are {known}")]
    Unknown {
        /// The name as given.
        name: String,
        /// All known names.
        known: String,
    },
    /// The name is probably misspelt.
    #[error("unknown variable {name:?} in the environment; {close} has a similar name")]
    Misspelt {
        /// The name as given.
        name: String,
        /// The name in the environment of the variable probably meant.
        close: String,
    },
    /// The variable has no value.
    #[error("--variable {0:?} has no value, expected name=value")]
    NoValue(String),
    /// The value is not valid.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Returns the value of every variable. The last flag (`name=value`) wins, then the environment
/// (`DS_<NAME>`), then the default.
///
/// The store determines whether a swap of an absent key is guarded. The default of
/// `kv_guarded_create` is therefore `guards_creation`.
///
/// # Errors
///
/// The first variable that is unknown or malformed. An unknown name in the environment is an error
/// only if it is close to a known one, as it may belong to another program. See [`strangers`].
pub fn resolve(
    flags: &[String],
    environment: impl IntoIterator<Item = (String, String)>,
    guards_creation: bool,
) -> Result<Variables, VariableError> {
    let default = |row: &Variable| (row.name.to_owned(), row.default.to_owned());
    let mut variables: Variables = VARIABLES.iter().map(default).collect();
    variables.insert("kv_guarded_create".to_owned(), guards_creation.to_string());
    for (given, value) in environment {
        let Some(name) = ours(&given) else { continue };
        if is_known(&name) {
            put(&mut variables, &name, value)?;
        } else if let Some(close) = near::closest(&name, names()) {
            let close = format!("{PREFIX}{}", close.to_ascii_uppercase());
            return Err(VariableError::Misspelt { name: given, close });
        }
    }
    for flag in flags {
        let (name, value) = flag
            .split_once('=')
            .ok_or_else(|| VariableError::NoValue(flag.clone()))?;
        put(&mut variables, name, value.to_owned())?;
    }
    // Their own modules check the meaning of keys and tokens.
    let config = Config::from_lookup(|name| variables.get(name).cloned())?;
    Access::new(&config)?;
    Ok(variables)
}

/// Names in the environment that have the prefix, but belong to no variable of the component. The
/// server ignores them with a warning.
pub fn strangers<'a>(environment: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let unknown = |given: &&str| ours(given).is_some_and(|name| !is_known(&name));
    environment.into_iter().filter(unknown).collect()
}

/// The variable named in the environment; none if the name belongs to another program.
fn ours(given: &str) -> Option<String> {
    let name = given.strip_prefix(PREFIX)?;
    let foreign = FOREIGN.iter().any(|prefix| given.starts_with(prefix));
    let skipped = foreign || OF_CLIENTS.contains(&given) || is_service_link(name);
    (!skipped).then(|| name.to_ascii_lowercase())
}

fn names() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|row| row.name)
}

fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// Whether Kubernetes may have set this variable. It sets such variables in every container beside
/// a service called `ds`, or with a name that starts with `ds-`: `DS_SERVICE_HOST`,
/// `DS_SERVICE_PORT_HTTP`, `DS_PORT`, `DS_PORT_80_TCP_ADDR`.
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
        known: names().collect::<Vec<_>>().join(", "),
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
        assert!(error.contains("DS_PAGE_BYTES"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    /// The server did not start beside another program with variables of this prefix.
    #[test]
    fn an_unknown_variable_of_the_environment_is_ignored_unless_it_is_close_to_one() {
        let environment = [("DS_COLOUR", "x"), ("DS_PORT_NAME", "x"), ("DS_", "x")];
        assert_eq!(resolve(&[], &environment), resolve(&[], &[]));
        let names = environment.map(|(name, _)| name);
        assert_eq!(strangers(names), names);
        for close in [
            "DS_PAGEBYTES",
            "DS_PAGE_BYTSE",
            "DS_REGISTRYS",
            "DS_LOGLEVEL",
        ] {
            assert!(resolve(&[], &[(close, "1")]).is_err(), "{close}");
        }
        assert!(
            resolve(&["colour=x"], &[]).is_err(),
            "not on the command line"
        );
    }

    /// The server did not start from a shell with the client's variables.
    #[test]
    fn variables_of_clients_are_ignored_silently() {
        let environment = [("DS_URL", "http://a.example"), ("DS_TOKEN", "secret")];
        assert_eq!(resolve(&[], &environment), resolve(&[], &[]));
        assert!(strangers(environment.map(|(name, _)| name)).is_empty());
        assert!(strangers(["DS_PAGE_BYTES", "PATH", "DS_TEST_X"]).is_empty());
    }

    /// The server did not start beside a service called `ds`.
    #[test]
    fn service_variables_of_kubernetes_are_ignored() {
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
        assert!(!is_service_link("PORT_NAME"));
    }

    #[test]
    fn variables_of_the_build_and_the_tests_are_ignored() {
        let environment = [("DS_EMBED_COMPONENT", "x"), ("PAGE_BYTES", "x")];
        assert!(resolve(&[], &environment).is_ok());
    }
}
