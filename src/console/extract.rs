//! From a request to somebody who runs the instance, or reads its books.

use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::store;
use crate::accounts::operator::StaffRole;
use crate::accounts::{Person, SignedIn};
use crate::base::{Origin, Viewer};
use crate::web::views::Flash;
use crate::web::views::console::ConsoleShell;
use crate::web::{App, PageError, client, csrf, flash, present};

const AUDITORS_READ: &str = "Auditors read everything about money and change nothing. Nothing was done.";

/// A proof of an operator or an auditor. Anybody else is told that there is no such page.
#[derive(Clone, Debug)]
pub struct Staff {
    pub signed_in: SignedIn,
    pub role: StaffRole,
    /// From where this request came.
    pub origin: Origin,
    pub csrf: String,
    flash: Option<Flash>,
    waiting: (i64, i64),
    dev: bool,
}

impl Staff {
    #[must_use]
    pub fn person(&self) -> &Person {
        self.signed_in.person()
    }

    #[must_use]
    pub fn viewer(&self) -> Viewer {
        self.person().viewer()
    }

    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.role == StaffRole::Operator
    }

    /// The frame of a page.
    #[must_use]
    pub fn shell(&self, section: &'static str, title: &str, description: &str) -> ConsoleShell {
        let person = self.person();
        ConsoleShell {
            title: title.to_owned(),
            description: description.to_owned(),
            section,
            person_name: person.name.clone(),
            person_email: person.email.clone(),
            person_initials: present::initials(&person.name),
            role: self.role.label(),
            is_operator: self.is_operator(),
            waiting: self.waiting.0,
            waiting_else: self.waiting.1,
            csrf: self.csrf.clone(),
            flash: self.flash.clone(),
            theme: person.theme.clone(),
            lang: person.viewer().locale.tag(),
            dev: self.dev,
        }
    }
}

impl FromRequest for Staff {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { current(&request).await })
    }
}

async fn current(request: &HttpRequest) -> Result<Staff, PageError> {
    let signed_in = crate::accounts::extract::current(request).await?;
    let role = signed_in.session.staff.ok_or(PageError::NotFound)?;
    if signed_in.session.leaves_at.is_some() {
        return Err(PageError::Leaving);
    }
    let app = request.app_data::<web::Data<App>>().ok_or(PageError::Misconfigured)?;
    let waiting = store::count_waiting(&mut *app.db.acquire().await?).await?;
    Ok(Staff {
        role,
        origin: client::origin(app, request),
        csrf: csrf::token(app, request),
        flash: flash::take(request),
        waiting,
        dev: app.dev,
        signed_in,
    })
}

/// A proof of an operator, for pages that are not about money.
#[derive(Clone, Debug)]
pub struct Operator(pub Staff);

impl Deref for Operator {
    type Target = Staff;

    fn deref(&self) -> &Staff {
        &self.0
    }
}

impl FromRequest for Operator {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { operator(&request).await.map(Operator) })
    }
}

async fn operator(request: &HttpRequest) -> Result<Staff, PageError> {
    let staff = current(request).await?;
    if staff.is_operator() { Ok(staff) } else { Err(PageError::Forbidden(AUDITORS_READ)) }
}

/// A proof of an operator who has shown who they are within the last five minutes: for everything that changes something.
#[derive(Clone, Debug)]
pub struct Acting(pub Staff);

impl Deref for Acting {
    type Target = Staff;

    fn deref(&self) -> &Staff {
        &self.0
    }
}

impl FromRequest for Acting {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let staff = operator(&request).await?;
            let app = request.app_data::<web::Data<App>>().ok_or(PageError::Misconfigured)?;
            if staff.signed_in.session.is_recent(app.clock.now()) {
                return Ok(Acting(staff));
            }
            Err(PageError::StepUp { next: crate::accounts::extract::return_path(&request) })
        })
    }
}
