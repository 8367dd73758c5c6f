use super::*;

fn arguments(text: &str) -> Result<Command, UsageError> {
    parse(text.split_whitespace().map(Into::into))
}

fn options(text: &str) -> Result<Options, String> {
    match arguments(text).map_err(|error| error.to_string())? {
        Command::Serve(serve) => serve
            .options([], &Embedded::NOTHING)
            .map_err(|error| error.to_string()),
        other => panic!("not serve: {other:?}"),
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
    let Ok(Command::Serve(serve)) = arguments("ds serve") else {
        panic!("not serve");
    };
    assert_eq!(serve.store, StoreKind::File("data".into()));
    assert_eq!(serve.durability, Durability::Sync);
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
        let command = arguments(&text).expect("it is judged later");
        assert!(!format!("{command:?}").contains("secret"));
    }
}

#[test]
fn injections_stack_in_the_order_given() {
    let text = "ds serve --component x --store spin-redis --inject latency:1 --inject faults:2";
    let options = options(text).expect("good arguments");
    let expected = "spin-redis with latency:1ms with faults:2";
    assert_eq!(options.store.describe(), expected);
}
