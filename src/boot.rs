//! Starting and stopping: builds the parts, serves until a signal, then drains and settles.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::{App as HttpApp, HttpServer, web};
use anyhow::Context;
use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgConnection;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::oidc::Providers;
use crate::accounts::operator;
use crate::accounts::{Factors, Hasher, Links, NewSignIn, NoteFailedSignIn, SignUpRules, StartRecovery};
use crate::activity::{self, Retention};
use crate::base::seal::Sealer;
use crate::base::{Clock, EmailAddress, Secret};
use crate::catalog::{self, Shelf};
use crate::config::{Config, derived_key, keyring};
use crate::db::Pools;
use crate::db::listen::Hearing;
use crate::gateway::query_api::QueryApi;
use crate::gateway::spool::Spool;
use crate::gateway::{self, Gateway, GatewayParts, InstanceDefaults, Settler, Timeouts, UpstreamKeys};
use crate::hooks::Courier;
use crate::keys::connect::Lenient;
use crate::keys::leaks::Scanner;
use crate::keys::management::Management;
use crate::keys::{self, ChatTerms, KeyCache, Pace, TellOfKey};
use crate::leaving::{EraseAccount, EraseCalls};
use crate::ledger::{Desk, DeskConfig};
use crate::mail::{self, Mailer, OFF_KEY_PURPOSE, OffLinks, SendMail};
use crate::outgoing::{HttpClient, HttpClientConfig};
use crate::presets::pages::preferences::Instance;
use crate::presets::{Memory, Terms};
use crate::privacy::{Discount, Texts};
use crate::routing::Health;
use crate::teams::DeleteOrg;
use crate::topups::auto::{TellOfAutoTopup, TryAutoTopup};
use crate::topups::codes::{self, CodeKey};
use crate::topups::processors::Processors;
use crate::topups::{
    ApplyEvent, BalanceCrossed, ForgetCustomers, RefundWarned, SettleSandboxPayment, billing, janitor, reconcile,
};
use crate::vault::Vault;
use crate::web::patience::Unread;
use crate::web::{App, Hosts, to_the_end};
use crate::{books, console, db, jobs, orgs, privacy, routes};

mod door;
mod files;
mod hooks;
mod log;
mod measures;
mod payments;
mod signing;
mod sockets;
mod stand_ins;
mod stock;
mod watcher;

pub use log::start_logging;
use log::tracer;
pub use measures::Figures;
pub use payments::{processors, real_processors};
pub use signing::{anchoring, close_key};
pub use stock::stock_catalog;
use watcher::{CHANNELS, Remembered, Watcher};

/// Connections that are slow to send a request's head are closed.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// After an answer to a request whose body nobody reads: for its sender to hear it before the connection is closed.
const LINGER: Duration = Duration::from_secs(5);
/// A start waits this long for a database that is just coming up.
const DATABASE_WAIT: Duration = Duration::from_secs(60);
/// One try of that.
const DATABASE_ANSWERS: Duration = Duration::from_secs(5);
/// How long `/readyz` says that the process is stopping before new connections are refused; less if no call runs.
const STOP_NOTICE: Duration = Duration::from_secs(3);
/// For what has something to write down or to send at the very end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Whether this process should get new requests; `/readyz` tells load balancers.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    stopping: Arc<AtomicBool>,
}

impl Readiness {
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Everything that handlers share.
#[derive(Clone)]
pub struct Parts {
    pub app: App,
    pub hasher: Hasher,
    pub providers: Providers,
    pub rules: SignUpRules,
    pub factors: Factors,
    pub keys: KeyCache,
    pub terms: Terms,
    pub discount: Discount,
    pub outgoing: HttpClient,
    pub courier: Courier,
    pub shelf: Shelf,
    pub processors: Processors,
    pub codes: CodeKey,
    pub off_links: OffLinks,
    pub console: console::Settings,
    pub management: Management,
    pub lenient: Lenient,
    pub scanner: Scanner,
    pub chat: ChatTerms,
    pub gateway: Gateway,
    pub instance: Instance,
    pub query_api: QueryApi,
    pub retention: Retention,
    pub readiness: Readiness,
    pub figures: Figures,
    pub metrics_token: Option<Secret<String>>,
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// When a part cannot be started; the text says what to do.
pub async fn serve(mut config: Config, url: &Secret<String>) -> anyhow::Result<()> {
    files::open_many();
    // Kept until the end, because dropping them stops them.
    let _stand_ins = if config.stand_ins { Some(stand_ins::start(&mut config).await?) } else { None };
    let pools =
        Pools::open(url.expose(), config.observe.slow_query).context("FAREBOX_DATABASE_URL is no Postgres URL")?;
    wait_for_database(url).await?;
    db::migrate(&pools.general).await.context("the schema could not be brought up to date")?;
    jobs::migrate(&pools.general).await?;
    activity::make_parts(&pools.general).await.context("the table of calls could not be made ready")?;
    let metrics = measures::install()?;
    let stop = CancellationToken::new();
    // Calls, and what has something to write down at the end.
    let (tasks, last) = (TaskTracker::new(), TaskTracker::new());
    let parts = build(&config, &pools, metrics, &stop, (&tasks, &last)).await?;
    let server = listen(&config, &parts)?;
    door::announce(&config, server.addrs.first());
    door::offer_operator(&parts.app).await?;
    let handle = server.server.handle();
    let mut running = Handle::current().spawn(server.server);
    tokio::select! {
        ended = &mut running => ended?.context("the HTTP server ended")?,
        () = door::stop_signal() => {
            tokio::select! {
                () = drain(&config, &parts, &tasks, handle) => running.await?.context("the HTTP server ended badly")?,
                () = door::stop_signal() => {
                    // Whoever asks twice means it. What runs is left to the sweeper, as after a kill.
                    tracing::warn!(calls = tasks.len(), "stopped by a second signal");
                    std::process::exit(130);
                }
            }
        }
    }
    stop.cancel();
    last.close();
    if tokio::time::timeout(LAST_WORDS, last.wait()).await.is_err() {
        tracing::warn!("not all jobs, figures and traces of the last seconds found their place");
    }
    // A connection that is cut off answers no good-bye.
    let _ = tokio::time::timeout(LAST_WORDS, pools.close()).await;
    tracing::info!("stopped");
    Ok(())
}

async fn wait_for_database(url: &Secret<String>) -> anyhow::Result<()> {
    let options = db::pool::options(url.expose())?;
    let place = db::pool::place(&options);
    let deadline = tokio::time::Instant::now() + DATABASE_WAIT;
    loop {
        match db::pool::knock(&options, DATABASE_ANSWERS).await {
            Ok(()) => return Ok(()),
            Err(error) if db::pool::is_final(&error) => {
                return Err(error)
                    .with_context(|| format!("the database at {place} lets nobody in; check FAREBOX_DATABASE_URL"));
            }
            Err(error) if tokio::time::Instant::now() > deadline => {
                return Err(error).with_context(|| format!("the database at {place} did not answer for a minute"));
            }
            Err(error) => tracing::warn!(%error, %place, "waiting for the database"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn build(
    config: &Config,
    pools: &Pools,
    metrics: PrometheusHandle,
    stop: &CancellationToken,
    (tasks, last): (&TaskTracker, &TaskTracker),
) -> anyhow::Result<Parts> {
    let handle = Handle::current();
    let dev = !config.is_production();
    stock_catalog(&pools.general).await?;
    let shelf = Shelf::load(&pools.general, dev).await.context("the catalog could not be read")?;
    let sealer = Sealer::new(&derived_key(&config.secret_key, "seal"));
    let factors = Factors::new(sealer.clone(), &config.public_url);
    let upstream_keys = UpstreamKeys::default();
    let mut conn = pools.general.acquire().await?;
    upstream_keys.replace(catalog::upstream_keys(&mut conn, &sealer).await?);
    drop(conn);
    let hearing = Hearing::default();
    let keys = KeyCache::new(pools.lookup.clone(), hearing.clone());
    let spool = Spool::open(&config.data_dir)
        .with_context(|| format!("the settlement spool in {} cannot be opened", config.data_dir.display()))?;
    let settler = Settler::start(&handle, pools.settlement.clone(), spool.clone());
    handle.spawn(measures::upkeep(metrics.clone(), stop.clone()));
    let figures = Figures { handle: metrics, pools: pools.clone(), tasks: tasks.clone(), spool: spool.clone() };
    let desk = Desk::start(&handle, pools.admission.clone(), DeskConfig { hold_ttl: config.hold_ttl });
    let http = HttpClient::new(HttpClientConfig {
        allow_private: config.allow_private_upstreams,
        ..HttpClientConfig::default()
    })?;
    let courier = Courier::new(HttpClient::new(HttpClientConfig {
        allow_private: config.programs.private_webhooks,
        ..HttpClientConfig::default()
    })?);
    let (health, model) = (Health::new(Instant::now()), config.default_model.clone());
    let vault = Vault::new(keyring(config));
    let terms = Terms { vault: vault.clone(), fee: config.own.fee, discount: config.own.discount };
    let memory = Memory::new(pools.lookup.clone(), hearing.clone(), terms.clone());
    let texts = Texts::new(pools.general.clone(), vault.clone(), tasks.clone(), handle.clone());
    let gateway = Gateway::new(GatewayParts {
        desk,
        pace: Pace::start(&handle, pools.admission.clone()),
        settler: settler.clone(),
        shelf: shelf.clone(),
        memory: memory.clone(),
        health: health.clone(),
        defaults: InstanceDefaults { model: model.clone(), sort: config.default_sort },
        http: http.clone(),
        tracer: tracer(config, last, stop)?,
        texts: texts.clone(),
        keys: upstream_keys.clone(),
        tasks: tasks.clone(),
        handle: handle.clone(),
        clock: Clock::system(),
        timeouts: Timeouts { first_byte: config.timeout_first_byte, idle: config.timeout_idle, ..Timeouts::default() },
    });
    let off_links = OffLinks::new(config.public_url.clone(), derived_key(&config.secret_key, OFF_KEY_PURPOSE));
    let mailer = match &config.smtp_url {
        Some(url) => Mailer::smtp(url, &config.mail_from)?.offering(off_links.clone()),
        None => Mailer::Outbox,
    };
    let processors = processors(config, &pools.general)?;
    let rules = SignUpRules::new(config.sign_up.clone(), invited);
    console::rules::reload(&pools.general, &rules, &processors)
        .await
        .context("the rules of the house could not be read")?;
    billing::introduce(&mut *pools.general.acquire().await?, &config.seller).await?;
    let providers = Providers::new(&config.providers, sealer.clone())?;
    let console = console::Settings { four_eyes_above: config.four_eyes_above, sealer: sealer.clone() };
    let remembered = Remembered {
        keys: keys.clone(),
        memory: memory.clone(),
        shelf: shelf.clone(),
        upstream_keys,
        sealer,
        pool: pools.general.clone(),
        rules: rules.clone(),
        processors: processors.clone(),
    };
    let watcher = Watcher::start(&handle, remembered);
    handle
        .spawn(db::listen::listen(pools.lookup.clone(), CHANNELS.to_vec(), hearing, move |heard| watcher.hear(heard)));
    last.spawn(gateway::measure::run(pools.general.clone(), health.clone(), stop.clone()));
    last.spawn(privacy::run_janitor(pools.general.clone(), texts, stop.clone()));
    hooks::start(config, pools, &vault, &courier, stop);
    spawn_background(config, pools, (stop, last), mailer, &processors, &settler, spool).await?;
    Ok(Parts {
        app: App {
            db: pools.general.clone(),
            clock: Clock::system(),
            public_url: config.public_url.clone(),
            dev,
            form_key: derived_key(&config.secret_key, "forms"),
            proxies: config.trusted_proxies.clone(),
            hosts: Hosts::new(&config.public_url, &config.extra_hosts, dev),
            session_idle: config.session_idle,
            patience: config.timeout_body,
        },
        hasher: Hasher::new(config.hash_work)?,
        providers,
        rules: rules.clone(),
        factors,
        keys,
        discount: Discount(config.own.discount),
        terms: terms.clone(),
        outgoing: http.clone(),
        courier,
        instance: Instance {
            health: health.clone(),
            memory: memory.clone(),
            model: model.clone(),
            sort: config.default_sort,
        },
        query_api: QueryApi::new(pools.general.clone(), shelf.clone(), memory.clone(), Clock::system(), model),
        shelf,
        processors,
        off_links,
        codes: CodeKey::new(derived_key(&config.secret_key, codes::KEY_PURPOSE)),
        console,
        management: Management::new(
            derived_key(&config.secret_key, "first answers"),
            config.programs.management_per_minute,
        ),
        lenient: config.programs.lenient_callbacks.clone(),
        chat: config.programs.chat,
        scanner: Scanner::new(config.programs.leak_keys_url.clone(), http),
        gateway,
        retention: config.retention,
        readiness: Readiness::default(),
        figures,
        metrics_token: config.metrics_token.clone(),
    })
}

fn invited<'c>(conn: &'c mut PgConnection, email: &'c EmailAddress) -> BoxFuture<'c, Result<bool, sqlx::Error>> {
    Box::pin(orgs::is_invited(conn, email))
}

async fn spawn_background(
    config: &Config,
    pools: &Pools,
    (stop, last): (&CancellationToken, &TaskTracker),
    mailer: Mailer,
    processors: &Processors,
    settler: &Settler,
    spool: Spool,
) -> anyhow::Result<()> {
    let handle = Handle::current();
    // What was acknowledged before a crash is settled before any hold is given up.
    settler.recover().await.context("settlements that an earlier process left on disk could not be booked")?;
    gateway::sweep::start(&handle, pools.settlement.clone(), spool, config.sweep_every);
    gateway::reconcile::start_auditor(&handle, pools.general.clone(), gateway::reconcile::Pace::default());
    let public_url = config.public_url.clone();
    let (pool, processors, asked) = (pools.general.clone(), processors.clone(), processors.clone());
    // Mails have a worker of their own: money does not wait for a mail server that says nothing.
    let outbox = pools.general.clone();
    let define_mails = move |options: jobs::WorkerOptions| {
        options.add_extension(outbox.clone()).add_extension(mailer.clone()).define_job::<SendMail>()
    };
    // Whoever works at jobs writes down that it has ended.
    last.spawn(jobs::run(pools.general.clone(), define_mails, stop.clone()));
    handle.spawn(mail::forget(pools.general.clone(), stop.clone()));
    let define = move |options: jobs::WorkerOptions| {
        options
            .add_extension(pool.clone())
            .add_extension(processors.clone())
            .add_extension(Links { base: public_url.clone() })
            .define_job::<NoteFailedSignIn>()
            .define_job::<NewSignIn>()
            .define_job::<TellOfKey>()
            .define_job::<StartRecovery>()
            .define_job::<ApplyEvent>()
            .define_job::<BalanceCrossed>()
            .define_job::<TryAutoTopup>()
            .define_job::<TellOfAutoTopup>()
            .define_job::<ForgetCustomers>()
            .define_job::<RefundWarned>()
            .define_job::<SettleSandboxPayment>()
            .define_job::<EraseAccount>()
            .define_job::<EraseCalls>()
            .define_job::<DeleteOrg>()
    };
    last.spawn(jobs::run(pools.general.clone(), define, stop.clone()));
    let links = Links { base: config.public_url.clone() };
    handle.spawn(keys::watch_for_alarms(pools.general.clone(), links, stop.clone()));
    handle.spawn(activity::keep(pools.general.clone(), config.retention, stop.clone()));
    handle.spawn(activity::keep_house(pools.general.clone(), stop.clone()));
    handle.spawn(janitor::run(pools.general.clone(), asked.clone(), stop.clone()));
    handle.spawn(reconcile::daily(pools.general.clone(), asked, reconcile::Pace::default(), stop.clone()));
    handle.spawn(books::daily(pools.general.clone(), close_key(config), stop.clone()));
    handle.spawn(operator::anchor_daily(pools.general.clone(), anchoring(config), stop.clone()));
    Ok(())
}

struct Listening {
    server: actix_web::dev::Server,
    addrs: Vec<std::net::SocketAddr>,
}

fn listen(config: &Config, parts: &Parts) -> anyhow::Result<Listening> {
    let shared = parts.clone();
    let dev = !config.is_production();
    let server = HttpServer::new(move || {
        HttpApp::new().configure(|service| share(service, &shared)).configure(|service| routes::configure(service, dev))
    })
    .workers(config.workers)
    .client_request_timeout(REQUEST_HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .client_disconnect_timeout(LINGER)
    // A client that has gone must be noticed, so that its upstream can be cancelled.
    .h1_allow_half_closed(false)
    .on_connect(|connection, data| {
        sockets::prepare(connection);
        data.insert(Unread::default());
    })
    .disable_signals()
    .shutdown_timeout(config.shutdown_grace.as_secs())
    .bind(config.listen)
    .map_err(|error| not_listening(config.listen, error))?;
    let addrs = server.addrs();
    Ok(Listening { server: server.run(), addrs })
}

/// Says what to do where this process gets no port.
fn not_listening(listen: SocketAddr, error: std::io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        std::io::ErrorKind::AddrInUse => "is another program using it?",
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address; 0.0.0.0 is every one that it has",
        std::io::ErrorKind::PermissionDenied => "ports below 1024 are closed to ordinary users; take one above",
        _ => "check FAREBOX_LISTEN",
    };
    anyhow::Error::new(error).context(format!("cannot listen on {listen}: {advice}"))
}

fn share(service: &mut web::ServiceConfig, parts: &Parts) {
    service
        .app_data(web::Data::new(parts.app.clone()))
        .app_data(web::Data::new(parts.hasher.clone()))
        .app_data(web::Data::new(parts.providers.clone()))
        .app_data(web::Data::new(parts.rules.clone()))
        .app_data(web::Data::new(parts.factors.clone()))
        .app_data(web::Data::new(parts.keys.clone()))
        .app_data(web::Data::new(parts.terms.vault.clone()))
        .app_data(web::Data::new(parts.terms.clone()))
        .app_data(web::Data::new(parts.discount))
        .app_data(web::Data::new(parts.outgoing.clone()))
        .app_data(web::Data::new(parts.courier.clone()))
        .app_data(web::Data::new(parts.shelf.clone()))
        .app_data(web::Data::new(parts.processors.clone()))
        .app_data(web::Data::new(parts.codes.clone()))
        .app_data(web::Data::new(parts.off_links.clone()))
        .app_data(web::Data::new(parts.console.clone()))
        .app_data(web::Data::new(parts.management.clone()))
        .app_data(web::Data::new(parts.lenient.clone()))
        .app_data(web::Data::new(parts.scanner.clone()))
        .app_data(web::Data::new(parts.chat))
        .app_data(web::Data::new(parts.gateway.clone()))
        .app_data(web::Data::new(parts.instance.clone()))
        .app_data(web::Data::new(parts.query_api.clone()))
        .app_data(web::Data::new(parts.retention))
        .app_data(web::Data::new(parts.readiness.clone()))
        .app_data(web::Data::new(routes::Metrics {
            figures: parts.figures.clone(),
            token: parts.metrics_token.clone(),
        }));
}

/// New requests go elsewhere, running ones end, and every call is settled.
async fn drain(config: &Config, parts: &Parts, tasks: &TaskTracker, server: actix_web::dev::ServerHandle) {
    tracing::info!(calls = tasks.len(), "stopping: running calls may end");
    parts.readiness.stopping.store(true, Ordering::Release);
    tasks.close();
    // The door stays open for a moment while calls run: who asks /readyz now hears to go elsewhere.
    let _ = tokio::time::timeout(STOP_NOTICE.min(config.shutdown_grace), tasks.wait()).await;
    // A worker ends with its last connection, and with it what was left to it.
    let _ = tokio::time::timeout(LAST_WORDS.min(config.shutdown_grace), to_the_end::nothing_left()).await;
    let stopped = server.stop(true);
    let drained = async {
        tokio::join!(stopped, tasks.wait());
    };
    if tokio::time::timeout(config.shutdown_grace, drained).await.is_err() {
        tracing::warn!(calls = tasks.len(), "some calls did not end in time; their holds are left to the sweeper");
    }
}
