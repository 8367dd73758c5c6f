//! Tests against a server that follows a script.

mod appends;
mod follows;
mod script;

use crate::{Client, Options, Retry, Stream};
use script::{Script, Step};
use std::time::Duration;

/// Options with short pauses.
fn options() -> Options {
    Options {
        retry: Retry {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(5),
            ..Retry::default()
        },
        sse_patience: Duration::from_millis(200),
        ..Options::default()
    }
}

/// The stream `s` of a server that follows the script.
fn stream(steps: impl IntoIterator<Item = Step>) -> (Stream, Script) {
    let script = Script::start(steps);
    let client = Client::new(&script.url(), options()).unwrap();
    (client.stream("s").unwrap(), script)
}
