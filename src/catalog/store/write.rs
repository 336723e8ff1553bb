//! The writes. Each names one row and says so when there was none.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::catalog::{Endpoint, EndpointKey, Model, ModelSlug, Price, Provider, ProviderSlug, UnitPrice};

/// Only one apply runs at a time. The number is the name of this lock and of nothing else.
const APPLY_LOCK: i64 = 0x6661_7265_6361_7401;

pub(in crate::catalog) async fn lock(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock($1)", APPLY_LOCK).fetch_one(conn).await.map(drop)
}

pub(in crate::catalog) async fn put_provider(conn: &mut PgConnection, provider: &Provider) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "insert into provider (id, slug, name, kind, base_url, key_env, privacy_url, terms_url, status_url,
                               headquarters, cancel_stops_billing, trains_on_inputs, retains_logs, enabled)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (slug) do update set
             name = excluded.name, kind = excluded.kind, base_url = excluded.base_url, key_env = excluded.key_env,
             privacy_url = excluded.privacy_url, terms_url = excluded.terms_url, status_url = excluded.status_url,
             headquarters = excluded.headquarters, cancel_stops_billing = excluded.cancel_stops_billing,
             trains_on_inputs = excluded.trains_on_inputs, retains_logs = excluded.retains_logs,
             enabled = excluded.enabled, retired_at = null",
        Uuid::now_v7(),
        provider.slug.as_str(),
        provider.name,
        provider.kind.as_str(),
        provider.base_url,
        provider.key_env,
        provider.privacy_url,
        provider.terms_url,
        provider.status_url,
        provider.headquarters,
        provider.cancel_stops_billing,
        provider.trains_on_inputs,
        provider.retains_logs,
        provider.enabled,
    )
    .execute(conn)
    .await?;
    exactly_one(done.rows_affected())
}

pub(in crate::catalog) async fn put_model(conn: &mut PgConnection, model: &Model) -> sqlx::Result<()> {
    let aliases: Vec<String> = model.aliases.iter().map(ToString::to_string).collect();
    let input: Vec<String> = model.input_modalities.iter().map(|m| m.as_str().to_owned()).collect();
    let output: Vec<String> = model.output_modalities.iter().map(|m| m.as_str().to_owned()).collect();
    let done = sqlx::query!(
        "insert into model (id, slug, aliases, name, description, created, context_length, max_output,
                            input_modalities, output_modalities, tokenizer, supported_parameters, knowledge_cutoff,
                            enabled)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (slug) do update set
             aliases = excluded.aliases, name = excluded.name, description = excluded.description,
             created = excluded.created, context_length = excluded.context_length, max_output = excluded.max_output,
             input_modalities = excluded.input_modalities, output_modalities = excluded.output_modalities,
             tokenizer = excluded.tokenizer, supported_parameters = excluded.supported_parameters,
             knowledge_cutoff = excluded.knowledge_cutoff, enabled = excluded.enabled, retired_at = null",
        Uuid::now_v7(),
        model.slug.as_str(),
        &aliases,
        model.name,
        model.description,
        model.created,
        column(model.context_length)?,
        model.max_output.map(column).transpose()?,
        &input,
        &output,
        model.tokenizer,
        &model.supported_parameters,
        model.knowledge_cutoff,
        model.enabled,
    )
    .execute(conn)
    .await?;
    exactly_one(done.rows_affected())
}

/// Everything but the price.
pub(in crate::catalog) async fn put_endpoint(conn: &mut PgConnection, endpoint: &Endpoint) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "insert into endpoint (id, model_id, provider_id, upstream_model, context_length, max_output, quantization,
                               supported_parameters, enabled, image_tokens)
         select $1, m.id, p.id, $4, $5, $6, $7, $8, $9, $10
         from model m, provider p
         where m.slug = $2 and p.slug = $3
         on conflict (model_id, provider_id, upstream_model) do update set
             context_length = excluded.context_length, max_output = excluded.max_output,
             quantization = excluded.quantization, supported_parameters = excluded.supported_parameters,
             enabled = excluded.enabled, image_tokens = excluded.image_tokens, retired_at = null",
        Uuid::now_v7(),
        endpoint.model.as_str(),
        endpoint.provider.as_str(),
        endpoint.upstream_model,
        column(endpoint.context_length)?,
        endpoint.max_output.map(column).transpose()?,
        endpoint.quantization,
        &endpoint.supported_parameters,
        endpoint.enabled,
        endpoint.image_tokens.map(column).transpose()?,
    )
    .execute(conn)
    .await?;
    exactly_one(done.rows_affected())
}

/// A new version above all earlier ones of the endpoint.
pub(in crate::catalog) async fn add_price(
    conn: &mut PgConnection,
    key: &EndpointKey,
    price: &Price,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "insert into price_version (id, endpoint_id, version, prompt, completion, cache_read, cache_write, request, image,
                                    audio, audio_output)
         select $1, e.id, 1 + coalesce((select max(version) from price_version v where v.endpoint_id = e.id), 0),
                $5, $6, $7, $8, $9, $10, $11, $12
         from endpoint e
         join model m on m.id = e.model_id
         join provider p on p.id = e.provider_id
         where m.slug = $2 and p.slug = $3 and e.upstream_model = $4",
        Uuid::now_v7(),
        key.model.as_str(),
        key.provider.as_str(),
        key.upstream_model,
        price.prompt.amount(),
        price.completion.amount(),
        price.cache_read.map(UnitPrice::amount),
        price.cache_write.map(UnitPrice::amount),
        price.request.map(UnitPrice::amount),
        price.image.map(UnitPrice::amount),
        price.audio.map(UnitPrice::amount),
        price.audio_output.map(UnitPrice::amount),
    )
    .execute(conn)
    .await?;
    exactly_one(done.rows_affected())
}

pub(in crate::catalog) async fn retire_provider(conn: &mut PgConnection, slug: &ProviderSlug) -> sqlx::Result<()> {
    let done =
        sqlx::query!("update provider set retired_at = now() where slug = $1", slug.as_str()).execute(conn).await?;
    exactly_one(done.rows_affected())
}

pub(in crate::catalog) async fn retire_model(conn: &mut PgConnection, slug: &ModelSlug) -> sqlx::Result<()> {
    let done = sqlx::query!("update model set retired_at = now() where slug = $1", slug.as_str()).execute(conn).await?;
    exactly_one(done.rows_affected())
}

pub(in crate::catalog) async fn retire_endpoint(conn: &mut PgConnection, key: &EndpointKey) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "update endpoint e set retired_at = now()
         from model m, provider p
         where m.id = e.model_id and p.id = e.provider_id
           and m.slug = $1 and p.slug = $2 and e.upstream_model = $3",
        key.model.as_str(),
        key.provider.as_str(),
        key.upstream_model,
    )
    .execute(conn)
    .await?;
    exactly_one(done.rows_affected())
}

/// Every write names one row. Anything else means that the catalog is not what the caller saw.
fn exactly_one(rows: u64) -> sqlx::Result<()> {
    if rows == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

fn column(tokens: u32) -> sqlx::Result<i32> {
    i32::try_from(tokens).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}
