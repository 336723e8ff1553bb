//! One chat completion, from the bytes of its request to the task that answers it.

use std::sync::Arc;
use std::time::Instant;

use rand::RngExt;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::error::ApiError;
use super::estimate::{PromptBound, bounds, estimate, length, prompt_bound};
use super::forward::{self, Answer, Deps, Job, Step, Timeouts};
use super::http_client::HttpClient;
use super::providers::UpstreamKeys;
use super::route::{Asked, Candidate, Health, candidates};
use super::settle::Settler;
use super::sweep::HoldMemo;
use super::wire::ChatRequest;
use super::{Call, Ended, Status};
use crate::base::ids::CallId;
use crate::base::{Clock, Usd};
use crate::catalog::{Catalog, Shelf, affordable_completion};
use crate::keys::{Caller, Pace, PaceError};
use crate::ledger::{Desk, Want};

/// What a gateway is made of.
pub struct GatewayParts {
    pub desk: Desk,
    pub pace: Pace,
    pub settler: Settler,
    pub shelf: Shelf,
    pub http: HttpClient,
    pub keys: UpstreamKeys,
    /// Tracks running calls, so that a shutdown can wait for them.
    pub tasks: TaskTracker,
    /// The main runtime, on which calls outlive their client's connection.
    pub handle: Handle,
    pub timeouts: Timeouts,
    pub clock: Clock,
}

/// Takes calls. Cloning it is cheap.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    desk: Desk,
    pace: Pace,
    settler: Settler,
    shelf: Shelf,
    clock: Clock,
    deps: Arc<Deps>,
}

/// What the request's headers say about the client.
#[derive(Clone, Debug, Default)]
pub struct ClientFacts {
    pub request_id: String,
    pub app: String,
    pub referer: String,
    pub user_agent: String,
}

impl Gateway {
    #[must_use]
    pub fn new(parts: GatewayParts) -> Gateway {
        let deps = Deps {
            http: parts.http,
            keys: parts.keys,
            settler: Arc::new(parts.settler.clone()),
            health: Health::new(Instant::now()),
            timeouts: parts.timeouts,
            handle: parts.handle,
            tasks: parts.tasks,
        };
        Gateway(Arc::new(Inner {
            desk: parts.desk,
            pace: parts.pace,
            settler: parts.settler,
            shelf: parts.shelf,
            clock: parts.clock,
            deps: Arc::new(deps),
        }))
    }

    /// How the endpoints did of late, as this process sees it.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.0.deps.health
    }

    /// The catalog as it stands now.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        self.0.shelf.current()
    }

    /// Makes one chat completion. The id stands for the call in the log, also where the answer is an error.
    pub async fn chat(&self, caller: &Caller, facts: ClientFacts, body: &[u8]) -> (CallId, Answer) {
        let id = CallId::fresh();
        let answer = match ChatRequest::parse(body) {
            Ok(request) => self.complete(self.call(id, caller, facts, &request), caller, request).await,
            Err(error) => Answer::Error(error),
        };
        (id, answer)
    }

    async fn complete(&self, call: Call, caller: &Caller, request: ChatRequest) -> Answer {
        let started = Instant::now();
        match self.admit(&call, caller, &request).await {
            Ok((hold, steps)) => {
                let job = Job { call, hold, body: request.body, steps };
                // The sender is dropped unused only when the process goes down.
                forward::start(&self.0.deps, job).await.unwrap_or_else(|_| Answer::Error(ApiError::unavailable()))
            }
            Err(error) => {
                self.0.settler.reject(call, rejected(&error, started)).await;
                Answer::Error(error)
            }
        }
    }

    /// Finds who may answer, bounds the price and holds that much.
    async fn admit(&self, call: &Call, caller: &Caller, request: &ChatRequest) -> Result<(Usd, Vec<Step>), ApiError> {
        if self.0.settler.is_full() {
            // What could not be settled yet fills its room on disk; another call might be lost.
            return Err(ApiError::unavailable());
        }
        self.0.pace.begin(caller).await.map_err(|error| match error {
            PaceError::TooMany { per_minute, wait } => ApiError::too_many_calls(per_minute, wait),
            PaceError::Unavailable => ApiError::unavailable(),
        })?;
        let found = self.route(caller, request)?;
        let prompt = prompt_bound(&request.body);
        let bound = estimate(&found, prompt, request.cap, request.choices)
            .ok_or_else(|| ApiError::unprocessable("The request is larger than any model can take."))?;
        let want = Want {
            call: call.id,
            org: caller.org,
            meters: caller.meters.clone(),
            most: bound.most,
            least: bound.least,
            // The sweeper logs the call by this if the process dies.
            memo: HoldMemo { call: call.clone() }.to_text(),
        };
        let granted = self.0.desk.reserve(want).await.map_err(|refused| {
            ApiError::from_refusal(&refused, bound.asked_tokens, |left| affordable(&found, prompt, request, left))
        })?;
        Ok((granted.amount, steps(found, prompt, request, granted.amount)))
    }

    fn route(&self, caller: &Caller, request: &ChatRequest) -> Result<Vec<Candidate>, ApiError> {
        let asked = Asked {
            models: &request.models,
            preferences: &request.preferences,
            body: &request.body,
            has_cap: request.cap.is_some(),
            allowed: caller.rules.models.as_ref(),
        };
        let mut draw = |below: u64| rand::rng().random_range(0..below.max(1));
        candidates(&self.catalog(), &asked, &self.0.deps.health, Instant::now(), &mut draw)
    }

    fn call(&self, id: CallId, caller: &Caller, facts: ClientFacts, request: &ChatRequest) -> Call {
        Call {
            id,
            org: caller.org,
            key: caller.key,
            member: caller.created_by,
            meters: caller.meters.iter().map(|meter| meter.0).collect(),
            request_id: facts.request_id,
            model_asked: request.model().chars().take(MAX_MODEL).collect(),
            streamed: request.stream,
            app: facts.app,
            referer: facts.referer,
            user_agent: facts.user_agent,
            created_at: self.0.clock.now(),
        }
    }
}

/// Longest name of a model that is logged.
const MAX_MODEL: usize = 200;

/// The endpoints that the hold pays for. A dearer one further down the list may not fit, and is left out.
fn steps(found: Vec<Candidate>, prompt: PromptBound, request: &ChatRequest, held: Usd) -> Vec<Step> {
    let step = |candidate: Candidate| {
        let length = length(held, prompt, candidate.offer(), request.cap, request.choices)?;
        Some(Step { cap: length.cap, longest: length.longest, candidate })
    };
    found.into_iter().filter_map(step).collect()
}

/// How long an answer `left` would pay for, at the endpoint that would be asked first.
fn affordable(found: &[Candidate], prompt: PromptBound, request: &ChatRequest, left: Usd) -> u64 {
    let Some(first) = found.first() else { return 0 };
    let offer = first.offer();
    let most = bounds(prompt, offer, request.cap, request.choices);
    affordable_completion(left, &most, &offer.endpoint.price).ok().flatten().unwrap_or(0)
}

fn rejected(error: &ApiError, started: Instant) -> Ended {
    Ended {
        duration_ms: u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX),
        ..Ended::blank(Status::Rejected, error.status(), error.message().to_owned())
    }
}
