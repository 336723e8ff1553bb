//! `/settings/privacy`: what becomes of what the organization sends.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use sqlx::PgConnection;

use super::settings::{DAYS_SHOWN, Discount, MAX_KEEP_DAYS, Settings};
use super::store;
use super::text::MAX_TEXT;
use crate::base::money::thousands;
use crate::catalog::{Catalog, ListedProvider, Shelf};
use crate::orgs::{Member, Permission, SettingsEditor};
use crate::vault::Vault;
use crate::web::views::{Field, own as views};
use crate::web::{App, Fields, PageError, Protected, flash, html, see_other, unprocessable};

const HERE: &str = "/settings/privacy";
/// Stored texts are counted up to here.
const MAX_COUNTED: i64 = 10_000;
/// What is typed to delete them.
const WORD: &str = "delete";
/// Providers that a sentence names.
const MAX_NAMED: usize = 6;

/// `GET /settings/privacy`
///
/// # Errors
/// Database errors only.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    discount: web::Data<Discount>,
    member: Member,
) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let settings = store::settings(&mut conn, member.org_id()).await?;
    let texts = Counts::read(&mut conn, &member).await?;
    drop(conn);
    html(&view(&member, &shelf.current(), &discount, &settings, texts))
}

/// `POST /settings/privacy`
///
/// # Errors
/// Database errors; a wrong number of days is shown beside its field.
pub async fn save(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    discount: web::Data<Discount>,
    vault: web::Data<Vault>,
    member: SettingsEditor,
    Protected(form): Protected<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::from(form);
    let is_on = |name: &str| !fields.one(name).is_empty();
    let days = fields.one("keep_days").trim();
    let keep_days = days.parse().ok().filter(|days| (1..=MAX_KEEP_DAYS).contains(days));
    let settings = Settings {
        paid_training: is_on("paid_training"),
        free_training: is_on("free_training"),
        zero_retention: is_on("zero_retention"),
        log_texts: is_on("log_texts"),
        keep_days: keep_days.unwrap_or(1),
        analytics_cookies: is_on("analytics_cookies"),
        keys_see_balance: is_on("keys_see_balance"),
    };
    let mut tx = member.tenant(&app).await?;
    if keep_days.is_none() {
        let texts = Counts::read(&mut tx, &member).await?;
        let page = view(&member, &shelf.current(), &discount, &settings, texts);
        let wrong = format!("Write a whole number of days from 1 to {MAX_KEEP_DAYS}.");
        return unprocessable(&views::Privacy { keep_days: Field::wrong(days, wrong), ..page });
    }
    super::save(&mut tx, &member.acting(), &vault, settings).await?;
    tx.commit().await?;
    let mut response = see_other(HERE);
    flash::set(&mut response, &app, true, "Saved. The next call keeps to it.");
    Ok(response)
}

/// Calls whose texts are stored, and of late were not.
#[derive(Clone, Copy)]
struct Counts {
    stored: i64,
    dropped: i64,
}

impl Counts {
    async fn read(conn: &mut PgConnection, member: &Member) -> Result<Counts, sqlx::Error> {
        let stored = store::count_texts(conn, member.org_id(), MAX_COUNTED).await?;
        let dropped = store::dropped(conn, member.org_id(), DAYS_SHOWN).await?;
        Ok(Counts { stored, dropped })
    }
}

/// `GET /settings/privacy/texts/delete`: what would be deleted, and a word to type.
///
/// # Errors
/// Database errors only.
pub async fn delete_form(app: web::Data<App>, member: SettingsEditor) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let stored = store::count_texts(&mut conn, member.org_id(), MAX_COUNTED).await?;
    drop(conn);
    if stored == 0 {
        return Ok(see_other(HERE));
    }
    html(&delete_view(&member, stored, Field::default()))
}

#[derive(Deserialize)]
pub struct DeleteForm {
    #[serde(default)]
    typed: String,
}

/// `POST /settings/privacy/texts/delete`
///
/// # Errors
/// Database errors; another word is shown beside its field, and nothing is deleted.
pub async fn delete(
    app: web::Data<App>,
    member: SettingsEditor,
    Protected(form): Protected<DeleteForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = member.tenant(&app).await?;
    if !form.typed.trim().eq_ignore_ascii_case(WORD) {
        let stored = store::count_texts(&mut tx, member.org_id(), MAX_COUNTED).await?;
        let typed = Field::wrong(&form.typed, format!("Type {WORD} to confirm. Nothing was deleted."));
        return unprocessable(&delete_view(&member, stored, typed));
    }
    let deleted = super::delete_texts(&mut tx, &member.acting()).await?;
    tx.commit().await?;
    let mut response = see_other(HERE);
    let text = if deleted == 1 {
        "The texts of one call are deleted.".to_owned()
    } else {
        format!("The texts of {} calls are deleted.", thousands(&deleted.to_string()))
    };
    flash::set(&mut response, &app, true, &text);
    Ok(response)
}

fn view(member: &Member, catalog: &Catalog, discount: &Discount, settings: &Settings, texts: Counts) -> views::Privacy {
    views::Privacy {
        shell: member.shell(
            "privacy",
            "Privacy",
            "What becomes of what you send. Every switch counts from the next call on.",
        ),
        may_change: member.may(Permission::ManageSettings),
        paid_training: settings.paid_training,
        free_training: settings.free_training,
        zero_retention: settings.zero_retention,
        log_texts: settings.log_texts,
        analytics_cookies: settings.analytics_cookies,
        keys_see_balance: settings.keys_see_balance,
        keep_days: Field::of(settings.keep_days.to_string()),
        discount: if discount.0.is_zero() { String::new() } else { crate::web::present::percent(discount.0) },
        training: names(catalog, |one| one.provider.trains_on_inputs),
        retaining: names(catalog, |one| one.provider.retains_logs),
        stored: counted(texts.stored),
        dropped: counted_all(texts.dropped),
        longest: format!("{} KB", MAX_TEXT / 1_024),
    }
}

fn delete_view(member: &Member, stored: i64, typed: Field) -> views::DeleteTexts {
    views::DeleteTexts {
        shell: member.shell("privacy", "Delete all stored texts", "What was sent and answered, of every call."),
        stored: if stored == 0 { "0".to_owned() } else { counted(stored) },
        word: WORD.to_owned(),
        typed,
    }
}

/// Empty for none.
fn counted(stored: i64) -> String {
    match stored {
        MAX_COUNTED.. => format!("{} or more", thousands(&MAX_COUNTED.to_string())),
        some => counted_all(some),
    }
}

fn counted_all(calls: i64) -> String {
    if calls == 0 { String::new() } else { thousands(&calls.to_string()) }
}

/// Such as `Lab gamma and 3 others`.
fn names(catalog: &Catalog, which: impl Fn(&ListedProvider) -> bool) -> String {
    let names: Vec<&str> =
        catalog.providers().iter().filter(|one| which(one)).map(|one| one.provider.name.as_str()).collect();
    match names.len().checked_sub(MAX_NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", names.get(..MAX_NAMED).unwrap_or_default().join(", ")),
        _ => names.join(", "),
    }
}
