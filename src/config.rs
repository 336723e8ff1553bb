//! Configuration: the only reader of the environment. Every field is documented here and in
//! `docs/configuration.md`; `farebox config check` prints the effective values.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};

use crate::accounts::oidc::ProviderSettings;
use crate::accounts::{HashWork, SignUpPolicy};
use crate::activity::Retention;
use crate::base::{EmailAddress, Secret, Usd};
use crate::routing::Sort;
use crate::topups::billing::Seller;
use crate::web::TrustedProxies;

pub use edge::is_local;
pub use lenient::{Reading, read_leniently};
pub use observe::ObserveSettings;
pub use own::{OwnSettings, keyring};
pub use payments::PaymentSettings;
pub use programs::ProgramSettings;
pub use sources::{Sources, environment};

mod edge;
mod identity;
mod lenient;
mod observe;
mod own;
mod payments;
mod programs;
mod seller;
mod sources;
mod written;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error("{name} {problem}")]
    Value { name: &'static str, problem: String },
    #[error("{name} {problem}")]
    Provider { name: String, problem: String },
    #[error("{name}: cannot read {path}: {problem}")]
    File { name: String, path: String, problem: String },
    #[error("{0} and {0}_FILE are both set; set one of them")]
    Twice(String),
    #[error("{0} is not a setting of Farebox{hint}; docs/configuration.md lists them", hint = sources::did_you_mean(.0))]
    Unknown(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Environment {
    /// Sandbox provider, sandbox payments and the mailbox page are there.
    Development,
    /// None of them is.
    Production,
}

/// Everything that can be set. Names of variables stand beside each field.
#[derive(Clone, Debug)]
pub struct Config {
    /// `FAREBOX_ENV`: `development` (default) or `production`.
    pub environment: Environment,
    /// `FAREBOX_LISTEN`: address and port to serve on; default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// `FAREBOX_PUBLIC_URL`: where browsers and clients reach this instance; default `http://` + listen.
    pub public_url: url::Url,
    /// `FAREBOX_DATABASE_URL` or `DATABASE_URL`: a Postgres server; without it an embedded one runs in the data directory.
    pub database_url: Option<Secret<String>>,
    /// `FAREBOX_DATA_DIR`: the embedded database, the settlement spool and the generated secret; default `./data`.
    pub data_dir: PathBuf,
    /// `FAREBOX_SECRET_KEY`: 32 bytes in hex or base64. Seals provider keys and signs forms.
    /// In development one is made in the data directory.
    pub secret_key: Secret<[u8; 32]>,
    /// `FAREBOX_SMTP_URL`: `smtp://user:password@host:587?tls=required`. Without it mails stay in the outbox.
    pub smtp_url: Option<Secret<String>>,
    /// `FAREBOX_MAIL_FROM`: sender of mails; default `Farebox <farebox@localhost>`.
    pub mail_from: String,
    /// `FAREBOX_LOG`: filter of log lines, in `tracing` syntax; default `info`.
    pub log: String,
    /// `FAREBOX_LOG_FORMAT`: `text` (default in development) or `json`.
    pub log_json: bool,
    /// `FAREBOX_METRICS_TOKEN`: bearer token of `/metrics`; without it `/metrics` answers only to this machine.
    pub metrics_token: Option<Secret<String>>,
    /// `FAREBOX_EXTRA_HOSTS`: further names under which this instance is asked, besides that of its public address.
    pub extra_hosts: Vec<String>,
    /// `FAREBOX_SESSION_IDLE_MINUTES`: a session that is not used for so long has ended; 30 to 10080, default 10080 (a week).
    pub session_idle: TimeDelta,
    /// `FAREBOX_PASSWORD_HASH`: the work of a password's hash (argon2id), `m=KiB,t=passes`; default `m=65536,t=3`.
    pub hash_work: HashWork,
    /// `FAREBOX_AUDIT_ANCHOR_MAIL`: a mailbox that gets the daily anchor of the audit logs.
    pub anchor_mail: Option<EmailAddress>,
    /// `FAREBOX_FOUR_EYES_ABOVE`: a grant or correction above this many dollars waits for a second operator; default 100.
    pub four_eyes_above: Usd,
    /// `FAREBOX_TRUSTED_PROXIES`: reverse proxies before this process, which set `X-Forwarded-For`: their networks, or how
    /// many there are; default 0.
    pub trusted_proxies: TrustedProxies,
    /// `FAREBOX_ALLOW_PRIVATE_UPSTREAMS`: `true` lets provider URLs point into private networks, for local models.
    pub allow_private_upstreams: bool,
    /// `FAREBOX_HOLD_TTL_SECONDS`: a hold whose process died is released after this; default 1100, above the longest call.
    pub hold_ttl: Duration,
    /// `FAREBOX_SWEEP_SECONDS`: how often expired holds are looked for; default 5.
    pub sweep_every: Duration,
    /// `FAREBOX_USAGE_DAYS`: calls are deleted after so many days, 35 to 3650; their sums and the books stay. Default: never.
    pub retention: Retention,
    /// `FAREBOX_WORKERS`: threads that serve HTTP; default the number of cores.
    pub workers: usize,
    /// `FAREBOX_SHUTDOWN_SECONDS`: how long running calls may take to end after a stop signal; default 130.
    pub shutdown_grace: Duration,
    /// `FAREBOX_TIMEOUT_FIRST_BYTE_SECONDS`: an upstream that has not answered after this is given up; default 120.
    pub timeout_first_byte: Duration,
    /// `FAREBOX_TIMEOUT_IDLE_SECONDS`: an upstream stream that is silent for this long is given up; default 60.
    pub timeout_idle: Duration,
    /// `FAREBOX_TIMEOUT_BODY_SECONDS`: a request whose body does not go on for this long, or takes twenty times as long in all, is
    /// refused; default 30.
    pub timeout_body: Duration,
    /// `FAREBOX_DEFAULT_MODEL`: for calls that name no model, where neither a preset nor the organization does.
    pub default_model: Option<String>,
    /// `FAREBOX_DEFAULT_SORT`: how providers are ordered where nobody says: `balanced` (default), `price`, `throughput`,
    /// `latency`.
    pub default_sort: Option<Sort>,
    /// `FAREBOX_SIGN_UP`: who may make an account: `open` (default), `closed`, `domains` or `invitation`; with `domains`,
    /// `FAREBOX_SIGN_UP_DOMAINS` lists them.
    pub sign_up: SignUpPolicy,
    /// `FAREBOX_GOOGLE_CLIENT_ID`, `_CLIENT_SECRET`, and `FAREBOX_OIDC_<NAME>_ISSUER`, `_CLIENT_ID`, `_CLIENT_SECRET`,
    /// `_LABEL`: other accounts with which people sign in.
    pub providers: Vec<ProviderSettings>,
    /// `FAREBOX_MANAGEMENT_PER_MINUTE`, `FAREBOX_LENIENT_CALLBACKS`, `FAREBOX_LEAK_KEYS_URL`, `FAREBOX_CHAT_DAILY_LIMIT`,
    /// `FAREBOX_ALLOW_PRIVATE_WEBHOOKS`: what programs may do, the chat room, and webhooks.
    pub programs: ProgramSettings,
    /// `FAREBOX_STRIPE_*`, `FAREBOX_BTCPAY_*`, `FAREBOX_COINBASE_*`: payment processors; `FAREBOX_FEE_<METHOD>`, `FAREBOX_PURCHASE_MIN`, `_MAX`: what a purchase costs.
    pub payments: PaymentSettings,
    /// `FAREBOX_ENCRYPTION_KEYS`, `FAREBOX_BYOK_FEE_PERCENT`, `FAREBOX_BYOK_FREE_PER_MONTH`,
    /// `FAREBOX_LOGGING_DISCOUNT_PERCENT`: keys that organizations bring, what a call with one costs, and what is sealed.
    pub own: OwnSettings,
    /// `FAREBOX_SELLER_NAME`, `_ADDRESS`, `_TAX_ID`, `_EMAIL`: who sells here, as receipts name them.
    pub seller: Seller,
    /// `FAREBOX_SLOW_QUERY_MS`, and `OTEL_EXPORTER_OTLP_ENDPOINT` with others of its kind: what is written down about how an instance does.
    pub observe: ObserveSettings,
    /// `FAREBOX_STAND_INS`: `true` starts pretend payment processors for those that are not set up; development only.
    pub stand_ins: bool,
    /// Effective values for `config check`, secrets hidden.
    pub shown: Vec<(String, String)>,
}

/// Name, whether it is secret, and what it is for.
pub const SETTINGS: &[(&str, bool)] = &[
    ("FAREBOX_ENV", false),
    ("FAREBOX_LISTEN", false),
    ("FAREBOX_PUBLIC_URL", false),
    ("FAREBOX_DATABASE_URL", true),
    ("FAREBOX_DATA_DIR", false),
    ("FAREBOX_SECRET_KEY", true),
    ("FAREBOX_ENCRYPTION_KEYS", true),
    ("FAREBOX_BYOK_FEE_PERCENT", false),
    ("FAREBOX_BYOK_FREE_PER_MONTH", false),
    ("FAREBOX_LOGGING_DISCOUNT_PERCENT", false),
    ("FAREBOX_SMTP_URL", true),
    ("FAREBOX_MAIL_FROM", false),
    ("FAREBOX_LOG", false),
    ("FAREBOX_LOG_FORMAT", false),
    ("FAREBOX_METRICS_TOKEN", true),
    ("FAREBOX_SLOW_QUERY_MS", false),
    ("OTEL_SDK_DISABLED", false),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", false),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", false),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", false),
    ("OTEL_EXPORTER_OTLP_HEADERS", true),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", false),
    ("OTEL_SERVICE_NAME", false),
    ("OTEL_RESOURCE_ATTRIBUTES", false),
    ("OTEL_TRACES_SAMPLER", false),
    ("OTEL_TRACES_SAMPLER_ARG", false),
    ("OTEL_BSP_MAX_QUEUE_SIZE", false),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", false),
    ("OTEL_BSP_SCHEDULE_DELAY", false),
    ("FAREBOX_TRUSTED_PROXIES", false),
    ("FAREBOX_EXTRA_HOSTS", false),
    ("FAREBOX_SESSION_IDLE_MINUTES", false),
    ("FAREBOX_PASSWORD_HASH", false),
    ("FAREBOX_AUDIT_ANCHOR_MAIL", false),
    ("FAREBOX_FOUR_EYES_ABOVE", false),
    ("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", false),
    ("FAREBOX_HOLD_TTL_SECONDS", false),
    ("FAREBOX_SWEEP_SECONDS", false),
    ("FAREBOX_USAGE_DAYS", false),
    ("FAREBOX_WORKERS", false),
    ("FAREBOX_SHUTDOWN_SECONDS", false),
    ("FAREBOX_TIMEOUT_FIRST_BYTE_SECONDS", false),
    ("FAREBOX_TIMEOUT_IDLE_SECONDS", false),
    ("FAREBOX_TIMEOUT_BODY_SECONDS", false),
    ("FAREBOX_DEFAULT_MODEL", false),
    ("FAREBOX_DEFAULT_SORT", false),
    ("FAREBOX_SIGN_UP", false),
    ("FAREBOX_SIGN_UP_DOMAINS", false),
    ("FAREBOX_GOOGLE_CLIENT_ID", false),
    ("FAREBOX_GOOGLE_CLIENT_SECRET", true),
    ("FAREBOX_GOOGLE_ISSUER", false),
    ("FAREBOX_MANAGEMENT_PER_MINUTE", false),
    ("FAREBOX_LENIENT_CALLBACKS", false),
    ("FAREBOX_LEAK_KEYS_URL", false),
    ("FAREBOX_CHAT_DAILY_LIMIT", false),
    ("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", false),
    ("FAREBOX_STAND_INS", false),
    ("FAREBOX_SELLER_NAME", false),
    ("FAREBOX_SELLER_ADDRESS", false),
    ("FAREBOX_SELLER_TAX_ID", false),
    ("FAREBOX_SELLER_EMAIL", false),
    ("FAREBOX_PURCHASE_MIN", false),
    ("FAREBOX_PURCHASE_MAX", false),
    ("FAREBOX_STRIPE_SECRET_KEY", true),
    ("FAREBOX_STRIPE_WEBHOOK_SECRET", true),
    ("FAREBOX_STRIPE_URL", false),
    ("FAREBOX_REFUND_ON_FRAUD_WARNING", false),
    ("FAREBOX_BTCPAY_URL", false),
    ("FAREBOX_BTCPAY_STORE_ID", false),
    ("FAREBOX_BTCPAY_API_KEY", true),
    ("FAREBOX_BTCPAY_WEBHOOK_SECRET", true),
    ("FAREBOX_BTCPAY_CONFIRMATIONS", false),
    ("FAREBOX_COINBASE_KEY_ID", false),
    ("FAREBOX_COINBASE_KEY_SECRET", true),
    ("FAREBOX_COINBASE_WEBHOOK_SECRET", true),
    ("FAREBOX_COINBASE_URL", false),
];

fn default_sort(sources: &Sources) -> Result<Option<Sort>, ConfigError> {
    let Some(word) = sources.get("FAREBOX_DEFAULT_SORT") else { return Ok(None) };
    let wrong = || wrong("FAREBOX_DEFAULT_SORT", "must be `balanced`, `price`, `throughput` or `latency`");
    Sort::parse(word).map(Some).ok_or_else(wrong)
}

fn is_setting(name: &str) -> bool {
    SETTINGS.iter().any(|(setting, _)| *setting == name) || identity::is_setting(name) || payments::is_setting(name)
}

fn wrong(name: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value { name, problem: problem.into() }
}

impl Config {
    /// # Errors
    /// Names the setting, what is wrong with it, and what it must be.
    pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
        let environment = match sources.get("FAREBOX_ENV").unwrap_or("development") {
            "development" => Environment::Development,
            "production" => Environment::Production,
            _ => return Err(wrong("FAREBOX_ENV", "must be `development` or `production`")),
        };
        let default_listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let listen = sources.parse("FAREBOX_LISTEN", default_listen, "an address and port like 127.0.0.1:8080")?;
        let data_dir = data_dir(sources);
        let public_url = public_url(sources, listen)?;
        let log_json = match sources.get("FAREBOX_LOG_FORMAT") {
            None => environment == Environment::Production,
            Some("json") => true,
            Some("text") => false,
            Some(_) => return Err(wrong("FAREBOX_LOG_FORMAT", "must be `text` or `json`")),
        };
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let mut config = Config {
            environment,
            listen,
            observe: observe::read(sources)?,
            own: own::read(sources)?,
            seller: seller::read(sources, &public_url)?,
            public_url,
            database_url: sources.get("FAREBOX_DATABASE_URL").map(|url| Secret::new(url.to_owned())),
            secret_key: secret_key(sources, environment, &data_dir)?,
            data_dir,
            smtp_url: sources.get("FAREBOX_SMTP_URL").map(|url| Secret::new(url.to_owned())),
            mail_from: sources.get("FAREBOX_MAIL_FROM").unwrap_or("Farebox <farebox@localhost.localdomain>").to_owned(),
            log: sources.get("FAREBOX_LOG").unwrap_or("info").to_owned(),
            log_json,
            metrics_token: sources.get("FAREBOX_METRICS_TOKEN").map(|token| Secret::new(token.to_owned())),
            extra_hosts: edge::extra_hosts(sources)?,
            session_idle: edge::session_idle(sources)?,
            hash_work: edge::hash_work(sources)?,
            anchor_mail: edge::anchor_mail(sources)?,
            four_eyes_above: edge::four_eyes_above(sources)?,
            trusted_proxies: edge::trusted_proxies(sources)?,
            allow_private_upstreams: sources.parse("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", false, "`true` or `false`")?,
            hold_ttl: sources.seconds("FAREBOX_HOLD_TTL_SECONDS", 1_100, 1, 86_400)?,
            sweep_every: sources.seconds("FAREBOX_SWEEP_SECONDS", 5, 1, 3_600)?,
            retention: edge::retention(sources)?,
            workers: sources.parse("FAREBOX_WORKERS", cores, "a number of threads")?,
            shutdown_grace: sources.seconds("FAREBOX_SHUTDOWN_SECONDS", 130, 1, 3_600)?,
            timeout_first_byte: sources.seconds("FAREBOX_TIMEOUT_FIRST_BYTE_SECONDS", 120, 1, 900)?,
            timeout_idle: sources.seconds("FAREBOX_TIMEOUT_IDLE_SECONDS", 60, 1, 900)?,
            timeout_body: sources.seconds("FAREBOX_TIMEOUT_BODY_SECONDS", 30, 1, 900)?,
            default_model: sources.get("FAREBOX_DEFAULT_MODEL").map(str::to_owned),
            default_sort: default_sort(sources)?,
            sign_up: identity::sign_up(sources)?,
            providers: identity::providers(sources, environment)?,
            programs: programs::read(sources)?,
            payments: payments::read(sources, environment)?,
            stand_ins: payments::stand_ins(sources, environment)?,
            shown: Vec::new(),
        };
        config.check()?;
        config.shown = config.describe(sources);
        Ok(config)
    }

    #[must_use]
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.workers == 0 || self.workers > 256 {
            return Err(wrong("FAREBOX_WORKERS", "must be between 1 and 256"));
        }
        if self.is_production() && self.smtp_url.is_none() {
            return Err(wrong("FAREBOX_SMTP_URL", "must be set in production: people verify their address by mail"));
        }
        if self.is_production() {
            edge::check_public_url(&self.public_url)?;
        }
        if self.is_production() && self.database_url.is_none() {
            return Err(wrong(
                "FAREBOX_DATABASE_URL",
                "must be set in production: the embedded server is for trying out",
            ));
        }
        self.mail_from
            .parse::<lettre::message::Mailbox>()
            .map_err(|_| wrong("FAREBOX_MAIL_FROM", "must be like `Farebox <farebox@example.com>`"))?;
        written::check(self)
    }

    fn describe(&self, sources: &Sources) -> Vec<(String, String)> {
        let effective = |name: &str| match name {
            "FAREBOX_ENV" => if self.is_production() { "production" } else { "development" }.to_owned(),
            "FAREBOX_LISTEN" => self.listen.to_string(),
            "FAREBOX_PUBLIC_URL" => self.public_url.to_string(),
            "FAREBOX_DATA_DIR" => self.data_dir.display().to_string(),
            "FAREBOX_MAIL_FROM" => self.mail_from.clone(),
            "FAREBOX_LOG" => self.log.clone(),
            "FAREBOX_LOG_FORMAT" => if self.log_json { "json" } else { "text" }.to_owned(),
            "FAREBOX_ALLOW_PRIVATE_UPSTREAMS" => self.allow_private_upstreams.to_string(),
            "FAREBOX_HOLD_TTL_SECONDS" => self.hold_ttl.as_secs().to_string(),
            "FAREBOX_SWEEP_SECONDS" => self.sweep_every.as_secs().to_string(),
            "FAREBOX_WORKERS" => self.workers.to_string(),
            "FAREBOX_SHUTDOWN_SECONDS" => self.shutdown_grace.as_secs().to_string(),
            "FAREBOX_TIMEOUT_FIRST_BYTE_SECONDS" => self.timeout_first_byte.as_secs().to_string(),
            "FAREBOX_TIMEOUT_IDLE_SECONDS" => self.timeout_idle.as_secs().to_string(),
            "FAREBOX_TIMEOUT_BODY_SECONDS" => self.timeout_body.as_secs().to_string(),
            "FAREBOX_DEFAULT_MODEL" => self.default_model.clone().unwrap_or_default(),
            "FAREBOX_DEFAULT_SORT" => self.default_sort.unwrap_or_default().as_str().to_owned(),
            "FAREBOX_STAND_INS" => self.stand_ins.to_string(),
            name if edge::is_described(name) => edge::describe(name, self),
            name if observe::is_described(name) => observe::describe(name, self, sources),
            name if own::is_described(name) => own::describe(name, self),
            name if programs::is_described(name) => programs::describe(name, &self.programs, sources),
            name if seller::is_described(name) => seller::describe(name, &self.seller),
            name if payments::is_described(name) => payments::describe(name, &self.payments, sources),
            name if identity::is_described(name) => identity::describe(name, self, sources),
            _ => String::new(),
        };
        let named = sources.values.keys().filter(|name| identity::is_setting(name) || payments::is_setting(name));
        SETTINGS
            .iter()
            .copied()
            .chain(named.map(|name| (name.as_str(), identity::is_secret(name))))
            .map(|(name, secret)| {
                let shown = match (secret, sources.get(name)) {
                    (true, Some(_)) => "[set]".to_owned(),
                    (true, None) => "[not set]".to_owned(),
                    (false, _) => effective(name),
                };
                (name.to_owned(), shown)
            })
            .collect()
    }
}

fn public_url(sources: &Sources, listen: SocketAddr) -> Result<url::Url, ConfigError> {
    let text = match sources.get("FAREBOX_PUBLIC_URL") {
        Some(text) => text.to_owned(),
        None => format!("http://{listen}"),
    };
    let url: url::Url = text.parse().map_err(|_| wrong("FAREBOX_PUBLIC_URL", "must be like https://ai.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || url.path() != "/" {
        return Err(wrong("FAREBOX_PUBLIC_URL", "must be http or https, with a host and no path"));
    }
    Ok(url)
}

fn secret_key(sources: &Sources, environment: Environment, data_dir: &Path) -> Result<Secret<[u8; 32]>, ConfigError> {
    const NAME: &str = "FAREBOX_SECRET_KEY";
    if let Some(text) = sources.get(NAME) {
        return decode_key(text)
            .ok_or_else(|| wrong(NAME, "must be 32 bytes in hex or base64; make one with `openssl rand -hex 32`"));
    }
    if environment == Environment::Production {
        return Err(wrong(NAME, "must be set in production; make one with `openssl rand -hex 32`"));
    }
    let path = key_file(data_dir);
    let failed = |e: std::io::Error| ConfigError::File {
        name: NAME.to_owned(),
        path: path.display().to_string(),
        problem: e.to_string(),
    };
    if let Ok(text) = std::fs::read_to_string(&path) {
        return decode_key(text.trim())
            .ok_or_else(|| wrong(NAME, format!("in {} is damaged: restore the file or delete it", path.display())));
    }
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let bytes = crate::base::secret::random_bytes();
    write_private(&path, &hex::encode(bytes)).map_err(failed)?;
    Ok(Secret::new(bytes))
}

fn data_dir(sources: &Sources) -> PathBuf {
    PathBuf::from(sources.get("FAREBOX_DATA_DIR").unwrap_or("data"))
}

/// Where development keeps its secret key.
fn key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("secret_key")
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn decode_key(text: &str) -> Option<Secret<[u8; 32]>> {
    let bytes = hex::decode(text).ok().or_else(|| base64::engine::general_purpose::STANDARD.decode(text).ok())?;
    bytes.try_into().ok().map(Secret::new)
}

/// A key for one purpose, so that no two uses share one.
#[must_use]
pub fn derived_key(secret: &Secret<[u8; 32]>, purpose: &str) -> Secret<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(b"farebox key derivation v1\0");
    hash.update(purpose.as_bytes());
    hash.update(b"\0");
    hash.update(secret.expose());
    Secret::new(hash.finalize().into())
}

#[cfg(test)]
mod tests;
