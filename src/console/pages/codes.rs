//! Redemption codes, in batches.

use actix_web::{HttpResponse, web};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::books::READ;
use super::orgs::ReasonForm;
use super::{
    ROWS, address, again, alone_note, confirmations, done, form, page, page_with, pager, read_id, read_some,
    reason_field, uses, with_problem,
};
use crate::audit::{Action, Target};
use crate::base::Usd;
use crate::base::ids::{BatchId, RedemptionId};
use crate::base::paging::{Rows, fetch_limit};
use crate::books;
use crate::console::Settings;
use crate::console::act;
use crate::console::confirmation::{self, Wish};
use crate::console::extract::{Acting, Staff};
use crate::console::margin::whole;
use crate::console::store;
use crate::topups::codes::{self, Batch, CodeKey, MadeBy, MakeError, NewBatch};
use crate::web::present::{amount, counted, when};
use crate::web::views::Badge;
use crate::web::views::blocks::{ActionLink, Block, Cell, Code, Column, Figure, Figures, Input, Table};
use crate::web::views::console::ConsoleShell;
use crate::web::{App, PageError, Protected};

const HERE: &str = "/admin/codes";
/// Batches that are listed, the newest.
const LISTED: i64 = 200;
/// Codes that are shown at once on a page; more are made on the command line.
const MAX_SHOWN: u32 = 1_000;

fn state(batch: &Batch, now: chrono::DateTime<chrono::Utc>) -> Badge {
    match (batch.revoked_at, batch.expires_at) {
        (Some(_), _) => Badge::new("bad", "ban", "Revoked"),
        (None, Some(at)) if at <= now => Badge::new("", "clock", "Expired"),
        (None, _) => Badge::new("good", "circle-check", "Open"),
    }
}

fn shell(staff: &Staff) -> ConsoleShell {
    staff.shell("codes", "Redemption codes", "Credits that are given away by codes, in batches.")
}

/// `GET /admin/codes`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    settings: web::Data<Settings>,
    staff: Staff,
) -> Result<HttpResponse, PageError> {
    page(shell(&staff), blocks(&app, &settings, &staff).await?)
}

async fn blocks(app: &App, settings: &Settings, staff: &Staff) -> Result<Vec<Block>, PageError> {
    let mut conn = app.db.acquire().await?;
    let batches = codes::batches(&mut conn, LISTED).await?;
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let open: Vec<&Batch> =
        batches.iter().filter(|one| one.revoked_at.is_none() && one.expires_at.is_none_or(|at| at > now)).collect();
    let table = Table {
        id: "batches",
        note: "The codes themselves are shown once, when they are made.".into(),
        columns: vec![
            Column::of("Made"),
            Column::right("Codes"),
            Column::right("Each gives"),
            Column::right("Used"),
            Column::right("Given"),
            Column::of("State"),
            Column::far("Until"),
            Column::of("Note"),
        ],
        rows: batches
            .iter()
            .map(|one| {
                let uses = uses(one.uses_per_code.into(), one.uses_per_org.into());
                let rows = format!("{HERE}/{}", one.id);
                vec![
                    Cell::when(when(one.created_at, now, viewer)).to(rows.as_str()),
                    Cell::text(one.codes.to_string()).under(uses),
                    Cell::amount(amount(one.amount)),
                    Cell::text(one.used.to_string()).to(rows.as_str()),
                    Cell::amount(amount(one.given)).to(rows),
                    Cell::badge(state(one, now)),
                    one.expires_at.map_or_else(|| Cell::text("no end"), |at| Cell::when(when(at, now, viewer))),
                    Cell::text(one.note.as_str()),
                ]
            })
            .collect(),
        empty: "No codes yet".into(),
        empty_note: "A code gives credits to whoever enters it first.".into(),
        ..Table::default()
    };
    let mut blocks = vec![Block::Table(table)];
    if staff.is_operator() {
        let mut make = form(staff, "make", HERE, "Make codes", "Make codes");
        make.note = format!(
            "Codes worth more than {} all together, with what you granted, corrected and made within a day, work once a \
             second operator has confirmed them. {}",
            settings.four_eyes_above.display(),
            alone_note(&mut conn, staff).await?,
        );
        make.fields = vec![
            Input::of("dollars", "amount", "Each gives").required(),
            Input::of("number", "count", "How many")
                .value("1")
                .required()
                .hint("At most 1,000 here; the command line makes more."),
            Input::of("number", "uses", "Uses of each").value("1").required(),
            Input::of("number", "per_org", "Uses of one organization").value("1").required(),
            Input::of("date", "expires", "Last day, by UTC"),
            Input::of("text", "note", "Note").hint("What they are for; only operators see it."),
            reason_field(),
        ];
        blocks.push(Block::Form(make));
        if !open.is_empty() {
            let mut revoke = form(staff, "revoke", format!("{HERE}/revoke"), "Revoke a batch", "Revoke");
            revoke.note = "What is left of it is worthless then. What was redeemed stays.".into();
            revoke.danger = true;
            let choices = open.iter().map(|one| {
                let label = format!(
                    "{}: {} of {}, {}",
                    one.created_at.format("%Y-%m-%d"),
                    one.codes,
                    one.amount.display(),
                    one.note
                );
                crate::web::views::Choice::new(&one.id.to_string(), label.trim_end_matches([',', ' ']), "", false)
            });
            revoke.fields =
                vec![Input::of("select", "batch", "Batch").choices(choices.collect()).required(), reason_field()];
            blocks.push(Block::Form(revoke));
        }
    }
    Ok(blocks)
}

#[derive(Default, Deserialize)]
pub struct BatchQuery {
    #[serde(default)]
    before: String,
}

/// `GET /admin/codes/{batch}`: who used its codes. The sum of the rows is what it gave.
///
/// # Errors
/// `NotFound` for an unknown batch; `Invalid` for a place that cannot be read; database errors.
pub async fn show(
    app: web::Data<App>,
    staff: Staff,
    id: web::Path<String>,
    query: web::Query<BatchQuery>,
) -> Result<HttpResponse, PageError> {
    let id: BatchId = read_id(&id)?;
    let before: Option<RedemptionId> = read_some(&query.before, "before")?;
    let mut conn = app.db.begin_with(READ).await?;
    let batch = codes::batch(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let (used, orgs, given) = store::redeemed(&mut conn, id).await?;
    let rows = Rows::of(store::redemptions(&mut conn, id, before, fetch_limit(ROWS)).await?, ROWS);
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let here = format!("{HERE}/{id}");
    let figures = Figures {
        id: "used",
        figures: vec![
            Figure::count("Codes", whole(batch.codes.into()), "")
                .note(uses(batch.uses_per_code.into(), batch.uses_per_org.into())),
            Figure::amount("Each gives", amount(batch.amount), ""),
            Figure::count("Used", whole(used), "").note(format!("by {}", counted(orgs, "organization"))),
            Figure::amount("Given", amount(given), ""),
        ],
        note: batch.note.clone(),
        ..Figures::default()
    };
    let table = Table {
        id: "uses",
        title: "Who used them".into(),
        columns: vec![
            Column::of("Time"),
            Column::of("Organization"),
            Column::of("By"),
            Column::right("Credits"),
            Column::far("Use"),
        ],
        rows: rows.rows.iter().map(|one| use_row(one, &staff, when(one.at, now, viewer))).collect(),
        foot: if before.is_none() && !rows.more && used > 0 {
            let sum: Usd = rows.rows.iter().map(|one| one.amount).sum();
            let blank = || Cell::text("");
            vec![Cell::text("Sum"), blank(), blank(), Cell::text(sum.display_exact()), blank()]
        } else {
            Vec::new()
        },
        empty: "Nobody used one yet".into(),
        pager: Some(pager(&rows, before.map(|_| here.clone()), |last| {
            address(&here, &[("before", &last.id.to_string())])
        })),
        ..Table::default()
    };
    let about = format!("Made {}.", batch.created_at.format("%-d %b %Y, %H:%M UTC"));
    let shell = staff.shell("codes", "A batch of codes", &about);
    let blocks = vec![Block::Figures(figures), Block::Table(table)];
    page_with(shell, Some((HERE, "Redemption codes")), Vec::new(), blocks)
}

fn use_row(one: &store::RedemptionRow, staff: &Staff, time: crate::web::views::When) -> Vec<Cell> {
    let time = Cell::when(time);
    // Who reads the money does not get to know the people.
    let by = match (&one.by, &one.by_name) {
        (Some(person), Some(name)) if staff.is_operator() => {
            Cell::link(name.as_str(), format!("/admin/people/{person}"))
        }
        (Some(_), _) => Cell::text("a member"),
        (None, _) => Cell::text("erased"),
    };
    vec![
        match one.transfer {
            Some(transfer) => time.to(format!("/admin/books/transfers/{transfer}")),
            None => time,
        },
        Cell::link(one.org_name.as_str(), format!("/admin/organizations/{}", one.org)),
        by,
        Cell::text(one.amount.display_exact()),
        Cell::mono(one.id.to_string()),
    ]
}

#[derive(Deserialize)]
pub struct MakeForm {
    #[serde(default)]
    form: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    count: String,
    #[serde(default)]
    uses: String,
    #[serde(default)]
    per_org: String,
    #[serde(default)]
    expires: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    reason: String,
}

impl MakeForm {
    fn batch(&self) -> Result<NewBatch, String> {
        let number = |text: &str, what: &str| {
            text.trim().parse::<u32>().map_err(|_| format!("{what} must be a whole number. Nothing was made."))
        };
        let amount = Usd::parse(&self.amount).map_err(|error| format!("What each gives {error}. Nothing was made."))?;
        let codes = number(&self.count, "How many")?;
        if codes > MAX_SHOWN {
            return Err(format!("At most {MAX_SHOWN} codes can be made here. Nothing was made."));
        }
        let expires_at = match self.expires.as_str() {
            "" => None,
            text => {
                let day: NaiveDate =
                    text.parse().map_err(|_| "The last day is no day. Nothing was made.".to_owned())?;
                Some(books::end_of(day))
            }
        };
        Ok(NewBatch {
            amount,
            codes,
            uses_per_code: number(&self.uses, "The uses of each")?,
            uses_per_org: number(&self.per_org, "The uses of one organization")?,
            expires_at,
            note: self.note.trim().to_owned(),
        })
    }

    /// The page with what was typed, and what was wrong with it.
    fn again(&self, blocks: Vec<Block>, staff: &Staff, problem: &str) -> Result<HttpResponse, PageError> {
        let typed = [
            ("amount", &*self.amount),
            ("count", &self.count),
            ("uses", &self.uses),
            ("per_org", &self.per_org),
            ("expires", &self.expires),
            ("note", &self.note),
            ("reason", &self.reason),
        ];
        with_problem(shell(staff), blocks, ("make", &typed), problem)
    }
}

/// `POST /admin/codes`: the answer shows the codes, once. The same form again makes none. Above the amount they wait for a
/// second operator, and work from then on.
///
/// # Errors
/// Those of [`act::begin`]; what is wrong with the form is told above it.
pub async fn make(
    app: web::Data<App>,
    settings: web::Data<Settings>,
    key: web::Data<CodeKey>,
    staff: Acting,
    Protected(form): Protected<MakeForm>,
) -> Result<HttpResponse, PageError> {
    let new = match form.batch().and_then(|new| act::reason(&form.reason).map(|_| new)) {
        Ok(new) => new,
        Err(problem) => return form.again(blocks(&app, &settings, &staff).await?, &staff, &problem),
    };
    let Some(mut act) = act::begin(&app, &staff, &form.form, &form.reason, "codes").await? else {
        return Ok(done(&app, HERE, true, "These codes were made already, and are not shown again."));
    };
    let (prepared, made) = match codes::prepare(&mut act.tx, &key, &new).await.map_err(wrong) {
        Ok(prepared) => prepared,
        Err(PageError::Invalid(problem)) => {
            drop(act);
            return form.again(blocks(&app, &settings, &staff).await?, &staff, &problem);
        }
        Err(other) => return Err(other),
    };
    let alone = confirmation::given_alone(&mut act.tx, act.person.id).await?;
    let mut actions = Vec::new();
    let note = if alone + new.worth() > settings.four_eyes_above {
        let wish = Wish::codes(&prepared);
        let id = confirmation::ask(&mut act.tx, &wish, &act.reason, act.person.id).await?;
        let after = json!({ "kind": wish.kind(), "batch": prepared.id, "worth": new.worth().exact() });
        let target = Target::new("confirmation", id, "");
        act.note(None, Action::ConfirmationAsked, target, (Value::Null, after)).await?;
        actions.push(ActionLink::of("What waits", format!("{}/{id}", confirmations::HERE), "clock"));
        "They do not work yet: a second operator has to confirm them. They are shown only now, so copy them before you \
         leave this page."
    } else {
        let entry = act.entry(Action::CodesMade).note(json!({ "reason": act.reason }));
        let by = MadeBy { maker: Some(act.person.id), confirmed_by: None };
        codes::put(&mut act.tx, &prepared, by, entry).await.map_err(wrong)?;
        "They are shown only now. Copy them before you leave this page."
    };
    act.commit().await?;
    let text: Vec<String> = made.iter().map(|code| code.reveal()).collect();
    let shown = Code {
        id: "codes",
        title: format!("{} of {}", counted(new.codes.into(), "code"), new.amount.display()),
        note: note.into(),
        text: text.join("\n"),
    };
    let shell = staff.shell("codes", "New codes", "");
    page_with(shell, Some((HERE, "Redemption codes")), actions, vec![Block::Code(shown)])
}

fn wrong(error: MakeError) -> PageError {
    match error {
        MakeError::Database(error) => error.into(),
        MakeError::Internal(error) => error.into(),
        error => PageError::Invalid(format!("Nothing was made: {error}.")),
    }
}

#[derive(Deserialize)]
pub struct RevokeForm {
    #[serde(default)]
    batch: String,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/codes/revoke`
///
/// # Errors
/// `NotFound` for an unknown batch; those of [`act::begin`].
pub async fn revoke(
    app: web::Data<App>,
    staff: Acting,
    Protected(form): Protected<RevokeForm>,
) -> Result<HttpResponse, PageError> {
    let batch: BatchId = read_id(&form.batch)?;
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "revoke").await? else {
        return Ok(again(&app, HERE));
    };
    let entry = act.entry(Action::CodesRevoked).change(Value::Null, json!({ "reason": act.reason }));
    match codes::revoke(&mut act.tx, batch, entry).await? {
        None => return Err(PageError::NotFound),
        Some(false) => return Ok(done(&app, HERE, false, "It was revoked before.")),
        Some(true) => {}
    }
    act.commit().await?;
    Ok(done(&app, HERE, true, "What is left of the batch is worthless now."))
}
