//! Exports: exactly the calls that the page shows, as CSV or JSON lines, and a summary as PDF.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::asked::{Asked, pairs, word};
use super::paper;
use crate::activity::{CSV_HEAD, Export, ExportRow};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::db;
use crate::keys;
use crate::orgs::Member;
use crate::web::{App, PageError};

/// Exports that one process writes at a time.
const AT_ONCE: usize = 8;
/// A reader that takes longer gets no end: its program sees that the file is not complete.
const MAX_TIME: Duration = Duration::from_hours(2);
/// Names of keys that one export remembers; an organization with more has them read again.
const MAX_NAMES: usize = 10_000;

/// Of these, exports of one organization, so that others find a place.
const OF_ONE: usize = 2;

/// Whose exports are being written.
static RUNNING: Mutex<Vec<OrgId>> = Mutex::new(Vec::new());

/// The place of one export, until it is dropped.
struct Place {
    org: OrgId,
}

impl Place {
    fn take(org: OrgId) -> Result<Place, PageError> {
        let full = |count: usize, whose: &str| {
            PageError::Invalid(format!(
                "{count} exports{whose} are being written at the moment. Try again in a minute."
            ))
        };
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if running.len() >= AT_ONCE {
            return Err(full(AT_ONCE, ""));
        }
        if running.iter().filter(|one| **one == org).count() >= OF_ONE {
            return Err(full(OF_ONE, " of your organization"));
        }
        running.push(org);
        Ok(Place { org })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = running.iter().position(|one| *one == self.org) {
            running.swap_remove(at);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    JsonLines,
}

/// A reader that takes nothing for so long has stopped, and gives its place to others.
const MAX_STALL: Duration = Duration::from_secs(60);

/// One file on its way: a piece of calls is read when the one before was taken.
struct Writing {
    pool: PgPool,
    org: OrgId,
    own: Option<PersonId>,
    export: Export,
    form: Form,
    names: HashMap<KeyId, String>,
    head: bool,
    began: Instant,
    _place: Place,
}

/// What ends a file before its end.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("it took too long")]
    TooSlow,
}

/// `GET /activity/export?format=`: `csv`, `jsonl` or `pdf`, with the address of the page. Times are in UTC.
///
/// # Errors
/// `Invalid` for an address that cannot be read or says what is no filter, for letters that the PDF lacks, and while too many exports run.
pub async fn export(app: web::Data<App>, member: Member, request: HttpRequest) -> Result<HttpResponse, PageError> {
    let pairs = pairs(request.query_string());
    let mut asked = Asked::strictly(&pairs, &["format"], member.person().viewer())?;
    let (own, now) = (member.calls_of(), app.clock.now());
    asked.within(own);
    let (form, kind, end) = match word(&pairs, "format") {
        "" | "csv" => (Form::Csv, "text/csv; charset=utf-8", "csv"),
        "jsonl" => (Form::JsonLines, "application/x-ndjson", "jsonl"),
        "pdf" => return paper::summary(&app, &member, &asked).await,
        _ => return Err(PageError::Invalid("An export is format=csv, format=jsonl or format=pdf.".into())),
    };
    let place = Place::take(member.org_id())?;
    let writing = Writing {
        pool: app.db.clone(),
        org: member.org_id(),
        own,
        export: Export::new(member.org_id(), &asked.shown(own, now), now),
        form,
        names: HashMap::new(),
        head: true,
        began: Instant::now(),
        _place: place,
    };
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(write(writing, sender));
    let body = stream::try_unfold(receiver, |mut receiver: mpsc::Receiver<Piece>| async move {
        match receiver.recv().await {
            Some(Ok(Some(piece))) => Ok(Some((piece, receiver))),
            Some(Ok(None)) => Ok(None),
            Some(Err(error)) => Err(error),
            // The writer has given up, and the file has no end.
            None => Err(Broken::TooSlow),
        }
    });
    let name = format!("attachment; filename=\"farebox-calls-{}.{end}\"", now.format("%Y-%m-%d"));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(body))
}

/// A part of a file; `None` at its end.
type Piece = Result<Option<Bytes>, Broken>;

/// Writes one part after the other, as fast as they are taken. A task of its own, because a reader that has stopped asks
/// for nothing, and would keep its place for ever.
async fn write(mut writing: Writing, sender: mpsc::Sender<Piece>) {
    loop {
        let piece = writing.piece().await;
        let goes_on = matches!(piece, Ok(Some(_)));
        if let Err(error) = &piece {
            tracing::warn!(org = %writing.org, %error, "an export was not written to its end");
        }
        match tokio::time::timeout(MAX_STALL, sender.send(piece)).await {
            Ok(Ok(())) if goes_on => {}
            Ok(_) => return,
            Err(_) => {
                tracing::warn!(org = %writing.org, "an export was given up, because its reader has stopped");
                return;
            }
        }
    }
}

impl Writing {
    /// The next part of the file; `None` at its end. Each part is a transaction of its own, over before it is sent.
    async fn piece(&mut self) -> Result<Option<Bytes>, Broken> {
        let mut text = String::new();
        if std::mem::take(&mut self.head) && self.form == Form::Csv {
            text.push_str(CSV_HEAD);
        }
        while text.is_empty() {
            if self.began.elapsed() > MAX_TIME {
                return Err(Broken::TooSlow);
            }
            let mut conn = db::tenant(&self.pool, self.org).await?;
            let Some(rows) = self.export.next(&mut conn).await? else { return Ok(None) };
            self.learn(&mut conn, &rows).await?;
            drop(conn);
            text.reserve(rows.len() * 320);
            for row in &rows {
                match self.form {
                    Form::Csv => row.write_csv(&self.names, &mut text),
                    Form::JsonLines => row.write_json(&self.names, &mut text),
                }
            }
        }
        Ok(Some(Bytes::from(text)))
    }

    async fn learn(&mut self, conn: &mut sqlx::PgConnection, rows: &[ExportRow]) -> Result<(), sqlx::Error> {
        if self.names.len() > MAX_NAMES {
            self.names.clear();
        }
        let mut unknown: Vec<KeyId> =
            rows.iter().map(|row| row.key).filter(|key| !self.names.contains_key(key)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            self.names.extend(keys::labels(conn, self.org, self.own, &unknown).await?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_organization_leaves_places_to_others() {
        let (busy, other) = (OrgId::fresh(), OrgId::fresh());
        let first = Place::take(busy).expect("a place");
        let _second = Place::take(busy).expect("a place");
        let refused = Place::take(busy).err().expect("no third one");
        assert!(matches!(refused, PageError::Invalid(told) if told.contains("2 exports of your organization")));
        let _others = Place::take(other).expect("a place for others");
        drop(first);
        let _third = Place::take(busy).expect("a place that was given back");
    }
}
