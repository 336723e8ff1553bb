//! Price lists of providers, what they charge, and the sums that margins are made of.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::base::Usd;
use crate::base::ids::{OrgId, PersonId, PriceListId};
use crate::catalog::UnitPrice;

/// An endpoint in use, with its price and what it costs the operator, where somebody said so.
#[derive(Clone, Debug)]
pub struct PricedEndpoint {
    pub id: Uuid,
    pub model: String,
    pub provider: String,
    pub upstream_model: String,
    pub version: i32,
    pub prompt: UnitPrice,
    pub completion: UnitPrice,
    pub cache_read: Option<UnitPrice>,
    pub cost_prompt: Option<UnitPrice>,
    pub cost_completion: Option<UnitPrice>,
    pub cost_cache_read: Option<UnitPrice>,
    /// Customers also pay by call or image, or another price for tokens that are audio or written to a cache. Neither price lists
    /// nor the sums per hour know of these, so what they cost the operator is in no margin.
    pub has_more_prices: bool,
    /// It writes nothing that a price for output is for.
    pub embeds_or_ranks: bool,
}

pub async fn priced_endpoints(conn: &mut PgConnection) -> Result<Vec<PricedEndpoint>, sqlx::Error> {
    sqlx::query_as!(
        PricedEndpoint,
        r#"select e.id, m.slug as model, p.slug as provider, e.upstream_model, v.version,
            v.prompt as "prompt: UnitPrice", v.completion as "completion: UnitPrice",
            v.cache_read as "cache_read: UnitPrice", u.prompt as "cost_prompt?: UnitPrice",
            u.completion as "cost_completion?: UnitPrice", u.cache_read as "cost_cache_read?: UnitPrice",
            (coalesce(v.request, 0) > 0 or coalesce(v.image, 0) > 0 or coalesce(v.cache_write, v.prompt) <> v.prompt
                or coalesce(v.audio, v.prompt) <> v.prompt
                or coalesce(v.audio_output, v.completion) <> v.completion) as "has_more_prices!",
            m.output_modalities && array['embeddings', 'rerank'] as "embeds_or_ranks!"
           from endpoint e join model m on m.id = e.model_id join provider p on p.id = e.provider_id
           join lateral (select * from price_version v where v.endpoint_id = e.id order by version desc limit 1) v on true
           left join lateral (select * from upstream_price u where u.endpoint_id = e.id order by version desc limit 1) u
            on true
           where e.retired_at is null and m.retired_at is null and p.retired_at is null
           order by m.slug, p.slug, e.upstream_model limit 5000"#
    )
    .fetch_all(conn)
    .await
}

/// An endpoint, in use or retired.
#[derive(Clone, Debug)]
pub struct NamedEndpoint {
    pub id: Uuid,
    pub model: String,
    pub provider: String,
    pub upstream_model: String,
    /// Of its price.
    pub version: i32,
}

pub async fn endpoint_named(conn: &mut PgConnection, id: Uuid) -> Result<Option<NamedEndpoint>, sqlx::Error> {
    sqlx::query_as!(
        NamedEndpoint,
        r#"select e.id, m.slug as model, p.slug as provider, e.upstream_model,
            (select coalesce(max(version), 0) from price_version v where v.endpoint_id = e.id) as "version!"
           from endpoint e join model m on m.id = e.model_id join provider p on p.id = e.provider_id
           where e.id = $1"#,
        id
    )
    .fetch_optional(conn)
    .await
}

/// What was called of a model at a provider in a span of whole hours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsedTokens {
    pub model: String,
    pub provider: String,
    pub requests: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cached_tokens: i64,
    /// What customers paid for these.
    pub cost: Usd,
    /// What customers paid in hours of theirs in which a provider billed accounts of their own: fees, whose calls cost the
    /// operator nothing. The tokens above are without them.
    pub aside: Usd,
}

pub async fn used_tokens(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<UsedTokens>, sqlx::Error> {
    sqlx::query_as!(
        UsedTokens,
        r#"select model as "model!", provider as "provider!", sum(requests)::bigint as "requests!",
            sum(prompt_tokens)::bigint as "prompt_tokens!", sum(completion_tokens)::bigint as "completion_tokens!",
            sum(cached_tokens)::bigint as "cached_tokens!", sum(cost) as "cost!: Usd", sum(aside) as "aside!: Usd"
           from house_used($1, $2) group by 1, 2 order by sum(cost + aside) desc, 1, 2 limit 2000"#,
        from,
        until,
    )
    .fetch_all(conn)
    .await
}

/// What was called of a model at a provider on a day of UTC, or by an organization.
#[derive(Clone, Debug)]
pub struct UsedPart<T> {
    pub of: T,
    pub used: UsedTokens,
}

impl<T> UsedPart<T> {
    fn of(of: T, (model, provider): (&str, &str), sums: (i64, i64, i64, i64, Usd, Usd)) -> UsedPart<T> {
        let (requests, prompt_tokens, completion_tokens, cached_tokens, cost, aside) = sums;
        let (model, provider) = (model.to_owned(), provider.to_owned());
        UsedPart {
            of,
            used: UsedTokens {
                model,
                provider,
                requests,
                prompt_tokens,
                completion_tokens,
                cached_tokens,
                cost,
                aside,
            },
        }
    }
}

/// The same by day, newest first; the sums of the days are those of [`used_tokens`].
pub async fn used_by_day(
    conn: &mut PgConnection,
    (model, provider): (&str, &str),
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<UsedPart<NaiveDate>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select (hour at time zone 'utc')::date as "day!", sum(requests)::bigint as "requests!",
            sum(prompt_tokens)::bigint as "prompt_tokens!", sum(completion_tokens)::bigint as "completion_tokens!",
            sum(cached_tokens)::bigint as "cached_tokens!", sum(cost) as "cost!: Usd", sum(aside) as "aside!: Usd"
           from house_used($3, $4) where model = $1 and provider = $2 group by 1 order by 1 desc limit 400"#,
        model,
        provider,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| {
            let sums = (r.requests, r.prompt_tokens, r.completion_tokens, r.cached_tokens, r.cost, r.aside);
            UsedPart::of(r.day, (model, provider), sums)
        })
        .collect())
}

/// The same by organization, those that paid most first.
pub async fn used_by_org(
    conn: &mut PgConnection,
    (model, provider): (&str, &str),
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    most: i64,
) -> Result<Vec<UsedPart<OrgId>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select org_id as "org: OrgId", sum(requests)::bigint as "requests!",
            coalesce(sum(prompt_tokens) filter (where upstream_cost = 0), 0)::bigint as "prompt_tokens!",
            coalesce(sum(completion_tokens) filter (where upstream_cost = 0), 0)::bigint as "completion_tokens!",
            coalesce(sum(cached_tokens) filter (where upstream_cost = 0), 0)::bigint as "cached_tokens!",
            coalesce(sum(cost) filter (where upstream_cost = 0), 0) as "cost!: Usd",
            coalesce(sum(cost) filter (where upstream_cost > 0), 0) as "aside!: Usd"
           from usage_hour where hour >= $3 and hour < $4 and model = $1 and provider = $2
           group by 1 order by sum(cost) desc, 1 limit $5"#,
        model,
        provider,
        from,
        until,
        most,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| {
            let sums = (r.requests, r.prompt_tokens, r.completion_tokens, r.cached_tokens, r.cost, r.aside);
            UsedPart::of(r.org, (model, provider), sums)
        })
        .collect())
}

/// A list that somebody uploaded.
#[derive(Clone, Debug)]
pub struct PriceListRow {
    pub id: PriceListId,
    pub name: String,
    pub content: String,
    pub created_at: DateTime<Utc>,
    pub applied_at: Option<DateTime<Utc>>,
}

pub async fn insert_list(
    conn: &mut PgConnection,
    id: PriceListId,
    (name, content): (&str, &str),
    by: PersonId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into price_list (id, name, content, made_by) values ($1, $2, $3, $4) on conflict (id) do nothing",
        id.0,
        name,
        content,
        by.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn price_list(conn: &mut PgConnection, id: PriceListId) -> Result<Option<PriceListRow>, sqlx::Error> {
    sqlx::query_as!(
        PriceListRow,
        r#"select id as "id: PriceListId", name, content, created_at, applied_at from price_list where id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// The newest lists, without what they say.
pub async fn price_lists(conn: &mut PgConnection, most: i64) -> Result<Vec<PriceListRow>, sqlx::Error> {
    sqlx::query_as!(
        PriceListRow,
        r#"select id as "id: PriceListId", name, '' as "content!", created_at, applied_at from price_list
           order by id desc limit $1"#,
        most,
    )
    .fetch_all(conn)
    .await
}

pub async fn mark_applied(conn: &mut PgConnection, id: PriceListId) -> Result<(), sqlx::Error> {
    sqlx::query!("update price_list set applied_at = now() where id = $1", id.0).execute(conn).await?;
    Ok(())
}

/// A new version of what an endpoint costs the operator.
pub async fn add_upstream_price(
    conn: &mut PgConnection,
    endpoint: Uuid,
    (prompt, completion, cache_read): (UnitPrice, UnitPrice, Option<UnitPrice>),
    list: PriceListId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into upstream_price (endpoint_id, version, prompt, completion, cache_read, list_id)
         select $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5 from upstream_price where endpoint_id = $1",
        endpoint,
        prompt.amount(),
        completion.amount(),
        cache_read.map(UnitPrice::amount),
        list.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}
