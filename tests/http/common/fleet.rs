//! Several hosts over one store, as platforms run several instances of one component. The hosts run
//! in this process, so that they can share the store and the tests can inspect it.

use super::HOST;
use super::server::via;
use super::{Stream, full};
use clap::ValueEnum;
use durable_streams_host::engine::Runtime as Component;
use durable_streams_host::store::Store;
use durable_streams_host::variables::resolve;
use durable_streams_host::{
    Address, Admin, AdminAddress, ComponentSource, Listen, Options, Rates, Rules, Running, Via,
    serve,
};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Threads of all fleets: a step blocks one while it waits for a slow store.
const THREADS: usize = 32;

/// Outlives every fleet, so that the instances of stopped hosts end properly.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(THREADS).enable_all();
    builder.build().expect("a runtime")
});

/// Shared by all fleets: a pool for each host took more memory mappings than a process may have.
static COMPONENT: LazyLock<Component> = LazyLock::new(|| {
    Component::load(&ComponentSource::File(HOST.component(&via())))
        .expect("the component is loaded")
});

/// Running hosts. Dropping them stops them.
pub(crate) struct Fleet(Vec<Running>);

impl Fleet {
    /// One host over each of these stores, with these variables.
    pub(crate) fn start(stores: &[Arc<dyn Store>], variables: &[(&str, &str)]) -> Self {
        let via = Via::from_str(&via(), false).expect("a way to call the component");
        let flags: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let hosts = stores.iter().map(|store| {
            let variables = resolve(&flags, [], store.guards_creation());
            let options = Options {
                listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))],
                inherited: Vec::new(),
                tls: None,
                store: Arc::clone(store),
                via,
                component: ComponentSource::Loaded(COMPONENT.clone()),
                instances: 1,
                variables: variables.expect("good variables"),
                rates: Rates::default(),
                limits: Rules::default(),
                connections_per_address: None,
                idle_timeout: Duration::from_secs(620),
                admin: Admin::Chosen(AdminAddress::Off),
                settings: Value::Null,
            };
            RUNTIME.block_on(serve(options)).expect("a host starts")
        });
        Self(hosts.collect())
    }

    /// A stream of this name through one of the hosts; the number wraps around.
    pub(crate) fn stream(&self, host: usize, name: &str, content_type: &str) -> Stream {
        Stream {
            address: match self.0[host % self.0.len()].addresses() {
                [Address::Tcp { address, .. }] => *address,
                other => panic!("one address: {other:?}"),
            },
            path: format!("/v1/stream/{name}"),
            content_type: content_type.to_owned(),
        }
    }
}

/// Repetitions of a race: `often` in the long runs.
pub(crate) fn rounds(seldom: usize, often: usize) -> usize {
    if full() { often } else { seldom }
}
