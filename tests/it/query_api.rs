//! What the API tells without making a call.

use farebox::base::ids::CallId;
use farebox::catalog::Shelf;
use farebox::gateway::Settler;
use farebox::gateway::query_api::{ModelQuery, QueryApi};
use farebox::gateway::spool::Spool;
use farebox::keys::Caller;
use farebox::ledger::{self, Limits};
use serde_json::Value;
use sqlx::PgPool;
use tokio::runtime::Handle;

use super::calls::{Tenant, answered, desk, hold, usd};
use super::support::calendar;

fn caller(tenant: &Tenant) -> Caller {
    Caller {
        org: tenant.org,
        key: tenant.key,
        key_name: "laptop".into(),
        key_label: "sk-fb-v1-abcd…wxyz".into(),
        created_by: Some(tenant.person),
        meters: vec![tenant.key_meter, tenant.member_meter],
        hash: "00".repeat(32),
        provisioning: false,
        issued_by: None,
        issuers_member: None,
        handed_on: false,
        powers: farebox::keys::Powers::of(farebox::keys::KeyKind::Inference),
        expires_at: None,
        rules: farebox::keys::Rules::default(),
    }
}

fn terms() -> farebox::presets::Terms {
    let keyring = farebox::vault::Keyring::new(&farebox::base::Secret::new([7; 32]), &[]);
    let vault = farebox::vault::Vault::new(keyring);
    farebox::presets::Terms { vault, fee: farebox::routing::Fee::default(), discount: rust_decimal::Decimal::ZERO }
}

async fn api(pool: &PgPool) -> QueryApi {
    let mut conn = pool.acquire().await.expect("a connection");
    let file = farebox::catalog::CatalogFile::shipped().expect("the shipped catalog");
    farebox::catalog::apply(&mut conn, &file, farebox::catalog::Missing::Retire).await.expect("applied");
    drop(conn);
    let memory = farebox::presets::Memory::new(pool.clone(), farebox::db::listen::Hearing::default(), terms());
    let clock = farebox::base::Clock::system();
    QueryApi::new(pool.clone(), Shelf::load(pool, true).await.expect("loaded"), memory, clock, None)
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

pub async fn the_list_of_models_has_what_every_client_demands(pool: PgPool) {
    let api = api(&pool).await;
    let list = json(&api.models(&ModelQuery::default()).await.expect("a list"));
    let models = list["data"].as_array().expect("a list");
    assert_eq!(list["total_count"], models.len());
    assert!(list["links"]["next"].is_null() && list["object"] == "list");
    for model in models {
        for number in ["created", "context_length"] {
            assert!(model[number].is_u64(), "{number} of {model}");
        }
        for text in ["id", "name", "description", "canonical_slug"] {
            assert!(model[text].is_string(), "{text} of {model}");
        }
        for price in ["prompt", "completion"] {
            let text = model["pricing"][price].as_str().expect("prices are strings");
            assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{text}");
        }
        assert!(model["architecture"]["modality"].as_str().is_some_and(|text| text.contains("->")));
        assert!(model["supported_parameters"].is_array() && model["top_provider"].is_object());
    }
    let tools = ModelQuery { supported_parameters: Some("tools".into()), ..ModelQuery::default() };
    assert!(json(&api.models(&tools).await.expect("a list"))["data"].as_array().expect("a list").len() <= models.len());
    let first = json(&api.models(&ModelQuery { limit: Some(1), ..ModelQuery::default() }).await.expect("a list"));
    assert_eq!(first["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(first["links"]["next"], "/api/v1/models?limit=1&offset=1");
    let none = json(
        &api.models(&ModelQuery { q: Some("no such model".into()), ..ModelQuery::default() }).await.expect("a list"),
    );
    assert_eq!(none["total_count"], 0);
}

pub async fn a_key_sees_its_exact_spending_and_its_tightest_limit(pool: PgPool) {
    calendar::within_a_day().await;
    let (api, tenant) = (api(&pool).await, Tenant::with_credits(&pool, "10").await);
    let dir = tempfile::tempdir().expect("a folder");
    let settler = Settler::start(&Handle::current(), pool.clone(), Spool::open(dir.path()).expect("a spool"));
    let call = tenant.call();
    let held = hold(&desk(&pool, std::time::Duration::from_secs(900)), &call, "1").await;
    settler.settle(call.clone(), held, answered("0.123456789012")).await;
    let mut conn = pool.acquire().await.expect("a connection");
    let limits = Limits { day: Some(usd("1")), month: Some(usd("20")), ..Limits::default() };
    ledger::set_limits(&mut conn, tenant.org, tenant.key_meter, limits, false).await.expect("limits");

    let body = api.key(&caller(&tenant)).await.expect("an answer");
    let text = String::from_utf8(body.to_vec()).expect("text");
    assert!(text.contains(r#""usage":0.123456789012,"#), "{text}");
    assert!(text.contains(r#""limit":1,"limit_remaining":0.876543210988,"limit_reset":"daily""#), "{text}");
    let key = json(&body);
    assert!(key["data"]["rate_limit"]["requests"].is_i64() && key["data"]["is_free_tier"] == false);

    let text = String::from_utf8(api.credits(&caller(&tenant)).await.expect("an answer").to_vec()).expect("text");
    assert_eq!(text, r#"{"data":{"total_credits":10,"total_usage":0.123456789012}}"#);

    let body = api.generation(&caller(&tenant), &call.id.to_string()).await.expect("an answer");
    let text = String::from_utf8(body.to_vec()).expect("text");
    assert!(text.contains(r#""total_cost":0.123456789012"#), "{text}");
    assert_eq!(json(&body)["data"]["provider_responses"][0]["provider_name"], "sandbox");

    let stranger = Tenant::with_credits(&pool, "1").await;
    for (who, id) in [(&stranger, call.id.to_string()), (&tenant, CallId::fresh().to_string()), (&tenant, "x".into())] {
        let refused = api.generation(&caller(who), &id).await.expect_err("it is not theirs");
        assert_eq!(refused.status(), 404);
    }
}
