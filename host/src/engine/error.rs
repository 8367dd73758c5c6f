//! Errors that leave the host without a component.

/// Reason that there is no component to run.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The file can't be read or written.
    #[error("component {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is neither a component nor one compiled by this version.
    #[error("component {path}: {reason}")]
    Invalid {
        /// The file.
        path: String,
        /// The reason, in one line.
        reason: String,
    },
    /// The component is the build for another `--via`.
    #[error(
        "component {path} exports {exports}, not the {wanted} that this --via needs: use the \
         build for WASI 0.2 (durable_streams_edge.wasm) with wasi-http-p2, and the build for WASI \
         0.3 (durable_streams_edge_p3.wasm) with exchange and wasi-http"
    )]
    OtherBuild {
        /// The file.
        path: String,
        /// The interfaces that it exports.
        exports: String,
        /// The interface that is needed.
        wanted: &'static str,
    },
    /// The component exports the interface in a version that this host can't call.
    #[error(
        "component {path} exports {exports}, but this host calls {wanted}: use the component and \
         the host from one release"
    )]
    OtherVersion {
        /// The file.
        path: String,
        /// The versions of the interface that it exports.
        exports: String,
        /// The interface in the version that this host calls.
        wanted: &'static str,
    },
    /// The component's interface lacks something that this host calls.
    #[error(
        "component {path} exports {wanted}, but not as this host calls it: use the component and \
         the host from one release ({reason})"
    )]
    OtherShape {
        /// The file.
        path: String,
        /// The interface.
        wanted: &'static str,
        /// The mismatch, in one line.
        reason: String,
    },
    /// Wasmtime can't be set up on this machine.
    #[error("Wasmtime: {0}")]
    Engine(String),
}
