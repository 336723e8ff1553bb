//! Rows to what they mean. A value that this version does not know is an error, never a guess.

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::catalog::diff::{Current, Kept};
use crate::catalog::{
    Endpoint, EndpointId, ListedProvider, Modality, Model, Price, PriceVersionId, Provider, ProviderId, ProviderKind,
    UnitPrice,
};

struct ProviderRow {
    id: Uuid,
    slug: String,
    name: String,
    kind: String,
    base_url: Option<String>,
    key_env: Option<String>,
    privacy_url: Option<String>,
    terms_url: Option<String>,
    status_url: Option<String>,
    headquarters: Option<String>,
    cancel_stops_billing: bool,
    trains_on_inputs: bool,
    retains_logs: bool,
    enabled: bool,
    retired: bool,
    has_key: bool,
}

async fn provider_rows(conn: &mut PgConnection) -> sqlx::Result<Vec<ProviderRow>> {
    sqlx::query_as!(
        ProviderRow,
        r#"select id, slug, name, kind, base_url, key_env, privacy_url, terms_url, status_url, headquarters,
                  cancel_stops_billing, trains_on_inputs, retains_logs, enabled, retired_at is not null as "retired!",
                  exists (select from provider_secret s where s.provider_id = p.id) as "has_key!"
           from provider p
           order by slug"#
    )
    .fetch_all(conn)
    .await
}

impl ProviderRow {
    fn provider(self) -> sqlx::Result<Provider> {
        Ok(Provider {
            slug: parsed(self.slug)?,
            name: self.name,
            kind: ProviderKind::parse(&self.kind).ok_or_else(|| corrupt("provider.kind"))?,
            base_url: self.base_url,
            key_env: self.key_env,
            privacy_url: self.privacy_url,
            terms_url: self.terms_url,
            status_url: self.status_url,
            headquarters: self.headquarters,
            cancel_stops_billing: self.cancel_stops_billing,
            trains_on_inputs: self.trains_on_inputs,
            retains_logs: self.retains_logs,
            enabled: self.enabled,
        })
    }
}

struct ModelRow {
    slug: String,
    aliases: Vec<String>,
    name: String,
    description: String,
    created: i64,
    context_length: i32,
    max_output: Option<i32>,
    input_modalities: Vec<String>,
    output_modalities: Vec<String>,
    tokenizer: String,
    supported_parameters: Vec<String>,
    knowledge_cutoff: Option<NaiveDate>,
    enabled: bool,
    retired: bool,
}

async fn model_rows(conn: &mut PgConnection) -> sqlx::Result<Vec<ModelRow>> {
    sqlx::query_as!(
        ModelRow,
        r#"select slug, aliases, name, description, created, context_length, max_output, input_modalities,
                  output_modalities, tokenizer, supported_parameters, knowledge_cutoff, enabled,
                  retired_at is not null as "retired!"
           from model
           order by created desc, slug"#
    )
    .fetch_all(conn)
    .await
}

impl ModelRow {
    fn model(self) -> sqlx::Result<Model> {
        Ok(Model {
            slug: parsed(self.slug)?,
            aliases: self.aliases.into_iter().map(parsed).collect::<sqlx::Result<_>>()?,
            name: self.name,
            description: self.description,
            created: self.created,
            context_length: tokens(self.context_length)?,
            max_output: self.max_output.map(tokens).transpose()?,
            input_modalities: modalities(&self.input_modalities)?,
            output_modalities: modalities(&self.output_modalities)?,
            tokenizer: self.tokenizer,
            supported_parameters: self.supported_parameters,
            knowledge_cutoff: self.knowledge_cutoff,
            enabled: self.enabled,
        })
    }
}

struct EndpointRow {
    id: EndpointId,
    model: String,
    provider: String,
    upstream_model: String,
    context_length: i32,
    max_output: Option<i32>,
    image_tokens: Option<i32>,
    quantization: Option<String>,
    supported_parameters: Vec<String>,
    enabled: bool,
    retired: bool,
    price_version: PriceVersionId,
    prompt: UnitPrice,
    completion: UnitPrice,
    cache_read: Option<UnitPrice>,
    cache_write: Option<UnitPrice>,
    request: Option<UnitPrice>,
    image: Option<UnitPrice>,
    audio: Option<UnitPrice>,
    audio_output: Option<UnitPrice>,
}

async fn endpoint_rows(conn: &mut PgConnection) -> sqlx::Result<Vec<EndpointRow>> {
    sqlx::query_as!(
        EndpointRow,
        r#"select e.id as "id: EndpointId", m.slug as model, p.slug as provider, e.upstream_model, e.context_length,
                  e.max_output, e.image_tokens, e.quantization, e.supported_parameters, e.enabled,
                  e.retired_at is not null as "retired!", v.id as "price_version: PriceVersionId",
                  v.prompt as "prompt: UnitPrice", v.completion as "completion: UnitPrice",
                  v.cache_read as "cache_read: UnitPrice", v.cache_write as "cache_write: UnitPrice",
                  v.request as "request: UnitPrice", v.image as "image: UnitPrice",
                  v.audio as "audio: UnitPrice", v.audio_output as "audio_output: UnitPrice"
           from (select distinct on (endpoint_id) * from price_version order by endpoint_id, version desc) v
           join endpoint e on e.id = v.endpoint_id
           join model m on m.id = e.model_id
           join provider p on p.id = e.provider_id"#
    )
    .fetch_all(conn)
    .await
}

impl EndpointRow {
    fn endpoint(self) -> sqlx::Result<Endpoint> {
        Ok(Endpoint {
            model: parsed(self.model)?,
            provider: parsed(self.provider)?,
            upstream_model: self.upstream_model,
            context_length: tokens(self.context_length)?,
            max_output: self.max_output.map(tokens).transpose()?,
            image_tokens: self.image_tokens.map(tokens).transpose()?,
            quantization: self.quantization,
            supported_parameters: self.supported_parameters,
            enabled: self.enabled,
            price: Price {
                prompt: self.prompt,
                completion: self.completion,
                cache_read: self.cache_read,
                cache_write: self.cache_write,
                request: self.request,
                image: self.image,
                audio: self.audio,
                audio_output: self.audio_output,
            },
        })
    }
}

/// Everything, retired or not.
pub(in crate::catalog) async fn current(conn: &mut PgConnection) -> sqlx::Result<Current> {
    let mut current = Current::default();
    for row in provider_rows(conn).await? {
        let kept = Kept { retired: row.retired, value: row.provider()? };
        current.providers.insert(kept.value.slug.clone(), kept);
    }
    for row in model_rows(conn).await? {
        let kept = Kept { retired: row.retired, value: row.model()? };
        current.models.insert(kept.value.slug.clone(), kept);
    }
    for row in endpoint_rows(conn).await? {
        let kept = Kept { retired: row.retired, value: row.endpoint()? };
        current.endpoints.insert(kept.value.key(), kept);
    }
    Ok(current)
}

/// Providers in use, by slug.
pub(in crate::catalog) async fn listed_providers(conn: &mut PgConnection) -> sqlx::Result<Vec<ListedProvider>> {
    let rows = provider_rows(conn).await?.into_iter().filter(|row| row.enabled && !row.retired);
    rows.map(|row| {
        let (id, has_key) = (ProviderId(row.id), row.has_key);
        Ok(ListedProvider::new(id, row.provider()?, has_key))
    })
    .collect()
}

/// Models in use, newest first.
pub(in crate::catalog) async fn listed_models(conn: &mut PgConnection) -> sqlx::Result<Vec<Model>> {
    let rows = model_rows(conn).await?.into_iter().filter(|row| row.enabled && !row.retired);
    rows.map(ModelRow::model).collect()
}

/// Endpoints in use, each with its current price.
pub(in crate::catalog) async fn listed_endpoints(
    conn: &mut PgConnection,
) -> sqlx::Result<Vec<(EndpointId, PriceVersionId, Endpoint)>> {
    let rows = endpoint_rows(conn).await?.into_iter().filter(|row| row.enabled && !row.retired);
    rows.map(|row| Ok((row.id, row.price_version, row.endpoint()?))).collect()
}

fn corrupt(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{column} has a value that this version does not know").into())
}

fn parsed<T>(text: String) -> sqlx::Result<T>
where
    T: TryFrom<String>,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn modalities(words: &[String]) -> sqlx::Result<Vec<Modality>> {
    words.iter().map(|word| Modality::parse(word).ok_or_else(|| corrupt("model.modalities"))).collect()
}

fn tokens(column: i32) -> sqlx::Result<u32> {
    u32::try_from(column).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
