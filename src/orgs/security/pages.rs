//! `/settings/security`: the second factor, passkeys, sessions, and what happened.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use crate::accounts::passkeys::{self, KnownPasskey};
use crate::accounts::two_factor::{self, ConfirmError, RecoveryCodes};
use crate::accounts::{self, Device, Factor, Factors, Links, Recent, SessionSeen};
use crate::audit::{Action, Recorded};
use crate::base::Viewer;
use crate::base::ids::SessionId;
use crate::orgs::{Member, Myself};
use crate::web::views::security as views;
use crate::web::views::{Field, When};
use crate::web::{App, EmptyForm, PageError, Protected, client, flash, html, present, see_other, unprocessable};

pub(super) const HERE: &str = "/settings/security";
/// With so few recovery codes left, new ones should be made.
const FEW_CODES: i64 = 3;
pub(super) const NO_PASSKEYS: &str =
    "Passkeys need a domain name. This instance is reached by a bare address, so browsers offer none here.";

/// Shows moments to one reader.
struct Reader {
    now: DateTime<Utc>,
    viewer: Viewer,
}

impl Reader {
    fn of(app: &App, member: &Member) -> Reader {
        Reader { now: app.clock.now(), viewer: member.person().viewer() }
    }

    fn when(&self, at: DateTime<Utc>) -> When {
        present::when(at, self.now, self.viewer)
    }

    fn passkey(&self, passkey: KnownPasskey) -> views::PasskeyRow {
        views::PasskeyRow {
            name: passkey.name,
            added: self.when(passkey.created_at),
            last_used: passkey.last_used_at.map(|at| self.when(at)),
            remove_href: format!("{HERE}/passkeys/{}/remove", passkey.id),
        }
    }

    fn session(&self, session: SessionSeen, current: SessionId) -> views::SessionRow {
        views::SessionRow {
            browser: Device::of(&session.user_agent, &session.ip).browser,
            ip: session.ip,
            signed_in: self.when(session.created_at),
            last_used: self.when(session.last_seen_at),
            current: session.id == current,
            end_action: format!("{HERE}/sessions/{}/end", session.id),
        }
    }

    fn event(&self, entry: &Recorded) -> views::HistoryRow {
        let (action, personal) = (Action::parse(&entry.action), entry.personal());
        let after: Value = serde_json::from_str(&entry.after).unwrap_or_default();
        let with = after["with"].as_array().into_iter().flatten();
        let mut how: Vec<String> =
            with.filter_map(|code| Factor::parse(code.as_str()?)).map(|factor| factor.words().to_owned()).collect();
        how.extend((after["new_device"] == true).then(|| "from a new device".to_owned()));
        how.extend(after["ended"].as_u64().map(|ended| format!("{ended} ended")));
        let unlisted = after["failed_before_unlisted"].as_u64();
        how.extend(unlisted.map(|more| format!("{more} more failed tries before it")));
        if matches!(action, Some(Action::PasskeyAdded | Action::PasskeyRemoved)) {
            how.push(personal.target);
        }
        views::HistoryRow {
            what: action.map_or("Something that a newer version wrote", Action::label).to_owned(),
            how: how.join(", "),
            at: self.when(entry.at),
            browser: Device::of(&personal.user_agent, &personal.ip).browser,
            ip: personal.ip,
            bad: matches!(action, Some(Action::SignInFailed)),
        }
    }
}

/// `GET /settings/security`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    member: Member,
) -> Result<HttpResponse, PageError> {
    let (reader, person) = (Reader::of(&app, &member), member.person().id);
    let mut conn = app.db.acquire().await?;
    let state = two_factor::state(&mut conn, person).await?;
    let passkeys = passkeys::list(&mut conn, person).await?;
    let sessions = accounts::sessions(&mut conn, person, app.session_idle).await?;
    let history = accounts::history(&mut conn, person).await?;
    let unlisted = accounts::unlisted_failures(&mut conn, person).await?;
    drop(conn);
    let current = member.signed_in.session.id;
    html(&views::Security {
        shell: member.shell("security", "Security", "How you sign in, where you are signed in, and what happened."),
        on_since: state.on_since.map(|at| reader.when(at)),
        with_app: state.with_app,
        codes_left: format!("{} of {}", state.recovery_codes_left, two_factor::RECOVERY_CODES),
        codes_low: state.recovery_codes_left <= FEW_CODES,
        passkeys: passkeys.into_iter().map(|passkey| reader.passkey(passkey)).collect(),
        no_passkeys: if factors.webauthn.is_some() { String::new() } else { NO_PASSKEYS.to_owned() },
        sessions: sessions.into_iter().map(|session| reader.session(session, current)).collect(),
        history: history.iter().map(|entry| reader.event(entry)).collect(),
        unlisted: match unlisted {
            0 => String::new(),
            1 => "One more failed try was counted, but not listed.".to_owned(),
            more => format!("{more} more failed tries were counted, but not listed."),
        },
    })
}

pub(super) fn back(app: &App, good: bool, text: &str) -> HttpResponse {
    flash::told(app, HERE, good, text)
}

/// `POST /settings/security/sessions/{session}/end`
///
/// # Errors
/// `NotFound` for a session that is not this person's.
pub async fn end_session(
    app: web::Data<App>,
    member: Myself,
    request: HttpRequest,
    path: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let id: SessionId = path.parse().map_err(|_| PageError::NotFound)?;
    let (mut conn, origin) = (app.db.acquire().await?, client::origin(&app, &request));
    if !accounts::end_session(&mut conn, &member.signed_in.session, id, &origin).await? {
        return Err(PageError::NotFound);
    }
    Ok(back(&app, true, "That browser is signed out."))
}

/// `POST /settings/security/sessions/end-others`
///
/// # Errors
/// Database errors only.
pub async fn end_others(
    app: web::Data<App>,
    member: Myself,
    request: HttpRequest,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let (mut conn, origin) = (app.db.acquire().await?, client::origin(&app, &request));
    let ended = accounts::sign_out_others(&mut conn, &member.signed_in.session, &origin).await?;
    let told = match ended {
        0 => "There was no other browser to sign out.".to_owned(),
        1 => "One other browser is signed out.".to_owned(),
        more => format!("{more} other browsers are signed out."),
    };
    Ok(back(&app, true, &told))
}

impl From<ConfirmError> for PageError {
    fn from(error: ConfirmError) -> PageError {
        match error {
            ConfirmError::Database(error) => error.into(),
            ConfirmError::Internal(error) => PageError::Internal(error),
            ConfirmError::Seal(error) => PageError::Internal(error.into()),
            ConfirmError::WrongCode | ConfirmError::NothingBegun => {
                PageError::Forbidden("There is nothing to confirm. Go back to the security page and begin again.")
            }
        }
    }
}

/// `POST /settings/security/two-factor`: begins to switch it on.
///
/// # Errors
/// Database errors only.
pub async fn begin(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    person: Recent,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    two_factor::begin(&mut conn, &factors, person.0.person().id).await?;
    Ok(see_other("/settings/security/two-factor"))
}

async fn setup_view(
    app: &App,
    factors: &Factors,
    member: &Member,
    error: &str,
) -> Result<Option<views::TwoFactorSetup>, PageError> {
    let mut conn = app.db.acquire().await?;
    let Some(enrolment) = two_factor::enrolment(&mut conn, factors, member.person()).await? else { return Ok(None) };
    Ok(Some(views::TwoFactorSetup {
        shell: member.shell("security", "Set up two-factor sign-in", ""),
        qr_width: enrolment.picture.width,
        qr_path: enrolment.picture.path,
        secret: enrolment.secret,
        code: Field::wrong("", error),
    }))
}

/// `GET /settings/security/two-factor`
///
/// # Errors
/// Database errors only; without anything begun it leads back.
pub async fn setup(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    person: Recent,
    member: Member,
) -> Result<HttpResponse, PageError> {
    let _ = person;
    match setup_view(&app, &factors, &member, "").await? {
        Some(view) => html(&view),
        None => Ok(see_other(HERE)),
    }
}

#[derive(Deserialize)]
pub struct CodeForm {
    #[serde(default)]
    code: String,
}

/// `POST /settings/security/two-factor/confirm`: switches it on, and shows the recovery codes this one time.
///
/// # Errors
/// Database errors; a wrong code is told on the page.
pub async fn confirm(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    person: Recent,
    member: Myself,
    request: HttpRequest,
    Protected(form): Protected<CodeForm>,
) -> Result<HttpResponse, PageError> {
    let (origin, now) = (client::origin(&app, &request), app.clock.now());
    let mut tx = app.db.begin().await?;
    let (links, person) = (Links::of(&app), person.0.person());
    // First, because the log's chain is the last lock; a wrong code takes it back.
    accounts::end_other_sessions(&mut tx, person.id, Some(member.signed_in.session.id)).await?;
    match two_factor::confirm(&mut tx, &factors, &links, person, &form.code, now, &origin).await {
        Ok(codes) => {
            tx.commit().await?;
            html(&codes_view(&app, &member, "Two-factor sign-in is on", codes))
        }
        Err(error @ ConfirmError::WrongCode) => {
            drop(tx);
            match setup_view(&app, &factors, &member, &error.to_string()).await? {
                Some(view) => unprocessable(&view),
                None => Ok(see_other(HERE)),
            }
        }
        Err(ConfirmError::NothingBegun) => {
            Ok(back(&app, false, "There is nothing to confirm any more. Begin again if two-factor sign-in is off."))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /settings/security/two-factor/passkeys`: switches it on with the passkeys that are there, and shows the recovery
/// codes this one time.
///
/// # Errors
/// Database errors only.
pub async fn require_passkey(
    app: web::Data<App>,
    person: Recent,
    member: Myself,
    request: HttpRequest,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let origin = client::origin(&app, &request);
    let mut tx = app.db.begin().await?;
    accounts::end_other_sessions(&mut tx, person.0.person().id, Some(person.0.session.id)).await?;
    match two_factor::require_passkey(&mut tx, &Links::of(&app), person.0.person(), &origin).await {
        Ok(codes) => {
            tx.commit().await?;
            html(&codes_view(&app, &member, "Two-factor sign-in is on", codes))
        }
        Err(ConfirmError::NothingBegun) => {
            Ok(back(&app, false, "Nothing was changed: it is on already, or there is no passkey. Add one first."))
        }
        Err(error) => Err(error.into()),
    }
}

fn codes_view(app: &App, member: &Member, title: &str, codes: RecoveryCodes) -> views::RecoveryCodes {
    let host = app.public_url.host_str().unwrap_or("farebox");
    let text = format!(
        "Recovery codes of {} at {}\n\nEach lets you sign in once without the app.\n\n{}\n",
        member.person().email,
        app.public_url,
        codes.0.join("\n")
    );
    views::RecoveryCodes {
        shell: member.shell("security", title, ""),
        codes: codes.0,
        // Made here, so that the page needs no script and the codes need not be kept.
        download_href: format!("data:text/plain;charset=utf-8,{}", utf8_percent_encode(&text, NON_ALPHANUMERIC)),
        file_name: format!("recovery-codes-{host}.txt"),
    }
}

/// `GET /settings/security/two-factor/off`
///
/// # Errors
/// Database errors only.
pub async fn off_form(app: web::Data<App>, person: Recent, member: Member) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    if !two_factor::is_on(&mut conn, person.0.person().id).await? {
        return Ok(see_other(HERE));
    }
    html(&views::Confirm {
        shell: member.shell("security", "Switch two-factor sign-in off?", ""),
        text: "Your password alone will sign in. Codes of an app and your recovery codes stop working; passkeys stay. \
               Other browsers are signed out, and we tell you by mail."
            .into(),
        action: "/settings/security/two-factor/off".into(),
        button: "Switch it off".into(),
        danger: true,
        keep: "Keep it on".into(),
    })
}

/// `POST /settings/security/two-factor/off`
///
/// # Errors
/// Database errors only.
pub async fn off(
    app: web::Data<App>,
    person: Recent,
    request: HttpRequest,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let origin = client::origin(&app, &request);
    let mut tx = app.db.begin().await?;
    accounts::end_other_sessions(&mut tx, person.0.person().id, Some(person.0.session.id)).await?;
    two_factor::switch_off(&mut tx, &Links::of(&app), person.0.person(), &origin).await?;
    tx.commit().await?;
    Ok(back(&app, true, "Two-factor sign-in is off."))
}

/// `GET /settings/security/recovery-codes`
///
/// # Errors
/// Database errors only.
pub async fn codes_form(app: web::Data<App>, person: Recent, member: Member) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    if !two_factor::is_on(&mut conn, person.0.person().id).await? {
        return Ok(see_other(HERE));
    }
    html(&views::Confirm {
        shell: member.shell("security", "Make new recovery codes?", ""),
        text: "You get ten new codes, shown once. Those that you have now stop working at once.".into(),
        action: "/settings/security/recovery-codes".into(),
        button: "Make new codes".into(),
        danger: false,
        keep: "Keep the ones I have".into(),
    })
}

/// `POST /settings/security/recovery-codes`: shows them this one time.
///
/// # Errors
/// Database errors only.
pub async fn codes(
    app: web::Data<App>,
    person: Recent,
    member: Myself,
    request: HttpRequest,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let origin = client::origin(&app, &request);
    let mut tx = app.db.begin().await?;
    match two_factor::new_recovery_codes(&mut tx, person.0.person(), &origin).await {
        Ok(codes) => {
            tx.commit().await?;
            html(&codes_view(&app, &member, "Your new recovery codes", codes))
        }
        Err(ConfirmError::NothingBegun) => Ok(back(&app, false, "Two-factor sign-in is off, so there are no codes.")),
        Err(error) => Err(error.into()),
    }
}
