//! Why a message was not sent, in sentences for whoever wrote it, with the way on where there is one.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use serde_json::{Value, json};

use crate::base::ids::CallId;
use crate::gateway::ApiError;
use crate::keys::{AuthError, ChatTerms};
use crate::orgs::{Member, Permission};
use crate::web::{PageError, csrf};

/// Providers that a refusal gives the reasons of.
const MAX_REASONS: usize = 4;
/// So much of what a provider said is shown.
const MAX_QUOTE: usize = 300;

/// A message that was not answered, and why.
#[derive(Clone, PartialEq, Debug)]
pub struct Refusal {
    status: u16,
    text: String,
    /// Where to go, and what the link says.
    action: Option<(&'static str, &'static str)>,
    call: Option<CallId>,
    /// Seconds until it may be tried again.
    wait: Option<u32>,
}

impl Refusal {
    fn new(status: u16, text: impl Into<String>) -> Refusal {
        Refusal { status, text: text.into(), action: None, call: None, wait: None }
    }

    fn leading(self, href: &'static str, label: &'static str) -> Refusal {
        Refusal { action: Some((href, label)), ..self }
    }

    /// Only those who may go there are sent there.
    fn leading_if(self, may: bool, href: &'static str, label: &'static str) -> Refusal {
        if may { self.leading(href, label) } else { self }
    }

    pub fn of_call(self, call: CallId) -> Refusal {
        Refusal { call: Some(call), ..self }
    }

    pub fn respond(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({ "code": self.status, "message": self.text });
        if let Some((href, label)) = self.action {
            body["action"] = json!({ "href": href, "label": label });
        }
        if let Some(call) = self.call {
            body["call"] = call.to_string().into();
        }
        if let Some(wait) = self.wait {
            body["wait"] = wait.into();
        }
        HttpResponse::build(status).insert_header((CACHE_CONTROL, "no-store")).json(json!({ "error": body }))
    }
}

/// Nobody is signed in, or not somebody who may chat here.
pub fn not_let_in(error: &PageError) -> Refusal {
    match error {
        PageError::SignedOut { .. } | PageError::StepUp { .. } => Refusal::new(
            401,
            "You are signed out, so this was not sent. It stays in this browser: sign in again and try once more.",
        )
        .leading("/sign-in?next=%2Fchat", "Sign in"),
        PageError::Forbidden(text) => Refusal::new(403, *text),
        PageError::Leaving => Refusal::new(403, "Your account is closed, so this was not sent.")
            .leading("/account/leaving", "Keep the account"),
        _ => away(),
    }
}

/// The page is older than the session, or is not of the organization that is open.
pub fn not_ours(error: &PageError) -> Refusal {
    let text = match error {
        PageError::SignedOut { .. } => return not_let_in(error),
        PageError::Forbidden(text) if *text == csrf::OTHER_ORG => {
            "Another organization was opened in this browser meanwhile, so this was not sent. Reload the page: nothing in it \
             is lost, and what was said stays with its organization."
        }
        _ => "This page is older than your session, so this was not sent. Reload it: nothing in it is lost.",
    };
    Refusal::new(403, text).leading("/chat", "Reload")
}

pub fn unreadable() -> Refusal {
    Refusal::new(400, "The message did not arrive whole, so it was not sent on. Try again.")
}

pub fn too_large(limit_bytes: usize) -> Refusal {
    let megabytes = limit_bytes / 1_000_000;
    Refusal::new(
        413,
        format!(
            "This conversation is larger than the {megabytes} MB that one call may have, so nothing was sent. Begin a new \
             one, or leave images out."
        ),
    )
}

fn away() -> Refusal {
    Refusal {
        wait: Some(2),
        ..Refusal::new(503, "The server cannot take messages at this moment. Try again in a few seconds.")
    }
}

/// Why this member has no caller.
pub fn not_authentic(error: &AuthError, member: &Member) -> Refusal {
    let org = &member.org.name;
    match error {
        AuthError::Stopped => Refusal::new(
            403,
            format!("All keys of {org} are stopped, and the chat with them, so this was not sent. An owner or admin can let them go on."),
        )
        .leading_if(member.may(Permission::ManageAllKeys), "/keys/stop", "Let them go on"),
        AuthError::Frozen => {
            Refusal::new(403, format!("{org} is frozen, so this was not sent. Whoever runs this server knows why."))
        }
        AuthError::MakerFrozen => {
            Refusal::new(403, "Your account is frozen, so this was not sent. Whoever runs this server knows why.")
        }
        AuthError::Closing => Refusal::new(403, format!("{org} is being deleted, so this was not sent.")),
        AuthError::Disabled | AuthError::Unknown => {
            Refusal::new(403, format!("Your role in {org} does not allow calls, so this was not sent."))
        }
        AuthError::Unavailable(error) => {
            tracing::warn!(%error, "nobody could be found for a message");
            away()
        }
    }
}

/// What the gateway refused, in other words where its own are meant for programs.
pub fn refused(error: &ApiError, member: &Member, terms: &ChatTerms) -> Refusal {
    let metadata = error.to_value();
    let metadata = &metadata["metadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or_default();
    let refusal = match (error.status(), text("limit_source")) {
        (402, "credits") => no_credits(member),
        (403, "key_limit") => own_limit(terms),
        (403, "member_limit") => Refusal::new(
            403,
            format!(
                "Your spend cap in {} is reached, so this was not sent. An owner or admin can raise it.",
                member.org.name
            ),
        )
        .leading_if(member.may(Permission::ManageMembers), "/settings/members", "Members and caps"),
        (429, "requests_per_minute") => Refusal::new(
            429,
            format!(
                "More than {} messages in one minute are not taken. Wait a moment, then try again.",
                terms.per_minute.get()
            ),
        ),
        (404, _) if metadata["left_out"].is_object() => left_out(metadata, member),
        (404, _) => Refusal::new(404, format!("{} Choose another model or preset above.", error.message())),
        (502 | 503, _) if !text("provider_name").is_empty() => provider_failed(text("provider_name"), text("raw")),
        (503, _) if text("error_type") == "provider_unavailable" => Refusal::new(
            503,
            "No provider can answer with this model right now. Try again soon, or choose another model.",
        ),
        (503, _) => away(),
        (status, _) if !text("provider_name").is_empty() => {
            let provider = text("provider_name");
            Refusal::new(
                status,
                format!(
                    "{provider} did not take this message.{} Change it, or choose another model.",
                    quoted(text("raw"))
                ),
            )
        }
        (status, _) => Refusal::new(status, error.message()),
    };
    Refusal { wait: refusal.wait.or(error.wait()), ..refusal }
}

fn no_credits(member: &Member) -> Refusal {
    let left = member.credit.available().display();
    if member.may(Permission::HandleCredits) {
        let text = format!(
            "There are {left} credits left, too few for an answer of this model, so this was not sent. Add credits, or \
             choose a cheaper model."
        );
        return Refusal::new(402, text).leading("/credits", "Add credits");
    }
    Refusal::new(
        402,
        format!(
            "{} has {left} credits left, too few for an answer of this model, so this was not sent. An owner, admin or \
             billing member can add some.",
            member.org.name
        ),
    )
}

fn own_limit(terms: &ChatTerms) -> Refusal {
    let limit = terms.daily.map_or_else(|| "its limit".to_owned(), |daily| format!("{} a day", daily.display()));
    Refusal::new(
        403,
        format!(
            "Your chat stops at {limit} here, and this could go beyond, so it was not sent. It starts again at 00:00 UTC; \
             a key of your own has limits of its own."
        ),
    )
    .leading("/keys/new", "Create a key")
}

fn left_out(metadata: &Value, member: &Member) -> Refusal {
    let reasons = metadata["left_out"].as_object().into_iter().flatten().take(MAX_REASONS);
    let reasons: Vec<String> =
        reasons.map(|(provider, why)| format!("{provider}: {}", why.as_str().unwrap_or_default())).collect();
    let why = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
    Refusal::new(
        404,
        format!(
            "No provider of this model may answer under the settings of {}{why}. Choose another model, or have the settings \
             changed.",
            member.org.name
        ),
    )
    .leading("/settings/preferences", "Preferences")
}

fn provider_failed(provider: &str, raw: &str) -> Refusal {
    Refusal::new(
        502,
        format!("{provider} failed, and nothing was charged.{} Try again, or choose another model.", quoted(raw)),
    )
}

/// What a provider said; nothing where it said nothing readable.
fn quoted(raw: &str) -> String {
    let said = serde_json::from_str::<Value>(raw).ok();
    let said = said.as_ref().and_then(|said| said.pointer("/error/message").or(said.get("message"))?.as_str());
    let said: String = said.unwrap_or_default().chars().filter(|c| !c.is_control()).take(MAX_QUOTE).collect();
    if said.is_empty() { String::new() } else { format!(" It said: “{said}”") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_signed_out_is_led_to_the_door() {
        let told = not_let_in(&PageError::SignedOut { next: "/".into() });
        assert_eq!(told.status, 401);
        assert_eq!(told.action, Some(("/sign-in?next=%2Fchat", "Sign in")));
        assert_eq!(not_let_in(&PageError::NotFound).status, 503);
    }

    #[test]
    fn only_the_words_of_a_provider_are_quoted() {
        assert_eq!(quoted(r#"{"error":{"message":"slow down"}}"#), " It said: “slow down”");
        for nothing in ["", "<html>", r#"{"error":7}"#, "[]"] {
            assert_eq!(quoted(nothing), "", "{nothing}");
        }
    }
}
