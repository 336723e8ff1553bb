//! Telling the readers that credits are low.

use sqlx::{PgConnection, PgPool};

use super::alert::Alert;
use crate::accounts::Links;
use crate::activity::{self, Slice};
use crate::base::Usd;
use crate::base::ids::OrgId;
use crate::db::moment;
use crate::hooks::{self, EventKind, Payload};
use crate::ledger::{self, CreditState, WatchKind};
use crate::mail::{About, Kind, Topic};
use crate::notices;
use crate::orgs;
use crate::topups::Usual;
use crate::topups::mails::{self, Reader, fact};
use crate::topups::{pages, store};
use crate::web::views::emails::NoticeMail;

/// Writes the mails of one crossing, in one transaction. Nothing when the alert was switched off meanwhile.
///
/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn tell(pool: &PgPool, links: &Links, org: OrgId, crossing: i64) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let Some(watch) = ledger::find_watch(&mut tx, org, WatchKind::LowBalance).await? else { return Ok(()) };
    let alert = store::alert(&mut tx, org).await?;
    let Some(name) = orgs::find_org(&mut tx, org).await? else { return Ok(()) };
    let readers = readers(&mut tx, org, &alert).await?;
    let credit = ledger::credit_state(&mut tx, org).await?;
    let fired_below = watch.fired_below.filter(|_| watch.crossing == Some(crossing)).unwrap_or(alert.below);
    let notice = notice(&mut tx, links, org, &name, &credit, (fired_below, alert.below)).await?;
    let event = format!("low_balance:{org}:{crossing}");
    let payload = Payload::new()
        .with("below", fired_below.exact())
        .with("alert", alert.below.exact())
        .with("balance", credit.posted.exact())
        .with("held", credit.held.exact());
    hooks::emit(&mut tx, org, EventKind::CreditsLow, &event, payload).await?;
    mails::write(&mut tx, &event, Kind::LowBalance, readers, &notice, About::org(org)).await?;
    tx.commit().await?;
    Ok(())
}

async fn readers(conn: &mut PgConnection, org: OrgId, alert: &Alert) -> Result<Vec<Reader>, sqlx::Error> {
    let usual = Usual::with(alert);
    let usual = move |role| usual.choice(Topic::LowBalance, role);
    let members = notices::readers(conn, org, Topic::LowBalance, &[], &usual).await?.into_iter();
    let more = alert.more.iter().map(|email| Reader { name: String::new(), email: email.clone(), chooser: None });
    let mut known = notices::refusers(conn, org, Topic::LowBalance).await?;
    Ok(members.chain(more).filter(|reader| known.insert(reader.email.canonical())).collect())
}

async fn notice(
    conn: &mut PgConnection,
    links: &Links,
    org: OrgId,
    name: &str,
    credit: &CreditState,
    (fired_below, below): (Usd, Usd),
) -> Result<NoticeMail, sqlx::Error> {
    let now = moment(conn).await?;
    let spent = activity::summary(conn, org, now, chrono_tz::UTC, &Slice::default()).await?;
    let mut facts = vec![
        fact("Credits now", credit.posted),
        fact("Of these held by running calls", credit.held),
        fact("Spent in the last seven days", spent.last_seven_days),
    ];
    let lasts = pages::lasts(spent.days_left(credit.available()));
    facts.extend((!lasts.is_empty()).then(|| ("Pace".to_owned(), lasts)));
    let why = match fired_below < below {
        true => format!(
            ", half of what there was when credits last came in: less than the {} of the alert",
            below.display()
        ),
        false => String::new(),
    };
    Ok(NoticeMail {
        subject: format!("Credits of {name} fell below {}", fired_below.display()),
        name: String::new(),
        lines: vec![format!(
            "The credits of {name} on {} fell below {}{why}. When they are used up, calls are refused.",
            links.instance(),
            fired_below.display()
        )],
        facts,
        action: "Add credits".into(),
        link: links.to_page_of(org, "/credits"),
        footer:
            "This is told once, and again only after credits came in. The amount and who is told stand under Settings, Low-balance alert and Notifications."
                .into(),
    })
}
