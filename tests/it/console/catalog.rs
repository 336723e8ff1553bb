//! The catalog, kept by operators in their browsers.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{operator, staff};
use crate::support::routes::Routes;
use crate::support::visitor::{Page, Visitor, between};
use crate::support::{Farebox, Options};

const CATALOG: &str = "/admin/catalog";
/// Those that were made in the console.
const CHANGES: &str =
    "select count(*)::text from audit_entry where action = 'house.catalog_applied' and actor_kind = 'person'";
const VERSIONS: &str = "select count(*)::text from price_version";
const DONE_ALREADY: &str = "done already, and not done again";
const MEANWHILE: &str = "Somebody else has changed this meanwhile";

fn plain(text: &str) -> String {
    let text = text.replace("&#34;", "\"").replace("&#39;", "'").replace("&#60;", "<").replace("&#62;", ">");
    text.replace("&#38;", "&")
}

/// Everything that a browser would send of the last form to this action, as it stands: fields, choices and texts.
fn typed(page: &Page, action: &str) -> Vec<(String, String)> {
    let rest = page.body.rsplit_once(&format!("action=\"{action}\"")).map_or("", |(_, rest)| rest);
    let form = rest.split_once("</form>").map_or("", |(form, _)| form);
    let mut fields = Vec::new();
    for part in form.split('<') {
        let name = between(part, " name=\"", "\"");
        if part.starts_with("input") && !name.is_empty() {
            fields.push((name, plain(&between(part, " value=\"", "\""))));
        } else if part.starts_with("textarea") {
            fields.push((name, plain(part.split_once('>').map_or("", |(_, text)| text))));
        } else if part.starts_with("select") {
            fields.push((name, String::new()));
        } else if part.starts_with("option")
            && let Some(last) = fields.last_mut()
            && (part.contains(" selected") || last.1.is_empty())
        {
            last.1 = plain(&between(part, " value=\"", "\""));
        }
    }
    assert!(!fields.is_empty(), "no form to {action}\n{}", page.body);
    fields
}

/// Sends a form as it stands, but for these fields.
async fn send(visitor: &mut Visitor<'_>, action: &str, known: &[(String, String)], fields: &[(&str, &str)]) -> Page {
    super::send(visitor, action, known, fields).await
}

/// Fills in the form of a page: what would change.
async fn ask(visitor: &mut Visitor<'_>, page: &str, action: &str, fields: &[(&str, &str)]) -> Page {
    let opened = visitor.get(page).await;
    assert_eq!(opened.status, 200, "{page}: {}", opened.body);
    send(visitor, action, &typed(&opened, action), fields).await
}

/// The form that confirms what a page says would change: the first on it.
fn confirmation(page: &Page, action: &str) -> Vec<(String, String)> {
    assert!(page.body.contains("id=\"confirm\""), "nothing to confirm\n{}", page.body);
    crate::support::visitor::form(&page.body, action).into_iter().map(|(name, value)| (name, plain(&value))).collect()
}

async fn confirm(visitor: &mut Visitor<'_>, page: &Page, action: &str) -> Page {
    send(visitor, action, &confirmation(page, action), &[("reason", "the test asks for it")]).await
}

/// The lines that a page says would change.
fn lines(page: &Page) -> String {
    plain(&between(&page.body, "<pre class=\"listing wrap\" tabindex=\"0\"><code>", "</code>"))
}

async fn endpoint(farebox: &Farebox, upstream_model: &'static str) -> String {
    let id: uuid::Uuid = sqlx::query_scalar("select id from endpoint where upstream_model = $1")
        .bind(upstream_model)
        .fetch_one(&farebox.pool)
        .await
        .expect("an endpoint");
    format!("{CATALOG}/endpoints/{id}")
}

fn to(model: &str) -> Value {
    json!({ "model": model, "provider": { "sort": "price" } })
}

/// Calls until the status is as expected, within a second, as for every change of the catalog; then, who was asked.
async fn turns_to(routes: &Routes, model: &str, expected: u16) -> Vec<String> {
    for _ in 0..50 {
        let (status, asked) = routes.call(to(model)).await;
        if status == expected {
            return asked;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{model} never answered {expected}, but {:?}", routes.call(to(model)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_switched_off_in_the_console_is_not_called_and_comes_back() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut olive = operator(farebox, "olive@example.com").await;
    let alpha = endpoint(farebox, "alpha-chat").await;
    assert_eq!(routes.call(to("lab/chat")).await.1, ["alpha-chat"]);

    let asked = ask(&mut olive, &alpha, &alpha, &[("enabled", "no")]).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let shown = lines(&asked);
    assert_eq!(shown, "~ endpoint lab/chat at alpha as alpha-chat: enabled none → false");
    assert_eq!(farebox.text(CHANGES).await, "0", "seeing it changes nothing");
    // The same words as on the command line, for the same change as a file.
    let file = tempfile::NamedTempFile::new().expect("a file");
    let export = farebox.cli(&["catalog", "export"]).await.stdout;
    let text = String::from_utf8(export).expect("text");
    let text = text.replace("upstream_model = \"alpha-chat\"\n", "upstream_model = \"alpha-chat\"\nenabled = false\n");
    std::fs::write(file.path(), text).expect("written");
    let path = file.path().to_str().expect("a path").to_owned();
    let dry = farebox.cli(&["catalog", "apply", "--dry-run", &path]).await;
    assert_eq!(String::from_utf8_lossy(&dry.stdout), format!("{shown}\n1 changes would be made\n"));

    let done = confirm(&mut olive, &asked, &alpha).await;
    assert_eq!((done.status, done.location.as_str()), (303, alpha.as_str()), "{}", done.body);
    routes.until_asked(&to("lab/chat"), &["beta-chat"]).await;
    let dry = farebox.cli(&["catalog", "apply", "--dry-run", &path]).await;
    assert_eq!(String::from_utf8_lossy(&dry.stdout), "0 changes would be made\n", "it is what the file says");
    // Written down with what was, what is, and why.
    let entry =
        "select before || after from audit_entry where action = 'house.catalog_applied' order by seq desc limit 1";
    let entry = farebox.text(entry).await;
    for part in ["\"enabled\":null", "\"enabled\":false", "~ endpoint lab/chat at alpha", "the test asks for it"] {
        assert!(entry.contains(part), "{part} is not in {entry}");
    }
    assert!(olive.get("/admin/log").await.body.contains("Changed the catalog"));

    // The whole model, and its provider: then nobody is there to ask.
    for (page, model, field, after) in [
        (format!("{CATALOG}/models/lab/other"), "lab/other", "enabled", 404),
        (format!("{CATALOG}/providers/beta"), "lab/other", "enabled", 503),
    ] {
        let asked = ask(&mut olive, &page, &page, &[(field, "no")]).await;
        assert_eq!(confirm(&mut olive, &asked, &page).await.status, 303, "{page}");
        assert!(turns_to(&routes, model, after).await.is_empty(), "{page}");
        let asked = ask(&mut olive, &page, &page, &[(field, "yes")]).await;
        assert_eq!(confirm(&mut olive, &asked, &page).await.status, 303, "{page}");
        assert_eq!(turns_to(&routes, model, 200).await, ["beta-other"], "{page}");
    }
    let asked = ask(&mut olive, &alpha, &alpha, &[("enabled", "yes")]).await;
    confirm(&mut olive, &asked, &alpha).await;
    routes.until_asked(&to("lab/chat"), &["alpha-chat"]).await;
    // What a provider does with texts decides who may be asked.
    let gamma = format!("{CATALOG}/providers/gamma");
    let private =
        || json!({ "model": "lab/chat", "provider": { "only": ["gamma"], "zdr": true, "data_collection": "deny" } });
    assert_eq!(routes.call(private()).await.0, 404);
    let asked = ask(&mut olive, &gamma, &gamma, &[("trains_on_inputs", "no"), ("retains_logs", "no")]).await;
    assert_eq!(lines(&asked), "~ provider gamma: retains_logs true → false, trains_on_inputs true → false");
    confirm(&mut olive, &asked, &gamma).await;
    routes.until_asked(&private(), &["gamma-chat"]).await;
    farebox.books_are_clean().await;
}

/// A complete form of a new model.
const NEW_MODEL: [(&str, &str); 14] = [
    ("id", "lab/new"),
    ("name", "Lab: New"),
    ("description", "A model of the console.\nIn two \"lines\" & more."),
    ("context_length", "32,000"),
    ("max_output", "2048"),
    ("input_modalities", "text, image"),
    ("supported_parameters", "max_tokens tools"),
    ("aliases", "lab/newest"),
    ("knowledge_cutoff", "2026-01-31"),
    ("provider", "alpha"),
    ("upstream_model", "alpha-new"),
    ("prompt", "1.5"),
    ("completion", "3"),
    ("request", "0.01"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_added_with_its_endpoint_called_changed_and_retired() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut olive = operator(farebox, "olive@example.com").await;
    let (new, action) = (format!("{CATALOG}/models/new"), format!("{CATALOG}/models"));
    let model = format!("{CATALOG}/models/lab/new");
    let asked = ask(&mut olive, &new, &action, &NEW_MODEL).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let shown = lines(&asked);
    assert!(shown.starts_with("+ model lab/new\n+ endpoint lab/new at alpha as alpha-new\n+ price "), "{shown}");
    assert!(shown.contains("prompt \"1.5\"") && shown.contains("request \"0.01\""), "{shown}");
    assert_eq!(routes.call(to("lab/new")).await.0, 404, "not before it is confirmed");
    let done = confirm(&mut olive, &asked, &action).await;
    assert_eq!((done.status, done.location.as_str()), (303, model.as_str()), "{}", done.body);
    assert_eq!(turns_to(&routes, "lab/new", 200).await, ["alpha-new"]);
    assert_eq!(turns_to(&routes, "lab/newest", 200).await, ["alpha-new"], "by its other id too");
    let (_, _, told) = routes.told(&routes.key, to("lab/new")).await;
    let tokens = |name: &str| told["usage"][name].as_i64().expect("tokens");
    let cost = Decimal::new(15 * tokens("prompt_tokens") + 30 * tokens("completion_tokens") + 100_000, 7);
    let charged: Decimal = told["usage"]["cost"].to_string().parse().expect("an amount");
    assert_eq!(charged, cost, "$1.50 and $3 a million tokens, and a cent a call: {told}");
    let call = told["id"].as_str().expect("an id").to_owned();
    let kept = farebox.text("select description from model where slug = 'lab/new'").await;
    assert_eq!(kept, "A model of the console.\nIn two \"lines\" & more.");

    // A second place, cheaper; then everything about it that a form can say.
    let (add, places) = (format!("{CATALOG}/endpoints/new?model=lab/new"), format!("{CATALOG}/endpoints"));
    let fields = [("provider", "beta"), ("upstream_model", "beta-new"), ("prompt", "1"), ("completion", "2")];
    let asked = ask(&mut olive, &add, &places, &fields).await;
    assert!(lines(&asked).starts_with("+ endpoint lab/new at beta as beta-new\n+ price"), "{}", asked.body);
    assert_eq!(confirm(&mut olive, &asked, &places).await.location, model);
    routes.until_asked(&to("lab/new"), &["beta-new"]).await;
    let beta = endpoint(farebox, "beta-new").await;
    let fields = [
        ("context_length", "16000"),
        ("max_output", ""),
        ("supported_parameters", "max_tokens, tools, top_k"),
        ("image_tokens", "900"),
        ("quantization", "fp8"),
    ];
    let asked = ask(&mut olive, &beta, &beta, &fields).await;
    let shown = lines(&asked);
    for part in [
        "context_length 32000 → 16000",
        "max_output 2048 → none",
        "quantization none → \"fp8\"",
        "image_tokens none → 900",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    confirm(&mut olive, &asked, &beta).await;
    routes.until_asked(&json!({ "model": "lab/new", "provider": { "quantizations": ["fp8"] } }), &["beta-new"]).await;

    // Every price that a version knows.
    let price = format!("{beta}/price");
    let all = "prompt=1&completion=2&cache_read=0.1&cache_write=1.25&request=0.02&image=0.003&audio=4&audio_output=8";
    let page = olive.get(&format!("{price}?{all}")).await;
    let versions = farebox.text(VERSIONS).await;
    assert!(
        page.body.contains("By these prices") && lines(&page).contains("audio_output none → \"8\""),
        "{}",
        page.body
    );
    assert_eq!(farebox.text(VERSIONS).await, versions, "seeing it changes nothing");
    let known: Vec<(String, String)> = typed(&page, &price);
    let done = send(&mut olive, &price, &known, &[("reason", "their new list")]).await;
    assert_eq!((done.status, done.location.as_str()), (303, beta.as_str()), "{}", done.body);
    let latest = "select concat_ws(' ', version, trim_scale(prompt * 1000000), trim_scale(cache_write * 1000000),
        trim_scale(request), trim_scale(image), trim_scale(audio_output * 1000000))
        from price_version order by created_at desc limit 1";
    assert_eq!(farebox.text(latest).await, "2 1 1.25 0.02 0.003 8");
    routes.until_asked(&to("lab/new"), &["alpha-new"]).await;

    // One place goes, then all of it; what was called is still explained.
    let retire = format!("{beta}/retire");
    let asked = olive.get(&retire).await;
    assert_eq!(lines(&asked), "- endpoint lab/new at beta as beta-new");
    assert_eq!(confirm(&mut olive, &asked, &retire).await.location, model);
    let retire = format!("{model}/retire");
    let asked = olive.get(&retire).await;
    assert_eq!(lines(&asked), "- endpoint lab/new at alpha as alpha-new\n- model lab/new");
    assert_eq!(confirm(&mut olive, &asked, &retire).await.location, CATALOG);
    turns_to(&routes, "lab/new", 404).await;
    assert_eq!(olive.get(&model).await.status, 404);
    assert_eq!(routes.call(to("lab/chat")).await.1, ["alpha-chat"], "nothing else went");
    assert_eq!(routes.ada().get(&format!("/activity/{call}")).await.status, 200);
    // Its id brings it back, with a price that it had.
    let asked = ask(&mut olive, &new, &action, &NEW_MODEL).await;
    assert_eq!(lines(&asked), "+ model lab/new: in use again\n+ endpoint lab/new at alpha as alpha-new: in use again");
    confirm(&mut olive, &asked, &action).await;
    assert_eq!(turns_to(&routes, "lab/new", 200).await, ["alpha-new"]);
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_operators_at_once_neither_writes_over_the_other() {
    let farebox = Farebox::start().await;
    let database_url = Some(farebox.database_url.clone());
    let other = Farebox::with(Options { database_url, ..Options::default() }).await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let oscar = operator(&farebox, "oscar@example.com").await;
    let mut oscar = Visitor::with_cookies(&other, oscar.cookies());
    let model = format!("{CATALOG}/models/sandbox/echo");
    let name = "select name from model where slug = 'sandbox/echo'";

    // His form is older than her change: he is told, sees what it would write, and nothing is written.
    let old = typed(&oscar.get(&model).await, &model);
    let asked = ask(&mut olive, &model, &model, &[("name", "Hers")]).await;
    let hers = confirmation(&asked, &model);
    let reasoned = [("reason", "a better name")];
    let (one, two) = {
        let mut again = Visitor::with_cookies(&other, olive.cookies());
        tokio::join!(send(&mut olive, &model, &hers, &reasoned), send(&mut again, &model, &hers, &reasoned))
    };
    assert_eq!((one.status, two.status), (303, 303), "{} {}", one.body, two.body);
    assert_eq!(farebox.text(CHANGES).await, "1", "the same form twice is one change");
    send(&mut olive, &model, &hers, &reasoned).await;
    assert!(olive.get(&model).await.body.contains(DONE_ALREADY));
    let late = send(&mut oscar, &model, &old, &[("name", "His")]).await;
    assert!(late.status == 422 && late.body.contains(MEANWHILE), "{}", late.body);
    assert!(lines(&late).contains("name \"Hers\" → \"His\"") && !late.body.contains("id=\"confirm\""), "{}", late.body);
    assert_eq!(farebox.text(name).await, "Hers");
    // On top of hers it goes, with the form that he was given.
    let again = send(&mut oscar, &model, &typed(&late, &model), &[("name", "His")]).await;
    assert_eq!(again.status, 200, "{}", again.body);
    // A file is applied before he confirms: not one of his lines is written.
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = String::from_utf8(farebox.cli(&["catalog", "export"]).await.stdout).expect("text");
    std::fs::write(file.path(), text.replace("name = \"Hers\"", "name = \"The file’s\"")).expect("written");
    let applied = farebox.cli(&["catalog", "apply", file.path().to_str().expect("a path")]).await;
    assert!(applied.status.success());
    let late = confirm(&mut oscar, &again, &model).await;
    assert!(late.status == 422 && late.body.contains(MEANWHILE), "{}", late.body);
    assert_eq!((farebox.text(name).await, farebox.text(CHANGES).await), ("The file’s".into(), "1".into()));

    // Two at the very same moment, on two nodes: one change, and the other is told.
    let echo = endpoint(&farebox, "echo").await;
    let price = format!("{echo}/price");
    let hers = typed(&olive.get(&format!("{price}?prompt=3")).await, &price);
    let his = typed(&oscar.get(&format!("{price}?prompt=4")).await, &price);
    let versions: i64 = farebox.text(VERSIONS).await.parse().expect("a number");
    let (one, two) =
        tokio::join!(send(&mut olive, &price, &hers, &reasoned), send(&mut oscar, &price, &his, &reasoned));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 422], "{} {}", one.body, two.body);
    assert_eq!(farebox.text(VERSIONS).await, (versions + 1).to_string());

    // What is retired meanwhile cannot be changed, nor retired twice, nor added twice.
    let slow = format!("{CATALOG}/models/sandbox/slow");
    let stale = ask(&mut oscar, &slow, &slow, &[("name", "His")]).await;
    let retire = format!("{slow}/retire");
    let (hers, his) = (olive.get(&retire).await, oscar.get(&retire).await);
    assert_eq!(confirm(&mut olive, &hers, &retire).await.status, 303);
    for (page, action) in [(&his, &retire), (&stale, &slow)] {
        let late = confirm(&mut oscar, page, action).await;
        assert!(late.status == 422 && late.body.contains("not in the catalog any more"), "{}", late.body);
    }
    let (new, action) = (format!("{CATALOG}/models/new"), format!("{CATALOG}/models"));
    let fields: Vec<_> = NEW_MODEL.into_iter().filter(|(name, _)| *name != "provider").collect();
    let (hers, his) = (ask(&mut olive, &new, &action, &fields).await, ask(&mut oscar, &new, &action, &fields).await);
    assert_eq!(confirm(&mut olive, &hers, &action).await.status, 303);
    let late = confirm(&mut oscar, &his, &action).await;
    assert!(late.status == 422 && late.body.contains("in the catalog already"), "{}", late.body);
    // An endpoint that somebody adds while another retires its model is seen before it goes with it.
    let retire = format!("{CATALOG}/models/lab/new/retire");
    let before = oscar.get(&retire).await;
    let places = format!("{CATALOG}/endpoints");
    let fields = [("provider", "sandbox"), ("upstream_model", "echo"), ("prompt", "1"), ("completion", "2")];
    let asked = ask(&mut olive, &format!("{places}/new?model=lab/new"), &places, &fields).await;
    assert_eq!(confirm(&mut olive, &asked, &places).await.status, 303);
    let late = confirm(&mut oscar, &before, &retire).await;
    assert!(late.status == 422 && late.body.contains(MEANWHILE), "{}", late.body);
    assert_eq!(lines(&late).lines().count(), 3, "{}", lines(&late));
    assert_eq!(confirm(&mut oscar, &late, &retire).await.status, 303, "what he sees now he may do");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_taken_is_told_by_its_field_and_nothing_typed_is_lost() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let (new, action) = (format!("{CATALOG}/models/new"), format!("{CATALOG}/models"));
    let before = farebox.cli(&["catalog", "export"]).await.stdout;
    for (field, bad, told) in [
        ("id", "No Such/Id", "author/name"),
        ("name", " ", "must not be empty"),
        ("context_length", "many", "whole number"),
        ("max_output", "2000000000", "between 1 and 1,000,000,000"),
        ("input_modalities", "text, smell", "smell"),
        ("output_modalities", "text, embeddings", "embeddings or rerank alone"),
        ("supported_parameters", "Max-Tokens", "names of request parameters"),
        ("knowledge_cutoff", "soon", "must be a day"),
        ("aliases", "sandbox/echo", "sandbox/echo would name two models"),
        ("aliases", "lab/new", "must not repeat the id"),
        ("prompt", "-1", "is not a price"),
        ("completion", "0.0000001", "too many digits"),
        ("image", "101", "more than one hundred dollars"),
        ("upstream_model", "", "must not be empty"),
    ] {
        let mut fields: Vec<(&str, &str)> = NEW_MODEL.to_vec();
        fields.retain(|(name, _)| *name != field && *name != "provider");
        fields.push((field, bad));
        let page = ask(&mut olive, &new, &action, &fields).await;
        assert_eq!(page.status, 422, "{field} {bad}: {}", page.body);
        assert!(plain(&page.body).contains(told), "{field}: {}", page.body);
        assert!(!page.body.contains("id=\"confirm\""), "{field}");
        let kept = typed(&page, &action);
        for (name, value) in &fields {
            let value = value.replace('\n', "\r\n");
            let same = |(known, kept): &(String, String)| known == name && kept.replace('\n', "\r\n") == value;
            assert!(kept.iter().any(same), "{name} was lost with a wrong {field}: {kept:?}");
        }
    }
    // Without a reason it is shown again, with everything, and then goes through.
    let model = format!("{CATALOG}/models/sandbox/echo");
    let text = "Says “it” again: <b>\"all\"</b>\nof it.";
    let asked = ask(&mut olive, &model, &model, &[("description", text)]).await;
    let again = send(&mut olive, &model, &confirmation(&asked, &model), &[("reason", "x")]).await;
    assert!(again.status == 422 && again.body.contains("Write a reason"), "{}", again.body);
    assert_eq!(lines(&again), lines(&asked));
    // Lines that were not shown are not done.
    let forged = [("name", "Not shown"), ("reason", "by hand")];
    let page = send(&mut olive, &model, &confirmation(&again, &model), &forged).await;
    assert!(page.status == 422 && page.body.contains(MEANWHILE), "{}", page.body);
    assert_eq!(farebox.cli(&["catalog", "export"]).await.stdout, before, "nothing was changed");
    assert_eq!(confirm(&mut olive, &again, &model).await.status, 303);
    assert_eq!(farebox.text("select description from model where slug = 'sandbox/echo'").await, text);
    let page = ask(&mut olive, &model, &model, &[]).await;
    assert!(page.status == 422 && page.body.contains("It is like that already"), "{}", page.body);

    // An auditor reads all of it and has no button.
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    let echo = endpoint(&farebox, "echo").await;
    for path in [model.as_str(), &echo, "/admin/catalog/providers/sandbox"] {
        let page = abel.get(path).await;
        assert!(page.status == 200 && page.body.contains("<dt>State</dt>"), "{path}: {}", page.body);
        assert!(!page.body.contains("id=\"change\"") && !page.body.contains("/retire"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_command_line_does_to_the_catalog_stands_in_the_log_too() {
    const TOLD: &str =
        "select coalesce(string_agg(actor_kind || ' ' || target_kind || ' ' || target_id || ' ' || after, ';'
        order by seq), '') from audit_entry where action in ('house.catalog_applied', 'house.upstream_key_set')
        and chain_id = '00000000-0000-0000-0000-000000000000' and seq > ";
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let before = farebox.text("select coalesce(max(seq), 0)::text from audit_entry where action like 'house.%'").await;
    let told = async || -> String {
        let query = sqlx::AssertSqlSafe(format!("{TOLD}{before}"));
        sqlx::query_scalar(query).fetch_one(&farebox.pool).await.expect("a text")
    };
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("a path");
    let text = String::from_utf8(farebox.cli(&["catalog", "export"]).await.stdout).expect("text");
    std::fs::write(file.path(), &text).expect("written");
    // Nothing changes, or is only looked at: nothing is told.
    assert!(farebox.cli(&["catalog", "apply", path]).await.status.success());
    std::fs::write(file.path(), text.replacen("\nname = \"", "\nname = \"Renamed ", 1)).expect("written");
    assert!(farebox.cli(&["catalog", "apply", "--dry-run", path]).await.status.success());
    assert_eq!(told().await, "");
    let applied = farebox.cli(&["catalog", "apply", path]).await;
    assert!(String::from_utf8_lossy(&applied.stdout).contains("1 changes"), "{applied:?}");
    let log = told().await;
    assert!(log.starts_with("operator catalog file {\"changes\":1,\"lines\":[") && log.contains("Renamed"), "{log}");
    let stored = farebox.cli_with(&["providers", "set-key", "sandbox"], "sk-secret-of-the-house").await;
    assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
    let log = told().await;
    assert!(log.ends_with(";operator provider sandbox {\"key\":\"stored\"}"), "{log}");
    let shown = olive.get("/admin/log").await.body;
    assert!(shown.contains("On the command line") && shown.contains("Stored an upstream key"), "{shown}");
    assert!(!shown.contains("sk-secret-of-the-house"));
    // What fails is not told.
    assert!(!farebox.cli_with(&["providers", "set-key", "nobody"], "sk-x").await.status.success());
    assert_eq!(told().await, log);
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}
