//! Starts and ends a server.

use crate::answers::OwnAnswers;
use crate::budget::{Budget, Unsent};
use crate::drive::{self, Driver, Factories};
use crate::engine::{ComponentSource, LONG_STUCK_TICKS, Runtime, STUCK_TICKS};
use crate::error::StartError;
use crate::exchange::Steps;
use crate::limits::{ADDRESS_PART, SHORT_TO_LONG};
use crate::net::{
    self, Address, Certificates, Crowd, Door, Gate, Handler, Inherited, Listen, ListenError,
    Listener, Places, Rates, Server, TlsFiles,
};
use crate::outbound::Outbound;
use crate::proxy::{self, Proxy, Reuse};
use crate::store::Store;
use crate::telemetry;
use crate::vital;
use crate::wasi::{FINAL_SWAPS, SERVING_SINCE, Variables};
use crate::worker::{Factory, Guest};
use durable_streams_edge::access::{self, Access};
use durable_streams_edge::limits::{BODY_BUDGET, Config};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a server that is shutting down waits for requests in progress.
const GRACE: Duration = Duration::from_secs(30);

/// The task of background work.
const BACKGROUND: &str = "the task of background work";

/// Interface for calls of the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// Pinned instances that run one synchronous step at a time.
    Exchange,
    /// Instances on demand, as under Spin 4.1.
    WasiHttp,
    /// One instance for each request, as under Spin 3.
    WasiHttpP2,
}

/// Options of a server.
pub struct Options {
    /// Addresses to listen on.
    pub listen: Vec<Listen>,
    /// Sockets that the supervisor opened, to listen on too.
    pub inherited: Vec<Inherited>,
    /// Certificate for all TCP sockets. If `None`, they have no TLS.
    pub tls: Option<TlsFiles>,
    /// Store of the streams.
    pub store: Arc<dyn Store>,
    /// Interface for calls of the component.
    pub via: Via,
    /// The component.
    pub component: ComponentSource,
    /// Pinned instances, at least one; used by [`Via::Exchange`] only.
    pub instances: usize,
    /// Every variable's value.
    pub variables: Variables,
    /// Rate limits of requests.
    pub rates: Rates,
    /// Most connections of one address. If `None`, half of all places, or no limit where
    /// `X-Forwarded-For` is trusted: the connections then come from the proxy.
    pub connections_per_address: Option<NonZeroUsize>,
    /// Longest time of a connection without a request.
    pub idle_timeout: Duration,
}

/// Running server. Dropping it stops it from accepting, and closes idle connections; requests in
/// progress go on for as long as the runtime does.
pub struct Running {
    addresses: Vec<Address>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    background: JoinHandle<()>,
}

impl Running {
    /// Addresses that the server listens on, in the order of the options.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Shuts down: accepts no new connections, ends live reads, and gives other requests 30 seconds
    /// to finish.
    pub async fn shutdown(mut self) {
        self.background.abort();
        self.stop.send_replace(true);
        // The task can only have been aborted, which also ends it.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.background.abort();
        self.server.abort();
    }
}

/// Starts a server on the current Tokio runtime. Returns once it listens and has a component.
///
/// # Errors
///
/// [`StartError`], with a one-line text.
pub async fn serve(options: Options) -> Result<Running, StartError> {
    let mut variables = options.variables;
    let config = Config::from_lookup(|name| variables.get(name).cloned())?;
    let access_control = Access::new(&config)?.is_on();
    if access_control {
        own_tick(&mut variables)?;
    }
    let since_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since_ms = since_ms.map_or(0, |since| since.as_millis());
    variables.insert(SERVING_SINCE.to_owned(), since_ms.to_string());
    if options.store.is_sure_of_conflicts() {
        variables.insert(FINAL_SWAPS.to_owned(), true.to_string());
    }
    let variables = Arc::new(variables);
    let certificates = options.tls.map(Certificates::load).transpose()?;
    let listening = listen(options.listen, options.inherited, certificates.as_ref()).await?;
    let (listeners, addresses) = listening.into_iter().unzip();
    let runtime = Runtime::load(&options.component)?;
    telemetry::set_level(&config.log_level);
    let store = options.store;
    let outbound = Outbound::new(config.webhook_allow_localhost);
    let max_append_bytes = config.max_append_bytes;
    let page_bytes = usize::try_from(config.page_bytes).unwrap_or(usize::MAX);
    let unsent = Unsent::new(page_bytes, options.rates.trust_forwarded_for);
    let base_path = config.base_path.clone();
    let own = OwnAnswers::new(config, access_control);
    let gate = Gate::new(options.rates, Arc::clone(&own), Arc::clone(&store));
    let (handler, background) = match options.via {
        Via::Exchange => {
            let guest = Arc::new(Guest::new(runtime)?);
            let factories = |count, most_ticks| {
                let factory = || factory(&guest, &store, &variables, most_ticks);
                std::iter::repeat_with(factory).take(count).collect()
            };
            let instances = options.instances.max(1);
            let factories = Factories {
                short: factories(instances, STUCK_TICKS),
                long: factories(instances.div_ceil(SHORT_TO_LONG), LONG_STUCK_TICKS),
            };
            let driver = Driver::new(&store, factories, &outbound, &own, unsent.pool());
            driver.warm_up()?;
            let work = drive::work(Arc::clone(&driver));
            let background = tokio::spawn(vital::task(BACKGROUND, work));
            (Handler::Exchange(driver, max_append_bytes), background)
        }
        Via::WasiHttp | Via::WasiHttpP2 => {
            let reuse = match options.via {
                Via::WasiHttpP2 => Reuse::Never,
                Via::Exchange | Via::WasiHttp => Reuse::AsSpin,
            };
            let proxy = Proxy::new(
                runtime.sending(outbound),
                reuse,
                store,
                Arc::clone(&variables),
                Arc::clone(&own),
            )?;
            // The component has the same variable.
            let token = variables.get("tick_token").cloned().unwrap_or_default();
            let tick = proxy::tick(Arc::clone(&proxy), base_path, token);
            let background = tokio::spawn(vital::task(BACKGROUND, tick));
            let bodies = Arc::new(Budget::new(BODY_BUDGET));
            (Handler::WasiHttp(proxy, bodies), background)
        }
    };
    let (stop, stopped) = watch::channel(false);
    if !access_control {
        // Only logged once the server is sure to start: a failed start prints exactly one line.
        telemetry::warn(access::OFF, access::OFF_MEANS);
    }
    let places = Places::by_limit();
    let per_address = options.connections_per_address.map(NonZeroUsize::get);
    let default = (!options.rates.trust_forwarded_for).then_some(places.most() / ADDRESS_PART);
    let server = Server {
        handler,
        gate,
        unsent,
        crowd: Crowd::new(per_address.or(default), options.idle_timeout),
    };
    let server = net::run(Door::new(listeners, places), server, stopped, GRACE);
    let server = async move {
        tokio::select! {
            () = server => {}
            () = follow(certificates) => {}
        }
    };
    let server = tokio::spawn(vital::task("the task that takes connections", server));
    Ok(Running {
        addresses,
        stop,
        server,
        background,
    })
}

/// Opens all sockets.
async fn listen(
    addresses: Vec<Listen>,
    inherited: Vec<Inherited>,
    certificates: Option<&Arc<Certificates>>,
) -> Result<Vec<(Listener, Address)>, ListenError> {
    let mut listeners = Vec::new();
    for address in &addresses {
        listeners.push(Listener::bind(address, certificates).await?);
    }
    for socket in inherited {
        listeners.push(Listener::inherit(socket, certificates)?);
    }
    let listening = listeners.into_iter().map(|listener| {
        let address = listener.address()?;
        Ok((listener, address))
    });
    listening.collect()
}

/// Follows changes of the certificate for ever.
async fn follow(certificates: Option<Arc<Certificates>>) {
    match certificates {
        Some(certificates) => net::follow(certificates).await,
        None => std::future::pending().await,
    }
}

/// Ensures that access control accepts the host's own ticks: generates a token for them unless one
/// is set.
fn own_tick(variables: &mut Variables) -> Result<(), StartError> {
    let token = variables.entry("tick_token".to_owned()).or_default();
    if token.is_empty() {
        let draw = || getrandom::u64().map_err(|error| StartError::Random(error.to_string()));
        *token = format!("{:016x}{:016x}", draw()?, draw()?);
    }
    Ok(())
}

fn factory(
    guest: &Arc<Guest>,
    store: &Arc<dyn Store>,
    variables: &Arc<Variables>,
    most_ticks: u64,
) -> Factory {
    let (guest, store, variables) = (Arc::clone(guest), Arc::clone(store), Arc::clone(variables));
    Box::new(move || {
        let instance = guest.start(Arc::clone(&store), Arc::clone(&variables), most_ticks)?;
        Ok(Box::new(instance) as Box<dyn Steps>)
    })
}
