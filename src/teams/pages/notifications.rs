//! `/settings/notifications`: who gets which mail.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::base::ids::PersonId;
use crate::base::paging::{Rows, fetch_limit};
use crate::mail::{Always, Topic};
use crate::notices::{self, Choice, SaveError, offered};
use crate::orgs::{self, Manager, Member, Permission, Role};
use crate::topups::Usual;
use crate::web::flash::told;
use crate::web::views::notices as views;
use crate::web::views::{Choice as Offer, Field, Pager};
use crate::web::{App, Fields, PageError, Protected, html};

const HERE: &str = "/settings/notifications";
const PEOPLE: &str = "/settings/notifications/people";
const SECTION: &str = "notifications";
const ROWS: u16 = 25;

/// What each choice of a topic is called.
fn label(topic: Topic, choice: Choice, team: bool) -> (&'static str, &'static str) {
    match (choice, topic) {
        (Choice::No, _) => ("No", ""),
        (Choice::Own, Topic::AutoTopup) => ("If I set it", "The rule that buys"),
        (Choice::Own, Topic::KeyCreated) => ("Own", "Keys that one made"),
        (Choice::Own, _) => ("Own", "Keys that one made, and one’s own cap"),
        (Choice::All, Topic::KeyCreated) if team => ("Everybody’s", "All keys"),
        (Choice::All, Topic::Limit) if team => ("Everybody’s", "All keys and members"),
        (Choice::All, _) => ("Yes", ""),
    }
}

/// What the role offers. In an organization of one person everything is theirs, so there is nothing between yes and no.
fn topics(role: Role, team: bool, chosen: &HashMap<Topic, Choice>, usual: &Usual) -> Vec<views::Topic> {
    let mut shown = Vec::new();
    for topic in Topic::ALL {
        let mut offered = offered(topic, role);
        offered.retain(|choice| team || *choice != Choice::Own);
        if offered.len() < 2 {
            continue;
        }
        let now = chosen.get(&topic).copied().unwrap_or_else(|| usual.choice(topic, role));
        let now = match now {
            Choice::Own if !team => Choice::All,
            other => offered.iter().copied().filter(|offered| *offered <= other).max().unwrap_or(Choice::No),
        };
        let (more, more_href) = match topic {
            Topic::LowBalance if usual.tells_of_low_balance() => ("Set the amount", "/settings/balance"),
            Topic::LowBalance => ("The alert is off for everybody: switch it on", "/settings/balance"),
            Topic::Receipt => ("Set an address for receipts", "/settings/billing"),
            _ => ("", ""),
        };
        let choice = |choice: &Choice| {
            let (label, note) = label(topic, *choice, team);
            Offer::new(choice.as_str(), label, note, *choice == now)
        };
        shown.push(views::Topic {
            code: topic.code().to_owned(),
            label: topic.label().to_owned(),
            note: topic.note().to_owned(),
            choices: offered.iter().map(choice).collect(),
            more: more.to_owned(),
            more_href: more_href.to_owned(),
        });
    }
    shown
}

fn always() -> Vec<views::Always> {
    let one = |always: Always| views::Always {
        label: always.label().to_owned(),
        note: always.note().to_owned(),
        reason: always.reason().to_owned(),
    };
    Always::SHOWN.map(one).to_vec()
}

/// `GET /settings/notifications`
///
/// # Errors
/// Database errors only.
pub async fn show(app: web::Data<App>, member: Member) -> Result<HttpResponse, PageError> {
    let (org, team) = (member.org_id(), member.org.is_team());
    let mut conn = member.tenant(&app).await?;
    let usual = Usual::of(&mut conn, org).await?;
    let chosen = notices::choices_of(&mut conn, org, member.person().id).await?;
    drop(conn);
    html(&views::Form {
        shell: member.shell(SECTION, "Notifications", "Which mails you get, and which are always sent."),
        action: HERE.to_owned(),
        whose: String::new(),
        role: if team { member.role().label().to_lowercase() } else { String::new() },
        email: member.person().email.clone(),
        org: member.org.name.clone(),
        topics: topics(member.role(), team, &chosen, &usual),
        always: always(),
        may_people: team && member.may(Permission::ManageMembers),
        may_webhooks: member.may(Permission::ManageSettings),
        may_change: true,
    })
}

/// What a form says of the topics that it has.
fn read(fields: &Fields) -> Vec<(Topic, Choice)> {
    let of = |topic: Topic| Choice::parse(fields.one(topic.code())).map(|choice| (topic, choice));
    Topic::ALL.into_iter().filter_map(of).collect()
}

/// `POST /settings/notifications`
///
/// # Errors
/// Database errors only; what is no choice is passed over.
pub async fn save(
    app: web::Data<App>,
    member: Member,
    Protected(form): Protected<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let wanted = read(&Fields::from(form));
    let mut tx = member.tenant(&app).await?;
    let usual = Usual::of(&mut tx, member.org_id()).await?;
    let usual = |topic, role| usual.choice(topic, role);
    match notices::save(&mut tx, &member.acting(), member.person().id, &wanted, &usual).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(told(&app, HERE, true, "Saved."))
        }
        Err(error) => refused(&app, HERE, error),
    }
}

fn refused(app: &App, to: &str, error: SaveError) -> Result<HttpResponse, PageError> {
    match error {
        SaveError::Org(error) => Err(error.into()),
        SaveError::Database(error) => Err(error.into()),
        of_an_owner => Ok(told(app, to, false, &of_an_owner.to_string())),
    }
}

#[derive(Deserialize)]
pub struct Find {
    #[serde(default)]
    q: String,
    #[serde(default)]
    after: String,
}

/// `GET /settings/notifications/people`
///
/// # Errors
/// `NotFound` in a personal organization.
pub async fn people(app: web::Data<App>, manager: Manager, query: web::Query<Find>) -> Result<HttpResponse, PageError> {
    super::of_team(&manager)?;
    let org = manager.org_id();
    let search: String = query.q.trim().chars().take(80).collect();
    let after: Option<PersonId> = query.after.parse().ok();
    let mut conn = manager.tenant(&app).await?;
    let usual = Usual::of(&mut conn, org).await?;
    let members = Rows::of(orgs::member_page(&mut conn, org, &search, after, fetch_limit(ROWS)).await?, ROWS);
    let ids: Vec<PersonId> = members.rows.iter().map(|member| member.person).collect();
    let mut chosen = notices::choices_of_people(&mut conn, org, &ids).await?;
    drop(conn);
    let mut rows = Vec::with_capacity(members.rows.len());
    for member in &members.rows {
        let chosen = chosen.remove(&member.person).unwrap_or_default();
        let gets = topics(member.role(), true, &chosen, &usual).into_iter().filter_map(|topic| {
            let now = topic.choices.iter().find(|choice| choice.selected)?;
            match now.value.as_str() {
                "no" => None,
                "own" => Some(format!("{}: own", topic.label)),
                _ => Some(topic.label),
            }
        });
        rows.push(views::Person {
            href: format!("{HERE}/{}", member.person),
            name: member.name.clone(),
            email: member.email.clone(),
            role: member.role().label().to_owned(),
            gets: gets.collect(),
        });
    }
    let here = |after: &str| {
        let pairs = [("q", search.as_str()), ("after", after)];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        format!("{PEOPLE}?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
    };
    html(&views::People {
        shell: manager.shell(SECTION, "Everybody’s mails", "Who gets which mail about this organization."),
        pager: Pager {
            older_href: members.rows.last().filter(|_| members.more).map(|last| here(&last.person.to_string())),
            newest_href: after.map(|_| here("")),
            by_name: true,
            ..Pager::default()
        },
        rows,
        search: Field::of(search),
    })
}

/// `GET /settings/notifications/{person}`
///
/// # Errors
/// `NotFound` for somebody who is no member.
pub async fn of_person(
    app: web::Data<App>,
    manager: Manager,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    super::of_team(&manager)?;
    let person: PersonId = id.parse().map_err(|_| PageError::NotFound)?;
    let org = manager.org_id();
    let mut conn = manager.tenant(&app).await?;
    let member = orgs::member_row(&mut conn, org, person).await?.ok_or(PageError::NotFound)?;
    let usual = Usual::of(&mut conn, org).await?;
    let chosen = notices::choices_of(&mut conn, org, person).await?;
    drop(conn);
    let description = format!("What {} is mailed about this organization.", member.name);
    html(&views::Form {
        shell: manager.shell(SECTION, &format!("Mails to {}", member.name), &description),
        action: format!("{HERE}/{person}"),
        role: member.role().label().to_lowercase(),
        email: member.email.clone(),
        org: manager.org.name.clone(),
        topics: topics(member.role(), true, &chosen, &usual),
        always: Vec::new(),
        may_people: false,
        may_webhooks: false,
        may_change: member.role() != Role::Owner || manager.may(Permission::Own) || person == manager.person().id,
        whose: member.name,
    })
}

/// `POST /settings/notifications/{person}`
///
/// # Errors
/// `NotFound` for somebody who is no member.
pub async fn save_of(
    app: web::Data<App>,
    manager: Manager,
    id: web::Path<String>,
    Protected(form): Protected<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    super::of_team(&manager)?;
    let person: PersonId = id.parse().map_err(|_| PageError::NotFound)?;
    let wanted = read(&Fields::from(form));
    let mut tx = manager.tenant(&app).await?;
    let usual = Usual::of(&mut tx, manager.org_id()).await?;
    let usual = |topic, role| usual.choice(topic, role);
    let here = format!("{HERE}/{person}");
    match notices::save(&mut tx, &manager.acting(), person, &wanted, &usual).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(told(&app, &here, true, "Saved."))
        }
        Err(error) => refused(&app, &here, error),
    }
}
