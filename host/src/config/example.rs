//! The example of a configuration file: every setting with its default and its purpose.

use super::file;
use super::flags::{expected, flags_of};
use super::value::Expected;
use crate::variables::BY_STORE;
use clap::{ArgAction, Command};
use durable_streams_edge::limits::VARIABLES;

/// Width of a comment's line.
const WIDTH: usize = 100;

const HEAD: &str = "\
# Configuration of `durable-streams serve --config FILE`. Remove the number sign before a setting to
# change it. Values after one sign are the defaults; after two signs, examples for settings without
# a default. `durable-streams config` checks a file and prints the settings in force.
# `durable-streams config --example` prints this example.
";

/// Values of flags without a default whose kind is not a valid value.
const SAMPLES: [(&str, &str); 2] = [
    ("admin", "off"),
    ("log-filter", "warn,durable_streams=info"),
];

/// The example for the flags of a command.
pub(crate) fn example(command: &Command) -> String {
    let mut text = HEAD.to_owned();
    for (name, argument) in flags_of(command) {
        let help = argument.get_help().map(ToString::to_string);
        comment(&mut text, &help.unwrap_or_default());
        let expected = expected(argument);
        let defaults = argument.get_default_values();
        let default = defaults.first().map(|text| text.to_string_lossy());
        let is_list = matches!(argument.get_action(), ArgAction::Append);
        let line = match (default, expected) {
            (None, Expected::Flag) => format!("#{name} = false"),
            (Some(value), Expected::Flag | Expected::Number) => format!("#{name} = {value}"),
            (Some(value), _) if is_list => format!("#{name} = [{}]", quoted(&value)),
            (Some(value), _) => format!("#{name} = {}", quoted(&value)),
            (None, _) if is_list => format!("#{name} = []"),
            (None, Expected::Number) => format!("##{name} = 4"),
            (None, _) => {
                let kinds = argument.get_value_names().unwrap_or_default();
                let kind = kinds.first().map(ToString::to_string).unwrap_or_default();
                let sample = SAMPLES.iter().find(|(flag, _)| *flag == name);
                let value = sample.map_or(&*kind, |(_, sample)| sample);
                format!("##{name} = {}", quoted(value))
            }
        };
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str("\n[variables]\n");
    for row in VARIABLES {
        comment(&mut text, row.reason.trim());
        let value = match file::expected(row) {
            Expected::Flag | Expected::Number => row.default.to_owned(),
            Expected::Text | Expected::Json => quoted(row.default),
        };
        let signs = if row.name == BY_STORE { "##" } else { "#" };
        text.push_str(&format!("{signs}{} = {value}\n", row.name));
    }
    text
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Adds an empty line and a comment, in lines of limited width.
fn comment(text: &mut String, words: &str) {
    text.push('\n');
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + word.len() >= WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
