//! The page on which somebody lets an app have a key.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::callback::{Callback, Lenient};
use super::challenge::Challenge;
use super::code::{AuthCode, LIFETIME_MINUTES, NewCode};
use super::consent::consent;
use super::terms_form::TermsForm;
use crate::base::ids::AuthCodeId;
use crate::orgs::KeyUser;
use crate::web::views::Field;
use crate::web::views::connect as views;
use crate::web::{App, Destination, PageError, Protected, away, html, unprocessable};

/// What an app puts into the link that brings people here. What else is in it does not matter.
#[derive(Deserialize)]
pub struct ConnectQuery {
    #[serde(default)]
    callback_url: String,
    #[serde(default)]
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
    #[serde(default)]
    key_label: String,
    limit: Option<String>,
    usage_limit_type: Option<String>,
}

#[derive(Deserialize)]
pub struct ConsentForm {
    id: String,
    #[serde(default)]
    callback_url: String,
    #[serde(default)]
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    limit: String,
    #[serde(default)]
    reset: String,
    #[serde(default)]
    expires: String,
}

/// An app's wish, as far as it makes sense.
struct Asked {
    /// `None` where the code is shown on the page.
    callback: Option<Callback>,
    challenge: Challenge,
}

impl Asked {
    fn read(callback: &str, challenge: &str, method: &str, lenient: &Lenient) -> Result<Asked, PageError> {
        let refuse = |problem: String| {
            // Its words are those of the API, which sets names apart; on a page they are words.
            let problem = problem.replace('`', "");
            PageError::Invalid(format!(
                "The app sent you here with a link that cannot be used: {problem}. It got nothing. Tell whoever makes it."
            ))
        };
        let callback = match callback {
            "" => None,
            text => Some(Callback::parse(text, lenient).map_err(|error| refuse(error.to_string()))?),
        };
        // A code that people type must be bound to the app that asked: there is no callback that tells them apart.
        let may_do_with_less = callback.as_ref().is_some_and(Callback::is_lenient);
        let challenge =
            Challenge::read(challenge, method, may_do_with_less).map_err(|error| refuse(error.to_string()))?;
        Ok(Asked { callback, challenge })
    }

    fn app(&self) -> String {
        self.callback.as_ref().map_or_else(|| "a program on your computer".to_owned(), Callback::app)
    }
}

fn view(member: &KeyUser, asked: &Asked, id: &str, form: &TermsForm) -> views::Consent {
    let app = asked.app();
    let title = match &asked.callback {
        Some(_) => format!("Connect {app}"),
        None => "Connect a program".to_owned(),
    };
    views::Consent {
        shell: member.shell("keys", &title, "It gets a key of its own, up to the limit that you set here."),
        org_name: member.org.name.clone(),
        local: asked.callback.as_ref().is_none_or(Callback::is_local),
        shows_code: asked.callback.is_none(),
        app,
        callback: asked.callback.as_ref().map(|callback| callback.as_str().to_owned()).unwrap_or_default(),
        challenge: asked.challenge.text().to_owned(),
        method: if asked.challenge == Challenge::None { String::new() } else { asked.challenge.method().to_owned() },
        form_id: id.to_owned(),
        name: Field::of(&form.name),
        limit: Field::of(&form.limit),
        resets: form.reset_choices(),
        expiries: form.expiry_choices(),
    }
}

/// `GET /auth?callback_url=&code_challenge=&code_challenge_method=&key_label=&limit=&usage_limit_type=`
///
/// # Errors
/// `Invalid` for a link that leads nowhere good.
pub async fn form(
    member: KeyUser,
    lenient: web::Data<Lenient>,
    query: web::Query<ConnectQuery>,
) -> Result<HttpResponse, PageError> {
    let asked = Asked::read(&query.callback_url, &query.code_challenge, &query.code_challenge_method, &lenient)?;
    let label = if query.key_label.trim().is_empty() { asked.app() } else { query.key_label.clone() };
    let terms = TermsForm::proposed(&label, query.limit.as_deref(), query.usage_limit_type.as_deref());
    html(&view(&member, &asked, &AuthCodeId::fresh().to_string(), &terms))
}

/// `POST /auth`: consents. The answer is the only one that carries the code.
///
/// # Errors
/// Mistakes are shown beside their field; a form that was used makes no second code.
pub async fn agree(
    app: web::Data<App>,
    member: KeyUser,
    lenient: web::Data<Lenient>,
    request: HttpRequest,
    Protected(form): Protected<ConsentForm>,
) -> Result<HttpResponse, PageError> {
    let id: AuthCodeId = form.id.parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let asked = Asked::read(&form.callback_url, &form.code_challenge, &form.code_challenge_method, &lenient)?;
    let fields = TermsForm { name: form.name, limit: form.limit, reset: form.reset, expires: form.expires };
    let now = app.clock.now();
    let terms = match fields.read(now) {
        Ok(terms) => terms,
        Err(wrong) => {
            let again = view(&member, &asked, &form.id, &fields);
            return unprocessable(&views::Consent { name: wrong.name, limit: wrong.limit, ..again });
        }
    };
    let new = NewCode {
        id,
        person: Some(member.person().id),
        issued_by: None,
        callback: asked.callback.as_ref(),
        challenge: &asked.challenge,
        terms: &terms,
    };
    let mut tx = member.tenant(&app).await?;
    let code = consent(&mut tx, &member.acting().into(), member.org_id(), now, &new).await?;
    tx.commit().await?;
    let code = code.ok_or_else(|| {
        PageError::Invalid("This form was used before, and its code was shown then. Start again in the app.".into())
    })?;
    match &asked.callback {
        Some(callback) => send_back(&app, &request, callback, &code),
        None => html(&views::Code {
            shell: member.shell("keys", "Your code", "Type or paste it into the program that asked for it."),
            code: code.reveal().to_owned(),
            minutes: LIFETIME_MINUTES,
        }),
    }
}

fn send_back(
    app: &App,
    request: &HttpRequest,
    callback: &Callback,
    code: &AuthCode,
) -> Result<HttpResponse, PageError> {
    let (url, label) = (callback.with_code(code.reveal()), callback.app());
    away(
        app,
        request,
        Destination {
            label: &label,
            url: &url,
            explanation: "It fetches its key there. You find the key on your Keys page and can stop it at any time.",
            back: ("/keys", "Your keys"),
        },
    )
}
