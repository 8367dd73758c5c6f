//! Starts and ends a server.

mod observed;
mod sockets;

use crate::admin::{
    self, Admin, AdminAccess, AdminDesk, Bound, ListenerLoad, STREAMS, Scrape, Settings,
};
use crate::answers::OwnAnswers;
use crate::backup::Backups;
use crate::budget::{Budget, Unsent};
use crate::drive::{self, Driver, Factories};
use crate::engine::{ComponentSource, LONG_STUCK_TICKS, Runtime, STUCK_TICKS};
use crate::error::StartError;
use crate::exchange::Steps;
use crate::limits::{ADDRESS_PART, ADMIN_PLACES, ADMIN_UNSENT, PROBE_PLACES, SHORT_TO_LONG};
use crate::meters::{StepMeters, WebhookMeters};
use crate::net::{
    self, Address, Certificates, Crowd, Door, Gate, Handler, Inherited, Listen, Places, Rates,
    Server, TlsFiles,
};
use crate::outbound::Outbound;
use crate::proxy::{self, Proxy, Reuse};
use crate::quota::{Checkpoint, Quota, Rules};
use crate::reload::{Parts, Reload, own_admin, own_tick, page_bytes};
use crate::store::Store;
use crate::telemetry;
use crate::trace;
use crate::variables::Current;
use crate::vital;
use crate::wasi::{ADMIN_TOKEN, FINAL_SWAPS, SERVING_SINCE, Variables};
use crate::worker::{Factory, Guest, MeteredSteps};
use durable_streams_edge::access::{self, Access};
use durable_streams_edge::limits::{BODY_BUDGET, Config};
use metrics::Histogram;
use observed::Observed;
use serde_json::Value;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a server that is shutting down waits for requests in progress.
const GRACE: Duration = Duration::from_secs(30);

/// Names of the listeners in metrics.
const MAIN: &str = "main";
const ADMIN: &str = "admin";

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
    /// The admin listener.
    pub admin: Admin,
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
    /// Limits per prefix of stream names.
    pub limits: Rules,
    /// Most connections of one address. If `None`, half of all places, or no limit where
    /// `X-Forwarded-For` is trusted: the connections then come from the proxy.
    pub connections_per_address: Option<NonZeroUsize>,
    /// Longest time of a connection without a request.
    pub idle_timeout: Duration,
    /// The settings in force without secrets, for the admin listener to show.
    pub settings: Value,
}

/// Running server. Dropping it stops it from accepting, and closes idle connections; requests in
/// progress go on for as long as the runtime does.
pub struct Running {
    addresses: Vec<Address>,
    admin: Option<Address>,
    reload: Arc<Reload>,
    stop: watch::Sender<bool>,
    /// The tasks of the listeners.
    servers: Vec<JoinHandle<()>>,
    background: JoinHandle<()>,
}

impl Running {
    /// Addresses that the server listens on, in the order of the options.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Address of the admin listener, if there is one.
    #[must_use]
    pub const fn admin(&self) -> Option<&Address> {
        self.admin.as_ref()
    }

    /// The settings that can change while the server runs.
    #[must_use]
    pub const fn reload(&self) -> &Arc<Reload> {
        &self.reload
    }

    /// Shuts down: accepts no new connections, ends live reads, and gives other requests 30 seconds
    /// to finish.
    pub async fn shutdown(mut self) {
        self.background.abort();
        self.stop.send_replace(true);
        for server in &mut self.servers {
            // The task can only have been aborted, which also ends it.
            let _ = server.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.background.abort();
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

/// Starts a server on the current Tokio runtime. Returns once it listens and has a component.
///
/// # Errors
///
/// [`StartError`], with a one-line text.
pub async fn serve(options: Options) -> Result<Running, StartError> {
    let given = options.variables;
    let mut variables = given.clone();
    let config = Config::from_lookup(|name| variables.get(name).cloned())?;
    let access = Access::new(&config)?;
    let access_control = access.is_on();
    let admin_address = options.admin.address();
    let admin_access = AdminAccess::new(access, admin_address);
    if let Some(address) = admin_access.exposed()
        && !access_control
    {
        return Err(StartError::AdminExposed(address));
    }
    let settings = Settings::new(options.settings);
    if access_control {
        own_tick(&mut variables)?;
    }
    own_admin(&mut variables, admin_address.is_some())?;
    let since_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since_ms = since_ms.map_or(0, |since| since.as_millis());
    variables.insert(SERVING_SINCE.to_owned(), since_ms.to_string());
    if options.store.is_sure_of_conflicts() {
        variables.insert(FINAL_SWAPS.to_owned(), true.to_string());
    }
    let current = Current::new(variables);
    let admin_token = current.value(ADMIN_TOKEN);
    let certificates = options.tls.map(Certificates::load).transpose()?;
    let certificates = certificates.as_ref();
    let listening = sockets::listen(options.listen, options.inherited, certificates).await?;
    let (listeners, addresses) = listening.into_iter().unzip();
    let admin = match admin_address {
        Some(address) => {
            let bound = admin::bind(options.admin, address, certificates).await;
            Some(bound.map_err(StartError::Admin)?)
        }
        None => None,
    };
    let runtime = Runtime::load(&options.component)?;
    telemetry::set_level(&config.log_level);
    // The spans of requests have the operations that metrics have.
    let is_observed = admin.is_some() || trace::is_on();
    let observed = is_observed.then(Observed::new);
    let observed = observed.as_ref();
    if options.limits.limit_growth() && !config.registry {
        return Err(StartError::LimitsWithoutRegistry);
    }
    let quota = Quota::new(
        options.limits,
        &config,
        Access::new(&config)?,
        &options.store,
    );
    let store = match observed {
        Some(observed) => observed.store(options.store, &config.key_namespace),
        None => options.store,
    };
    let store = match &quota {
        Some(quota) => quota.counted(store),
        None => store,
    };
    let webhooks = observed.map_or_else(WebhookMeters::none, Observed::webhooks);
    let outbound = Outbound::new(config.webhook_allow_localhost, webhooks);
    let max_append_bytes = Arc::new(AtomicUsize::new(config.max_append_bytes));
    let page_bytes = page_bytes(&config);
    let unsent = Unsent::new(page_bytes, options.rates.trust_forwarded_for);
    let base_path = config.base_path.clone();
    let own = OwnAnswers::new(config, access_control);
    let gate = Gate::new(options.rates, Arc::clone(&own), Arc::clone(&store));
    let parts = Parts {
        current: Arc::clone(&current),
        own: Arc::clone(&own),
        gate: Arc::clone(&gate),
        unsent: Arc::clone(&unsent),
        max_append_bytes: Arc::clone(&max_append_bytes),
        admin_access: Arc::clone(&admin_access),
        settings: Arc::clone(&settings),
        quota: quota.clone(),
    };
    let reload = Reload::new(given, options.rates, parts);
    let (handler, background) = match options.via {
        Via::Exchange => {
            let guest = Arc::new(Guest::new(runtime)?);
            let factories = |count, most_ticks| {
                let meters = observed.map(|observed| &observed.steps);
                let factory = || factory(&guest, &store, &current, most_ticks, meters);
                std::iter::repeat_with(factory).take(count).collect()
            };
            let instances = options.instances.max(1);
            let factories = Factories {
                short: factories(instances, STUCK_TICKS),
                long: factories(instances.div_ceil(SHORT_TO_LONG), LONG_STUCK_TICKS),
            };
            let wake = observed.map_or_else(Histogram::noop, Observed::wake);
            let driver = Driver::new(&store, factories, &outbound, &own, unsent.pool(), &wake);
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
                Arc::clone(&store),
                Arc::clone(&current),
                Arc::clone(&own),
            )?;
            let tick = proxy::tick(Arc::clone(&proxy), base_path.clone(), current);
            let background = tokio::spawn(vital::task(BACKGROUND, tick));
            let bodies = Arc::new(Budget::new(BODY_BUDGET));
            (Handler::WasiHttp(proxy, bodies), background)
        }
    };
    let (stop, stopped) = watch::channel(false);
    // Only logged once the server is sure to start: a failed start prints exactly one line.
    if !access_control {
        telemetry::warn(access::OFF, access::OFF_MEANS);
    }
    if let Some(Bound {
        address,
        busy: Some(busy),
        ..
    }) = &admin
    {
        let what = format!(
            "another process listens on {busy}, so the admin listener is on {address}. Name its \
             address with --admin, or turn it off with --admin off"
        );
        telemetry::warn("admin port in use", &what);
    }
    let places = Places::by_limit();
    let per_address = options.connections_per_address.map(NonZeroUsize::get);
    let default = (!options.rates.trust_forwarded_for).then_some(places.most() / ADDRESS_PART);
    let crowd = Crowd::new(per_address.or(default), options.idle_timeout);
    let mut servers = Vec::new();
    if let Some(quota) = &quota {
        let follow = Arc::clone(quota).follow(stopped.clone());
        servers.push(tokio::spawn(vital::task("the count of streams", follow)));
    }
    let checkpoint = |base_path: &str| {
        let quota = quota.as_ref();
        quota.map(|quota| Checkpoint::new(quota, base_path))
    };
    let admin = admin.zip(observed).map(|(bound, observed)| {
        let unsent_here = Unsent::of(ADMIN_UNSENT, page_bytes);
        let places_here = Places::new(ADMIN_PLACES, PROBE_PLACES);
        let scrape = Scrape {
            meters: Arc::clone(&observed.meters),
            steps: Arc::clone(&observed.steps),
            store: Arc::clone(&store),
            handler: handler.clone(),
            quota: quota.clone(),
            listeners: [
                ListenerLoad {
                    name: MAIN,
                    places: places.clone(),
                    unsent: Arc::clone(&unsent),
                },
                ListenerLoad {
                    name: ADMIN,
                    places: places_here.clone(),
                    unsent: Arc::clone(&unsent_here),
                },
            ],
        };
        let backups = Backups::new(&*store);
        let gate = Gate::new(Rates::default(), Arc::clone(&own), Arc::clone(&store));
        let desk = AdminDesk::new(own, admin_access, settings, scrape, backups, &admin_token);
        let server = Server {
            handler: handler.clone(),
            gate,
            unsent: unsent_here,
            crowd: Crowd::new(None, options.idle_timeout),
            desk: Some(desk),
            meters: Some(observed.listener(ADMIN, STREAMS)),
            checkpoint: checkpoint(STREAMS).map(Checkpoint::for_operators),
        };
        let door = Door::new(vec![bound.listener], places_here);
        let server = net::run(door, server, stopped.clone(), GRACE);
        let fold = observed::fold(Arc::clone(&observed.meters), stopped.clone());
        servers.push(tokio::spawn(vital::task("the admin listener", server)));
        servers.push(tokio::spawn(vital::task("the task of metrics", fold)));
        bound.address
    });
    let server = Server {
        handler,
        gate,
        unsent,
        crowd,
        desk: None,
        meters: observed.map(|observed| observed.listener(MAIN, &base_path)),
        checkpoint: checkpoint(&base_path),
    };
    let server = net::run(Door::new(listeners, places), server, stopped, GRACE);
    let follow = sockets::follow(certificates.map(Arc::clone));
    let server = async move {
        tokio::select! {
            () = server => {}
            () = follow => {}
        }
    };
    let server = vital::task("the task that takes connections", server);
    servers.push(tokio::spawn(server));
    Ok(Running {
        addresses,
        admin,
        reload,
        stop,
        servers,
        background,
    })
}

fn factory(
    guest: &Arc<Guest>,
    store: &Arc<dyn Store>,
    variables: &Arc<Current>,
    most_ticks: u64,
    meters: Option<&Arc<StepMeters>>,
) -> Factory {
    let meters = meters.map(Arc::clone);
    let (guest, store, variables) = (Arc::clone(guest), Arc::clone(store), Arc::clone(variables));
    Box::new(move || {
        let instance = guest.start(Arc::clone(&store), &variables, most_ticks)?;
        let steps: Box<dyn Steps> = Box::new(instance);
        Ok(match &meters {
            Some(meters) => Box::new(MeteredSteps::new(steps, Arc::clone(meters))),
            None => steps,
        })
    })
}
