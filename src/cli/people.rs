//! `farebox user` and `farebox credits`.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::database::Database;
use crate::accounts::operator::{self, By, StaffError, StaffRole};
use crate::accounts::{self, Hasher, Made, Password, Person};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::{EmailAddress, Origin, Usd};
use crate::config::Config;
use crate::ledger::{self, Code, HouseAccount, Posted, Posting};
use crate::orgs::{self, Org};

#[derive(Subcommand)]
pub enum User {
    /// Make an account whose address counts as proven. One that is there already is left as it is; one whose address nobody has
    /// proven yet counts as proven from then on.
    Create {
        #[arg(long)]
        email: EmailAddress,
        #[arg(long, default_value = "")]
        name: String,
        /// Read the password from standard input; without it the person sets one by "Forgot password".
        #[arg(long)]
        password_stdin: bool,
        #[arg(long)]
        json: bool,
    },
    /// Let somebody who has an account read everything about money, and change nothing.
    Auditor {
        #[arg(long)]
        email: EmailAddress,
    },
    /// Make somebody who has an account an operator of this instance, who also confirms what other operators ask for. For one
    /// who was made in the console this says that they are a person of their own.
    Operator {
        #[arg(long)]
        email: EmailAddress,
    },
}

#[derive(Subcommand)]
pub enum Credits {
    /// Give credits to the personal organization of somebody who has an account.
    Grant {
        #[arg(long)]
        email: EmailAddress,
        /// In dollars.
        #[arg(long)]
        amount: Usd,
        /// Why; it stands in the books.
        #[arg(long, default_value = "granted on the command line")]
        reason: String,
        /// The same reference again gives nothing again.
        #[arg(long)]
        reference: Option<String>,
        #[arg(long)]
        json: bool,
    },
}

/// # Errors
/// Says what was wrong.
pub async fn user(command: User, config: &Config, database: &Database) -> anyhow::Result<ExitCode> {
    let (email, name, password_stdin, json) = match command {
        User::Create { email, name, password_stdin, json } => (email, name, password_stdin, json),
        User::Operator { email } => return operator(&email, database).await,
        User::Auditor { email } => return auditor(&email, database).await,
    };
    let hash = if password_stdin {
        let mut text = String::new();
        std::io::stdin().read_line(&mut text)?;
        let password = Password::choose(text.trim_end_matches(['\r', '\n']), email.as_str())
            .map_err(|error| anyhow::anyhow!("the password {error}"))?;
        Some(Hasher::new(config.hash_work)?.hash(password).await?)
    } else {
        None
    };
    let pool = database.connect().await?;
    let mut tx = pool.begin().await?;
    let (person, made) = accounts::create_or_adopt(&mut tx, &email, &name, hash.as_deref()).await?;
    let before = made == Made::Before;
    anyhow::ensure!(!before || hash.is_none(), "{email} has an account already; the password was not changed");
    let org = orgs::enter_personal(&mut tx, &person).await?;
    tx.commit().await?;
    if json {
        let shown = json!({ "person": person.id, "organization": org.id, "email": person.email, "created": !before });
        println!("{shown}");
    } else if before {
        println!("{} exists already: the account {} and the organization {}", person.email, person.id, org.id);
    } else {
        println!("{} has the account {} and the organization {}", person.email, person.id, org.id);
    }
    Ok(ExitCode::SUCCESS)
}

async fn operator(email: &EmailAddress, database: &Database) -> anyhow::Result<ExitCode> {
    let pool = database.connect().await?;
    let mut conn = pool.acquire().await?;
    let person = accounts::find_by_email(&mut conn, email).await?;
    let person = person.filter(|person| person.verified_at.is_some());
    let person = person.ok_or_else(|| anyhow::anyhow!("{email} has no account with a proven address"))?;
    let made = operator::make_operator(&mut conn, &person).await?;
    println!("{} is {} operator of this instance", person.email, if made { "now an" } else { "already an" });
    Ok(ExitCode::SUCCESS)
}

async fn auditor(email: &EmailAddress, database: &Database) -> anyhow::Result<ExitCode> {
    let pool = database.connect().await?;
    let mut tx = pool.begin().await?;
    let person = accounts::find_by_email(&mut tx, email).await?;
    let person = person.ok_or_else(|| anyhow::anyhow!("{email} has no account with a proven address"))?;
    let changed = match operator::change_staff(&mut tx, &person, Some(StaffRole::Auditor), By::Server).await {
        Ok(changed) => changed,
        Err(StaffError::Already) => {
            println!("{} reads the books of this instance already", person.email);
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error.into()),
    };
    let entry = Entry::new(Chain::House, Actor::Operator, Action::StaffChanged, &Origin::here());
    let entry = entry.on(Target::new("person", person.id, person.name.as_str()));
    audit::record(&mut tx, entry.change(changed.0, changed.1)).await?;
    tx.commit().await?;
    println!("{} reads the books of this instance now", person.email);
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// Says what was wrong; then nothing was granted.
pub async fn credits(command: Credits, database: &Database) -> anyhow::Result<ExitCode> {
    let Credits::Grant { email, amount, reason, reference, json } = command;
    let pool = database.connect().await?;
    let mut tx = pool.begin().await?;
    // A typing mistake makes nobody rich, and no address proven.
    let person = accounts::find_by_email(&mut tx, &email).await?.filter(|person| person.verified_at.is_some());
    let person = person.ok_or_else(|| {
        anyhow::anyhow!("{email} has no account with a proven address; `farebox user create --email {email}` makes one")
    })?;
    let org = orgs::enter_personal(&mut tx, &person).await?;
    let given = grant(&mut tx, &org, amount, &reason, reference).await?;
    tx.commit().await?;
    let mut conn = pool.acquire().await?;
    let credit = ledger::credit_state(&mut conn, org.id).await?;
    let new = matches!(given, Posted::Now(_));
    if json {
        println!("{}", serde_json::json!({ "organization": org.id, "granted": new, "balance": credit.posted }));
    } else if new {
        println!("{} has {} now", org.id, credit.posted.display());
    } else {
        println!("this reference was granted before; {} has {}", org.id, credit.posted.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The person of an address with their organization, made if missing.
///
/// # Errors
/// Database errors only.
pub async fn enter(conn: &mut PgConnection, email: &EmailAddress) -> Result<(Person, Org), sqlx::Error> {
    let person = accounts::create_verified(conn, email, "", None).await?;
    let org = orgs::enter_personal(conn, &person).await?;
    Ok((person, org))
}

/// Credits from the house, by whoever may run commands on the server: that is in the logs of the organization and the house.
///
/// # Errors
/// When the amount is not above zero, or the reference granted something else before.
pub async fn grant(
    conn: &mut PgConnection,
    org: &Org,
    amount: Usd,
    reason: &str,
    reference: Option<String>,
) -> Result<Posted, ledger::PostError> {
    let reference = reference.unwrap_or_else(|| crate::base::ids::TransferId::fresh().to_string());
    let posting = Posting {
        code: Code::Grant,
        reference,
        debit: HouseAccount::Promotions.id(),
        credit: ledger::credit_account(org.id),
        amount,
        org: Some(org.id),
        memo: reason.to_owned(),
    };
    let posted = ledger::post(conn, posting).await?;
    if let Posted::Now(transfer) = posted {
        let after = json!({ "amount": amount.exact(), "transfer": transfer, "reason": reason, "organization": org.id });
        for chain in [Chain::Org(org.id), Chain::House] {
            let entry = Entry::new(chain, Actor::Operator, Action::CreditsGranted, &Origin::here());
            let entry = entry.on(Target::new("transfer", transfer, "")).change(Value::Null, after.clone());
            audit::record(conn, entry).await?;
        }
    }
    Ok(posted)
}
