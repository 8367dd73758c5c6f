//! The variables of the component, from flags, the environment and the configuration file.

mod current;
mod near;
mod source;

pub(crate) use current::Current;
pub(crate) use near::closest;
pub use source::{FileLine, Source};

use crate::wasi::Variables;
use durable_streams_edge::access::Access;
use durable_streams_edge::limits::{Config, Malformed, VARIABLES, Variable};
use std::collections::BTreeMap;

/// Prefix of the variables' names in the environment.
const PREFIX: &str = "DS_";
/// Names with this prefix that belong to the build and the tests of the host.
const FOREIGN: [&str; 3] = ["DS_EMBED_", "DS_WASM_", "DS_TEST_"];
/// Names with this prefix that are not variables: the client commands use all but the last one, which
/// names the configuration file.
const NO_VARIABLES: [&str; 5] = ["DS_URL", "DS_TOKEN", "DS_CA", "DS_ADMIN", CONFIG];
/// Name of the configuration file in the environment.
pub(crate) const CONFIG: &str = "DS_CONFIG";

/// The variable whose default the store determines.
pub(crate) const BY_STORE: &str = "kv_guarded_create";

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
    /// The value in the configuration file is not valid.
    #[error("{line}: {malformed}")]
    InFile {
        /// The line of the value.
        line: FileLine,
        /// The variable and the expected value.
        malformed: Malformed,
    },
}

/// Value of a variable, with its source.
#[derive(Clone, PartialEq, Eq)]
pub struct Sourced {
    /// The value. It may be a secret.
    pub value: String,
    /// The source of the value.
    pub source: Source,
}

/// Every variable, by name.
pub type AllSourced = BTreeMap<&'static str, Sourced>;

/// Value of a variable in the configuration file.
#[derive(Clone)]
pub struct InFile {
    /// The name of a variable.
    pub name: String,
    /// The value, as on the command line.
    pub value: String,
    /// The line of the value.
    pub line: FileLine,
}

/// Returns the value of every variable without a configuration file; see [`resolve_all`].
///
/// # Errors
///
/// As [`resolve_all`].
pub fn resolve(
    flags: &[String],
    environment: impl IntoIterator<Item = (String, String)>,
    guards_creation: bool,
) -> Result<Variables, VariableError> {
    resolve_all(&[], flags, environment, guards_creation).map(|all| values(&all))
}

/// Returns the values without their sources.
pub(crate) fn values(all: &AllSourced) -> Variables {
    let value = |(name, sourced): (&&str, &Sourced)| ((*name).to_owned(), sourced.value.clone());
    all.iter().map(value).collect()
}

/// Returns the value of every variable. The last flag (`name=value`) wins, then the environment
/// (`DS_<NAME>`), then the file, then the default.
///
/// The store determines whether a swap of an absent key is guarded. The default of
/// `kv_guarded_create` is therefore `guards_creation`.
///
/// # Errors
///
/// The first variable that is unknown or malformed. An unknown name in the environment is an error
/// only if it is close to a known one, as it may belong to another program. See [`strangers`].
pub fn resolve_all(
    file: &[InFile],
    flags: &[String],
    environment: impl IntoIterator<Item = (String, String)>,
    guards_creation: bool,
) -> Result<AllSourced, VariableError> {
    let default = |row: &Variable| {
        let value = match row.name {
            BY_STORE => guards_creation.to_string(),
            _ => row.default.to_owned(),
        };
        let source = Source::Default;
        (row.name, Sourced { value, source })
    };
    let mut variables: AllSourced = VARIABLES.iter().map(default).collect();
    for InFile { name, value, line } in file {
        let source = Source::File(line.clone());
        put(&mut variables, name, value.clone(), source)?;
    }
    for (given, value) in environment {
        let Some(name) = ours(&given) else { continue };
        if is_known(&name) {
            put(&mut variables, &name, value, Source::Environment(given))?;
        } else if let Some(close) = closest(&name, names()) {
            let close = format!("{PREFIX}{}", close.to_ascii_uppercase());
            return Err(VariableError::Misspelt { name: given, close });
        }
    }
    for flag in flags {
        let (name, value) = flag
            .split_once('=')
            .ok_or_else(|| VariableError::NoValue(flag.clone()))?;
        put(&mut variables, name, value.to_owned(), Source::Flag)?;
    }
    // Their own modules check the meaning of keys and tokens.
    let lookup = |name: &str| Some(variables.get(name)?.value.clone());
    let judged = Config::from_lookup(lookup).and_then(|config| Access::new(&config));
    match judged {
        Ok(_) => Ok(variables),
        Err(malformed) => {
            let sourced = variables.get(malformed.name);
            Err(at(malformed, sourced.map(|sourced| &sourced.source)))
        }
    }
}

/// Error of a value from this source.
fn at(malformed: Malformed, source: Option<&Source>) -> VariableError {
    match source {
        Some(Source::File(line)) => VariableError::InFile {
            line: line.clone(),
            malformed,
        },
        _ => malformed.into(),
    }
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
    let skipped = foreign || NO_VARIABLES.contains(&given) || is_service_link(name);
    (!skipped).then(|| name.to_ascii_lowercase())
}

/// The names of all variables.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
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

fn put(
    variables: &mut AllSourced,
    name: &str,
    value: String,
    source: Source,
) -> Result<(), VariableError> {
    let unknown = || VariableError::Unknown {
        name: name.to_owned(),
        known: names().collect::<Vec<_>>().join(", "),
    };
    let row = VARIABLES.iter().find(|row| row.name == name);
    let row = row.ok_or_else(unknown)?;
    row.check(&value)
        .map_err(|malformed| at(malformed, Some(&source)))?;
    variables.insert(row.name, Sourced { value, source });
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
        let environment = [
            ("DS_URL", "http://a.example"),
            ("DS_TOKEN", "secret"),
            ("DS_CA", "/etc/ca.pem"),
            ("DS_ADMIN", "http://a.example"),
            ("DS_CONFIG", "/etc/ds.toml"),
        ];
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
    fn a_value_of_the_file_wins_over_the_default_only() {
        let in_file = |name: &str, line| InFile {
            name: name.to_owned(),
            value: "5".to_owned(),
            line: FileLine::new("ds.toml", line),
        };
        let file = [
            in_file("page_bytes", 1),
            in_file("max_producers", 2),
            in_file("sse_max_secs", 3),
        ];
        let environment = ["DS_PAGE_BYTES", "DS_MAX_PRODUCERS"];
        let environment = environment.map(|name| (name.to_owned(), "6".to_owned()));
        let flags = ["page_bytes=7".to_owned()];
        let all = resolve_all(&file, &flags, environment, true).expect("all are good");
        for (name, value, source) in [
            ("page_bytes", "7", "flag"),
            ("max_producers", "6", "environment DS_MAX_PRODUCERS"),
            ("sse_max_secs", "5", "file ds.toml:3"),
            ("max_name_bytes", "1024", "default"),
        ] {
            assert_eq!(all[name].value, value, "{name}");
            assert_eq!(all[name].source.to_string(), source, "{name}");
        }
    }

    #[test]
    fn a_malformed_value_of_the_file_is_named_with_its_line() {
        for (name, value) in [
            ("page_bytes", "0"),
            ("auth_tokens", "[{}]"),
            ("auth_audience", "me"),
        ] {
            let file = [InFile {
                name: name.to_owned(),
                value: value.to_owned(),
                line: FileLine::new("ds.toml", 9),
            }];
            let error = resolve_all(&file, &[], [], true).err();
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with("ds.toml:9: "), "{error}");
            assert!(error.contains(name) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn variables_of_the_build_and_the_tests_are_ignored() {
        let environment = [("DS_EMBED_COMPONENT", "x"), ("PAGE_BYTES", "x")];
        assert!(resolve(&[], &environment).is_ok());
    }
}
