//! The program under test, as a process of its own.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use farebox::accounts::HashWork;
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;

use super::{cluster, document, http};

pub const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// The work of a password's hash. The least that may be set, as thousands are made, where a test does not ask for the usual.
const PASSWORD_HASH: &str = "FAREBOX_PASSWORD_HASH";
const START_WITHIN: Duration = Duration::from_secs(60);

/// How a process differs from the usual one.
#[derive(Clone, Default)]
pub struct Options {
    /// A database that other processes use too.
    pub database_url: Option<String>,
    pub env: Vec<(&'static str, String)>,
    /// Be reached by a name, as passkeys need it.
    pub localhost: bool,
    /// Keep the data directory of an earlier process.
    pub data_dir: Option<PathBuf>,
    /// Files and connections that it may have open when it starts, and no more than the system lets it have later.
    pub open_files: Option<u32>,
}

/// A running process. Dropping it kills it.
pub struct Farebox {
    child: Child,
    pub base: String,
    pub database_url: String,
    pub pool: PgPool,
    pub http: reqwest::Client,
    data_dir: PathBuf,
    env: Vec<(&'static str, String)>,
    _temp: Option<TempDir>,
}

/// A key that the command line issued.
#[derive(Clone, Debug)]
pub struct Key {
    pub text: String,
    pub org: String,
    pub id: String,
}

/// Passwords that are as dear as users have them.
pub fn usual_hashes() -> (&'static str, String) {
    (PASSWORD_HASH, HashWork::default().to_string())
}

impl Farebox {
    pub async fn start() -> Farebox {
        Farebox::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Farebox {
        let database_url = match &options.database_url {
            Some(url) => url.clone(),
            None => cluster::database().await,
        };
        let temp = options.data_dir.is_none().then(|| TempDir::new().expect("a directory"));
        let data_dir = options
            .data_dir
            .clone()
            .unwrap_or_else(|| temp.as_ref().map(|temp| temp.path().to_owned()).unwrap_or_default());
        let port = free_port();
        let mut command = command(&database_url, &data_dir);
        if let Some(open) = options.open_files {
            command = limited(&command, open);
        }
        command.arg("serve").env("FAREBOX_LISTEN", format!("127.0.0.1:{port}"));
        command.env("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", "true").env("FAREBOX_WORKERS", "2");
        let host = if options.localhost { "localhost" } else { "127.0.0.1" };
        let base = format!("http://{host}:{port}");
        if options.localhost {
            command.env("FAREBOX_PUBLIC_URL", &base);
        }
        for (name, value) in &options.env {
            command.env(name, value);
        }
        let log = std::fs::File::create(data_dir.join(format!("log-{port}"))).expect("a log");
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        let pool = PgPool::connect(&database_url).await.expect("the database");
        let (env, http) = (options.env, http::client());
        let mut farebox = Farebox { child, base, database_url, pool, http, data_dir, env, _temp: temp };
        farebox.wait_until_ready().await;
        farebox
    }

    async fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            if let Ok(answer) = self.http.get(format!("{}/readyz", self.base)).send().await
                && answer.status() == 200
            {
                return;
            }
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "the program ended: {ended:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "the program was not ready in time\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn log(&self) -> String {
        let port = self.base.rsplit(':').next().unwrap_or_default();
        std::fs::read_to_string(self.data_dir.join(format!("log-{port}"))).unwrap_or_default()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    /// Another command of the program, on the same database and with the same settings.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(&self.database_url, &self.data_dir);
        command.args(arguments).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a command, for those who want to see it die.
    pub fn cli_start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts")
    }

    /// Runs another command of the program on the same database.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("the command runs")
    }

    /// The same, with other settings.
    pub async fn cli_env(&self, arguments: &[&str], more: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments);
        command.envs(more.iter().copied());
        tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("the command runs")
    }

    /// The same, with a line on its standard input.
    pub async fn cli_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = format!("{input}\n");
        let run = move || {
            let mut child = command.spawn().expect("the command starts");
            child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
            child.wait_with_output().expect("the command runs")
        };
        tokio::task::spawn_blocking(run).await.expect("a thread")
    }

    /// What a process that should not even start says before it ends.
    pub async fn refusal(options: Options) -> Output {
        let temp = TempDir::new().expect("a directory");
        let mut command = command(options.database_url.as_deref().unwrap_or_default(), temp.path());
        command.arg("serve").env("FAREBOX_LISTEN", format!("127.0.0.1:{}", free_port()));
        for (name, value) in &options.env {
            command.env(name, value);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let deadline = Instant::now() + START_WITHIN;
        while child.try_wait().expect("a child").is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the program runs although it should not");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        child.wait_with_output().expect("its last words")
    }

    /// Issues a key with credits and further arguments.
    pub async fn key(&self, email: &str, credits: &str, more: &[&str]) -> Key {
        let mut arguments = vec!["keys", "issue", "--email", email, "--json"];
        if !credits.is_empty() {
            arguments.extend(["--credits", credits]);
        }
        arguments.extend(more);
        let output = self.cli(&arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        Key { text: text("key"), org: text("organization"), id: text("id") }
    }

    /// A chat call; `more` is merged into the body.
    pub async fn chat(&self, key: &Key, model: &str, text: &str, more: Value) -> reqwest::Response {
        let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": text }] });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        self.post(key, "/api/v1/chat/completions", &body).await
    }

    pub async fn post(&self, key: &Key, path: &str, body: &Value) -> reqwest::Response {
        self.http.post(self.url(path)).bearer_auth(&key.text).json(body).send().await.expect("an answer")
    }

    pub async fn get(&self, key: &Key, path: &str) -> Value {
        let answer = self.http.get(self.url(path)).bearer_auth(&key.text).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.json().await.expect("JSON");
        let flaws = document::answer("get", path, status, &body);
        assert!(flaws.is_empty(), "GET {path} {status}: {flaws:#?}\n{body}");
        body
    }

    /// Every invariant of the books holds.
    pub async fn books_are_clean(&self) {
        let output = self.cli(&["ledger", "verify"]).await;
        let [said, complained] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(output.status.success(), "{}: {said}{complained}{}", output.status, self.log());
    }

    /// Waits until no hold is open, at most ten seconds.
    pub async fn holds_are_closed(&self) {
        for _ in 0..200 {
            let open: i64 =
                sqlx::query_scalar("select count(*) from hold").fetch_one(&self.pool).await.expect("a count");
            if open == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("holds stay open\n{}", self.log());
    }

    /// One text value of a query, for assertions on rows.
    pub async fn text(&self, query: &'static str) -> String {
        sqlx::query_scalar::<_, Option<String>>(query).fetch_one(&self.pool).await.expect("a row").unwrap_or_default()
    }

    /// How many bytes of memory the process has, as the system counts them.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or_default() * 1_024
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends the process the signal to stop.
    pub fn ask_to_stop(&self) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        // SAFETY: the process is our own child and has not been waited for.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }

    /// Waits until the process has ended, at most twenty seconds.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        for _ in 0..400 {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the program did not stop\n{}", self.log());
    }

    /// Asks the process to stop, and waits for it.
    pub async fn stop(&mut self) -> std::process::ExitStatus {
        self.ask_to_stop();
        self.ended().await
    }
}

impl Drop for Farebox {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command(database_url: &str, data_dir: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farebox"));
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("DATABASE_URL", database_url)
        .env("FAREBOX_DATA_DIR", data_dir)
        .env("FAREBOX_SECRET_KEY", SECRET_KEY)
        .env(PASSWORD_HASH, "m=19456,t=2");
    command
}

/// A port that was free a moment ago, below those that the system gives to whoever connects: one of these may be taken
/// by a connection of another test before the program listens.
pub fn free_port() -> u16 {
    // A browser refuses 10080.
    const FIRST: u16 = 11_000;
    const PORTS: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Another run at the same time begins elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    (0..PORTS)
        .map(|_| begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS)
        .filter_map(|offset| Some(FIRST + u16::try_from(offset).ok()?))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// An id with this prefix that nothing has.
pub fn unused_id(prefix: &str) -> String {
    format!("{prefix}{}", farebox::base::ids::RequestId::fresh().0.simple())
}

/// The same program, started by a shell that has lowered its limit of open files.
fn limited(command: &Command, open: u32) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!(r#"ulimit -Sn {open} && exec "$0" "$@""#)]).arg(command.get_program()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}
