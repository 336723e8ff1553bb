//! What is told to everybody, and putting it away.

use actix_web::{HttpResponse, web};
use chrono::Days;
use serde::Deserialize;
use serde_json::{Value, json};

use super::orgs::ReasonForm;
use super::{again, done, form, page, read_id, reason_field, with_problem};
use crate::accounts::SignedIn;
use crate::audit::{Action, Target};
use crate::base::ids::AnnouncementId;
use crate::console::extract::{Acting, Operator, Staff};
use crate::console::{act, store};
use crate::orgs;
use crate::web::error::local_path;
use crate::web::present::when;
use crate::web::views::blocks::{Block, Cell, Column, Input, Table};
use crate::web::views::console::ConsoleShell;
use crate::web::views::{Badge, Choice};
use crate::web::{App, PageError, Protected, see_other};

const HERE: &str = "/admin/announcements";
/// Letters of an announcement.
const MAX_BODY: usize = 400;
/// Days that one stays.
const DAYS: std::ops::RangeInclusive<u64> = 1..=90;
const LISTED: i64 = 100;

fn shell(staff: &Staff) -> ConsoleShell {
    staff.shell("announcements", "Announcements", "What is told to everybody.")
}

/// `GET /admin/announcements`
///
/// # Errors
/// Database errors only.
pub async fn index(app: web::Data<App>, staff: Operator) -> Result<HttpResponse, PageError> {
    page(shell(&staff), blocks(&app, &staff).await?)
}

async fn blocks(app: &App, staff: &Staff) -> Result<Vec<Block>, PageError> {
    let known = store::announcements(&mut *app.db.acquire().await?, LISTED).await?;
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let open = |one: &store::AnnouncementRow| one.ended_at.is_none() && one.until > now;
    let table = Table {
        id: "announcements",
        columns: vec![
            Column::of("Text"),
            Column::of("State"),
            Column::right("Put away by"),
            Column::of("Until"),
            Column::far("Made"),
        ],
        rows: known
            .iter()
            .map(|one| {
                let state = if open(one) {
                    Badge::new("good", "circle-check", "Shown")
                } else {
                    Badge::new("", "clock", "Over")
                };
                vec![
                    Cell::text(one.body.as_str()).under(if one.tone == "warn" { "a warning" } else { "" }),
                    Cell::badge(state),
                    Cell::text(one.read.to_string()),
                    Cell::when(when(one.until, now, viewer)),
                    Cell::when(when(one.created_at, now, viewer)),
                ]
            })
            .collect(),
        empty: "Nothing was announced yet".into(),
        empty_note: "An announcement stands on top of every page until somebody puts it away.".into(),
        ..Table::default()
    };
    let mut make = form(staff, "announce", HERE, "Tell everybody", "Announce");
    make.fields = vec![
        Input::of("area", "body", "Text").required().max(400).hint("Plain text, at most 400 characters."),
        Input::of("select", "tone", "Kind")
            .required()
            .choices(vec![Choice::new("info", "News", "", true), Choice::new("warn", "A warning", "", false)]),
        Input::of("number", "days", "Days").value("7").required().hint("From 1 to 90."),
        reason_field(),
    ];
    let mut blocks = vec![Block::Table(table), Block::Form(make)];
    let choices: Vec<Choice> = known
        .iter()
        .filter(|one| open(one))
        .map(|one| Choice::new(&one.id.to_string(), &one.body.chars().take(60).collect::<String>(), "", false))
        .collect();
    if !choices.is_empty() {
        let mut end = form(staff, "end", format!("{HERE}/end"), "Take one back", "Take back");
        end.danger = true;
        end.fields = vec![Input::of("select", "announcement", "Which").choices(choices).required(), reason_field()];
        blocks.push(Block::Form(end));
    }
    Ok(blocks)
}

#[derive(Deserialize)]
pub struct AnnounceForm {
    #[serde(default)]
    body: String,
    #[serde(default)]
    tone: String,
    #[serde(default)]
    days: String,
    #[serde(flatten)]
    why: ReasonForm,
}

impl AnnounceForm {
    /// For how many days, where all of it is right.
    fn check(&self) -> Result<u64, String> {
        let body = self.body.trim();
        let long = body.chars().count();
        let odd = |letter: char| letter.is_control() && letter != '\n' && letter != '\r';
        if long == 0 || long > MAX_BODY || body.chars().any(odd) {
            return Err("An announcement has 1 to 400 characters. Nothing was announced.".into());
        }
        let days = self.days.trim().parse::<u64>().ok().filter(|days| DAYS.contains(days));
        let days = days.ok_or("An announcement stays for 1 to 90 days. Nothing was announced.")?;
        act::reason(&self.why.reason).map(|_| days)
    }
}

/// `POST /admin/announcements`
///
/// # Errors
/// Those of [`act::begin`]; what is wrong with the form is told above it.
pub async fn announce(
    app: web::Data<App>,
    staff: Acting,
    Protected(form): Protected<AnnounceForm>,
) -> Result<HttpResponse, PageError> {
    let body = form.body.trim();
    let tone = if form.tone == "warn" { "warn" } else { "info" };
    let days = match form.check() {
        Ok(days) => days,
        Err(problem) => {
            let typed = [("body", &*form.body), ("tone", tone), ("days", &form.days), ("reason", &form.why.reason)];
            return with_problem(shell(&staff), blocks(&app, &staff).await?, ("announce", &typed), &problem);
        }
    };
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "announce").await? else {
        return Ok(again(&app, HERE));
    };
    let (id, by) = (AnnouncementId::fresh(), act.person.id);
    let until = app.clock.now().checked_add_days(Days::new(days)).unwrap_or_else(|| app.clock.now());
    store::insert_announcement(&mut act.tx, id, (body, tone), by, until).await?;
    let change = (Value::Null, json!({ "text": body, "until": until }));
    act.note(None, Action::AnnouncementMade, Target::new("announcement", id, ""), change).await?;
    act.commit().await?;
    Ok(done(&app, HERE, true, "Everybody sees it on their next page."))
}

#[derive(Deserialize)]
pub struct EndForm {
    #[serde(default)]
    announcement: String,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/announcements/end`
///
/// # Errors
/// `NotFound` for what is none; those of [`act::begin`].
pub async fn end(
    app: web::Data<App>,
    staff: Acting,
    Protected(form): Protected<EndForm>,
) -> Result<HttpResponse, PageError> {
    let id: AnnouncementId = read_id(&form.announcement)?;
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "end_announcement").await? else {
        return Ok(again(&app, HERE));
    };
    if !store::end_announcement(&mut act.tx, id).await? {
        return Ok(done(&app, HERE, false, "It was over already."));
    }
    let target = Target::new("announcement", id, "");
    act.note(None, Action::AnnouncementEnded, target, (Value::Null, Value::Null)).await?;
    act.commit().await?;
    Ok(done(&app, HERE, true, "It is no longer shown."))
}

#[derive(Deserialize)]
pub struct ReadForm {
    #[serde(default)]
    id: String,
}

/// `POST /announcements/read`: by whoever is signed in, for themselves.
///
/// # Errors
/// `NotFound` for what is no id; database errors.
pub async fn put_away(
    app: web::Data<App>,
    signed_in: SignedIn,
    request: actix_web::HttpRequest,
    Protected(form): Protected<ReadForm>,
) -> Result<HttpResponse, PageError> {
    let id: AnnouncementId = read_id(&form.id)?;
    orgs::put_away(&mut *app.db.acquire().await?, id, signed_in.person().id).await?;
    let back = crate::accounts::extract::return_path(&request);
    Ok(see_other(local_path(&back)))
}
