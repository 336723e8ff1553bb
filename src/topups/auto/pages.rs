//! `/credits/auto`: the rule, switching it on and off, and what it did.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::limits::{CONFIRM_WITHIN, CONTESTED, MAX_DECLINES};
use super::rule::{Rule, RuleError, Wanted, offered};
use crate::accounts::Recent;
use crate::base::ids::{OrgId, PaymentMethodId, TopUpId};
use crate::base::paging::{Rows, fetch_limit};
use crate::base::{Usd, Viewer};
use crate::orgs::Billing;
use crate::topups::fees::Schedule;
use crate::topups::processors::Processors;
use crate::topups::store::{self, AttemptRow, MethodRow};
use crate::topups::topup::State;
use crate::web::present::{amount, when};
use crate::web::views::topup_rules as views;
use crate::web::views::{Badge, Choice, Field, Pager};
use crate::web::{App, EmptyForm, PageError, Protected, flash, html, see_other, unprocessable};

const HERE: &str = "/credits/auto";
const ROWS: u16 = 20;

#[derive(Default, Deserialize)]
pub struct IndexQuery {
    #[serde(default)]
    before: String,
}

/// `GET /credits/auto`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    member: Billing,
    query: web::Query<IndexQuery>,
) -> Result<HttpResponse, PageError> {
    let (org, before) = (member.org_id(), query.before.parse::<TopUpId>().ok());
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let mut conn = member.tenant(&app).await?;
    let rule = store::rule(&mut conn, org).await?;
    let methods = usable(&mut conn, org, &processors.schedule()).await?;
    let attempts = Rows::of(store::attempts(&mut conn, org, before, fetch_limit(ROWS)).await?, ROWS);
    let caps = match &rule {
        Some(rule) => Some(caps_view(&mut conn, rule).await?),
        None => None,
    };
    let label = match &rule {
        Some(rule) => store::payment_method(&mut conn, org, rule.method).await?.map(|method| method.label),
        None => None,
    };
    let is_on = rule.as_ref().is_some_and(|rule| rule.enabled);
    let older = attempts.rows.last().filter(|_| attempts.more);
    html(&views::Auto {
        shell: member.shell("credits", "Auto top-up", "Buys credits by itself before they are used up."),
        state: if is_on { Badge::new("good", "circle-check", "On") } else { Badge::new("", "ban", "Off") },
        sentence: rule.as_ref().map(|rule| sentence(rule, label.as_deref())).unwrap_or_default(),
        stopped: rule.as_ref().map(stopped).unwrap_or_default(),
        is_on,
        missing: missing(&processors.schedule(), &methods).to_owned(),
        may_save_method: processors.schedule().reusable().next().is_some(),
        caps,
        attempts: attempts.rows.iter().map(|row| attempt_view(row, now, viewer)).collect(),
        pager: Pager {
            older_href: older.map(|last| format!("{HERE}?before={}", last.id)),
            newest_href: before.map(|_| HERE.to_owned()),
            note: String::new(),
            by_name: false,
        },
    })
}

fn sentence(rule: &Rule, label: Option<&str>) -> String {
    let with = label.unwrap_or("a payment method that was removed");
    format!("When credits fall below {}, buy {} with {with}.", rule.below.display(), rule.credits.display())
}

/// The rule in one line, for other pages.
///
/// # Errors
/// Database errors only.
pub async fn summary(conn: &mut PgConnection, org: OrgId) -> Result<(bool, String), sqlx::Error> {
    match store::rule(conn, org).await? {
        Some(rule) if rule.enabled => {
            let method = store::payment_method(conn, org, rule.method).await?;
            Ok((true, sentence(&rule, method.map(|method| method.label).as_deref())))
        }
        _ => Ok((false, "Buys credits by itself before they are used up.".to_owned())),
    }
}

fn stopped(rule: &Rule) -> String {
    match rule.stopped_reason.as_str() {
        "" => String::new(),
        CONTESTED => format!("It was switched off. {CONTESTED}"),
        reason => format!("It was switched off after {MAX_DECLINES} failed charges in a row. The last one: {reason}"),
    }
}

fn missing(schedule: &Schedule, methods: &[MethodRow]) -> &'static str {
    if schedule.reusable().next().is_none() {
        "This instance takes no payments that can be repeated without you. Whoever runs it can set up a card processor."
    } else if methods.is_empty() {
        "There is no saved payment method yet."
    } else {
        ""
    }
}

/// Saved payment methods that can be charged here.
async fn usable(conn: &mut PgConnection, org: OrgId, schedule: &Schedule) -> Result<Vec<MethodRow>, sqlx::Error> {
    let mut methods = store::payment_methods(conn, org).await?;
    methods.retain(|saved| offered(schedule, saved).is_some());
    Ok(methods)
}

async fn caps_view(conn: &mut PgConnection, rule: &Rule) -> Result<views::Caps, sqlx::Error> {
    let charged = store::auto_charged(conn, rule.org).await?;
    Ok(views::Caps {
        today: amount(charged.today),
        day: amount(rule.cap_day),
        this_month: amount(charged.this_month),
        month: amount(rule.cap_month),
    })
}

fn attempt_view(row: &AttemptRow, now: DateTime<Utc>, viewer: Viewer) -> views::AttemptRow {
    let state = row.state.as_deref().and_then(State::parse);
    let waits = format!("The bank asks for a confirmation, for {} hours at most.", CONFIRM_WITHIN.num_hours());
    let (badge, reason) = match state {
        None => (Badge::new("warn", "ban", "Not charged"), row.reason.clone()),
        Some(State::Pending) if row.checkout_url.is_some() => (Badge::new("warn", "clock", "To confirm"), waits),
        Some(State::Pending) => (Badge::new("warn", "clock", "Pending"), String::new()),
        Some(State::Failed | State::Expired) => {
            (Badge::new("bad", "circle-x", "Failed"), row.failure.clone().unwrap_or_default())
        }
        Some(State::Paid) => (Badge::new("good", "circle-check", "Paid"), String::new()),
        Some(State::Refunded) => (Badge::new("", "receipt", "Refunded"), String::new()),
        Some(State::Disputed) => (Badge::new("bad", "triangle-alert", "Disputed"), String::new()),
    };
    views::AttemptRow {
        time: when(row.created_at, now, viewer),
        credits: amount(row.credits),
        method: row.label.clone(),
        state: badge,
        reason,
        href: state.map(|_| format!("/credits/topups/{}", row.id)),
    }
}

#[derive(Clone, Default, Deserialize)]
pub struct RuleForm {
    #[serde(default)]
    below: String,
    #[serde(default)]
    credits: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    cap_day: String,
    #[serde(default)]
    cap_month: String,
}

impl RuleForm {
    fn of(rule: &Rule) -> RuleForm {
        let text = |amount: Usd| amount.display().trim_start_matches('$').to_owned();
        RuleForm {
            below: text(rule.below),
            credits: text(rule.credits),
            method: rule.method.to_string(),
            cap_day: text(rule.cap_day),
            cap_month: text(rule.cap_month),
        }
    }

    /// A rule that suits many, for somebody who begins.
    fn suggested() -> RuleForm {
        RuleForm {
            below: "10.00".into(),
            credits: "50.00".into(),
            method: String::new(),
            cap_day: "200.00".into(),
            cap_month: "1,000.00".into(),
        }
    }

    fn fields(&self) -> Fields {
        Fields {
            below: Field::of(&self.below),
            credits: Field::of(&self.credits),
            cap_day: Field::of(&self.cap_day),
            cap_month: Field::of(&self.cap_month),
            method_error: String::new(),
        }
    }
}

/// The form with what is wrong in it.
struct Fields {
    below: Field,
    credits: Field,
    cap_day: Field,
    cap_month: Field,
    method_error: String,
}

impl Fields {
    /// `None` when something is no amount or no method; the errors stand beside it then.
    fn read(&mut self, method: &str) -> Option<Wanted> {
        let amount = |field: &mut Field| match Usd::parse(&field.value) {
            Ok(amount) => Some(amount),
            Err(error) => {
                field.error = format!("This {error}.");
                None
            }
        };
        let method: Option<PaymentMethodId> = method.parse().ok();
        if method.is_none() {
            self.method_error = "Choose a payment method.".into();
        }
        let (below, credits) = (amount(&mut self.below), amount(&mut self.credits));
        let (cap_day, cap_month) = (amount(&mut self.cap_day), amount(&mut self.cap_month));
        Some(Wanted { below: below?, credits: credits?, method: method?, cap_day: cap_day?, cap_month: cap_month? })
    }

    /// Puts an error beside what it is about.
    fn blame(&mut self, error: RuleError) -> Result<(), PageError> {
        let told = error.to_string();
        match error {
            RuleError::Credits(_) => self.credits.error = told,
            RuleError::Below => self.below.error = told,
            RuleError::Method => self.method_error = told,
            RuleError::CapDay(_) => self.cap_day.error = told,
            RuleError::CapMonth => self.cap_month.error = told,
            RuleError::Org(error) => return Err(error.into()),
            RuleError::Database(error) => return Err(error.into()),
            RuleError::Internal(error) => return Err(PageError::Internal(error)),
        }
        Ok(())
    }
}

/// `None` when there is no payment method to choose.
async fn edit_view(
    app: &App,
    processors: &Processors,
    member: &Billing,
    form: Option<(&RuleForm, Fields)>,
) -> Result<Option<views::AutoEdit>, PageError> {
    let schedule = &processors.schedule();
    let mut conn = member.tenant(app).await?;
    let methods = usable(&mut conn, member.org_id(), schedule).await?;
    let rule = store::rule(&mut conn, member.org_id()).await?;
    let own = rule.as_ref().map_or_else(RuleForm::suggested, RuleForm::of);
    let (chosen, fields) =
        form.map_or_else(|| (own.method.clone(), own.fields()), |(form, fields)| (form.method.clone(), fields));
    let Some(first) = methods.first() else { return Ok(None) };
    let chosen = methods.iter().find(|method| method.id.to_string() == chosen).unwrap_or(first);
    let below = Usd::parse(&fields.below.value).unwrap_or_default();
    let fee = offered(schedule, chosen).map(|method| method.fee.describe()).unwrap_or_default();
    let whole = |amount: Usd| amount.display().trim_end_matches(".00").to_owned();
    Ok(Some(views::AutoEdit {
        shell: member.shell("credits", "Set auto top-up", "When it buys, how much, with what, and how much at most."),
        methods: methods
            .iter()
            .map(|method| {
                Choice::new(&method.id.to_string(), &method.label, &note(method, schedule), method.id == chosen.id)
            })
            .collect(),
        range: format!("Between {} and {}. The fee is added: {fee}.", whole(schedule.min), whole(schedule.max)),
        at_once: member.credit.posted < below,
        is_on: rule.is_some_and(|rule| rule.enabled),
        below: fields.below,
        credits: fields.credits,
        method_error: fields.method_error,
        cap_day: fields.cap_day,
        cap_month: fields.cap_month,
    }))
}

/// When it expires, or how it pays: with some, credits arrive days later.
fn note(saved: &MethodRow, schedule: &Schedule) -> String {
    match saved.expires.as_str() {
        "" => offered(schedule, saved).map(|method| method.note.to_owned()).unwrap_or_default(),
        expires => format!("expires {expires}"),
    }
}

/// `GET /credits/auto/edit`
///
/// # Errors
/// Database errors only.
pub async fn edit(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    member: Billing,
    _recent: Recent,
) -> Result<HttpResponse, PageError> {
    match edit_view(&app, &processors, &member, None).await? {
        Some(page) => html(&page),
        // What is missing, that page says.
        None => Ok(see_other(HERE)),
    }
}

/// `POST /credits/auto`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn turn_on(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    member: Billing,
    _recent: Recent,
    Protected(form): Protected<RuleForm>,
) -> Result<HttpResponse, PageError> {
    let mut fields = form.fields();
    if let Some(wanted) = fields.read(&form.method) {
        let mut tx = member.tenant(&app).await?;
        match super::turn_on(&mut tx, &processors.schedule(), &member.acting(), &wanted).await {
            Ok(()) => {
                tx.commit().await?;
                return Ok(back(&app, "Auto top-up is on."));
            }
            Err(error) => fields.blame(error)?,
        }
    }
    match edit_view(&app, &processors, &member, Some((&form, fields))).await? {
        Some(page) => unprocessable(&page),
        None => Ok(see_other(HERE)),
    }
}

/// `POST /credits/auto/off`
///
/// # Errors
/// Database errors only.
pub async fn turn_off(
    app: web::Data<App>,
    member: Billing,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = member.tenant(&app).await?;
    super::turn_off(&mut tx, &member.acting()).await?;
    tx.commit().await?;
    Ok(back(&app, "Auto top-up is off. A charge that was sent before may still arrive; nothing new is charged."))
}

fn back(app: &App, text: &str) -> HttpResponse {
    flash::told(app, HERE, true, text)
}
