//! An organization with credits, a key and a member, and calls that end as a test wants.

use std::time::Duration;

use chrono::{DateTime, Utc};
use farebox::base::Usd;
use farebox::base::ids::{CallId, KeyId, MeterId, OrgId, PersonId};
use farebox::gateway::sweep::HoldMemo;
use farebox::gateway::{Attempt, Call, CountedBy, Ended, Status, Terms, Tokens};
use farebox::ledger::{self, Byok, Code, Desk, DeskConfig, HouseAccount, Limits, MeterKind, Posting, Want};
use sqlx::PgPool;
use uuid::Uuid;

pub fn usd(text: &str) -> Usd {
    Usd::parse(text).expect("an amount")
}

#[derive(Clone, Copy)]
pub struct Tenant {
    pub org: OrgId,
    pub person: PersonId,
    pub key: KeyId,
    pub key_meter: MeterId,
    pub member_meter: MeterId,
}

impl Tenant {
    pub async fn with_credits(pool: &PgPool, credits: &str) -> Tenant {
        let key = KeyId::fresh();
        let tenant = Tenant {
            org: OrgId::fresh(),
            person: PersonId::fresh(),
            key,
            key_meter: MeterId(key.0),
            member_meter: MeterId::fresh(),
        };
        let mut tx = pool.begin().await.expect("a transaction");
        let mail = format!("{}@example.com", tenant.person);
        sqlx::query("insert into person (id, email, email_canonical, name) values ($1, $2, $2, 'Ada')")
            .bind(tenant.person.0)
            .bind(mail)
            .execute(&mut *tx)
            .await
            .expect("a person");
        sqlx::query("insert into org (id, name, kind) values ($1, 'Ada', 'personal')")
            .bind(tenant.org.0)
            .execute(&mut *tx)
            .await
            .expect("an organization");
        sqlx::query("insert into membership (org_id, person_id, role, meter_id) values ($1, $2, 'owner', $3)")
            .bind(tenant.org.0)
            .bind(tenant.person.0)
            .bind(tenant.member_meter.0)
            .execute(&mut *tx)
            .await
            .expect("a membership");
        sqlx::query(
            "insert into api_key (org_id, id, digest, kind, name, label, created_by)
             values ($1, $2, $3, 'inference', 'laptop', 'sk-fb-v1-0000…0000', $4)",
        )
        .bind(tenant.org.0)
        .bind(tenant.key.0)
        .bind(tenant.key.0.as_bytes().as_slice())
        .bind(tenant.person.0)
        .execute(&mut *tx)
        .await
        .expect("a key");
        ledger::open_credit(&mut tx, tenant.org).await.expect("an account");
        let meters = [(tenant.key_meter, MeterKind::Key), (tenant.member_meter, MeterKind::Member)];
        for (id, kind) in meters {
            ledger::create_meter(&mut tx, tenant.org, id, kind, Limits::default(), false).await.expect("a meter");
        }
        let grant = Posting {
            code: Code::Grant,
            reference: format!("grant for {}", tenant.org),
            debit: HouseAccount::Promotions.id(),
            credit: ledger::credit_account(tenant.org),
            amount: usd(credits),
            org: Some(tenant.org),
            memo: String::new(),
        };
        ledger::post(&mut tx, grant).await.expect("a grant");
        tx.commit().await.expect("committed");
        tenant
    }

    pub fn call(&self) -> Call {
        self.call_at(now())
    }

    /// Its id carries the moment, as that of every call does.
    pub fn call_at(&self, created_at: DateTime<Utc>) -> Call {
        let chance = CallId::fresh().0.as_u128() & ((1 << 80) - 1);
        Call {
            id: CallId(Uuid::from_u128(CallId::floor(created_at).0.as_u128() | chance)),
            org: self.org,
            key: self.key,
            member: Some(self.person),
            meters: vec![self.key_meter.0, self.member_meter.0],
            request_id: "req".into(),
            presets: Vec::new(),
            model_asked: "sandbox/echo".into(),
            streamed: false,
            app: "Lab".into(),
            referer: String::new(),
            user_agent: "test".into(),
            created_at,
            hops: 0,
        }
    }

    pub async fn posted(&self, pool: &PgPool) -> Usd {
        self.credit(pool).await.posted
    }

    pub async fn credit(&self, pool: &PgPool) -> ledger::CreditState {
        let mut conn = pool.acquire().await.expect("a connection");
        ledger::credit_state(&mut conn, self.org).await.expect("a balance")
    }
}

pub fn now() -> DateTime<Utc> {
    farebox::base::Clock::system().now()
}

/// Holds money for a call, as the gateway does.
pub async fn hold(desk: &Desk, call: &Call, amount: &str) -> Usd {
    let want = Want {
        call: call.id,
        org: call.org,
        meters: call.meter_ids(),
        most: usd(amount),
        least: usd(amount),
        byok: Byok::default(),
        memo: HoldMemo::text_of(call),
    };
    desk.reserve(want).await.expect("a hold").amount
}

pub fn desk(pool: &PgPool, ttl: Duration) -> Desk {
    Desk::start(&tokio::runtime::Handle::current(), pool.clone(), DeskConfig { hold_ttl: ttl })
}

pub fn answered(cost: &str) -> Ended {
    Ended {
        status: Status::Success,
        http_status: 200,
        error: String::new(),
        model: "sandbox/echo".into(),
        provider: "sandbox".into(),
        upstream_model: "echo".into(),
        upstream_id: "up-1".into(),
        price_version: None,
        finish_reason: "stop".into(),
        native_finish: "end".into(),
        tokens: Tokens { prompt: 100, completion: 20, cached: 10, cache_write: 0, reasoning: 5 },
        counted_by: CountedBy::Upstream,
        cancelled: false,
        cost: usd(cost),
        units: farebox::activity::Units::default(),
        terms: Terms::default(),
        first_token_ms: Some(40),
        duration_ms: 240,
        attempts: vec![Attempt {
            provider: "sandbox".into(),
            model: "sandbox/echo".into(),
            status: Some(200),
            error: String::new(),
            duration_ms: 240,
            own: false,
            api: String::new(),
        }],
    }
}

pub fn refused() -> Ended {
    Ended {
        status: Status::Rejected,
        http_status: 402,
        model: String::new(),
        provider: String::new(),
        tokens: Tokens::default(),
        counted_by: CountedBy::Nobody,
        cost: Usd::ZERO,
        attempts: Vec::new(),
        price_version: None::<Uuid>,
        ..answered("0")
    }
}

/// Nothing is off, to the last digit.
pub async fn assert_clean(pool: &PgPool) {
    let report = farebox::gateway::reconcile::verify_now(pool).await.expect("an audit");
    assert!(report.is_clean(), "{:#?}", report.drifts);
}

pub async fn rows(pool: &PgPool, org: OrgId) -> i64 {
    sqlx::query_scalar("select count(*) from usage where org_id = $1")
        .bind(org.0)
        .fetch_one(pool)
        .await
        .expect("a count")
}
