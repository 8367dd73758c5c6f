use super::*;
use crate::settings;

#[test]
fn a_secret_is_never_shown() {
    let secret = "hush";
    for row in VARIABLES {
        let is_secret = matches!(row.kind, Kind::Secret(_));
        let named = ["token", "secret", "jwks", "signing_key"];
        let expected = named.iter().any(|word| row.name.contains(word));
        assert_eq!(is_secret, expected, "{}", row.name);
        let given = if row.name == "tick_token" {
            "hush\n"
        } else {
            secret
        };
        if let (true, Err(error)) = (is_secret, row.check(given)) {
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        }
    }
    let given = |name: &str| (name == "tick_token").then(|| secret.to_owned());
    let config = Config::from_lookup(given).unwrap();
    assert_eq!(config.tick_token.expose(), secret);
    assert!(!format!("{config:?}").contains(secret));
}

#[test]
fn every_default_is_one_the_variable_may_have() {
    for variable in VARIABLES {
        assert_eq!(
            variable.check(variable.default),
            Ok(()),
            "{}",
            variable.name
        );
    }
    assert!(Config::from_lookup(|_| None).is_ok());
}

#[test]
fn a_malformed_variable_is_named_with_its_expected_form() {
    let error = Config::from_lookup(|name| (name == "page_bytes").then(|| "+5".to_owned()));
    assert_eq!(
        error.map_err(|error| error.to_string()),
        Err("variable page_bytes is \"+5\", expected a whole number from 1 to 16777216".into())
    );
}

#[test]
fn the_configuration_guide_has_the_same_variables() {
    let head = "| variable | default | may be | |\n|---|---|---|---|\n";
    let (_, table) = include_str!("../../../host/docs/configuration.md")
        .split_once(head)
        .unwrap();
    let expected = VARIABLES.iter().map(|row| {
        let may_be = match &row.kind {
            Kind::Number(range) => format!("{} to {}", range.start(), range.end()),
            Kind::Flag => "`true`, `false`".to_owned(),
            Kind::Word(words) => format!("`{}`", words.join("`, `")),
            Kind::Text(_) => "text".to_owned(),
            Kind::Secret(_) => "secret".to_owned(),
        };
        let default = match row.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let (name, reason) = (row.name, row.reason.trim());
        format!("| `{name}` | {default} | {may_be} | {reason} |")
    });
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    assert!(rows.eq(expected));
}

#[test]
fn the_manifest_for_wasi_0_3_differs_in_the_source_of_the_component_only() {
    let lines = |manifest: &'static str| -> Vec<&str> {
        let shared = |line: &&str| !line.starts_with('#') && !line.starts_with("source = ");
        manifest.lines().filter(shared).collect()
    };
    let other = include_str!("../../../host/deploy/spin-p3.toml");
    assert_eq!(lines(include_str!("../../../spin.toml")), lines(other));
    let source = "\"../../target/wasm32-wasip2/release/durable_streams_edge_p3.wasm\"";
    assert!(other.contains(&format!("source = {source}\n")), "{other}");
}

#[test]
fn the_manifest_passes_on_few_variables() {
    let manifest = include_str!("../../../spin.toml");
    let head = "[component.durable-streams.variables]\n";
    let (_, handed_over) = manifest.split_once(head).unwrap();
    let lines = handed_over.lines().take_while(|line| !line.is_empty());
    let expected = [settings::SETTINGS, settings::SECRETS]
        .map(|name| format!("{name} = \"{{{{ {name} }}}}\""));
    assert!(lines.eq(expected));
}
