//! What purchases cost, and who may sign up: over the environment, as versions.

use std::collections::{BTreeMap, HashMap};

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::orgs::ReasonForm;
use super::{again, done, form, page, reason_field, with_problem};
use crate::accounts::{SignUpPolicy, SignUpRules};
use crate::audit::{Action, Target};
use crate::base::Usd;
use crate::base::ids::PersonId;
use crate::console::act::{self, Act};
use crate::console::extract::{Acting, Staff};
use crate::console::store::RuleVersion;
use crate::console::{Settings, rules, store};
use crate::topups::processors::Processors;
use crate::web::present::{amount, when};
use crate::web::views::Choice;
use crate::web::views::blocks::{Block, Cell, Column, Facts, Input, Note, Table};
use crate::web::views::console::ConsoleShell;
use crate::web::{App, PageError, Protected};

const HERE: &str = "/admin/fees";
/// What fees are shown for.
const EXAMPLE: Usd = Usd::from_whole(100);
/// Versions that are listed.
const LISTED: i64 = 30;
/// In place of a policy.
const ENVIRONMENT: &str = "environment";

/// What the rules are kept in.
type Rules = (web::Data<Processors>, web::Data<SignUpRules>, web::Data<Settings>);

fn shell(staff: &Staff) -> ConsoleShell {
    staff.shell("fees", "Fees and sign-up", "What purchases cost, and who may have an account.")
}

/// `GET /admin/fees`
///
/// # Errors
/// Database errors only.
pub async fn show(app: web::Data<App>, held: Rules, staff: Staff) -> Result<HttpResponse, PageError> {
    page(shell(&staff), blocks(&app, &held, &staff).await?)
}

async fn blocks(app: &App, (processors, sign_up, settings): &Rules, staff: &Staff) -> Result<Vec<Block>, PageError> {
    let mut conn = app.db.acquire().await?;
    let versions = store::rule_versions(&mut conn, LISTED).await?;
    let rules = store::current_rules(&mut conn).await?;
    let people: Vec<PersonId> = versions.iter().map(|one| one.made_by).collect();
    let people = store::person_names(&mut conn, &people).await?;
    drop(conn);
    let last = |name: &str| rules.iter().find(|one| one.name == name);
    let seen = |name: &str| last(name).map_or(0, |one| one.version);
    let set_here = last(rules::SIGN_UP).is_some_and(|one| one.value.is_some());
    let mut blocks: Vec<Block> = rules.iter().filter_map(unread).map(Block::Note).collect();
    blocks.extend([Block::Table(fees_table(processors)), Block::Facts(facts(sign_up, settings, set_here))]);
    if staff.is_operator() {
        blocks.push(Block::Form(fees_form(staff, processors, seen(rules::FEES))));
        blocks.push(Block::Form(sign_up_form(staff, sign_up, seen(rules::SIGN_UP))));
    }
    blocks.push(Block::Table(history(app, staff, &versions, &people)));
    let text = "Fees on calls with an organization’s own key, and the discount for stored texts, are settings of the server: \
                a month’s allowance has one fee in that month.";
    blocks.push(Block::Note(Note { tone: "info", icon: "info", text: text.into(), ..Note::default() }));
    Ok(blocks)
}

/// What was set and does not hold.
fn unread(rule: &RuleVersion) -> Option<Note> {
    let why = rules::unreadable(&rule.name, rule.value.as_ref())?;
    let what = if rule.name == rules::FEES { "the fees" } else { "the sign-up policy" };
    let text = format!(
        "Version {} of {what} cannot be read by this program, so it does not hold: {why} What stands below holds instead. \
         Change it here, or run the version of Farebox that wrote it.",
        rule.version
    );
    Some(Note { tone: "bad", icon: "circle-x", text, ..Note::default() })
}

fn fees_table(processors: &Processors) -> Table {
    let schedule = processors.schedule();
    let rows = processors.possible_methods().map(|known| {
        let offered = schedule.method(known.slug);
        let total = offered.and_then(|method| schedule.quote(EXAMPLE, method).ok());
        vec![
            Cell::text(known.name),
            Cell::text(known.processor),
            Cell::text(offered.map_or_else(|| "Not offered".to_owned(), |method| method.fee.describe())),
            total.map_or_else(|| Cell::text(""), |quote| Cell::amount(amount(quote.total))),
        ]
    });
    let range = format!("One purchase buys from {} to {}.", schedule.min.display(), schedule.max.display());
    let whose = match schedule.version {
        0 => "These are the environment’s.".to_owned(),
        version => format!("These are version {version}, set here."),
    };
    Table {
        id: "fees",
        title: "Fees on purchases".into(),
        note: format!("{range} {whose}"),
        columns: vec![
            Column::of("Way to pay"),
            Column::of("Processor"),
            Column::of("Fee"),
            Column::right("$100 of credits cost"),
        ],
        rows: rows.collect(),
        empty: "Nothing can be bought here".into(),
        empty_note: "No payment processor is set up.".into(),
        ..Table::default()
    }
}

fn facts(sign_up: &SignUpRules, settings: &Settings, set_here: bool) -> Facts {
    let configured = sign_up.configured().describe();
    let whose = match set_here {
        true => format!("Set here, over the environment’s FAREBOX_SIGN_UP: {configured}"),
        false => "As the environment says: FAREBOX_SIGN_UP, FAREBOX_SIGN_UP_DOMAINS".to_owned(),
    };
    Facts::of(
        "rules",
        "Rules",
        vec![
            ("Who may sign up", Cell::text(sign_up.policy().describe()).under(whose)),
            (
                "A second operator agrees above",
                Cell::amount(amount(settings.four_eyes_above)).under("FAREBOX_FOUR_EYES_ABOVE"),
            ),
        ],
    )
}

fn fees_form(staff: &Staff, processors: &Processors, seen: i64) -> crate::web::views::blocks::Form {
    let schedule = processors.schedule();
    let mut change = form(staff, "change-fees", HERE, "Change the fees", "Change the fees");
    change.note =
        "They hold for purchases that begin afterwards, on every node within a second. Payments that have begun \
                   keep the fee that their payer saw. Auto top-ups pay what holds when they buy."
            .into();
    change.hidden.push(("seen", seen.to_string()));
    let hint = "Like 5.5% min 0.80, or 5% gross-up for a share of the total, or off.";
    change.fields = processors
        .possible_methods()
        .map(|known| {
            let rule = schedule.method(known.slug).map_or_else(|| "off".to_owned(), |method| method.fee.to_string());
            Input::of("text", known.slug, known.name).value(rule).required().max(40).hint(hint)
        })
        .collect();
    change
        .fields
        .push(Input::of("text", "min", "Least of a purchase, in dollars").value(schedule.min.exact()).required());
    change
        .fields
        .push(Input::of("text", "max", "Most of a purchase, in dollars").value(schedule.max.exact()).required());
    change.fields.push(Input::of("select", "source", "Whose fees").required().choices(vec![
        Choice::new("here", "Those above", "", true),
        Choice::new(ENVIRONMENT, "The environment’s again", "", false),
    ]));
    change.fields.push(reason_field());
    change
}

fn sign_up_form(staff: &Staff, sign_up: &SignUpRules, seen: i64) -> crate::web::views::blocks::Form {
    let policy = sign_up.policy();
    let mut change = form(staff, "change-sign-up", "/admin/sign-up", "Change who may sign up", "Change");
    change.note = "It holds on every node within a second. Whoever has an account keeps it.".into();
    change.hidden.push(("seen", seen.to_string()));
    let choice = |one: SignUpPolicy, label: &str| Choice::new(one.word(), label, "", one.word() == policy.word());
    change.fields = vec![
        Input::of("select", "policy", "Who may sign up").required().choices(vec![
            choice(SignUpPolicy::Open, "Everybody who can prove an address"),
            choice(SignUpPolicy::Domains(Vec::new()), "Addresses of some domains, and whoever was invited"),
            choice(SignUpPolicy::Invitation, "Whoever was invited"),
            choice(SignUpPolicy::Closed, "Nobody"),
            Choice::new(ENVIRONMENT, "As the environment says", "", false),
        ]),
        Input::of("text", "domains", "Domains")
            .value(policy.domains())
            .max(2_000)
            .hint("Only for the second choice, like example.com, example.org."),
        reason_field(),
    ];
    change
}

fn history(app: &App, staff: &Staff, versions: &[RuleVersion], people: &HashMap<PersonId, String>) -> Table {
    let now = app.clock.now();
    Table {
        id: "versions",
        title: "Changes".into(),
        columns: vec![Column::of("Rule"), Column::of("From then on"), Column::of("Reason"), Column::far("When")],
        rows: versions
            .iter()
            .map(|one| {
                let name = if one.name == rules::FEES { "Fees" } else { "Sign-up" };
                vec![
                    Cell::text(name).under(format!("version {}", one.version)),
                    Cell::text(rules::told(&one.name, one.value.as_ref())).under(
                        rules::unreadable(&one.name, one.value.as_ref())
                            .map_or_else(String::new, |_| "cannot be read by this program".to_owned()),
                    ),
                    Cell::text(one.reason.as_str()).under(people.get(&one.made_by).cloned().unwrap_or_default()),
                    Cell::when(when(one.made_at, now, staff.viewer())),
                ]
            })
            .collect(),
        empty: "Nothing was changed here yet".into(),
        empty_note: "The environment’s rules hold.".into(),
        ..Table::default()
    }
}

/// Writes a version down, if it says something else than the last one, which must be the one that its form was made of.
async fn change(
    act: &mut Act,
    (name, seen): (&str, &str),
    value: Option<Value>,
    action: Action,
) -> Result<bool, PageError> {
    let before = store::lock_rule(&mut act.tx, name).await?;
    let (version, old) = before.map_or((0, None), |one| (one.version, one.value));
    if seen != version.to_string() {
        return Err(PageError::Invalid(
            "Somebody else has changed this meanwhile. Open the page again. Nothing was changed.".into(),
        ));
    }
    if old == value {
        return Ok(false);
    }
    let (reason, by) = (act.reason.clone(), act.person.id);
    store::insert_rule(&mut act.tx, (name, version + 1), value.as_ref(), &reason, by).await?;
    let told = |value: Option<&Value>| json!({ "rule": rules::told(name, value) });
    let target = Target::new("rule", name, name);
    act.note(None, action, target, (told(old.as_ref()), told(value.as_ref()))).await?;
    Ok(true)
}

#[derive(Deserialize)]
pub struct FeesForm {
    #[serde(default)]
    min: String,
    #[serde(default)]
    max: String,
    #[serde(default)]
    source: String,
    /// The version that the form was made of.
    #[serde(default)]
    seen: String,
    #[serde(flatten)]
    why: ReasonForm,
    /// By the slugs of ways to pay.
    #[serde(flatten)]
    typed: BTreeMap<String, String>,
}

/// `POST /admin/fees`
///
/// # Errors
/// Those of [`act::begin`]; what is wrong with the form is told above it.
pub async fn set_fees(
    app: web::Data<App>,
    held: Rules,
    staff: Acting,
    Protected(mut form): Protected<FeesForm>,
) -> Result<HttpResponse, PageError> {
    let (processors, sign_up, _) = &held;
    form.typed.retain(|slug, _| processors.possible_methods().any(|known| known.slug == slug));
    let read = match form.source.as_str() {
        ENVIRONMENT => Ok(None),
        _ => rules::read_fees(&form.min, &form.max, &form.typed).map(Some),
    };
    let read = read.map_err(|problem| format!("{problem} Nothing was changed."));
    let value = match read.and_then(|read| act::reason(&form.why.reason).map(|_| read)) {
        Err(problem) => {
            let mut typed: Vec<_> = form.typed.iter().map(|(slug, fee)| (slug.as_str(), fee.as_str())).collect();
            typed.extend([("min", &*form.min), ("max", &form.max), ("source", &form.source), ("seen", &form.seen)]);
            typed.push(("reason", &form.why.reason));
            let blocks = blocks(&app, &held, &staff).await?;
            return with_problem(shell(&staff), blocks, ("change-fees", &typed), &problem);
        }
        Ok(None) => None,
        Ok(Some(fees)) => {
            let named = processors.possible_methods().all(|known| form.typed.contains_key(known.slug));
            if !named {
                return Err(PageError::Invalid("The form is damaged. Open its page again.".into()));
            }
            Some(rules::write_fees(&fees))
        }
    };
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "fees").await? else {
        return Ok(again(&app, HERE));
    };
    if !change(&mut act, (rules::FEES, &form.seen), value, Action::FeesChanged).await? {
        return Ok(done(&app, HERE, true, "These fees held already. Nothing was changed."));
    }
    act.commit().await?;
    // The others hear of it; whoever looks here next must not see the old ones.
    rules::reload(&app.db, sign_up, processors).await?;
    Ok(done(&app, HERE, true, "The fees hold from now on, for purchases that begin."))
}

#[derive(Deserialize)]
pub struct SignUpForm {
    #[serde(default)]
    policy: String,
    #[serde(default)]
    domains: String,
    /// The version that the form was made of.
    #[serde(default)]
    seen: String,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/sign-up`
///
/// # Errors
/// Those of [`act::begin`]; what is wrong with the form is told above it.
pub async fn set_sign_up(
    app: web::Data<App>,
    held: Rules,
    staff: Acting,
    Protected(form): Protected<SignUpForm>,
) -> Result<HttpResponse, PageError> {
    let (processors, sign_up, _) = &held;
    let read = match form.policy.as_str() {
        ENVIRONMENT => Ok(None),
        word => SignUpPolicy::read(word, &form.domains).map(|policy| Some(rules::write_sign_up(&policy))),
    };
    let read = read.map_err(|problem| format!("{problem} Nothing was changed."));
    let value = match read.and_then(|read| act::reason(&form.why.reason).map(|_| read)) {
        Ok(value) => value,
        Err(problem) => {
            let typed = [
                ("policy", &*form.policy),
                ("domains", &form.domains),
                ("seen", &form.seen),
                ("reason", &form.why.reason),
            ];
            let blocks = blocks(&app, &held, &staff).await?;
            return with_problem(shell(&staff), blocks, ("change-sign-up", &typed), &problem);
        }
    };
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "sign_up").await? else {
        return Ok(again(&app, HERE));
    };
    if !change(&mut act, (rules::SIGN_UP, &form.seen), value, Action::SignUpChanged).await? {
        return Ok(done(&app, HERE, true, "This held already. Nothing was changed."));
    }
    act.commit().await?;
    rules::reload(&app.db, sign_up, processors).await?;
    Ok(done(&app, HERE, true, "It holds from now on."))
}
