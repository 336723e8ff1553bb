//! Writing receipts, who sells, and who buys.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::details::Details;
use super::document::receipt_number;
use super::seller::Seller;
use crate::audit::{self, Action};
use crate::base::EmailAddress;
use crate::base::ids::OrgId;
use crate::hooks::{self, EventKind, Payload};
use crate::mail::{self, About, Kind, NewMail, Topic};
use crate::notices;
use crate::orgs::{Acting, OrgError, Permission};
use crate::topups::fees::method_name;
use crate::topups::store;
use crate::topups::topup::TopUp;
use crate::web::views::emails::{self, NoticeMail};

/// Writes down who sells here, unless that is what was written last. Receipts from now on name them.
///
/// # Errors
/// Database errors only.
pub async fn introduce(conn: &mut PgConnection, seller: &Seller) -> Result<(), sqlx::Error> {
    if store::seller(conn).await?.as_ref() != Some(seller) {
        store::insert_seller(conn, seller).await?;
    }
    Ok(())
}

/// Writes the receipt of a purchase whose money has just come in, and mails it where the organization wants it. Writing
/// it again changes nothing.
///
/// # Errors
/// Database errors, and a mail that cannot be written.
pub async fn issue(conn: &mut PgConnection, topup: &TopUp) -> anyhow::Result<()> {
    let Some(number) = store::insert_receipt(conn, topup).await? else { return Ok(()) };
    let payload = Payload::new()
        .with("topup", topup.id.to_string())
        .with("receipt", receipt_number(number))
        .with("credits", topup.credits.exact())
        .with("fee", topup.fee.exact())
        .with("total", topup.total.exact())
        .with("method", topup.method.clone())
        .with("automatic", topup.is_auto());
    hooks::emit(conn, topup.org, EventKind::CreditsAdded, &format!("receipt:{}", topup.id), payload).await?;
    let seller = store::seller(conn).await?.unwrap_or_default();
    let notice = notice(topup, number, &seller);
    let about = About::org(topup.org);
    let address = EmailAddress::parse(&store::billing_details(conn, topup.org).await?.email).ok();
    let usual = |role| notices::usual(Topic::Receipt, role);
    let mut readers = notices::readers(conn, topup.org, Topic::Receipt, &[], &usual).await?;
    if let Some(to) = address {
        // Whoever has the billing address gets one.
        readers.retain(|reader| reader.email.canonical() != to.canonical());
        let written = emails::notice(&notice)?;
        let event = format!("receipt:{}", topup.id);
        let new = NewMail {
            event,
            kind: Kind::Receipt,
            to,
            subject: written.subject,
            text: written.text,
            html: written.html,
            about,
        };
        mail::enqueue(conn, new).await?;
    }
    notices::write(conn, &format!("receipt:{}", topup.id), Kind::Receipt, readers, &notice, about).await
}

fn notice(topup: &TopUp, number: i64, seller: &Seller) -> NoticeMail {
    let number = receipt_number(number);
    let fact = |name: &str, value: String| (name.to_owned(), value);
    NoticeMail {
        subject: format!("Receipt {number} for {}", topup.total.display()),
        lines: std::iter::once(format!("A payment to {} came in.", seller.name))
            .chain(Some(topup.oddity()).filter(|text| !text.is_empty()))
            .collect(),
        facts: vec![
            fact("Receipt", number),
            fact("Prepaid credits", topup.credits.display()),
            fact("Fee", topup.fee.display()),
            fact("Total", topup.total.display()),
            fact("Paid with", method_name(&topup.method).to_owned()),
        ],
        action: "Open the receipt".into(),
        link: seller.link_of(topup.org, &format!("/credits/topups/{}/receipt", topup.id)),
        footer: "The page has the receipt to print and as a PDF, for those who handle the credits of the \
                 organization. Who gets this stands under Settings, Billing details and Notifications."
            .into(),
        ..NoticeMail::default()
    }
}

/// Keeps what an organization wants on its receipts from now on.
///
/// # Errors
/// `NotAllowed` when the role was taken away meanwhile, and database errors.
pub async fn save(conn: &mut PgConnection, acting: &Acting<'_>, details: &Details) -> Result<(), OrgError> {
    acting.lock(conn, Permission::HandleCredits).await?;
    let before = store::billing_details(conn, acting.org).await?;
    let changed = details.differences(&before);
    if changed.is_empty() {
        return Ok(());
    }
    store::set_billing_details(conn, acting.org, details).await?;
    // The log keeps which fields, not what stands in them.
    let entry = acting.entry(Action::BillingChanged).change(Value::Null, json!({ "changed": changed }));
    audit::record(conn, entry).await?;
    Ok(())
}

/// Erases the billing details of an organization that ends. Its receipts stay.
///
/// # Errors
/// Database errors only.
pub async fn forget(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    store::delete_billing_details(conn, org).await
}

/// Who sells now, as receipts name them, a line each.
///
/// # Errors
/// Database errors only.
pub async fn seller_lines(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    Ok(store::seller(conn).await?.unwrap_or_default().lines())
}

/// An organization as its documents name it now, a line each.
///
/// # Errors
/// Database errors only.
pub async fn buyer_lines(conn: &mut PgConnection, org: OrgId, name: &str) -> Result<Vec<String>, sqlx::Error> {
    let details = store::billing_details(conn, org).await?;
    let country = super::country(&details.country).unwrap_or_default();
    let tax = if details.tax_id.is_empty() { String::new() } else { format!("Tax id {}", details.tax_id) };
    let name = if details.name.is_empty() { name } else { &details.name };
    let lines = std::iter::once(name).chain(details.address.lines()).chain([country, tax.as_str()]);
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
