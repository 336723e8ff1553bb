//! Doing one thing to several keys.

use actix_web::{HttpResponse, web};

use super::{KEYS, told};
use crate::base::ids::KeyId;
use crate::keys::by::By;
use crate::keys::edit::{self, Changes, EditError};
use crate::keys::key_form::{KeyForm, Mistakes, limits_of};
use crate::keys::revoke::{self, EnableError};
use crate::keys::store;
use crate::orgs::KeyUser;
use crate::web::views::keys as views;
use crate::web::views::{Field, Link};
use crate::web::{App, PageError, Protected, html, unprocessable};

/// Two pages of the list.
const MAX_KEYS: usize = 100;

/// Pairs, because the name `key` comes as often as there are keys.
struct Sent {
    action: String,
    keys: Vec<KeyId>,
    form: KeyForm,
}

impl Sent {
    fn read(pairs: &[(String, String)]) -> Sent {
        let get = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let mut keys: Vec<KeyId> =
            pairs.iter().filter(|(name, _)| name == "key").filter_map(|(_, id)| id.parse().ok()).collect();
        keys.sort_unstable();
        keys.dedup();
        Sent {
            action: get("action").unwrap_or_default(),
            keys,
            form: KeyForm {
                total: get("total").unwrap_or_default(),
                day: get("day").unwrap_or_default(),
                week: get("week").unwrap_or_default(),
                month: get("month").unwrap_or_default(),
                ..KeyForm::default()
            },
        }
    }
}

/// `POST /keys/several`: disables or enables at once; deleting and setting limits ask first.
///
/// # Errors
/// Database errors; mistakes are shown beside their field. Keys that are not this member's are passed over.
pub async fn change(
    app: web::Data<App>,
    member: KeyUser,
    Protected(pairs): Protected<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let sent = Sent::read(&pairs);
    if sent.keys.len() > MAX_KEYS {
        return Ok(told(&app, KEYS, false, "More than a hundred keys were chosen. Nothing was changed."));
    }
    let mut tx = member.tenant(&app).await?;
    let names = store::callable(&mut tx, member.org_id(), member.keys_of(), &sent.keys).await?;
    let mut keys: Vec<(KeyId, String)> = names.into_iter().collect();
    keys.sort_unstable();
    if keys.is_empty() {
        return Ok(told(&app, KEYS, false, "No key was chosen, so nothing was changed."));
    }
    let by: By<'_> = member.acting().into();
    let org = member.org_id();
    // Everything that is locked is locked before the first entry of the log, whose chain comes last everywhere.
    let ids: Vec<KeyId> = keys.iter().map(|(id, _)| *id).collect();
    if sent.action == "enable" {
        store::hold_makers(&mut tx, org, &ids).await?;
    }
    store::lock_all(&mut tx, org, &ids).await?;
    let done = match sent.action.as_str() {
        "disable" => {
            let mut done = 0;
            for (id, _) in &keys {
                done += usize::from(revoke::disable(&mut tx, &by, org, *id).await?);
            }
            format!("{} disabled. Calls with them are refused until they are enabled again.", counted(done))
        }
        "enable" => {
            let (mut done, mut left) = (0, 0);
            for (id, _) in &keys {
                match revoke::enable(&mut tx, &by, org, *id).await {
                    Ok(enabled) => done += usize::from(enabled),
                    Err(EnableError::Database(error)) => return Err(error.into()),
                    Err(_) => left += 1,
                }
            }
            let left = if left == 0 { "" } else { " Those whose maker may have no keys here any more stay disabled." };
            format!("{} enabled.{left}", counted(done))
        }
        "delete-sure" => {
            let mut done = 0;
            for (id, _) in &keys {
                done += usize::from(revoke::delete(&mut tx, &by, org, *id).await?);
            }
            format!("{} deleted. Their past calls stay in the activity log.", counted(done))
        }
        "limit-sure" => {
            let limits = match limits_of(&sent.form, "Nothing was changed.") {
                Ok(limits) => limits,
                Err(wrong) => return unprocessable(&view(&member, &keys, &sent.form, &wrong, false)),
            };
            for (id, _) in &keys {
                let changes = Changes { limits: Some(limits), ..Changes::default() };
                match edit::edit(&mut tx, &by, org, *id, None, changes).await {
                    Ok(_) | Err(EditError::NotFound) => {}
                    Err(EditError::Database(error)) => return Err(error.into()),
                    Err(error) => return Err(PageError::Invalid(error.to_string())),
                }
            }
            format!("{} have the same limits now.", counted(keys.len()))
        }
        asked @ ("delete" | "limit") => {
            return html(&view(&member, &keys, &sent.form, &Mistakes::default(), asked == "delete"));
        }
        _ => return Err(PageError::Invalid("This is not something that can be done to keys.".into())),
    };
    tx.commit().await?;
    Ok(told(&app, KEYS, true, &done))
}

fn counted(keys: usize) -> String {
    if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") }
}

fn view(member: &KeyUser, keys: &[(KeyId, String)], form: &KeyForm, wrong: &Mistakes, delete: bool) -> views::Several {
    let fields = form.fields(wrong, None, member.person().viewer());
    let title = if delete { format!("Delete {}", counted(keys.len())) } else { "Set limits".to_owned() };
    let (total, day, week, month): (Field, Field, Field, Field) = (fields.total, fields.day, fields.week, fields.month);
    views::Several {
        shell: member.shell("keys", &title, ""),
        keys: keys
            .iter()
            .map(|(id, name)| Link { href: id.to_string(), label: name.clone(), current: false })
            .collect(),
        delete,
        total,
        day,
        week,
        month,
    }
}
