//! Billing details, who sells, and receipts.

use sqlx::PgConnection;

use crate::base::ids::{OrgId, TopUpId};
use crate::topups::billing::{Details, Receipt, Seller};
use crate::topups::topup::TopUp;

/// What an organization wants on its receipts; empty where it said nothing.
///
/// # Errors
/// Database errors only.
pub async fn billing_details(conn: &mut PgConnection, org: OrgId) -> Result<Details, sqlx::Error> {
    let found = sqlx::query_as!(
        Details,
        "select name, address, country, tax_id, email from billing_details where org_id = $1",
        org.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.unwrap_or_default())
}

pub async fn set_billing_details(conn: &mut PgConnection, org: OrgId, details: &Details) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into billing_details (org_id, name, address, country, tax_id, email) values ($1, $2, $3, $4, $5, $6)
         on conflict (org_id) do update set name = excluded.name, address = excluded.address,
            country = excluded.country, tax_id = excluded.tax_id, email = excluded.email, updated_at = now()",
        org.0,
        details.name,
        details.address,
        details.country,
        details.tax_id,
        details.email,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn delete_billing_details(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from billing_details where org_id = $1", org.0).execute(conn).await?;
    Ok(())
}

/// Who sells now.
pub async fn seller(conn: &mut PgConnection) -> Result<Option<Seller>, sqlx::Error> {
    sqlx::query_as!(Seller, "select name, address, tax_id, email, site from seller order by id desc limit 1")
        .fetch_optional(conn)
        .await
}

pub async fn insert_seller(conn: &mut PgConnection, seller: &Seller) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into seller (name, address, tax_id, email, site) values ($1, $2, $3, $4, $5)",
        seller.name,
        seller.address,
        seller.tax_id,
        seller.email,
        seller.site,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the receipt of a paid purchase with everybody as they are now; its number, or `None` when there is one.
pub async fn insert_receipt(conn: &mut PgConnection, topup: &TopUp) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "insert into receipt (org_id, topup_id, number, issued_at, seller_id, org_name, payer, buyer_name,
            buyer_address, buyer_country, buyer_tax_id)
         select t.org_id, t.id, t.receipt_number, t.paid_at, (select max(id) from seller), o.name,
            coalesce(p.name, ''), coalesce(b.name, ''), coalesce(b.address, ''), coalesce(b.country, ''),
            coalesce(b.tax_id, '')
         from topup t join org o on o.id = t.org_id
         left join person p on p.id = t.created_by
         left join billing_details b on b.org_id = t.org_id
         where t.org_id = $1 and t.id = $2 and t.receipt_number is not null and t.paid_at is not null
         on conflict do nothing returning number",
        topup.org.0,
        topup.id.0,
    )
    .fetch_optional(conn)
    .await
}

/// The receipt of a purchase, once it is paid.
///
/// # Errors
/// Database errors only.
pub async fn receipt(conn: &mut PgConnection, org: OrgId, topup: TopUpId) -> Result<Option<Receipt>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select r.number, r.issued_at, r.org_name, r.payer, r.buyer_name, r.buyer_address, r.buyer_country,
            r.buyer_tax_id, s.name as "name?", s.address as "address?", s.tax_id as "tax_id?", s.email as "email?",
            s.site as "site?"
           from receipt r left join seller s on s.id = r.seller_id where r.org_id = $1 and r.topup_id = $2"#,
        org.0,
        topup.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Receipt {
        number: row.number,
        issued_at: row.issued_at,
        seller: Seller {
            name: row.name.unwrap_or_default(),
            address: row.address.unwrap_or_default(),
            tax_id: row.tax_id.unwrap_or_default(),
            email: row.email.unwrap_or_default(),
            site: row.site.unwrap_or_default(),
        },
        org_name: row.org_name,
        payer: row.payer,
        buyer_name: row.buyer_name,
        buyer_address: row.buyer_address,
        buyer_country: row.buyer_country,
        buyer_tax_id: row.buyer_tax_id,
    }))
}
