//! What stands behind the text of a key.

use sqlx::PgConnection;

use super::super::caller::Caller;
use super::super::key::Powers;
use super::super::revoke::manages;
use super::read::rules;
use crate::base::ids::{KeyId, MeterId, OrgId, PersonId};
use crate::base::secret::Digest;

/// What authentication finds under a digest.
pub struct Found {
    pub caller: Caller,
    pub disabled: bool,
    pub frozen: bool,
    /// Whoever made it, or made the key that issued it, is frozen.
    pub maker_frozen: bool,
    /// The organization is deleted, or waits for it.
    pub closing: bool,
    /// Somebody stopped every key of the organization.
    pub stopped: bool,
}

pub async fn find_by_digest(conn: &mut PgConnection, digest: &Digest) -> Result<Option<Found>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select k.org_id as "org: OrgId", k.id as "id: KeyId", k.kind, k.name, k.label, k.can_call, k.can_manage,
            k.digest as "digest!", k.previous_until, k.created_by as "created_by: PersonId",
            k.issued_by as "issued_by: KeyId", k.disabled_at, k.expires_at, k.allowed_models as models,
            k.allowed_ips::text[] as ips, k.requests_per_minute as per_minute, k.preset,
            o.frozen_at, o.keys_stopped_at, coalesce(o.delete_after, o.deleted_at) is not null as "closing!",
            m.meter_id as "member_meter?: MeterId", m.role as "maker_role?", k.handed_on,
            i.disabled_at as "issuer_disabled_at?", i.expires_at as "issuer_expires_at?",
            i.allowed_models as "issuer_models?", i.allowed_ips::text[] as "issuer_ips?",
            i.requests_per_minute as "issuer_per_minute?", i.preset as "issuer_preset?",
            im.meter_id as "issuers_member?: MeterId",
            exists (select from person f where f.id in (k.created_by, i.created_by) and f.frozen_at is not null)
                as "maker_frozen!"
           from api_key k
           join org o on o.id = k.org_id
           left join api_key i on i.org_id = k.org_id and i.id = k.issued_by
           left join membership m on m.org_id = k.org_id and m.person_id = k.created_by
           left join membership im on im.org_id = i.org_id and im.person_id = i.created_by
           where (k.digest = $1 or k.previous_digest = $1) and k.deleted_at is null and i.deleted_at is null"#,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let issuer = row.issued_by.map(|key| MeterId(key.0));
        // Whoever made the provisioning key cannot get round their own cap by making keys for others.
        let issuers_member = row.issuers_member.filter(|meter| row.member_meter != Some(*meter));
        let meters =
            [Some(MeterId(row.id.0)), issuer, row.member_meter, issuers_member].into_iter().flatten().collect();
        let replaced = row.digest != digest.as_bytes();
        let ends = [row.expires_at, row.issuer_expires_at, row.previous_until.filter(|_| replaced)];
        let above = rules(row.issuer_models, row.issuer_ips, row.issuer_per_minute, row.issuer_preset);
        let rules = rules(row.models, row.ips, row.per_minute, row.preset).under(above);
        Found {
            caller: Caller {
                org: row.org,
                key: row.id,
                key_name: row.name,
                key_label: row.label,
                created_by: row.created_by,
                meters,
                hash: hex::encode(row.digest),
                provisioning: row.kind == "provisioning",
                powers: Powers {
                    call: row.can_call,
                    manage: row.can_manage && (row.created_by.is_none() || manages(row.maker_role.as_deref())),
                },
                issued_by: row.issued_by,
                issuers_member,
                handed_on: row.handed_on || row.issued_by.is_some(),
                expires_at: ends.into_iter().flatten().min(),
                rules,
            },
            disabled: row.disabled_at.is_some() || row.issuer_disabled_at.is_some(),
            frozen: row.frozen_at.is_some(),
            maker_frozen: row.maker_frozen,
            closing: row.closing,
            stopped: row.keys_stopped_at.is_some(),
        }
    }))
}
