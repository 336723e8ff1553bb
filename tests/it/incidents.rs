//! What went wrong in products like this one, and the test that it does not here.
//!
//! The list of incidents is that of the project's security reference: advisories of gateways and portals, and what each
//! taught. Every one has a row in [`INCIDENTS`] with the tests that cover it, or the reason why nothing here could be hit;
//! a test makes sure that those tests exist. Those without a better home are below.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use farebox::db;
use farebox::db::listen::Hearing;
use farebox::keys::{AuthError, KeyCache};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::fake_upstream::FakeUpstream;
use crate::support::lab::{self, Endpoint, Provider};
use crate::support::size::scale;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

/// How an incident is covered.
enum Covered {
    /// By these tests.
    By(&'static [&'static str]),
    /// There is nothing here that it could happen to.
    NotHere(&'static str),
}

use Covered::{By, NotHere};

/// Number in the reference, what happened, and how it is covered here.
const INCIDENTS: &[(u8, &str, Covered)] = &[
    (1, "SQL made of a bearer token", By(&["no_sql_is_made_of_text", "whatever_is_sent_as_a_key_is_no_key"])),
    (2, "a cache keyed by the beginning of a token", By(&["keys_that_begin_alike_are_told_apart"])),
    (3, "a key that gives itself more than its maker has", By(&["a_role_does_what_the_table_says_and_nothing_else"])),
    (4, "fields that a form should not set", By(&["a_form_with_more_than_it_asks_for_changes_nothing_more"])),
    (5, "code of users that is run", NotHere("Farebox runs no code, template or expression of a user")),
    (
        6,
        "a test endpoint without a check, by a forged Host",
        By(&["another_host_is_not_answered", "every_route_is_in_the_table"]),
    ),
    (7, "a request that chooses the upstream's address", By(&["a_request_chooses_no_address"])),
    (8, "a boundary without end", By(&["a_head_without_end_is_refused_at_once"])),
    (
        9,
        "sessions that do not end, routes without a check",
        By(&["a_session_ends_when_it_is_not_used", "nobody_gets_further_than_the_door"]),
    ),
    (10, "a stolen build", By(&["builds_use_what_was_locked"])),
    (11, "an error that tells of tables and hashes", By(&["every_answer_carries_what_keeps_browsers_safe"])),
    (
        12,
        "an empty webhook secret, another processor's callback",
        By(&[
            "a_processor_without_its_webhook_secret_stops_the_start",
            "what_is_forged_altered_stale_or_for_somebody_else_is_refused_and_moves_nothing",
        ]),
    ),
    (13, "another's job by its id", By(&["what_belongs_to_another_is_as_if_it_were_not_there"])),
    (14, "wildcards in a search", By(&["wildcards_are_looked_for_as_they_are"])),
    (15, "markup that is stored and shown", By(&["names_are_text_and_never_markup"])),
    (
        16,
        "an address chosen by a header, past a guard in one route",
        By(&["a_request_chooses_no_address", "no_spelling_of_a_local_address_is_called"]),
    ),
    (
        17,
        "a request that goes round in circles, a cache without end",
        By(&["a_provider_that_leads_back_here_is_asked_a_few_times_only", "caches_have_an_end"]),
    ),
    (18, "an address chosen by a body", By(&["a_request_chooses_no_address"])),
    (19, "a key in the log", By(&["no_secret_is_in_the_log_or_in_the_database"])),
    (
        20,
        "a spelling of a local address that was forgotten",
        By(&["no_spelling_of_a_local_address_is_called", "a_name_that_leads_home_is_not_resolved"]),
    ),
    (
        21,
        "an inner address made of what was asked",
        By(&["a_request_chooses_no_address", "a_broken_rule_is_named_with_its_line_and_field"]),
    ),
    (
        22,
        "the one endpoint that was forgotten",
        By(&["every_route_is_in_the_table", "every_route_of_people_says_which_roles_may"]),
    ),
    (23, "a role that may look and therefore change", By(&["a_role_does_what_the_table_says_and_nothing_else"])),
    (
        24,
        "a step-up that can be passed by or guessed",
        By(&[
            "dangerous_changes_ask_for_the_second_factor_too",
            "guesses_at_once_of_who_is_signed_in_are_counted_one_by_one_too",
        ]),
    ),
    (
        25,
        "somebody invited who acts as a member",
        By(&["an_invitation_ends_in_many_ways_and_tells_nobody_who_has_an_account"]),
    ),
    (26, "a code that never runs out", By(&["what_was_begun_runs_out"])),
    (27, "a value of four gigabytes", By(&["a_body_beyond_the_limit_is_refused_with_or_without_its_length"])),
    (28, "weak libraries", By(&["builds_use_what_was_locked"])),
    (
        29,
        "a forgotten key of a cloud",
        NotHere("Farebox has no account at a cloud; an operator's keys are sealed or settings"),
    ),
    (
        30,
        "an account taken over by an address",
        By(&[
            "an_address_that_has_an_account_is_not_linked_by_itself",
            "an_address_that_is_not_proven_there_opens_no_account",
        ]),
    ),
    (
        31,
        "a panic that takes others with it",
        By(&["a_panic_ends_its_own_request_only", "a_panic_settles_once_and_for_nothing"]),
    ),
];

/// What somebody might try with an account or an organization, and the tests that it is refused.
const ATTACKS: &[(&str, &[&str])] = &[
    ("another's state, and the same twice", &["a_state_belongs_to_one_browser_and_works_once"]),
    ("a nonce of another sign-in, a token that lies", &["a_token_that_does_not_hold_signs_nobody_in"]),
    ("a code twice, or without its verifier", &["a_code_works_once_and_for_who_asked_for_it"]),
    ("one provider's answer for another's", &["an_answer_of_one_provider_is_not_taken_for_another"]),
    (
        "an address that nobody proved",
        &["an_account_that_nobody_proved_goes_to_who_does", "an_address_that_is_not_proven_there_opens_no_account"],
    ),
    (
        "a session that was planted",
        &[
            "a_planted_session_is_worth_nothing_after_signing_in",
            "a_session_that_was_planted_does_not_become_the_owners",
        ],
    ),
    (
        "a form of another site, on every route",
        &[
            "a_form_without_its_token_changes_nothing",
            "a_request_of_another_site_is_refused_with_the_headers_of_every_page",
        ],
    ),
    (
        "a code of an app twice, or guessed",
        &["the_same_code_twice_at_once_lets_exactly_one_in", "guessing_codes_is_stopped_and_the_owner_still_gets_in"],
    ),
    ("a recovery link twice", &["a_new_password_ends_every_session_and_keeps_the_second_factor"]),
    (
        "an invitation twice, or another's",
        &[
            "an_invitation_ends_in_many_ways_and_tells_nobody_who_has_an_account",
            "an_invitation_waits_for_its_address_in_whichever_browser",
        ],
    ),
    (
        "who has an account, by words or time",
        &["neither_words_nor_time_tell_who_has_an_account", "a_known_and_an_unknown_address_are_told_the_same"],
    ),
    ("passwords guessed from everywhere", &["many_guesses_from_everywhere_are_refused_and_the_owner_gets_in"]),
    ("rows of another organization, without a filter", &["queries_without_their_filter_find_nothing_of_others"]),
    (
        "a log that is written anew",
        &["a_log_that_was_touched_is_noticed", "a_log_that_was_written_anew_or_cut_off_is_noticed_by_its_anchors"],
    ),
];

/// Every text below these folders.
fn texts(folders: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let shown = path.strip_prefix(root).expect("below the root").display().to_string();
                found.push((shown, std::fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    found
}

#[test]
fn every_incident_has_its_test() {
    let numbers: BTreeSet<u8> = INCIDENTS.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=31).collect(), "a row of the list is missing");
    assert_eq!(numbers.len(), INCIDENTS.len(), "a row is there twice");
    let sources = texts(&["src", "tests"]);
    let is_there = |test: &str| sources.iter().any(|(_, text)| text.contains(&format!("fn {test}(")));
    for (number, what, covered) in INCIDENTS {
        match covered {
            By(tests) => {
                for test in *tests {
                    assert!(is_there(test), "{number} ({what}): there is no test {test}");
                }
            }
            NotHere(why) => assert!(!why.is_empty(), "{number} ({what}): say why"),
        }
    }
    for (what, tests) in ATTACKS {
        for test in *tests {
            assert!(is_there(test), "{what}: there is no test {test}");
        }
    }
}

/// Statements are texts of the source. The one that is put together has nothing in it but the id of an organization.
#[test]
fn no_sql_is_made_of_text() {
    const MAY: &[&str] = &["src/db/tenant.rs"];
    for (file, text) in texts(&["src"]).into_iter().filter(|(file, _)| !file.ends_with("tests.rs")) {
        assert!(MAY.contains(&file.as_str()) || !text.contains("AssertSqlSafe"), "{file}: use a checked query");
        for call in ["sqlx::query(", "sqlx::query_as(", "sqlx::query_scalar(", "sqlx::raw_sql("] {
            for rest in text.split(call).skip(1) {
                let argument = rest.trim_start();
                let constant = ["\"", "r\"", "r#\""].iter().any(|quote| argument.starts_with(quote))
                    || argument.starts_with(|c: char| c.is_ascii_uppercase());
                assert!(constant, "{file}: {call} takes a text of the source, not {:?}", argument.get(..40));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_as_a_key_is_no_key() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let mut sent: Vec<Vec<u8>> = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer '",
        "Bearer ' or '1'='1",
        "Bearer sk-fb-v1-' or 1=1 --",
        "Bearer $1",
        "Bearer \\",
        "Bearer %00",
        "Basic YTpi",
        "bearer null",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    sent.push(format!("Bearer {}'", key.text).into_bytes());
    sent.push(format!("Bearer {}", key.text.to_uppercase()).into_bytes());
    sent.push([b"Bearer ".as_slice(), &[0xff; 40]].concat());
    // Anything that a header may hold, short and long, with and without the shape of a key.
    let mut runner = TestRunner::deterministic();
    let byte = prop_oneof![32_u8..127, 128_u8..=255];
    let noise = proptest::collection::vec(byte, 0..300);
    for number in 0..scale(300, 10_000) {
        let mut value = noise.new_tree(&mut runner).expect("a value").current();
        if number % 3 == 0 {
            value.splice(0..0, b"Bearer sk-fb-v1-".iter().copied());
        } else if number % 3 == 1 {
            value.splice(0..0, b"Bearer ".iter().copied());
        }
        sent.push(value);
    }
    for value in sent {
        let Ok(header) = reqwest::header::HeaderValue::from_bytes(&value) else { continue };
        let answer = farebox.http.get(farebox.url("/api/v1/key")).header("authorization", header).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 401, "{}", String::from_utf8_lossy(&value));
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["error"]["message"], "No valid API key was given.");
    }
    let log = farebox.log();
    assert!(!log.contains("ERROR") && !log.contains("syntax error") && !log.contains("panicked"), "{log}");
    let good = farebox.http.get(farebox.url("/api/v1/key")).bearer_auth(&key.text).send().await.expect("an answer");
    assert_eq!(good.status(), 200);
}

/// A key with another tail, and the checksum that it must have.
fn sibling(key: &str, number: u32) -> String {
    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = key.get(..key.len() - 6).expect("a key");
    let body = format!("{}{number:08x}", &body[..body.len() - 8]);
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut tail = [b'0'; 6];
    for place in tail.iter_mut().rev() {
        *place = BASE62[usize::try_from(rest % 62).expect("small")];
        rest /= 62;
    }
    format!("{body}{}", String::from_utf8_lossy(&tail))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_begin_alike_are_told_apart() {
    let farebox = Farebox::start().await;
    let real = farebox.key("ada@example.com", "10", &[]).await;
    let hearing = Hearing::default();
    let listening = db::listen::listen(farebox.pool.clone(), vec!["key_changed"], hearing.clone(), |_| {});
    let listening = tokio::spawn(listening);
    while !hearing.is_on() {
        // A cache that cannot hear of changes remembers nothing.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cache = KeyCache::new(farebox.pool.clone(), hearing);
    let now = farebox::base::Clock::system().now();
    assert!(cache.authenticate(&real.text, now).await.is_ok(), "it is remembered from here on");
    for number in 0..scale(2_000, 100_000) {
        let other = sibling(&real.text, number);
        if other == real.text {
            continue;
        }
        assert_eq!(other.len(), real.text.len());
        let refused = cache.authenticate(&other, now).await;
        assert!(matches!(refused, Err(AuthError::Unknown)), "{number}: {}", refused.is_ok());
    }
    assert!(cache.authenticate(&real.text, now).await.is_ok());
    listening.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_chooses_no_address() {
    let (fake, trap) = (FakeUpstream::start(), FakeUpstream::start());
    let (url, elsewhere) = (fake.base_url(), trap.base_url());
    let provider = Provider { slug: "lab", kind: "openai", base_url: &url, cancel_stops_billing: true };
    let endpoint = Endpoint { model: "lab/model", provider: "lab", upstream_model: "model" };
    let farebox = lab::start(&lab::catalog(&[provider], &[endpoint]), Options::default()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for field in ["api_base", "base_url", "apiBase", "endpoint", "host", "proxy", "custom_host", "azure_endpoint"] {
        let more = json!({ field: elsewhere, "provider": { "only": ["lab"] } });
        assert_eq!(farebox.chat(&key, "lab/model", "hi", more).await.status(), 200, "{field}");
    }
    let body = json!({ "model": "lab/model", "messages": [{ "role": "user", "content": "hi" }] });
    for header in
        ["x-portkey-custom-host", "x-base-url", "x-forwarded-host", "x-api-base", "x-original-url", "forwarded"]
    {
        let call = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text).json(&body);
        let answer = call.header(header, &elsewhere).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{header}");
    }
    for query in ["?api_base=", "?base_url=", "?host="] {
        let path = format!("/api/v1/chat/completions{query}{elsewhere}");
        assert_eq!(farebox.post(&key, &path, &body).await.status(), 200, "{query}");
    }
    for model in [format!("{elsewhere}/model"), "lab/../model".to_owned(), "lab/model?x=y#z".to_owned()] {
        let answer = farebox.chat(&key, &model, "hi", json!({})).await;
        assert!(matches!(answer.status().as_u16(), 400 | 404), "{model}");
    }
    assert!(!fake.produced().is_empty(), "the provider of the catalog was asked");
    assert!(trap.produced().is_empty(), "nobody else was");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_without_end_is_refused_at_once() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let token = ada.token("/settings/profile").await;
    let begun = Instant::now();
    // As long as a head may be, and longer. The body is one that never comes to an end of its part.
    for (length, expected) in [(20_000, 400..500), (40_000, 431..432), (100_000, 431..432)] {
        let boundary = "-".repeat(length);
        for path in ["/settings/picture", "/api/v1/chat/completions", "/sign-in", "/webhooks/stripe"] {
            let request = farebox.http.post(farebox.url(path));
            let request = request.header("content-type", format!("multipart/form-data; boundary={boundary}"));
            let page = ada.send(request.body(format!("--{boundary}\r\ncsrf_token={token}").repeat(3))).await;
            assert!(expected.contains(&page.status), "{path} {length}: {}", page.status);
        }
    }
    let long = farebox.http.get(farebox.url("/api/v1/models")).header("x-long", "a".repeat(40_000)).send().await;
    let long = long.expect("an answer");
    assert_eq!(long.status(), 431);
    assert_eq!(long.json::<Value>().await.expect("JSON")["error"]["code"], 431, "in the shape of the API");
    // What does not even fit into the server's buffer, and what comes too slowly to its end.
    let address = farebox.base.trim_start_matches("http://").to_owned();
    let mut socket = tokio::net::TcpStream::connect(&address).await.expect("a connection");
    let head = format!("GET /sign-in HTTP/1.1\r\nhost: {address}\r\nx-long: ");
    socket.write_all(head.as_bytes()).await.expect("sent");
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && socket.write_all(&[b'a'; 65_536]).await.is_ok() {
        sent += 65_536;
    }
    assert!(sent < 16 * 1024 * 1024, "it read {sent} bytes of a header");
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), socket.read_to_end(&mut rest)).await.expect("it hangs up");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!(ada.get("/keys").await.status, 200, "others are served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_leads_back_here_is_asked_a_few_times_only() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let url = farebox.url("/api/v1");
    let provider = Provider { slug: "circle", kind: "openai", base_url: &url, cancel_stops_billing: true };
    let endpoint = Endpoint { model: "circle/model", provider: "circle", upstream_model: "circle/model" };
    let catalog = lab::catalog(&[provider], &[endpoint]);
    let catalog = catalog.replace("kind = \"openai\"\n", "kind = \"openai\"\nkey_env = \"CIRCLE_KEY\"\n");
    lab::apply(&farebox.database_url, &catalog).await;
    let stored = farebox.cli_with(&["providers", "set-key", "circle"], &key.text).await;
    assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
    let mut told = String::new();
    for _ in 0..40 {
        let answer = farebox.chat(&key, "circle/model", "hi", json!({})).await;
        told = answer.text().await.expect("a body");
        if told.contains("passed through Farebox too often") {
            break;
        }
        // The process may not have heard of the catalog yet.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(told.contains("passed through Farebox too often"), "{told}\n{}", farebox.log());
    farebox.holds_are_closed().await;
    let asked = "select max(n)::text from (select count(*) n from usage where status = 'failed' group by date_trunc('second', created_at)) t";
    let rounds: u32 = farebox.text(asked).await.parse().expect("a number");
    assert!(rounds <= 12, "{rounds} calls of one");
    farebox.books_are_clean().await;
}

/// What remembers things while the process runs says how many.
#[test]
fn caches_have_an_end() {
    for (file, text) in texts(&["src"]) {
        for rest in text.split("Cache::builder()").skip(1) {
            let statement = rest.split(';').next().unwrap_or_default();
            assert!(statement.contains(".max_capacity("), "{file}: a cache without a largest size");
        }
        let unbounded = text.contains("unbounded_channel(") || text.contains("sync::mpsc::channel()");
        assert!(!unbounded || file.starts_with("tests/"), "{file}: a queue without a largest length");
    }
}

#[test]
fn builds_use_what_was_locked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let test = read("script/test");
    assert!(test.contains("cargo test --locked") && test.contains("check licenses bans sources"));
    assert!(read("script/server").contains("--locked") && read("script/release").contains("--release --locked"));
    assert!(read("Dockerfile").contains("script/release"));
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains("cargo deny check advisories") && workflow.contains("schedule:"));
    assert!(workflow.contains("persist-credentials: false") && workflow.contains("contents: read"));
    for line in workflow.lines().filter(|line| line.contains("uses:")) {
        let commit = line.split('@').nth(1).unwrap_or_default().split_whitespace().next().unwrap_or_default();
        let pinned = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(pinned, "{line}: an action is named by its commit");
    }
}

/// A record of calls is good for one compiler alone, so the one in the container has to be the one that has a record.
#[test]
fn the_container_is_optimised_by_a_record_of_calls() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dockerfile = std::fs::read_to_string(root.join("Dockerfile")).expect("the Dockerfile");
    let image = dockerfile.lines().find_map(|line| line.strip_prefix("FROM rust:")).expect("the image that builds");
    let version = image.split('-').next().expect("its version");
    assert!(dockerfile.contains(&format!("RUSTUP_TOOLCHAIN={version}\n")));
    let self_hosting = std::fs::read_to_string(root.join("docs/self-hosting.md")).expect("the page");
    assert!(self_hosting.contains(&format!("RUSTUP_TOOLCHAIN={version} script/release")));
    let mut records =
        std::fs::read_dir(root.join("benches/profile")).expect("records").map(|file| file.unwrap().path());
    let is_of_the_image = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&format!("{version}-")) && name.ends_with("-x86_64-unknown-linux-gnu.profdata.gz")
    };
    let record = records.find(is_of_the_image).expect("a record for the image's compiler");
    let packed = std::fs::read(record).expect("the record");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut bytes).expect("gzip");
    // https://llvm.org/docs/InstrProfileFormat.html
    assert!(bytes.starts_with(b"\xfflprofi\x81"), "no profile of LLVM");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wildcards_are_looked_for_as_they_are() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    crate::support::team::create(&mut ada, "Analytical Engines").await;
    let wild = "%25".repeat(200);
    for path in [
        format!("/settings/members?q={wild}"),
        format!("/models?q={wild}"),
        format!("/activity?model={wild}&app={wild}"),
        format!("/settings/audit?action={wild}"),
    ] {
        let begun = Instant::now();
        let page = ada.get(&path).await;
        assert!(matches!(page.status, 200 | 400 | 422), "{path}: {}", page.status);
        assert!(begun.elapsed() < Duration::from_secs(5), "{path}");
    }
    for (search, found) in [("ada", true), ("%25da%25", false), ("_da", false)] {
        let page = ada.get(&format!("/settings/members?q={search}")).await;
        assert_eq!(page.body.contains("/settings/members/usr_"), found, "{search}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_text_and_never_markup() {
    const NAME: &str = "<script>alert(1)</script>\"'><img src=x>";
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let fields = [("name", NAME), ("theme", "system"), ("time_zone", "UTC"), ("locale", "en-GB")];
    assert_eq!(ada.submit("/settings/profile", "/settings/profile", &fields).await.status, 303);
    crate::support::team::create(&mut ada, NAME).await;
    let text = crate::support::team::key(&mut ada, NAME).await;
    let key = crate::support::Key { text, org: String::new(), id: String::new() };
    let body = json!({ "model": "sandbox/free", "messages": [{ "role": "user", "content": NAME }] });
    let call = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text).json(&body);
    let call = call.header("x-title", NAME).header("user-agent", NAME).send().await.expect("an answer");
    assert_eq!(call.status(), 200);
    farebox.holds_are_closed().await;
    let mut shown = 0;
    for path in [
        "/",
        "/keys",
        "/activity",
        "/settings/profile",
        "/settings/members",
        "/settings/audit",
        "/settings/organization",
    ] {
        let page = ada.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains("<script>alert") && !page.body.contains("<img src=x"), "{path} has it as markup");
        shown += usize::from(page.body.contains("alert(1)"));
    }
    assert!(shown >= 5, "it is shown as text on {shown} pages only");
    let call = farebox.text("select 'gen-' || replace(id::text, '-', '') from usage").await;
    for path in [format!("/activity/{call}"), "/activity?app=%3Cscript%3Ealert(1)%3C/script%3E".to_owned()] {
        let page = ada.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains("<script>alert"), "{path} has it as markup");
    }
}

/// A handler that panics, beside one that answers, on the one worker of a server that wraps them as ours does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_its_own_request_only() {
    use actix_web::middleware::from_fn;
    use actix_web::{App, HttpResponse, HttpServer, web};

    async fn panics() -> HttpResponse {
        panic!("a bug");
    }
    async fn slow() -> HttpResponse {
        tokio::time::sleep(Duration::from_millis(500)).await;
        HttpResponse::Ok().body("served")
    }
    let (send, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(|| {
                App::new()
                    .wrap(from_fn(farebox::web::headers::every_response))
                    .route("/panics", web::get().to(panics))
                    .route("/slow", web::get().to(slow))
            });
            let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a port");
            send.send(server.addrs().first().expect("an address").port()).expect("heard");
            server.run().await.expect("served");
        });
    });
    let port = port.recv().expect("a port");
    let http = crate::support::http::client();
    let get = |path: &str| http.get(format!("http://127.0.0.1:{port}{path}")).send();
    for _ in 0..20 {
        let (one, two, broken) = tokio::join!(get("/slow"), get("/slow"), get("/panics"));
        assert!(broken.is_err() || broken.is_ok_and(|answer| answer.status() == 500));
        for answer in [one, two] {
            assert_eq!(answer.expect("it is not taken along").text().await.expect("a body"), "served");
        }
    }
}
