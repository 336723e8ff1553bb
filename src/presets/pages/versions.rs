//! The versions of a preset: what changed, and going back.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::editor::told;
use super::{acting, find};
use crate::orgs::{KeyUser, Permission, SettingsEditor};
use crate::presets::diff::{Line, changes, lines};
use crate::presets::{Status, Version, Writer, designate, store};
use crate::web::present::when;
use crate::web::views::presets as views;
use crate::web::views::{Choice, Pager};
use crate::web::{App, PageError, Protected, flash, html, see_other};

const ROWS: i64 = 50;

#[derive(Deserialize)]
pub struct VersionsQuery {
    /// The two that are compared; else the one in use and the one before.
    from: Option<i32>,
    to: Option<i32>,
    before: Option<i32>,
}

/// `GET /settings/presets/{preset}/versions`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn index(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
    query: web::Query<VersionsQuery>,
) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let preset = find(&mut conn, &member, &id).await?;
    let mut found = store::versions(&mut conn, preset.org, preset.id, query.before, ROWS + 1).await?;
    let more = found.len() > usize::try_from(ROWS).unwrap_or(0);
    found.truncate(usize::try_from(ROWS).unwrap_or(0));
    let (to, from) = (query.to.unwrap_or(preset.version), query.from.unwrap_or(preset.version - 1));
    let new = store::version(&mut conn, preset.org, preset.id, to).await?;
    let old = store::version(&mut conn, preset.org, preset.id, from).await?;
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let number = |chosen: i32| {
        found.iter().map(move |version| {
            let text = version.number.to_string();
            Choice::new(&text, &format!("Version {text}"), "", version.number == chosen)
        })
    };
    html(&views::Versions {
        shell: member.shell(
            "presets",
            &format!("Versions of {}", preset.name),
            "Each save is kept; calls get one of them.",
        ),
        id: preset.id.to_string(),
        name: preset.name.clone(),
        may_change: member.may(Permission::ManageSettings) && preset.status == Status::Active,
        rows: found
            .iter()
            .map(|version| views::VersionRow {
                number: version.number,
                current: version.number == preset.version,
                made: when(version.created_at, now, viewer),
                author: version.author.name.clone().unwrap_or_else(|| "somebody who left".to_owned()),
                compare_href: format!(
                    "/settings/presets/{}/versions?from={}&to={}",
                    preset.id, version.number, preset.version
                ),
            })
            .collect(),
        from_choices: number(from).collect(),
        to_choices: number(to).collect(),
        difference: old.zip(new).map(|(old, new)| difference(&old, &new)),
        pager: Pager {
            older_href: found
                .last()
                .filter(|_| more)
                .map(|last| format!("/settings/presets/{}/versions?before={}", preset.id, last.number)),
            newest_href: query.before.map(|_| format!("/settings/presets/{}/versions", preset.id)),
            ..Pager::default()
        },
    })
}

fn difference(old: &Version, new: &Version) -> views::Difference {
    let line = |line: Line<'_>| match line {
        Line::Same(text) => ("same", text.to_owned()),
        Line::Gone(text) => ("gone", text.to_owned()),
        Line::New(text) => ("new", text.to_owned()),
    };
    let prompt = if old.system_prompt == new.system_prompt {
        Vec::new()
    } else {
        lines(&old.system_prompt, &new.system_prompt).into_iter().map(line).collect()
    };
    views::Difference {
        from: old.number,
        to: new.number,
        changes: changes(old, new).into_iter().map(|change| (change.label, change.before, change.after)).collect(),
        prompt,
    }
}

#[derive(Deserialize)]
pub struct DesignateForm {
    #[serde(default)]
    version: i32,
}

/// `POST /settings/presets/{preset}/versions`: calls get another version.
///
/// # Errors
/// `NotFound` for what is not there.
pub async fn go_to(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
    Protected(form): Protected<DesignateForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = member.tenant(&app).await?;
    let preset = find(&mut tx, &member, &id).await?;
    let acting = acting(&mut tx, &member).await?;
    let entry = |action| acting.entry(action);
    let writer = Writer { org: acting.org, author: Some(acting.person.id), entry: &entry };
    designate(&mut tx, &writer, &preset, form.version).await.map_err(told)?;
    tx.commit().await?;
    let mut response = see_other(&format!("/settings/presets/{id}/versions"));
    let text = format!("The next call gets version {}. Nothing was deleted.", form.version);
    flash::set(&mut response, &app, true, &text);
    Ok(response)
}
