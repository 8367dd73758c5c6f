//! Every dependency has a licence that `.cargo/deny.toml` allows.

use spdx::{Expression, Licensee, ParseMode};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn allowed() -> Vec<Licensee> {
    let text = std::fs::read_to_string(root().join(".cargo/deny.toml")).unwrap();
    let deny: toml::Table = text.parse().unwrap();
    let allow = deny["licenses"]["allow"].as_array().unwrap();
    allow
        .iter()
        .map(|licence| Licensee::parse(licence.as_str().unwrap()).unwrap())
        .collect()
}

fn is_allowed(licence: &str, allowed: &[Licensee]) -> bool {
    // Older packages write a slash for OR.
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return false;
    };
    expression.evaluate(|asked| allowed.iter().any(|licensee| licensee.satisfies(asked)))
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .current_dir(root())
        .args(["metadata", "--locked", "--format-version", "1"])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let allowed = allowed();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{} packages", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| {
            !package["license"]
                .as_str()
                .is_some_and(|l| is_allowed(l, &allowed))
        })
        .map(|package| format!("{} has {}", package["name"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn a_licence_that_is_not_listed_is_refused() {
    let allowed = allowed();
    assert!(is_allowed("MIT/Apache-2.0", &allowed));
    assert!(is_allowed("MIT OR LGPL-2.1-or-later", &allowed));
    for licence in [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "no licence at all",
        "",
    ] {
        assert!(!is_allowed(licence, &allowed), "{licence}");
    }
}
