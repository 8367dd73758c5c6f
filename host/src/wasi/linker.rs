//! The linker of an instance.

use super::bindings::Imports;
use super::state::InstanceState;
use wasmtime::component::{HasSelf, Linker};

/// Links all imports of an instance.
///
/// # Errors
///
/// Two of the linked packages define the same name.
pub(crate) fn add_to_linker(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    Imports::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}
