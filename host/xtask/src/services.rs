//! Services that tests start and that this repository does not build.

use crate::debian;
use crate::failure::Failure;
use test_support::nginx_program;

/// Whether the machine is one that has to run every test.
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Sees to it that there is an nginx: installs Debian's where that was asked for, and where `CI=true`.
/// Elsewhere the tests that need it are skipped and print the command.
pub(crate) fn provide_nginx(install: bool) -> Result<(), Failure> {
    let Err(why) = nginx_program() else {
        return Ok(());
    };
    if !install && !is_ci() {
        println!("    {why}; or repeat this with --install");
        return Ok(());
    }
    let by_hand = "install nginx (on Debian, as root: apt-get update && apt-get install \
                   --no-install-recommends nginx), then repeat the command.";
    debian::install(&["nginx"], &format!("{why}."), by_hand)?;
    nginx_program()
        .map(drop)
        .map_err(|why| Failure::new(why).by_hand(by_hand))
}
