//! Keys of providers as programs read and write them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::activity::workspace_of;
use super::store;
use crate::base::ids::OrgId;
use crate::integrations::ProviderKey;
use crate::routing::Mode;
use crate::web::api::{ApiError, answered, given, present};

/// A key to be stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProviderKey {
    /// The slug of a provider of the catalog.
    #[schema(min_length = 1, max_length = 80)]
    pub provider: String,
    /// What the provider gave you. It is stored sealed, sent to this provider alone, and never shown again.
    #[schema(min_length = 8, max_length = 2048, pattern = "^[!-~]+$")]
    pub key: String,
    #[schema(max_length = 80)]
    pub name: Option<String>,
    /// Only `false`: a key that is not to be used is deleted.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub disabled: Option<bool>,
    /// Used when everybody on the operator's accounts failed.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub is_fallback: Option<bool>,
    /// For this provider this key or nobody.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub is_byok_only: Option<bool>,
    /// The only models that it is for; `null` for all.
    #[schema(min_items = 1, max_items = 100)]
    pub allowed_models: Option<Vec<String>>,
    /// The only keys of the organization that may use it, by their hash; `null` for all.
    #[schema(min_items = 1, max_items = 100)]
    pub allowed_api_key_hashes: Option<Vec<String>>,
    /// The only members whose keys may use it; `null` for all.
    #[schema(min_items = 1, max_items = 100)]
    pub allowed_user_ids: Option<Vec<String>>,
    /// The workspace, which is the organization's own.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub workspace_id: Option<String>,
}

/// What becomes other of a stored key. What is not there stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateProviderKey {
    /// Takes the place of the key that is stored.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, min_length = 8, max_length = 2048, pattern = "^[!-~]+$")]
    pub key: Option<String>,
    /// `null` for the provider's name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 80)]
    pub name: Option<Option<String>>,
    /// Only `false`: a key that is not to be used is deleted.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub disabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub is_fallback: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub is_byok_only: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    pub allowed_models: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    pub allowed_api_key_hashes: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    pub allowed_user_ids: Option<Option<Vec<String>>>,
}

/// A stored key, without the key itself.
#[derive(Serialize, ToSchema)]
pub struct ProviderKeyData {
    pub id: String,
    /// The provider's slug.
    pub provider: String,
    pub name: String,
    /// The key with its middle left out.
    pub label: String,
    pub workspace_id: String,
    /// Always false.
    pub disabled: bool,
    pub is_fallback: bool,
    pub is_byok_only: bool,
    /// Always 0: a provider has one key.
    pub sort_order: u32,
    pub allowed_models: Option<Vec<String>>,
    pub allowed_api_key_hashes: Option<Vec<String>>,
    pub allowed_user_ids: Option<Vec<String>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub struct ProviderKeysBody {
    pub data: Vec<ProviderKeyData>,
    pub total_count: usize,
}

#[derive(Serialize, ToSchema)]
pub struct ProviderKeyBody {
    pub data: ProviderKeyData,
}

impl ProviderKeyData {
    /// # Errors
    /// 503 while the database is away.
    pub async fn of(conn: &mut PgConnection, org: OrgId, key: ProviderKey) -> Result<ProviderKeyData, ApiError> {
        let hashes = match &key.keys {
            None => None,
            Some(keys) => {
                let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
                let found = answered(store::hashes(conn, org, &ids)).await?;
                // One that is deleted has no hash any more; the limit stands all the same.
                let hashes = ids.iter().filter_map(|id| found.get(id)).map(|(hash, _)| hash.clone());
                Some(hashes.filter(|hash| !hash.is_empty()).collect())
            }
        };
        Ok(ProviderKeyData {
            id: key.id.to_string(),
            workspace_id: workspace_of(org),
            disabled: false,
            is_fallback: key.mode == Mode::Fallback,
            is_byok_only: key.mode == Mode::Only,
            sort_order: 0,
            allowed_api_key_hashes: hashes,
            allowed_user_ids: key.members.map(|ids| ids.iter().map(ToString::to_string).collect()),
            provider: key.provider,
            name: key.name,
            label: key.label,
            allowed_models: key.models,
            created_at: key.created_at,
            updated_at: key.updated_at,
        })
    }
}
