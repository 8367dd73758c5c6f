use super::file::ConfigFile;
use super::flags::flags;
use super::*;
use crate::variables::resolve_all;
use clap::{Arg, ArgAction, Command, value_parser};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A program with a flag of each type.
fn program() -> Command {
    let serve = Command::new("serve")
        .arg(
            Arg::new("config")
                .long("config")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(Arg::new("listen").long("listen").default_value("here"))
        .arg(
            Arg::new("idle_timeout")
                .long("idle-timeout")
                .value_parser(value_parser!(u16).range(5..=3600))
                .default_value("620"),
        )
        .arg(
            Arg::new("trust")
                .long("trust-forwarded-for")
                .action(ArgAction::SetTrue),
        )
        .arg(Arg::new("inject").long("inject").action(ArgAction::Append))
        .arg(Arg::new("certificate").long("certificate").requires("key"))
        .arg(Arg::new("key").long("key"))
        .arg(
            Arg::new("variables")
                .long("variable")
                .action(ArgAction::Append),
        );
    Command::new("ds").subcommand(serve)
}

/// Flags and variables of a file with this text.
fn judge(text: &str) -> Result<(), String> {
    let file = ConfigFile::parse(Path::new("ds.toml"), text);
    let judged = file.and_then(|file| {
        flags(
            &file,
            program().find_subcommand("serve").expect("it is there"),
        )?;
        file.variables()
    });
    judged.map(|_| ()).map_err(|error| error.to_string())
}

/// Completes these arguments by a file with this text.
fn complete(arguments: &[&str], text: &str) -> Result<Completed, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ds.toml");
    std::fs::write(&path, text).expect("it is written");
    let arguments = ["ds", "serve"].iter().chain(arguments);
    let arguments = arguments.map(OsString::from).collect();
    let environment = [("DS_CONFIG".to_owned(), path.display().to_string())];
    let given = Given::new(program(), arguments);
    given
        .complete(&environment)
        .map_err(|error| error.to_string())
}

#[test]
fn a_fault_is_one_line_with_its_place_and_a_remedy() {
    for (text, line, named) in [
        ("listne = 'x'", 1, &["\"listne\"", "listen"][..]),
        (
            "\nidle_timeout = 9",
            2,
            &["\"idle_timeout\"", "idle-timeout"],
        ),
        ("zebra = 1", 1, &["\"zebra\"", "--help"]),
        ("config = 'x'", 1, &["\"config\""]),
        ("page_bytes = 1", 1, &["page_bytes", "[variables]"]),
        ("[variable]\na = 1", 1, &["[variables]"]),
        (
            "idle-timeout = '9'",
            1,
            &["idle-timeout is a string", "whole number"],
        ),
        (
            "idle-timeout = 1.5",
            1,
            &["a decimal fraction", "whole number"],
        ),
        ("idle-timeout = 4", 1, &["idle-timeout", "5..=3600"]),
        ("idle-timeout = -9", 1, &["idle-timeout", "5..=3600"]),
        ("listen = ['x']", 1, &["listen is a list", "a string"]),
        ("listen = 2020-01-01", 1, &["listen is a date", "a string"]),
        ("inject = ['x', 1]", 1, &["inject is a number", "a string"]),
        ("trust-forwarded-for = 1", 1, &["true or false"]),
        ("variables = 1", 1, &["variables is a number", "a table"]),
        (
            "[variables]\npage_byts = 1",
            2,
            &["page_byts", "page_bytes"],
        ),
        (
            "[variables]\npage-bytes = 1",
            2,
            &["page-bytes", "page_bytes"],
        ),
        (
            "[variables]\npage_bytes = '1'",
            2,
            &["page_bytes", "whole number"],
        ),
        (
            "[variables]\nregistry = 'true'",
            2,
            &["registry", "true or false"],
        ),
        (
            "[variables]\ncors_origins = ['*']",
            2,
            &["a list", "a string"],
        ),
        (
            "[variables]\nauth_tokens = 1",
            2,
            &["auth_tokens", "a list"],
        ),
        ("[variables]\na.b = 1", 2, &["\"a\"", "config"]),
        ("listen = 'a'\nlisten = 'b'", 2, &["duplicate key"]),
        ("listen = ", 1, &["listen", "string"][1..]),
    ] {
        let error = judge(text).expect_err(text);
        let place = format!("ds.toml:{line}: ");
        assert!(error.starts_with(&place), "{text}: {error}");
        assert!(!error.contains('\n'), "{text}: {error}");
        for name in named {
            assert!(error.contains(name), "{text}: {name} is not named: {error}");
        }
    }
}

#[test]
fn a_fault_never_repeats_a_secret() {
    for text in [
        "[variables]\ntick_token = 'hidden",
        "[variables]\ntick_token = hidden",
        "[variables]\ntick_token = ['hidden']",
        "[variables]\nauth_tokens = 'hidden' x",
    ] {
        let error = judge(text).expect_err(text);
        assert!(!error.contains("hidden"), "{error}");
    }
}

#[test]
fn a_flag_of_the_command_line_wins_over_the_file_and_that_over_the_default() {
    let text = "listen = 'there'\nidle-timeout = 7\ninject = ['a', 'b']";
    let completed = complete(&["--listen=elsewhere", "--inject", "c"], text);
    let completed = completed.expect("all are good");
    let flag = |name: &str| {
        let flag = &completed.flags[name];
        (flag.values.join(" "), flag.source.kind())
    };
    assert_eq!(flag("listen"), ("elsewhere".to_owned(), "flag"));
    assert_eq!(flag("idle-timeout"), ("7".to_owned(), "file"));
    assert_eq!(flag("inject"), ("c".to_owned(), "flag"), "not both lists");
    assert_eq!(flag("trust-forwarded-for"), ("false".to_owned(), "default"));
    assert_eq!(flag("key"), (String::new(), "default"));
    let number = completed.matches.get_one::<u16>("idle_timeout");
    assert_eq!(number, Some(&7));
}

#[test]
fn a_boolean_flag_of_the_file_is_on_or_off() {
    for (value, expected) in [("true", true), ("false", false)] {
        let completed = complete(&[], &format!("trust-forwarded-for = {value}"));
        let completed = completed.expect("it is good");
        assert_eq!(completed.matches.get_flag("trust"), expected);
        let flag = &completed.flags["trust-forwarded-for"];
        assert_eq!(flag.values, [value]);
        assert_eq!(flag.source.kind(), "file");
    }
}

#[test]
fn a_flag_that_needs_another_may_find_it_in_the_file() {
    assert!(complete(&["--certificate", "c"], "key = 'k'").is_ok());
    assert!(complete(&[], "certificate = 'c'\nkey = 'k'").is_ok());
    let error = complete(&[], "certificate = 'c'").err().unwrap_or_default();
    assert!(error.contains("--key"), "{error}");
}

#[test]
fn a_flag_names_the_file_before_the_environment_does() {
    let environment = [("DS_CONFIG".to_owned(), "of-environment".to_owned())];
    for (arguments, environment, expected) in [
        (
            &["ds", "serve"][..],
            &environment[..],
            Some("of-environment"),
        ),
        (
            &["ds", "serve", "--config", "given"],
            &environment,
            Some("given"),
        ),
        (
            &["ds", "serve"],
            &[("DS_CONFIG".to_owned(), String::new())],
            None,
        ),
        (&["ds", "serve"], &[], None),
    ] {
        let arguments = arguments.iter().map(OsString::from).collect();
        let path = Given::new(program(), arguments).path(environment);
        let path = path.expect("good arguments");
        assert_eq!(path.as_deref(), expected.map(Path::new));
    }
}

#[test]
fn a_list_or_table_of_a_variable_is_passed_on_as_json() {
    let text = "[[variables.auth_tokens]]\ntoken = 'a-long-enough-token-1'\nscope = 'read'\n\
                [variables.auth_jwks]\nkeys = []";
    let file = ConfigFile::parse(Path::new("ds.toml"), text).expect("it is TOML");
    let variables = file.variables().expect("good types");
    let values: Vec<_> = variables.iter().map(|variable| &*variable.value).collect();
    let tokens = r#"[{"scope":"read","token":"a-long-enough-token-1"}]"#;
    assert_eq!(values, [tokens, r#"{"keys":[]}"#]);
}

#[test]
fn numbers_may_be_written_as_toml_has_them() {
    for (text, expected) in [
        ("1_000", "1000"),
        ("0x10", "16"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        let text = format!("[variables]\nmax_stream_bytes = {text}");
        let file = ConfigFile::parse(Path::new("ds.toml"), &text).expect("it is TOML");
        let variables = file.variables().expect("a number");
        assert_eq!(variables[0].value, expected);
    }
}

#[test]
fn the_settings_in_force_are_a_valid_file_without_secrets() {
    let text = "idle-timeout = 9\n[variables]\npage_bytes = 5\ntick_token = 'hidden-token-of-mine'";
    let completed = complete(&["--inject", "a\"b"], text).expect("all are good");
    let variables = resolve_all(&completed.variables, &[], [], true).expect("good variables");
    let serve = program().find_subcommand("serve").expect("there").clone();
    let flag = |name: &str| completed.flags.get(name).cloned();
    let in_force = InForce::new(None, &serve, flag, &variables);
    let shown = in_force.to_string();
    assert!(!shown.contains("hidden-token"), "{shown}");
    assert!(!in_force.to_json().to_string().contains("hidden-token"));
    assert_eq!(judge(&shown), Ok(()), "{shown}");
    for (setting, source) in [
        ("idle-timeout = 9", "ds.toml:1"),
        ("page_bytes = 5", "ds.toml:3"),
        ("tick_token = \"(hidden)\"", "ds.toml:4"),
        ("inject = [\"a\\\"b\"]", "# flag"),
        ("max_producers = 256", "# default"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(setting));
        let line = line.unwrap_or_else(|| panic!("no {setting}: {shown}"));
        assert!(line.ends_with(source), "{line}");
    }
    let json = in_force.to_json();
    assert_eq!(json["flags"]["idle-timeout"]["value"], 9);
    assert_eq!(json["variables"]["auth_tokens"]["value"], "");
    assert_eq!(json["variables"]["page_bytes"]["source"], "file");
}
