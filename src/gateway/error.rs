//! The errors of calls, in the shape that all of the API has.

use serde_json::{Map, Value, json};

use super::call::Attempt;
use crate::base::Usd;
use crate::base::ids::MeterId;
use crate::catalog::Task;
use crate::keys::Whose;
use crate::ledger::{Refused, Window};
use crate::presets::Missing;
use crate::routing::{NoRoute, Why};
use crate::web::api::RETRY_SOON;

pub use crate::web::api::ApiError;

/// Providers that an error says something about.
const MAX_WHY: usize = 32;
/// What clients know for the refusal of an upstream.
const UPSTREAM: &str = "Provider returned error";
/// What clients know for a prompt that is longer than a model takes: some shorten the conversation then.
pub(super) const TOO_LONG_A_PROMPT: &str = "context_length_exceeded";
/// Longest piece of an upstream's error that is passed on.
const MAX_RAW: usize = 4_096;

impl ApiError {
    /// 402: nothing is left.
    #[must_use]
    pub fn insufficient_credits() -> ApiError {
        ApiError::new(402, "payment_required", "Insufficient credits. Add credits to your account to go on.")
            .with("limit_source", "credits")
            .without_retry()
    }

    /// 402: the asked length does not fit, a shorter one does.
    #[must_use]
    pub fn more_credits(asked_tokens: u64, affordable_tokens: u64) -> ApiError {
        if affordable_tokens == 0 {
            return ApiError::insufficient_credits();
        }
        let message = format!(
            "This request requires more credits, or fewer max_tokens. You requested up to {asked_tokens} tokens, \
             but can only afford {affordable_tokens}."
        );
        ApiError::new(402, "payment_required", message).with("limit_source", "credits").without_retry()
    }

    /// 403: the key, its issuer or its maker may not spend more in this window. It begins with the words that clients
    /// know, and says whose limit it is.
    #[must_use]
    pub fn key_limit(window: Window, whose: Whose) -> ApiError {
        let (of, where_to, source) = match whose {
            Whose::Key => ("", "Manage it on the Keys page.", "key_limit"),
            Whose::Issuer => (
                " of the provisioning key that issued this key",
                "Manage it on the Provisioning keys page.",
                "provisioning_key_limit",
            ),
            Whose::Member => (" of the member whose key this is", "An owner or admin can change it.", "member_limit"),
            Whose::IssuersMember => (
                " of the member who made the provisioning key that issued this key",
                "An owner or admin can change it.",
                "member_limit",
            ),
        };
        let message = format!("Key limit exceeded ({} limit{of}). {where_to}", window.as_str());
        ApiError::new(403, "permission_denied", message).with("limit_source", source).without_retry()
    }

    /// 403: the model exists, but not for this key.
    #[must_use]
    pub fn model_not_allowed(model: &str) -> ApiError {
        let shown: String = model.chars().filter(|c| !c.is_control()).take(120).collect();
        let message = format!("This API key may not call the model {shown}. GET /models lists those that it may call.");
        ApiError::new(403, "permission_denied", message).with("limit_source", "allowed_models").without_retry()
    }

    /// 429: the key began as many calls as it may in this minute.
    #[must_use]
    pub fn too_many_calls(per_minute: u32, wait: u32) -> ApiError {
        let message = format!("This API key may begin {per_minute} calls a minute. Try again in {wait} seconds.");
        ApiError::new(429, "rate_limit_exceeded", message).with("limit_source", "requests_per_minute").retry_after(wait)
    }

    /// 404: no such model.
    #[must_use]
    pub fn model_not_found(model: &str) -> ApiError {
        let shown: String = model.chars().filter(|c| !c.is_control()).take(120).collect();
        ApiError::new(404, "not_found", format!("Model {shown} was not found.")).without_retry()
    }

    /// 404: the model is there, but not for what is asked of it.
    #[must_use]
    pub fn other_task(model: &str, task: Task) -> ApiError {
        let shown: String = model.chars().filter(|c| !c.is_control()).take(120).collect();
        let message = format!("The model {shown} cannot do this. It is called at {}.", task.path());
        ApiError::new(404, "not_found", message).without_retry()
    }

    /// 404: a preset that cannot be used. `whose` says why it was asked for, where the caller did not name it.
    #[must_use]
    pub fn no_preset(slug: &str, whose: &str, missing: Missing) -> ApiError {
        let shown: String = slug.chars().filter(|c| !c.is_control()).take(60).collect();
        let how = match missing {
            Missing::Unknown => "was not found",
            Missing::Archived => "is archived; an admin can take it back",
            Missing::Unread => "cannot be read as a whole, so no call gets it; an admin can open it and save it again",
        };
        ApiError::new(404, "not_found", format!("The preset {shown}{whose} {how}.")).without_retry()
    }

    /// 402: the call could cost more than the cap that it or its preset sets.
    #[must_use]
    pub fn over_cap(needed: Usd, cap: Usd) -> ApiError {
        let message = format!(
            "This call could cost {}, and its price cap is {}. Ask for fewer max_tokens, or raise the cap.",
            needed.display(),
            cap.display()
        );
        ApiError::new(402, "payment_required", message).with("limit_source", "max_cost").without_retry()
    }

    /// From the route: why nobody can be asked.
    #[must_use]
    pub fn from_no_route(none: &NoRoute) -> ApiError {
        match none {
            NoRoute::Unknown(model) => ApiError::model_not_found(model),
            NoRoute::NobodyServes => ApiError::nobody_serves(),
            NoRoute::NobodyAllowed(why) => {
                let private = why.iter().any(|(_, why)| matches!(why, Why::NoTraining { .. } | Why::NoRetention));
                let why = why.iter().filter(|(_, why)| *why != Why::NoKey).take(MAX_WHY);
                let why: Map<String, Value> =
                    why.map(|(provider, why)| (provider.clone(), why.in_words().into())).collect();
                let error = if private { ApiError::nobody_private() } else { ApiError::no_allowed_provider() };
                error.with("left_out", why)
            }
        }
    }

    /// 404: the model exists, but the request's own conditions leave no endpoint.
    #[must_use]
    pub fn no_allowed_provider() -> ApiError {
        let message = "No allowed providers are available for the selected model.";
        ApiError::new(404, "not_found", message).without_retry()
    }

    /// The same, where the organization's privacy settings have a part in it.
    #[must_use]
    pub fn nobody_private() -> ApiError {
        let message = "No allowed providers are available for the selected model: the privacy settings of the \
                       organization leave some out. metadata.left_out says which setting; /settings/privacy changes it.";
        ApiError::new(404, "not_found", message).without_retry()
    }

    /// The head of the request is not answered: 421 for another host, 400 for none, 431 when it is too long.
    #[must_use]
    pub fn refused(status: u16, text: &'static str) -> ApiError {
        ApiError::new(status, "invalid_request", text).without_retry()
    }

    /// 400: a provider that calls back, itself or through others.
    #[must_use]
    pub fn in_circles() -> ApiError {
        let message = "This request has passed through Farebox too often: the address of a provider leads back to where the \
                       request came from. Whoever runs these instances has to mend the catalog.";
        ApiError::new(400, "invalid_request", message).without_retry()
    }

    /// 503: the model is known, but nobody can serve it now.
    #[must_use]
    pub fn nobody_serves() -> ApiError {
        ApiError::new(503, "provider_unavailable", "No provider can serve this model right now.")
            .retry_after(RETRY_SOON)
    }

    /// The upstream's refusal in our shape. `status` is the status for our client.
    #[must_use]
    pub fn upstream(status: u16, kind: &'static str, provider: &str, raw: &str, wait: Option<u32>) -> ApiError {
        let error = ApiError::new(status, kind, UPSTREAM).with("provider_name", provider);
        let error = if raw.is_empty() { error } else { error.with("raw", clip(raw, MAX_RAW)) };
        match (status, wait) {
            (429 | 503, wait) => error.retry_after(wait.unwrap_or(RETRY_SOON)),
            // The same request would be refused again.
            (400..=499, _) => error.without_retry(),
            _ => error,
        }
    }

    /// The upstream's refusal with its own reason, for clients that show the message alone.
    #[must_use]
    pub fn because(self, why: &str) -> ApiError {
        self.saying(format!("{UPSTREAM}: {why}"))
    }

    /// Which endpoints had failed before the one that this error is about.
    #[must_use]
    pub fn after(self, attempts: &[Attempt]) -> ApiError {
        if attempts.is_empty() {
            return self;
        }
        let told = |attempt: &Attempt| {
            json!({
                "provider": attempt.provider,
                "model": attempt.model,
                "code": attempt.status.filter(|status| *status >= 400).unwrap_or(502),
                "status": attempt.status,
                "message": attempt.error,
            })
        };
        self.with("previous_errors", attempts.iter().map(told).collect::<Vec<Value>>())
    }

    /// Why the ledger's desk did not admit a call. `asked` and `afford` are output tokens.
    #[must_use]
    pub fn from_refusal(
        refused: &Refused,
        whose: impl FnOnce(MeterId) -> Whose,
        asked: u64,
        afford: impl FnOnce(Usd) -> u64,
    ) -> ApiError {
        match refused {
            Refused::Credits { available } => ApiError::more_credits(asked, afford(*available)),
            Refused::Overdrawn { .. } => ApiError::insufficient_credits(),
            Refused::Limit { meter, window, .. } => ApiError::key_limit(*window, whose(*meter)),
            Refused::Unknown => ApiError::unauthorized(),
            Refused::Unavailable => ApiError::unavailable(),
        }
    }
}

/// The first `limit` bytes at most, cut between characters.
pub(super) fn clip(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_what_they_look_for_in_a_refusal_for_credits() {
        let body = ApiError::insufficient_credits().to_body();
        assert!(body.starts_with(r#"{"error":{"code":402,"message":"Insufficient credits"#), "{body}");
        assert!(ApiError::insufficient_credits().is_final());
    }

    #[test]
    fn it_says_what_can_be_afforded() {
        let error = ApiError::more_credits(4096, 120);
        assert_eq!(
            error.message(),
            "This request requires more credits, or fewer max_tokens. You requested up to 4096 tokens, but can only afford 120."
        );
        assert!(ApiError::more_credits(4096, 0).message().contains("Insufficient credits"));
    }

    #[test]
    fn a_refusal_of_the_ledger_keeps_its_status() {
        let status = |refused: Refused| ApiError::from_refusal(&refused, |_| Whose::Key, 10, |_| 0).status();
        assert_eq!(status(Refused::Credits { available: Usd::ZERO }), 402);
        assert_eq!(status(Refused::Overdrawn { posted: Usd::from_cents(-1) }), 402);
        assert_eq!(status(Refused::Unavailable), 503);
        let limit = Refused::Limit { meter: MeterId::fresh(), window: Window::Day, left: Usd::ZERO };
        let error = |whose| ApiError::from_refusal(&limit, |_| whose, 10, |_| 0);
        assert_eq!(error(Whose::Key).status(), 403);
        assert!(error(Whose::Key).message().starts_with("Key limit exceeded (daily limit)"));
        assert!(error(Whose::Issuer).message().starts_with("Key limit exceeded (daily limit of the provisioning key"));
        assert!(error(Whose::Member).message().starts_with("Key limit exceeded (daily limit of the member"));
    }

    #[test]
    fn a_clipped_text_is_cut_between_characters() {
        assert_eq!(clip("äöü", 3), "ä");
        assert_eq!(clip("abc", 3), "abc");
    }
}
