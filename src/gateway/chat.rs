//! One chat completion, from the bytes of its request to the task that answers it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::call::Terms;
use super::count::count_prompt;
use super::defaults::{InstanceDefaults, fill_in};
use super::dialect::Protocol;
use super::error::ApiError;
use super::estimate::{Estimate, PromptBound, bound_of_both, bounds, budget, estimate, length};
use super::figures;
use super::forward::{self, Answer, Deps, Job, Step, Timeouts};
use super::names::spell_out;
use super::providers::UpstreamKeys;
use super::settle::Settler;
use super::spans::{self, Tracing};
use super::sweep::HoldMemo;
use super::wire::ChatRequest;
use super::{Call, Ended, Status};
use crate::base::ids::CallId;
use crate::base::slug::Slug;
use crate::base::{Clock, Usd};
use crate::catalog::{Catalog, Shelf, Task, affordable_completion};
use crate::keys::{Caller, Pace, PaceError};
use crate::ledger::{Desk, Granted, Want};
use crate::outgoing::HttpClient;
use crate::presets::Memory;
use crate::privacy::Texts;
use crate::routing::{Asked, Candidate, Conversation, Conversations, Health, Policy, candidates, model_of};
use crate::traces::{Context, Tracer};

/// Prompts that are counted at once without a call: nobody pays for it, and a long one keeps a core busy for seconds.
const MAX_COUNTING: usize = 2;
/// How long one waits for that.
const COUNTING_WAIT: Duration = Duration::from_secs(10);

/// What a gateway is made of.
pub struct GatewayParts {
    pub desk: Desk,
    pub pace: Pace,
    pub settler: Settler,
    pub shelf: Shelf,
    /// Settings and presets of organizations.
    pub memory: Memory,
    pub defaults: InstanceDefaults,
    /// How endpoints did of late; pages look at it, too.
    pub health: Health,
    pub http: HttpClient,
    /// Where traces of calls go.
    pub tracer: Tracer,
    /// Where texts of calls are kept.
    pub texts: Texts,
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
    memory: Memory,
    defaults: InstanceDefaults,
    clock: Clock,
    deps: Arc<Deps>,
    /// Room for counting without a call.
    counting: Arc<Semaphore>,
}

/// What the request's headers say about the client.
#[derive(Clone, Debug, Default)]
pub struct ClientFacts {
    pub request_id: String,
    pub app: String,
    pub referer: String,
    pub user_agent: String,
    /// How often the request has passed through Farebox before.
    pub hops: u8,
    /// What the client calls the conversation, by the header `x-session-id`; what the body says counts before it.
    pub session: Option<String>,
    /// What it needs of Anthropic's API that is not in it for good, by the header `anthropic-beta`: what may be passed on.
    pub betas: String,
    /// Whose trace it belongs to, by the header `traceparent`.
    pub parent: Option<Context>,
    /// When it was begun, and ended, to find out who calls.
    pub authenticated: Option<(Instant, Instant)>,
}

impl Gateway {
    #[must_use]
    pub fn new(parts: GatewayParts) -> Gateway {
        let deps = Deps {
            http: parts.http,
            keys: parts.keys,
            settler: Arc::new(parts.settler.clone()),
            health: parts.health,
            conversations: Conversations::default(),
            texts: parts.texts,
            tracer: parts.tracer,
            timeouts: parts.timeouts,
            handle: parts.handle,
            tasks: parts.tasks,
        };
        Gateway(Arc::new(Inner {
            desk: parts.desk,
            pace: parts.pace,
            settler: parts.settler,
            shelf: parts.shelf,
            memory: parts.memory,
            defaults: parts.defaults,
            clock: parts.clock,
            deps: Arc::new(deps),
            counting: Arc::new(Semaphore::new(MAX_COUNTING)),
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
        self.answer(Protocol::Chat, caller, facts, body).await
    }

    /// The same for whatever a client can ask for, in the words of its protocol.
    pub async fn answer(
        &self,
        protocol: Protocol,
        caller: &Caller,
        facts: ClientFacts,
        body: &[u8],
    ) -> (CallId, Answer) {
        let id = CallId::fresh();
        let answer = match protocol.read(body) {
            Ok(mut request) => {
                request.session = request.session.or_else(|| facts.session.clone());
                request.kept.need(&facts.betas);
                if protocol == Protocol::Messages {
                    spell_out(&self.catalog(), &mut request.models);
                }
                let (parent, authenticated) = (facts.parent, facts.authenticated);
                let call = self.call(id, caller, facts, &request);
                let task = (&call, request.task);
                let trace = spans::begin(&self.0.deps.tracer, parent, task, authenticated);
                self.complete(call, caller, request, trace).await
            }
            Err(error) => Answer::Error(error),
        };
        (id, answer)
    }

    /// Counts the tokens of a request for a message, which asks nobody and costs nothing.
    ///
    /// # Errors
    /// Those of the request itself, 429 beyond the key's pace, 503 while that cannot be told or too many are counted.
    pub async fn count(&self, caller: &Caller, body: &[u8]) -> Result<u64, ApiError> {
        let mut request = Protocol::Messages.read(body)?;
        let catalog = self.catalog();
        spell_out(&catalog, &mut request.models);
        match request.models.first() {
            // A preset, or the default, says which model it will be.
            None if !request.asked.is_empty() => {}
            None => return Err(ApiError::invalid("model is missing.")),
            Some(name) if model_of(&catalog, name).is_some() => {}
            Some(name) => return Err(ApiError::model_not_found(name)),
        }
        self.begin(caller).await?;
        let room = timeout(COUNTING_WAIT, Arc::clone(&self.0.counting).acquire_owned()).await;
        let Ok(Ok(room)) = room else { return Err(ApiError::unavailable()) };
        let handle = self.0.deps.handle.clone();
        // A task, because the work goes on when its client hangs up, and keeps its room until it ends.
        let counted = self.0.deps.handle.spawn(async move {
            let counted = count_prompt(&handle, &request.body).await;
            drop(room);
            counted
        });
        counted.await.map_err(|_| ApiError::internal())
    }

    async fn begin(&self, caller: &Caller) -> Result<(), ApiError> {
        self.0.pace.begin(caller).await.map_err(|error| match error {
            PaceError::TooMany { per_minute, wait } => ApiError::too_many_calls(per_minute, wait),
            PaceError::Unavailable => ApiError::unavailable(),
        })
    }

    async fn complete(&self, call: Call, caller: &Caller, mut request: ChatRequest, mut trace: Tracing) -> Answer {
        let started = Instant::now();
        let (this, caller, streamed) = (self.clone(), caller.clone(), call.streamed);
        // On the main runtime as a whole: each change to another thread and back costs as much as routing the call.
        let admission = Box::pin(async move {
            match this.admit(&call, &caller, &mut request, &mut trace).await {
                Ok(Admitted { hold, terms, keep, steps, conversation }) => {
                    let ChatRequest { asked, task, kept, body, added, .. } = request;
                    Ok(Job { call, hold, terms, keep, asked, task, kept, body, added, steps, conversation, trace })
                }
                Err(error) => {
                    figures::refused(error.status());
                    spans::refuse(&this.0.deps.tracer, trace, error.status());
                    this.0.settler.reject(call, rejected(&error, started)).await;
                    Err(error)
                }
            }
        });
        let answer = forward::start(&self.0.deps, streamed, admission);
        // The sender is dropped unused only when the process goes down.
        answer.await.unwrap_or_else(|_| Answer::Error(ApiError::unavailable()))
    }

    /// Fills in what the request leaves open, finds who may answer, bounds the price and holds that much.
    async fn admit(
        &self,
        call: &Call,
        caller: &Caller,
        request: &mut ChatRequest,
        trace: &mut Tracing,
    ) -> Result<Admitted, ApiError> {
        if self.0.settler.is_full() {
            // What could not be settled yet fills its room on disk; another call might be lost.
            return Err(ApiError::unavailable());
        }
        self.begin(caller).await?;
        let defaults = self.0.memory.of(caller.org).await.map_err(|error| {
            tracing::warn!(%error, "the settings of an organization could not be read");
            ApiError::unavailable()
        })?;
        let bound = caller.rules.preset.as_ref().map(Slug::as_str);
        let mut policy = fill_in(request, bound, &defaults, &self.0.defaults)?;
        policy.own.narrow(caller.key, caller.created_by);
        let request = &*request;
        let routing = Instant::now();
        let (found, conversation) = self.route(caller, request, &policy)?;
        spans::step(trace, "route", routing);
        let prompt = bound_of_both(&request.body, request.kept.words().map(|words| &words.body));
        let bound = estimate(&found, prompt, request.cap, request.choices)
            .ok_or_else(|| ApiError::unprocessable("The request is larger than any model can take."))?;
        // A call that the allowance covers is made without any credits; with credits its fee is held all the same, for
        // another call may use the allowance up meanwhile.
        let owes =
            found.first().and_then(Candidate::own).is_none_or(|own| self.0.settler.owes_fee(caller.org, own.fee));
        let bound = if owes { bound } else { Estimate { least: Usd::ZERO, ..bound } };
        let bound = match request.max_cost {
            Some(cap) if bound.least > cap => return Err(ApiError::over_cap(bound.least, cap)),
            // The cap is what is held at most, and nobody is charged more than was held.
            Some(cap) => Estimate { most: bound.most.min(cap), ..bound },
            None => bound,
        };
        let want = Want {
            call: call.id,
            org: caller.org,
            meters: caller.meters.clone(),
            most: bound.most,
            least: bound.least,
            byok: bound.byok,
            // The sweeper logs the call by this if the process dies.
            memo: HoldMemo::text_of(call),
        };
        let asked = Instant::now();
        let answer = self.0.desk.reserve(want).await;
        figures::admitted(asked.elapsed());
        spans::step(trace, "admit", asked);
        let granted = answer.map_err(|refused| {
            let afford = |left| affordable(&found, prompt, request, left);
            ApiError::from_refusal(&refused, |meter| caller.whose(meter), bound.asked_tokens, afford)
        })?;
        let whole = granted.byok >= bound.byok.most;
        let paid = |candidate: &Candidate| match candidate.own() {
            None => granted.amount,
            Some(own) => budget(granted, own.fee, self.0.settler.owes_fee(caller.org, own.fee), whole),
        };
        let steps = steps(found, prompt, request, paid);
        let log = defaults.log;
        let discount = log.map(|log| log.discount).unwrap_or_default();
        let terms = Terms { fee: None, discount, held_byok: granted.byok };
        let keep = log.map(|log| log.keep_days);
        Ok(Admitted { hold: granted.amount, terms, keep, steps, conversation })
    }

    fn route(
        &self,
        caller: &Caller,
        request: &ChatRequest,
        policy: &Policy,
    ) -> Result<(Vec<Candidate>, Conversation), ApiError> {
        let catalog = self.catalog();
        let models = permitted(caller, &catalog, &request.models)?;
        let models = suited(&catalog, &models, request.task)?;
        let conversations = &self.0.deps.conversations;
        let session = request.session.as_deref();
        let conversation = conversations.of(caller.org, session, &request.models, &request.body);
        let asked = Asked {
            models: &models,
            preferences: &request.preferences,
            policy,
            body: &request.body,
            has_cap: request.has_cap(),
            last: conversations.last(conversation),
        };
        let mut draw = |below: u64| rand::rng().random_range(0..below.max(1));
        candidates(&catalog, &asked, &self.0.deps.health, Instant::now(), &mut draw)
            .map(|found| (found, conversation))
            .map_err(|none| ApiError::from_no_route(&none))
    }

    fn call(&self, id: CallId, caller: &Caller, facts: ClientFacts, request: &ChatRequest) -> Call {
        Call {
            id,
            org: caller.org,
            key: caller.key,
            member: caller.created_by,
            meters: caller.meters.iter().map(|meter| meter.0).collect(),
            request_id: facts.request_id,
            model_asked: clipped(&request.asked),
            presets: presets_of(caller, request),
            streamed: request.stream,
            app: facts.app,
            referer: facts.referer,
            user_agent: facts.user_agent,
            created_at: self.0.clock.now(),
            hops: facts.hops,
        }
    }
}

fn presets_of(caller: &Caller, request: &ChatRequest) -> Vec<String> {
    let bound = caller.rules.preset.as_ref().map(Slug::as_str);
    let mut presets: Vec<String> = [request.preset.as_deref(), bound].into_iter().flatten().map(clipped).collect();
    presets.dedup();
    presets
}

fn clipped(name: &str) -> String {
    name.chars().take(MAX_MODEL).collect()
}

/// Those of the models that the key may call. What is no model stays, so that it is not found rather than forbidden.
fn permitted<'a>(caller: &Caller, catalog: &Catalog, models: &'a [String]) -> Result<Cow<'a, [String]>, ApiError> {
    let Some(allowed) = &caller.rules.models else { return Ok(Cow::Borrowed(models)) };
    let (mut kept, mut barred, mut known) = (Vec::new(), None, false);
    for name in models {
        match model_of(catalog, name) {
            Some(listed) if !allowed.allow(listed.model.slug.as_str()) => barred = barred.or(Some(name)),
            found => {
                known |= found.is_some();
                kept.push(name.clone());
            }
        }
    }
    match barred {
        Some(barred) if !known => Err(ApiError::model_not_allowed(barred)),
        _ => Ok(Cow::Owned(kept)),
    }
}

/// Those of the models that do what is asked. What is no model stays, so that it is not found.
fn suited<'a>(catalog: &Catalog, models: &'a [String], task: Task) -> Result<Cow<'a, [String]>, ApiError> {
    let other =
        |name: &String| model_of(catalog, name).map(|listed| listed.model.task()).filter(|other| *other != task);
    let Some((name, wanted)) = models.iter().find_map(|name| Some((name, other(name)?))) else {
        return Ok(Cow::Borrowed(models));
    };
    let kept: Vec<String> = models.iter().filter(|name| other(name).is_none()).cloned().collect();
    if kept.is_empty() { Err(ApiError::other_task(name, wanted)) } else { Ok(Cow::Owned(kept)) }
}

/// A call that may be made.
struct Admitted {
    hold: Usd,
    terms: Terms,
    keep: Option<u16>,
    steps: Vec<Step>,
    conversation: Conversation,
}

/// Longest name of a model that is logged.
const MAX_MODEL: usize = 200;

/// The endpoints that the hold pays for. A dearer one further down the list may not fit, and is left out. `paid` is the
/// price that is paid for at an endpoint.
fn steps(
    found: Vec<Candidate>,
    prompt: PromptBound,
    request: &ChatRequest,
    paid: impl Fn(&Candidate) -> Usd,
) -> Vec<Step> {
    let step = |candidate: Candidate| {
        let length = length(paid(&candidate), prompt, candidate.offer(), request.cap, request.choices)?;
        Some(Step { cap: length.cap, longest: length.longest, candidate })
    };
    found.into_iter().filter_map(step).collect()
}

/// How long an answer `left` would pay for, at the endpoint that would be asked first.
fn affordable(found: &[Candidate], prompt: PromptBound, request: &ChatRequest, left: Usd) -> u64 {
    let Some(first) = found.first() else { return 0 };
    let offer = first.offer();
    let left = first.own().map_or(left, |own| budget(Granted { amount: left, byok: Usd::ZERO }, own.fee, true, true));
    let most = bounds(prompt, offer, request.cap, request.choices);
    affordable_completion(left, &most, &offer.endpoint.price).ok().flatten().unwrap_or(0)
}

fn rejected(error: &ApiError, started: Instant) -> Ended {
    Ended {
        duration_ms: u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX),
        ..Ended::blank(Status::Rejected, error.status(), error.message().to_owned())
    }
}
