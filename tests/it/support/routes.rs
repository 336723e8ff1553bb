//! Three providers of one model, at different prices, and what each of them was asked.
//!
//! `lab/chat` costs 1, 2 and 4 dollars per million tokens at alpha, beta and gamma, and twice that for answers. Gamma
//! trains on what it is sent, keeps it, and runs the model in fp8. Only beta knows `top_k`. `lab/other` is at beta alone.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::fake_upstream::{Behaviour, FakeUpstream};
use super::visitor::Visitor;
use super::{Farebox, Key, Options, lab};

pub const EMAIL: &str = "ada@example.com";
pub const PASSWORD: &str = "correct horse battery";

pub struct Routes {
    pub farebox: Farebox,
    pub upstream: FakeUpstream,
    pub key: Key,
    cookies: Vec<(String, String)>,
}

/// Slug, price of the prompt, parameters, the rest.
const PROVIDERS: [(&str, u32, &str, &str); 3] = [
    ("alpha", 1, r#""max_tokens", "tools", "temperature""#, ""),
    ("beta", 2, r#""max_tokens", "tools", "temperature", "top_k""#, ""),
    ("gamma", 4, r#""max_tokens", "tools", "temperature""#, "quantization = \"fp8\"\n"),
];

pub fn catalog(upstream: &FakeUpstream) -> String {
    let mut text = String::new();
    for (slug, ..) in PROVIDERS {
        let own = slug == "gamma";
        let _ = write!(
            text,
            "[[providers]]\nslug = \"{slug}\"\nname = \"Lab {slug}\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
             cancel_stops_billing = true\ntrains_on_inputs = {own}\nretains_logs = {own}\n\n",
            upstream.base_url(),
        );
    }
    for model in ["lab/chat", "lab/other"] {
        let _ = write!(
            text,
            "[[models]]\nid = \"{model}\"\nname = \"{model}\"\ndescription = \"A model of the tests.\"\n\
             created = 1767225600\ncontext_length = 32000\nmax_output = 4096\ninput_modalities = [\"text\"]\n\
             output_modalities = [\"text\"]\ntokenizer = \"Other\"\nsupported_parameters = [\"max_tokens\", \"tools\"]\n\n"
        );
    }
    for (slug, price, parameters, more) in PROVIDERS {
        for model in ["lab/chat", "lab/other"] {
            if model == "lab/other" && slug != "beta" {
                continue;
            }
            let _ = write!(
                text,
                "[[endpoints]]\nmodel = \"{model}\"\nprovider = \"{slug}\"\nupstream_model = \"{slug}-{}\"\n\
                 context_length = 32000\nmax_output = 4096\nsupported_parameters = [{parameters}]\n{more}\
                 price = {{ prompt = \"{price}\", completion = \"{}\" }}\n\n",
                model.trim_start_matches("lab/"),
                price * 2,
            );
        }
    }
    text
}

impl Routes {
    pub async fn start() -> Routes {
        Routes::with(Vec::new()).await
    }

    /// Reached by a name, as browsers want it.
    pub async fn localhost() -> Routes {
        Routes::of(Options { localhost: true, ..Options::default() }).await
    }

    pub async fn with(env: Vec<(&'static str, String)>) -> Routes {
        Routes::of(Options { env, ..Options::default() }).await
    }

    /// With more in the catalog.
    pub async fn having(more: impl FnOnce(&FakeUpstream) -> String) -> Routes {
        Routes::made(Options::default(), more).await
    }

    async fn of(options: Options) -> Routes {
        Routes::made(options, |_| String::new()).await
    }

    async fn made(options: Options, more: impl FnOnce(&FakeUpstream) -> String) -> Routes {
        let upstream = FakeUpstream::start();
        let farebox = lab::start(&format!("{}{}", catalog(&upstream), more(&upstream)), options).await;
        let cookies = Visitor::member(&farebox, EMAIL, PASSWORD).await.cookies().to_vec();
        let key = farebox.key(EMAIL, "100", &[]).await;
        Routes { farebox, upstream, key, cookies }
    }

    /// Ada's browser.
    pub fn ada(&self) -> Visitor<'_> {
        Visitor::with_cookies(&self.farebox, &self.cookies)
    }

    /// Makes a call; its status, and who was asked for it, in order: `alpha-chat` and so on.
    pub async fn call(&self, body: Value) -> (u16, Vec<String>) {
        let (status, asked, _) = self.told(&self.key, body).await;
        (status, asked)
    }

    /// The same with any key, and with the answer.
    pub async fn told(&self, key: &Key, mut body: Value) -> (u16, Vec<String>, Value) {
        if body.get("messages").is_none() {
            body["messages"] = json!([{ "role": "user", "content": "Say something." }]);
        }
        self.upstream.forget();
        let answer = self.farebox.post(key, "/api/v1/chat/completions", &body).await;
        let status = answer.status().as_u16();
        let told = answer.json().await.unwrap_or_default();
        (status, self.upstream.produced().into_iter().map(|one| one.model).collect(), told)
    }

    /// The body that the last upstream got.
    pub fn sent(&self) -> Value {
        self.upstream.produced().pop().map(|one| one.body).unwrap_or_default()
    }

    pub fn fails(&self, model: &str) {
        self.upstream.behave(model, Behaviour::Status { status: 500, retry_after: None });
    }

    pub fn works(&self, model: &str) {
        self.upstream.behave(model, Behaviour::default());
    }

    /// Saves the settings of Ada's organization.
    pub async fn set(&self, ada: &mut Visitor<'_>, fields: &[(&str, &str)]) {
        let page = ada.submit("/settings/preferences", "/settings/preferences", fields).await;
        assert_eq!(page.status, 303, "{}", page.body);
    }

    /// Calls until the first one asked is `wanted`: within a second, as promised, where the machine is not busy.
    pub async fn until_asked(&self, body: &Value, wanted: &[&str]) {
        for _ in 0..100 {
            if self.call(body.clone()).await.1 == wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{body} never went to {wanted:?}, but to {:?}", self.call(body.clone()).await);
    }
}
