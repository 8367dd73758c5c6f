use super::*;
use crate::settled::Settled;

fn arguments(text: &str) -> Result<Command, UsageError> {
    parse(text.split_whitespace().map(Into::into))
}

fn options(text: &str) -> Result<Options, String> {
    let settled = settled(text, &[])?;
    let options = settled.options(&Embedded::NOTHING);
    options.map_err(|error| error.to_string())
}

fn settled(text: &str, environment: &[(&str, &str)]) -> Result<Settled, String> {
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    match arguments(text).map_err(|error| error.to_string())? {
        Command::Serve(given) | Command::Config { given, .. } => {
            Settled::new(&given, &environment).map_err(|error| error.to_string())
        }
        _ => panic!("not serve: {text}"),
    }
}

#[test]
fn a_bad_argument_is_reported_in_one_line() {
    let cases = [
        ("ds serve --no-such-flag", "--no-such-flag"),
        ("ds serve --via magic", "magic"),
        ("ds serve --listen nowhere", "nowhere"),
        ("ds serve --listen unix:", "unix:PATH"),
        ("ds serve --tls-cert a.crt", "--tls-key"),
        ("ds serve --tls-key a.key", "--tls-cert"),
        ("ds serve --instances 0", "0"),
        ("ds serve --rate-limit-per-token 0", "0"),
        ("ds serve --rate-limit-per-address many", "many"),
        ("ds serve --limit a", "PREFIX:LIMITS"),
        ("ds serve --limit a:streams=x", "streams=x"),
        ("ds serve --limit a:readers=1 --limit a:bytes=1", "twice"),
        ("ds serve --connections-per-address 0", "0"),
        ("ds serve --idle-timeout 4", "4"),
        ("ds serve --idle-timeout 3601", "3601"),
        ("ds serve --component x --store tape", "tape"),
        ("ds serve --component x --store file:/", "not empty"),
        ("ds serve --component x --store tape", "spin-sqlite"),
        ("ds serve --component x --store redis:x", "redis://"),
        ("ds serve --component x --inject fog", "fog"),
        ("ds serve --component x --inject faults:x", "faults:SEED"),
        ("ds serve --component x --inject latency:x", "latency:MS"),
        (
            "ds serve --component x --variable page_bytes=x",
            "page_bytes",
        ),
        ("ds serve", "--component"),
        ("ds frobnicate", "frobnicate"),
    ];
    for (text, named) in cases {
        let error = options(text).err().unwrap_or_default();
        assert!(error.contains(named), "{text}: {error}");
        assert!(!error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn help_is_printed_and_precompile_is_not_in_it() {
    let Ok(Command::Print(help)) = arguments("ds --help") else {
        panic!("no help");
    };
    assert!(
        help.contains("serve") && !help.contains("precompile"),
        "{help}"
    );
    let compile = arguments("ds precompile in.wasm out.cwasm");
    assert!(matches!(compile, Ok(Command::Precompile { .. })));
}

#[test]
fn the_defaults_are_as_documented() {
    let options = options("ds serve --store memory --component x").expect("good arguments");
    let listen: Vec<_> = options.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:4437"]);
    assert_eq!(options.tls, None);
    assert_eq!(options.via, Via::Exchange);
    assert_eq!(options.variables["kv_guarded_create"], "true");
    assert_eq!(options.rates, Rates::default());
    assert_eq!(options.connections_per_address, None);
    assert_eq!(options.idle_timeout, Duration::from_secs(620));
    let settled = settled("ds serve", &[]).expect("good arguments");
    let shown = settled.in_force().to_json();
    assert_eq!(shown["flags"]["store"]["value"], "file:data");
    assert_eq!(shown["flags"]["durability"]["value"], "sync");
    assert!(settled.acknowledged().contains("fsync"));
}

#[test]
fn addresses_are_used_in_the_order_given() {
    let text = "ds serve --store memory --component x --listen [::1]:1 --listen unix:a.sock \
                --tls-cert a.crt --tls-key a.key";
    let options = options(text).expect("good arguments");
    let listen: Vec<_> = options.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["[::1]:1", "unix:a.sock"]);
    let files = TlsFiles {
        certificate: "a.crt".into(),
        key: "a.key".into(),
    };
    assert_eq!(options.tls, Some(files));
}

#[test]
fn creation_is_guarded_as_the_store_does_it_unless_a_variable_says_otherwise() {
    let guarded = |text: &str| {
        let options = options(text).expect("good arguments");
        options.variables["kv_guarded_create"].clone()
    };
    for (store, expected) in [
        ("memory", "true"),
        ("memory --inject faults:1", "true"),
        ("spin-sqlite", "false"),
        ("spin-redis --inject latency:1", "false"),
        ("spin-redis --variable kv_guarded_create=true", "true"),
    ] {
        let text = format!("ds serve --component x --store {store}");
        assert_eq!(guarded(&text), expected, "{store}");
    }
}

#[test]
fn an_address_with_a_password_is_never_repeated() {
    for address in [
        "redis:u:secret@h",
        "redis://u:secret@",
        "redis://u:secret@h/x",
        "rediss://u:secret@h",
        "redis://u:secret@127.0.0.1:1",
    ] {
        let text = format!("ds serve --component x --store {address}");
        let error = options(&text).err().expect("no server is there");
        assert!(!error.contains("secret"), "{error}");
        let settled = settled(&text, &[]).expect("it is judged later");
        let in_force = settled.in_force();
        let shown = format!("{in_force} {}", in_force.to_json());
        assert!(!shown.contains("u:secret"), "{shown}");
    }
}

#[test]
fn injections_stack_in_the_order_given() {
    let text = "ds serve --component x --store spin-redis --inject latency:1 --inject faults:2";
    let options = options(text).expect("good arguments");
    let expected = "spin-redis with latency:1ms with faults:2";
    assert_eq!(options.store.describe(), expected);
}

const EXAMPLE: &str = include_str!("../../deploy/durable-streams.toml");

/// Settles `ds serve` with a file of this text.
fn with_file(text: &str) -> Result<Settled, String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, text).expect("it is written");
    settled(
        "ds serve",
        &[("DS_CONFIG", &file.path().display().to_string())],
    )
}

/// Values in force, without their sources.
fn in_force(settled: &Settled) -> String {
    let text = settled.in_force().to_string();
    let values = text.lines().map(|line| line.split(" #").next());
    let values: Vec<_> = values.flatten().map(str::trim_end).collect();
    values.join("\n")
}

#[test]
fn the_example_of_a_configuration_file_is_complete() {
    assert!(
        EXAMPLE == example(&serve_command()),
        "run `durable-streams config --example > host/deploy/durable-streams.toml`"
    );
}

#[test]
fn the_example_of_a_configuration_file_has_the_defaults() {
    let defaults = in_force(&settled("ds serve", &[]).expect("good defaults"));
    let as_it_is = with_file(EXAMPLE).expect("the example is valid");
    assert_eq!(in_force(&as_it_is), defaults);
    // A setting with one sign has its default, and follows the sign without a space.
    let set = |line: &str| {
        let setting = line.strip_prefix('#').unwrap_or(line);
        match setting.starts_with(|first: char| first.is_ascii_lowercase()) {
            true => setting.to_owned(),
            false => line.to_owned(),
        }
    };
    let all: Vec<String> = EXAMPLE.lines().map(set).collect();
    let all = with_file(&all.join("\n")).expect("every default is valid");
    assert_eq!(in_force(&all), defaults);
    let shown = all.in_force().to_string();
    let others = shown.lines().filter(|line| line.ends_with("# default"));
    let others: Vec<_> = others.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(others, ["kv_guarded_create"], "the store determines it");
    let examples = EXAMPLE.replace("\n##", "\n");
    with_file(&examples).expect("every example is valid");
}

#[test]
fn a_file_sets_flags_and_variables() {
    let text = "listen = '127.0.0.1:5'\nstore = 'spin-redis'\ninject = ['latency:1', 'faults:2']\n\
                rate-limit-per-token = 3\ncomponent = 'x'\n[variables]\npage_bytes = 5";
    let settled = with_file(text).expect("all are good");
    let options = settled.options(&Embedded::NOTHING).expect("it opens");
    let listen: Vec<_> = options.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:5"]);
    let expected = "spin-redis with latency:1ms with faults:2";
    assert_eq!(options.store.describe(), expected);
    assert_eq!(options.rates.per_token, NonZeroU32::new(3));
    assert_eq!(options.variables["page_bytes"], "5");
    assert_eq!(options.variables["kv_guarded_create"], "false");
}

#[test]
fn a_backup_is_of_a_server_or_of_a_directory() {
    let from = |text| match arguments(text) {
        Ok(Command::Backup { from, dest }) => (from, dest),
        _ => panic!("{text} makes no backup"),
    };
    let server = |admin: &str, token: Option<&str>| BackupSource::Server {
        admin: admin.to_owned(),
        token: token.map(str::to_owned),
    };
    let default = server("http://127.0.0.1:4438", None);
    assert_eq!(from("ds backup d"), (default, "d".into()));
    let named = server("http://h:1", Some("t"));
    let text = "ds backup --admin http://h:1 --token t d";
    assert_eq!(from(text), (named, "d".into()));
    let stopped = BackupSource::Directory("s".into());
    assert_eq!(from("ds backup --from s d"), (stopped, "d".into()));
    for text in [
        "ds backup",
        "ds backup --from s --token t d",
        "ds restore s",
    ] {
        assert!(
            matches!(arguments(text), Err(UsageError::Arguments(_))),
            "{text}"
        );
    }
}
