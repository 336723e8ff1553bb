//! What is measured: the real program in its production setting, on a durable Postgres of its own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use farebox::db::embedded::{DATABASE, Embedded, Options, Profile};
use sqlx::{Connection, PgConnection};

use crate::client;

/// The program that cargo built with this driver.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_farebox");
/// Dollars for each key; far more than any run can spend.
const CREDITS: &str = "1000";
const READY_LIMIT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(50);
/// A clean stop takes less; after it the program is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Postgres and Farebox, running. Both are stopped, and their files removed, when this is dropped.
pub struct Subject {
    pub address: SocketAddr,
    pub database_url: String,
    /// Organization by organization.
    pub keys: Vec<String>,
    // Dropped in this order: the app, then its database, then its files.
    app: Running,
    postgres: Embedded,
    _files: tempfile::TempDir,
}

impl Subject {
    /// # Errors
    /// When Postgres or Farebox does not start, or a command fails; the text shows what it said.
    pub async fn start(
        program: &Path,
        upstream: SocketAddr,
        organizations: usize,
        keys_each: usize,
        user: DatabaseUser,
    ) -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        // The temporary place that Postgres's own user may enter, but with every commit on the disk.
        let options = Options { profile: Profile::Durable, ..Options::temporary() };
        let postgres = Embedded::start(options)?;
        let database_url = match user {
            DatabaseUser::Ordinary => ordinary(&postgres).await?,
            DatabaseUser::Superuser => postgres.url(DATABASE),
        };
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let program = Program {
            path: program.to_owned(),
            files: files.path().to_owned(),
            database_url: database_url.clone(),
            address,
        };

        // Makes the schema, too, and leaves out the shipped catalog, which `migrate` would apply.
        let catalog = files.path().join("catalog.toml");
        fs::write(&catalog, catalog_text(upstream))?;
        program.run(&["catalog", "apply", &catalog.display().to_string()])?;
        let mut keys = Vec::with_capacity(organizations * keys_each);
        for organization in 0..organizations {
            for _ in 0..keys_each {
                keys.push(program.issue_key(&format!("load{organization}@example.com"))?);
            }
        }
        let app = program.serve().await?;
        Ok(Self { address, database_url, keys, app, postgres, _files: files })
    }

    pub fn app_pid(&self) -> u32 {
        self.app.child.id()
    }

    /// # Errors
    /// When Postgres is down.
    pub fn postgres_pid(&self) -> anyhow::Result<u32> {
        self.postgres.pid().context("Postgres is down")
    }
}

/// As whom the program works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DatabaseUser {
    /// Who owns the tables and nothing else: row-level security counts, as where operators run it.
    Ordinary,
    /// Whom row-level security does not concern, to see what it costs.
    Superuser,
}

/// A database of a user who may do nothing else on this server.
async fn ordinary(postgres: &Embedded) -> anyhow::Result<String> {
    const NAME: &str = "farebox_load";
    let mut db = PgConnection::connect(&postgres.url(DATABASE)).await?;
    for statement in [
        "create role farebox_tenant nologin",
        "create role farebox_load login in role pg_checkpoint",
        "grant farebox_tenant to farebox_load",
        "create database farebox_load owner farebox_load",
    ] {
        sqlx::query(statement).execute(&mut db).await.context(statement)?;
    }
    let url = postgres.url(NAME);
    let mine = url.replace("user=farebox", &format!("user={NAME}"));
    ensure!(mine != url, "the address of the database names no user");
    Ok(mine)
}

struct Program {
    path: PathBuf,
    files: PathBuf,
    database_url: String,
    address: SocketAddr,
}

impl Program {
    /// The program with nothing of this process's environment but the path.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("FAREBOX_ENV", "production")
            .env("FAREBOX_LISTEN", self.address.to_string())
            .env("FAREBOX_DATABASE_URL", &self.database_url)
            .env("FAREBOX_DATA_DIR", self.files.join("data"))
            // Guards nothing: this database lives for the length of the run.
            .env("FAREBOX_SECRET_KEY", "5a".repeat(32))
            // Nobody listens there; no mail is sent by what is measured.
            .env("FAREBOX_SMTP_URL", "smtp://127.0.0.1:9")
            .env("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", "true")
            .env("FAREBOX_SHUTDOWN_SECONDS", "10")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command().args(arguments).output().with_context(|| self.path.display().to_string())?;
        ensure!(
            output.status.success(),
            "farebox {} failed: {}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    fn issue_key(&self, email: &str) -> anyhow::Result<String> {
        let text = self.run(&["keys", "issue", "--email", email, "--credits", CREDITS, "--json"])?;
        let issued: serde_json::Value =
            serde_json::from_str(text.trim()).context("`farebox keys issue --json` printed no JSON")?;
        let key = issued.get("key").and_then(serde_json::Value::as_str);
        Ok(key.context("`farebox keys issue --json` printed no key")?.to_owned())
    }

    async fn serve(&self) -> anyhow::Result<Running> {
        let log = self.files.join("log");
        let mut command = self.command();
        command.arg("serve").stdout(File::create(&log)?).stderr(File::create(self.files.join("errors"))?);
        // SAFETY: the closure makes one system call and touches no memory.
        unsafe {
            command.pre_exec(|| {
                // However the driver ends, the program does not stay behind.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        let mut app = Running { child: command.spawn().with_context(|| self.path.display().to_string())? };
        wait_until_ready(&mut app.child, self.address).await.with_context(|| self.last_words(&log))?;
        Ok(app)
    }

    fn last_words(&self, log: &Path) -> String {
        let text = [log, &self.files.join("errors")].map(|path| fs::read_to_string(path).unwrap_or_default());
        let lines: Vec<&str> = text.iter().flat_map(|text| text.lines()).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

async fn wait_until_ready(app: &mut Child, address: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_LIMIT;
    let request = client::get(address, "/readyz");
    loop {
        let ready = async { client::Connection::open(address).await?.call(&request, None).await }.await;
        let Err(error) = ready else { return Ok(()) };
        if let Some(status) = app.try_wait()? {
            bail!("`farebox serve` ended with {status}");
        }
        ensure!(Instant::now() < deadline, "`farebox serve` is not ready: {error}");
        tokio::time::sleep(READY_POLL).await;
    }
}

/// The program; told to stop when dropped.
struct Running {
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Ok(pid) = i32::try_from(self.child.id()) else { return };
        // SAFETY: the process is our own child, not yet waited for, so the id is still its.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(READY_POLL);
        }
        eprintln!("farebox did not stop within {} s and is killed", STOP_LIMIT.as_secs());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One provider that needs no key, one fast and one slow model.
fn catalog_text(upstream: SocketAddr) -> String {
    let mut text = format!(
        r#"[[providers]]
slug = "load"
name = "Load"
kind = "openai"
base_url = "http://{upstream}/v1"
cancel_stops_billing = true
trains_on_inputs = false
retains_logs = false
"#
    );
    for name in ["fast", crate::upstream::SLOW_MODEL] {
        text.push_str(&format!(
            r#"
[[models]]
id = "load/{name}"
name = "Load: {name}"
description = "Made by the load driver."
created = 1767225600
context_length = 32768
max_output = 4096
input_modalities = ["text"]
output_modalities = ["text"]
tokenizer = "Other"
supported_parameters = ["max_tokens"]

[[endpoints]]
model = "load/{name}"
provider = "load"
upstream_model = "{name}"
context_length = 32768
max_output = 4096
supported_parameters = ["max_tokens"]
price = {{ prompt = "0.10", completion = "0.20" }}
"#
        ));
    }
    text
}
