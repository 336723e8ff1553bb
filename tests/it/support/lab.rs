//! A Farebox whose providers are fakes, with a catalog of its own.
//!
//! Every endpoint costs a dollar per million tokens of the prompt and two per million of the answer, so a call
//! costs as many millionths of a dollar as it has prompt tokens and twice its answer's.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;

use super::cluster;
use super::farebox::{Farebox, Options, SECRET_KEY};

/// A provider of the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Provider<'a> {
    pub slug: &'a str,
    /// `openai` or `anthropic`.
    pub kind: &'a str,
    pub base_url: &'a str,
    pub cancel_stops_billing: bool,
}

/// An endpoint: a model as this catalog calls it, and the provider that has it under `upstream_model`.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    pub model: &'a str,
    pub provider: &'a str,
    pub upstream_model: &'a str,
}

/// A catalog file with these providers and endpoints, and every model that they name.
pub fn catalog(providers: &[Provider<'_>], endpoints: &[Endpoint<'_>]) -> String {
    let mut text = String::new();
    for Provider { slug, kind, base_url, cancel_stops_billing } in providers {
        let _ = write!(
            text,
            "[[providers]]\nslug = \"{slug}\"\nname = \"Lab {slug}\"\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\n\
             cancel_stops_billing = {cancel_stops_billing}\ntrains_on_inputs = false\nretains_logs = false\n\n"
        );
    }
    let mut models: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.model).collect();
    models.sort_unstable();
    models.dedup();
    for model in models {
        let _ = write!(
            text,
            "[[models]]\nid = \"{model}\"\nname = \"{model}\"\ndescription = \"A model of the tests.\"\n\
             created = 1767225600\ncontext_length = 32000\nmax_output = 4096\ninput_modalities = [\"text\"]\n\
             output_modalities = [\"text\"]\ntokenizer = \"Other\"\nsupported_parameters = [\"max_tokens\", \"tools\"]\n\n"
        );
    }
    for Endpoint { model, provider, upstream_model } in endpoints {
        let _ = write!(
            text,
            "[[endpoints]]\nmodel = \"{model}\"\nprovider = \"{provider}\"\nupstream_model = \"{upstream_model}\"\n\
             context_length = 32000\nmax_output = 4096\nsupported_parameters = [\"max_tokens\", \"tools\"]\n\
             price = {{ prompt = \"1\", completion = \"2\" }}\n\n"
        );
    }
    text
}

/// Starts a Farebox that has `catalog` beside the shipped one.
pub async fn start(catalog: &str, options: Options) -> Farebox {
    let url = match options.database_url {
        Some(url) => url,
        None => cluster::database().await,
    };
    apply(&url, catalog).await;
    Farebox::with(Options { database_url: Some(url), ..options }).await
}

/// Applies a catalog file with the command line.
pub async fn apply(database_url: &str, catalog: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), catalog).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_farebox"));
    command.args(["catalog", "apply"]).arg(file.path());
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command.env("DATABASE_URL", database_url).env("FAREBOX_SECRET_KEY", SECRET_KEY);
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    let output = ran.expect("a thread").expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    drop(file);
}

/// What so many tokens cost here, as the database writes it.
pub fn price(prompt: u64, completion: u64) -> String {
    format!("0.{:06}000000", prompt + 2 * completion)
}

/// One call of the log.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub status: String,
    pub http_status: i16,
    pub cancelled: bool,
    pub finish_reason: String,
    pub provider: String,
    pub upstream_id: String,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub counted_by: String,
    pub cost: String,
    pub overrun: String,
    pub tries: i32,
}

impl Row {
    /// What the tokens of the row cost at the price of this catalog.
    pub fn priced(&self) -> String {
        price(self.prompt_tokens.unsigned_abs(), self.completion_tokens.unsigned_abs())
    }
}

/// The rows of one model, as it was asked for, oldest first.
pub async fn rows(farebox: &Farebox, model: &str) -> Vec<Row> {
    sqlx::query_as(
        "select status, http_status, cancelled, finish_reason, provider, upstream_id, prompt_tokens,
            completion_tokens, counted_by, cost::text as cost, overrun::text as overrun,
            jsonb_array_length(attempts) as tries
         from usage where model_asked = $1 order by id",
    )
    .bind(model)
    .fetch_all(&farebox.pool)
    .await
    .expect("rows")
}

/// The only row of a model, when it is there: at most ten seconds later.
pub async fn row(farebox: &Farebox, model: &str) -> Row {
    for _ in 0..200 {
        let mut rows = rows(farebox, model).await;
        assert!(rows.len() < 2, "one call has several rows: {rows:?}");
        if let Some(row) = rows.pop() {
            return row;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the call of {model} was not logged\n{}", farebox.log());
}

/// The JSON of every event of a stream. Panics unless the stream is whole and ends with `[DONE]`.
pub fn events(text: &str) -> Vec<Value> {
    let mut events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(events.pop(), Some("[DONE]"), "{text}");
    events.into_iter().map(|event| serde_json::from_str(event).expect("JSON")).collect()
}
