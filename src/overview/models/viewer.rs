//! Who looks at models: a member, or somebody who is not signed in. Prices are public, as they are in the API.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use sqlx::{Postgres, Transaction};

use crate::orgs::Member;
use crate::presets::{self, pages::preferences::Instance};
use crate::routing::Policy;
use crate::web::views::catalog as views;
use crate::web::{App, PageError, door_url, html, public_page};

/// A member where somebody is signed in.
pub struct Viewer {
    member: Option<Member>,
    /// Path and query, to come back to.
    path: String,
}

/// What a page reads of whoever looks, and the transaction in which it goes on to read.
pub struct Opened {
    pub tx: Transaction<'static, Postgres>,
    /// By which their calls would be routed.
    pub policy: Policy,
    /// What calls of the organization get that name no model.
    pub default: Option<String>,
}

impl FromRequest for Viewer {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let path = request.uri().path_and_query().map_or("/models", |path| path.as_str()).to_owned();
        let member = Member::from_request(request, payload);
        Box::pin(async move {
            match member.await {
                Ok(member) => Ok(Viewer { member: Some(member), path }),
                Err(PageError::SignedOut { .. }) => Ok(Viewer { member: None, path }),
                Err(other) => Err(other),
            }
        })
    }
}

impl Viewer {
    pub fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    /// # Errors
    /// Database errors only.
    pub async fn open(&self, app: &App, instance: &Instance) -> Result<Opened, PageError> {
        let Some(member) = &self.member else {
            let policy = Policy { sort: instance.sort, ..Policy::default() };
            // What providers did is nobody's secret, and nothing else is read.
            return Ok(Opened { tx: app.db.begin().await?, policy, default: None });
        };
        let mut tx = member.tenant(app).await?;
        let policy = instance.policy_of(&mut tx, member).await?;
        let default = presets::settings(&mut tx, member.org_id()).await?.default_model;
        Ok(Opened { tx, policy, default })
    }

    /// The page in the frame of somebody who is not signed in. `back` is where it came from.
    ///
    /// # Errors
    /// When the page cannot be rendered.
    pub fn as_guest(
        &self,
        app: &App,
        request: &HttpRequest,
        (title, description): (&str, &str),
        back: Option<String>,
        body: views::Body,
    ) -> Result<HttpResponse, PageError> {
        html(&views::Guest {
            page: public_page(app, request, title),
            description: description.to_owned(),
            back_href: back,
            sign_in_href: door_url("/sign-in", &self.path),
            body,
        })
    }
}
