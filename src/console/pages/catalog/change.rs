//! Pages that change the catalog: a form, what would change in the words of `farebox catalog apply`, and a button that does it.

use actix_web::HttpResponse;
use serde::Deserialize;

use super::super::orgs::ReasonForm;
use super::super::{again, done, form, reason_field};
use super::{HERE, note};
use crate::audit::{Action, Target};
use crate::catalog::{self, CatalogFile};
use crate::console::act;
use crate::console::catalog_change::{self, Ask, Field, Kind, Problems, Refusal, Reviewed, Typed};
use crate::console::extract::{Acting, Staff};
use crate::web::views::Choice;
use crate::web::views::blocks::{ActionLink, Block, Cell, Code, Facts, Input};
use crate::web::views::console::Page;
use crate::web::{App, PageError, html, unprocessable};

const DONE: &str = "The catalog is changed. Calls that begin within a second of it follow it, on every node.";

/// A form that came, at either step.
#[derive(Deserialize)]
pub struct ChangeForm {
    /// What it was made from.
    #[serde(default)]
    pub basis: String,
    /// The mark of what was shown; empty before anything was.
    #[serde(default)]
    pub shown: String,
    #[serde(flatten)]
    pub why: ReasonForm,
    #[serde(flatten)]
    pub typed: Typed,
}

/// A page that changes something, and where it leads.
pub struct Place {
    pub ask: Ask,
    pub title: String,
    pub about: String,
    /// Where its forms go.
    pub action: String,
    /// Where whoever changed it is led.
    pub after: String,
    pub back: (String, String),
    pub links: Vec<ActionLink>,
    /// Above the form while nothing is asked for.
    pub above: Vec<Block>,
    pub form_title: &'static str,
    pub note: &'static str,
}

/// What a page shows besides.
#[derive(Default)]
pub struct Shown {
    pub typed: Typed,
    pub basis: String,
    pub wrong: Problems,
    pub told: String,
    pub review: Option<Reviewed>,
    /// What is reviewed can be done.
    pub may_confirm: bool,
    pub reason_problem: String,
}

/// The page as it is opened.
///
/// # Errors
/// `NotFound` where what it changes is not there; database errors.
pub async fn opened(
    app: &App,
    staff: &Staff,
    place: Place,
    now: &CatalogFile,
    typed: Typed,
) -> Result<HttpResponse, PageError> {
    let basis = place.ask.basis(now).ok_or(PageError::NotFound)?;
    let mut shown = Shown { typed, basis, ..Shown::default() };
    if !place.ask.has_fields() {
        let mut conn = app.db.acquire().await?;
        match catalog_change::review(&mut conn, now, &place.ask, &shown.typed).await {
            Ok(review) => (shown.review, shown.may_confirm) = (Some(review), true),
            Err(Refusal::Database(error)) => return Err(error.into()),
            Err(refusal) => shown.told = refusal.to_string(),
        }
    }
    html(&view(staff, place, now, shown))
}

/// What a form asks for: first what it would change, then, with a reason, that it is done.
///
/// # Errors
/// Those of [`act::begin`]; what is wrong with the form is told on its page.
pub async fn posted(app: &App, staff: &Acting, place: Place, form: ChangeForm) -> Result<HttpResponse, PageError> {
    if form.shown.is_empty() && place.ask.has_fields() {
        return asked(app, staff, place, form, String::new()).await;
    }
    if let Err(problem) = act::reason(&form.why.reason) {
        return asked(app, staff, place, form, problem).await;
    }
    let begun = act::begin(app, staff, &form.why.form, &form.why.reason, "catalog").await?;
    let Some(mut act) = begun else { return Ok(again(app, &place.after)) };
    let seen = (form.basis.as_str(), form.shown.as_str());
    match catalog_change::carry_out(&mut act.tx, &place.ask, &form.typed, seen).await {
        Ok(change) => {
            let (kind, id) = place.ask.target(&form.typed);
            let target = Target::new(kind, &id, id.as_str());
            act.note(None, Action::CatalogApplied, target, (change.before, change.after)).await?;
            act.commit().await?;
            Ok(done(app, &place.after, true, DONE))
        }
        Err(refusal) => {
            // Gives up the transaction, and with it whatever was written in it.
            drop(act);
            refused(app, staff, place, form, refusal).await
        }
    }
}

/// Shows what would change, to be confirmed.
async fn asked(
    app: &App,
    staff: &Acting,
    place: Place,
    form: ChangeForm,
    reason_problem: String,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    let now = catalog::export(&mut conn).await?;
    let reviewed = match place.ask.is_made_from(&now, &form.basis) {
        Ok(()) => catalog_change::review(&mut conn, &now, &place.ask, &form.typed).await,
        Err(refusal) => Err(refusal),
    };
    drop(conn);
    match reviewed {
        Ok(review) => {
            let good = reason_problem.is_empty();
            let shown = Shown {
                typed: form.typed,
                basis: form.basis,
                review: Some(review),
                may_confirm: true,
                reason_problem,
                ..Shown::default()
            };
            let view = view(staff, place, &now, shown);
            if good { html(&view) } else { unprocessable(&view) }
        }
        Err(refusal) => refused(app, staff, place, form, refusal).await,
    }
}

/// The form again, with what was wrong; or, where somebody else was faster, as things are now.
async fn refused(
    app: &App,
    staff: &Acting,
    place: Place,
    form: ChangeForm,
    refusal: Refusal,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    let now = catalog::export(&mut conn).await?;
    let mut shown = Shown { told: refusal.to_string(), typed: form.typed, basis: form.basis, ..Shown::default() };
    match refusal {
        Refusal::Database(error) => return Err(error.into()),
        Refusal::Wrong(problems) => shown.wrong = problems,
        Refusal::Changed => {
            // What was typed is told beside what is there, so that it can be typed again on top of it.
            shown.review = catalog_change::review(&mut conn, &now, &place.ask, &shown.typed).await.ok();
            shown.may_confirm = !place.ask.has_fields();
            shown.basis = place.ask.basis(&now).unwrap_or_default();
            if let Some(typed) = place.ask.typed_now(&now).filter(|typed| !typed.is_empty()) {
                shown.typed = typed;
            }
        }
        _ => {}
    }
    drop(conn);
    unprocessable(&view(staff, place, &now, shown))
}

fn view(staff: &Staff, place: Place, now: &CatalogFile, shown: Shown) -> Page {
    let mut blocks = Vec::new();
    let mut told = shown.told.clone();
    let own: Vec<&Field> = place.ask.fields().into_iter().flat_map(|(_, fields)| fields).collect();
    // What no field of the form can say.
    for (name, problem) in shown.wrong.iter().filter(|(name, _)| !own.iter().any(|field| field.name == **name)) {
        told = format!("{told} {name}: {problem}.");
    }
    if !told.is_empty() {
        blocks.push(note("bad", "circle-x", told));
    }
    let is_asked = shown.review.is_some();
    if let Some(review) = &shown.review {
        let title = if shown.may_confirm { "What will change" } else { "What your form would change now" };
        blocks.push(Block::Code(Code {
            id: "changes",
            title: title.into(),
            note: "In the words of “farebox catalog apply”: + adds, ~ changes, − retires.".into(),
            text: review.lines.join("\n"),
        }));
        if shown.may_confirm {
            blocks.push(Block::Form(confirm_form(staff, &place, &shown, review)));
        }
    }
    let is_there = place.ask.basis(now).is_some();
    let Place { ask, title, about, action, back, links, above, form_title, note, .. } = place;
    if !is_asked && shown.wrong.is_empty() {
        blocks.extend(above);
    }
    if ask.has_fields() && staff.is_operator() && is_there {
        let title = if is_asked && shown.may_confirm { "Or change it before" } else { form_title };
        let mut edit = form(staff, "change", action, title, "See what will change");
        edit.note = note.into();
        edit.pairs = true;
        edit.hidden.push(("basis", shown.basis.clone()));
        edit.fields = inputs(&ask, now, &shown.typed, &shown.wrong);
        blocks.push(Block::Form(edit));
    }
    let links = if is_asked { Vec::new() } else { links };
    Page { shell: staff.shell("catalog", &title, &about), back: Some(back), actions: links, blocks }
}

fn confirm_form(staff: &Staff, place: &Place, shown: &Shown, review: &Reviewed) -> crate::web::views::blocks::Form {
    let retires = !place.ask.has_fields();
    let (title, button) = if retires { ("Retire it", "Retire it") } else { ("Do it", "Change the catalog") };
    let mut confirm = form(staff, "confirm", place.action.as_str(), title, button);
    confirm.danger = retires;
    confirm.note = match retires {
        true => "It is no longer offered. Old calls can still be explained, and adding it again brings it back.".into(),
        false => "Exactly these lines, or nothing. Calls that have begun keep what they began with.".into(),
    };
    confirm.hidden.extend(place.ask.own(&shown.typed));
    confirm.hidden.extend([("basis", shown.basis.clone()), ("shown", review.shown.clone())]);
    confirm.fields = vec![reason_field().error(shown.reason_problem.as_str())];
    confirm
}

/// The fields of a change, with what was typed.
pub fn inputs(ask: &Ask, now: &CatalogFile, typed: &Typed, wrong: &Problems) -> Vec<Input> {
    let mut inputs = Vec::new();
    for (heading, fields) in ask.fields() {
        if !heading.is_empty() {
            inputs.push(Input::of("heading", "", heading));
        }
        inputs.extend(fields.iter().map(|field| input(field, now, typed, wrong)));
    }
    inputs
}

/// One field.
pub fn input(field: &Field, now: &CatalogFile, typed: &Typed, wrong: &Problems) -> Input {
    let value = typed.get(field.name).map_or("", String::as_str);
    let kind = match field.kind {
        Kind::Text | Kind::Words => "area",
        Kind::Switch(..) | Kind::Model | Kind::Provider => "select",
        Kind::Day => "date",
        Kind::Million | Kind::Unit => "dollars",
        Kind::Line | Kind::Tokens | Kind::Modalities | Kind::Ids | Kind::Id => "text",
    };
    let choice = |one: &str, label: &str| Choice::new(one, label, "", one == value);
    let choices = match field.kind {
        Kind::Switch(yes, no) => vec![choice("yes", yes), choice("no", no)],
        Kind::Model => now.models.iter().map(|one| choice(one.slug.as_str(), one.slug.as_str())).collect(),
        Kind::Provider => now.providers.iter().map(|one| choice(one.slug.as_str(), &one.name)).collect(),
        _ => Vec::new(),
    };
    let problem = wrong.get(field.name).map(|problem| format!("This {problem}.")).unwrap_or_default();
    let input = Input::of(kind, field.name, field.label).value(value).choices(choices).max(field.max);
    let blank = if field.blank.is_empty() { String::new() } else { format!("Empty: {}.", field.blank) };
    let unit = if field.kind == Kind::Million { "A million tokens." } else { "" };
    let hints = [unit, field.hint, blank.as_str()].into_iter().filter(|hint| !hint.is_empty());
    let input = input.hint(hints.collect::<Vec<_>>().join(" ")).error(problem);
    if field.required { input.required() } else { input }
}

/// What is there, for whoever changes nothing.
pub fn facts(ask: &Ask, typed: &Typed) -> Block {
    let fields = ask.fields().into_iter().flat_map(|(_, fields)| fields);
    let facts = fields.map(|field| {
        let value = typed.get(field.name).map_or("", String::as_str);
        let text = match (field.kind, value) {
            (Kind::Switch(yes, _), "yes") => yes.to_owned(),
            (Kind::Switch(_, no), _) => no.to_owned(),
            (_, "") if field.blank.is_empty() => "not known".to_owned(),
            (_, "") => field.blank.to_owned(),
            (Kind::Million, price) => format!("${price} a million tokens"),
            (Kind::Unit, price) => format!("${price}"),
            (_, value) => value.to_owned(),
        };
        (field.label, Cell::text(text))
    });
    Block::Facts(Facts::of("facts", "", facts.collect()))
}

/// The page of a model.
pub fn model_address(slug: &str) -> String {
    format!("{HERE}/models/{slug}")
}

/// The page of an endpoint.
pub fn endpoint_address(id: uuid::Uuid) -> String {
    format!("{HERE}/endpoints/{id}")
}
