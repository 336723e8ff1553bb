//! From a request to a member of an organization, and to what that member may do.

use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use sqlx::{Postgres, Transaction};
use url::form_urlencoded;

use super::org::{MAX_ORGS, Org};
use super::role::{Permission, Role};
use super::{Acting, OrgError, enter, store};
use crate::accounts::{Person, SignedIn};
use crate::base::Origin;
use crate::base::ids::{OrgId, PersonId};
use crate::db;
use crate::ledger::{self, CreditState};
use crate::web::views::errors::Elsewhere;
use crate::web::views::shell::{Announced, Closing, Menu, OrgLink, Stopped};
use crate::web::views::{Flash, Shell};
use crate::web::{App, OF_ORG, PageError, client, csrf, flash, present, public_page};

const NOT_ALLOWED: &str = "Your role in this organization does not allow this, so nothing was done. An owner or admin \
                           can change your role.";

/// A signed-in person in the organization that they are looking at. Their membership was looked up for this request.
#[derive(Clone, Debug)]
pub struct Member {
    pub signed_in: SignedIn,
    pub org: Org,
    pub credit: CreditState,
    /// From where this request came.
    pub origin: Origin,
    /// Every organization of this person, their own first.
    orgs: Vec<Org>,
    csrf: String,
    flash: Option<Flash>,
    dev: bool,
    /// What the operators tell everybody and this person has not put away.
    announced: Vec<Announced>,
}

impl Member {
    /// A transaction that sees and changes nothing but what belongs to the organization that is open. Pages of members
    /// use no other, but where two organizations, or none, are concerned.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn tenant(&self, app: &App) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        if self.only_looks() {
            // Whatever a page forgets, the database refuses to be changed.
            return db::tenant_snapshot(&app.db, self.org.id).await;
        }
        db::tenant(&app.db, self.org.id).await
    }

    /// An operator who looks at this organization as its owner sees it.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        self.signed_in.session.looks_at.is_some()
    }

    #[must_use]
    pub fn org_id(&self) -> OrgId {
        self.org.id
    }

    #[must_use]
    pub fn person(&self) -> &Person {
        self.signed_in.person()
    }

    #[must_use]
    pub fn role(&self) -> Role {
        self.org.role()
    }

    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.role().may(permission)
    }

    /// Whose calls alone this member sees; `None` for those who see everybody's.
    #[must_use]
    pub fn calls_of(&self) -> Option<PersonId> {
        (!self.may(Permission::SeeAllActivity)).then(|| self.person().id)
    }

    /// Whose keys alone this member sees; `None` for those who see everybody's.
    #[must_use]
    pub fn keys_of(&self) -> Option<PersonId> {
        (!self.may(Permission::ManageAllKeys)).then(|| self.person().id)
    }

    /// The person's own organization.
    #[must_use]
    pub fn personal(&self) -> Option<&Org> {
        self.orgs.iter().find(|org| !org.is_team())
    }

    #[must_use]
    pub fn acting(&self) -> Acting<'_> {
        Acting { org: self.org.id, person: self.person(), origin: &self.origin }
    }

    /// The frame of a page for this member.
    #[must_use]
    pub fn shell(&self, section: &'static str, title: &str, description: &str) -> Shell {
        let person = self.person();
        let available = self.credit.available();
        let link = |org: &Org| OrgLink {
            id: org.id.to_string(),
            name: org.name.clone(),
            initials: present::initials(&org.name),
            note: if org.is_team() { org.role().label().to_owned() } else { "Personal".to_owned() },
            current: org.id == self.org.id,
        };
        Shell {
            title: title.to_owned(),
            description: description.to_owned(),
            section,
            org_name: self.org.name.clone(),
            org_initials: present::initials(&self.org.name),
            org_picture: self.org.picture.map(|id| format!("/pictures/{id}")).unwrap_or_default(),
            orgs: self.orgs.iter().map(link).collect(),
            menu: Menu {
                keys: self.may(Permission::UseKeys),
                provisioning: self.may(Permission::ManageAllKeys),
                credits: self.may(Permission::HandleCredits),
                members: self.may(Permission::ManageMembers) && self.org.is_team(),
                audit: self.may(Permission::SeeAuditLog),
                settings: self.may(Permission::ManageSettings),
                console: self.signed_in.session.staff.is_some(),
            },
            closing: self
                .org
                .delete_after
                .map(|at| Closing { on: person.viewer().moment_in_zone(at), may_undo: self.may(Permission::Own) }),
            looking: self.only_looks(),
            announced: self.announced.clone(),
            frozen: self.org.frozen_at.map(|at| person.viewer().moment_in_zone(at)),
            stopped: self.org.keys_stopped_at.map(|at| Stopped {
                since: person.viewer().moment_in_zone(at),
                may_resume: self.may(Permission::ManageAllKeys),
            }),
            balance: available.display(),
            balance_exact: available.display_exact(),
            person_name: person.name.clone(),
            person_email: person.email.clone(),
            person_initials: present::initials(&person.name),
            person_picture: self.signed_in.session.picture.map(|id| format!("/pictures/{id}")).unwrap_or_default(),
            csrf: self.csrf.clone(),
            flash: self.flash.clone(),
            theme: person.theme.clone(),
            lang: person.viewer().locale.tag(),
            dev: self.dev,
        }
    }
}

impl FromRequest for Member {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { current(&request).await })
    }
}

/// Who is here, in the organization that is open.
///
/// # Errors
/// `Forbidden` where the form that they send was made for another one.
async fn current(request: &HttpRequest) -> Result<Member, PageError> {
    let member = anywhere(request).await?;
    csrf::acts_on(request, member.org_id())?;
    Ok(member)
}

async fn anywhere(request: &HttpRequest) -> Result<Member, PageError> {
    let signed_in = crate::accounts::extract::current(request).await?;
    if signed_in.session.leaves_at.is_some() {
        return Err(PageError::Leaving);
    }
    let app = request.app_data::<web::Data<App>>().ok_or(PageError::Misconfigured)?;
    let mut told = flash::take(request);
    let mut conn = app.db.acquire().await?;
    let person = signed_in.person();
    if let Some(looked_at) = signed_in.session.looks_at {
        return guest(app, request, conn, signed_in, looked_at, told).await;
    }
    let mut orgs = store::orgs_of(&mut conn, person.id, MAX_ORGS).await?;
    if orgs.first().is_none_or(Org::is_team) {
        drop(conn);
        let mut tx = app.db.begin().await?;
        enter::enter_personal(&mut tx, person).await?;
        tx.commit().await?;
        conn = app.db.acquire().await?;
        orgs = store::orgs_of(&mut conn, person.id, MAX_ORGS).await?;
    }
    let wanted = store::current_org(&mut conn, signed_in.session.id).await?;
    let found = orgs.iter().find(|org| wanted == Some(org.id));
    if wanted.is_some() && found.is_none() {
        // They were removed, or the organization is gone: from here on it is their own again.
        store::set_current_org(&mut conn, signed_in.session.id, None).await?;
        let text = "You are no longer a member of the organization that was open here. This is your own one.";
        told = Some(Flash { kind: "warn", text: text.to_owned() });
    }
    let org = found.or(orgs.first()).cloned().ok_or(PageError::Misconfigured)?;
    if let Some(other) = other_than(request, org.id) {
        return Err(elsewhere(app, request, &org, orgs.iter().find(|one| one.id == other)));
    }
    let credit = ledger::credit_state(&mut conn, org.id).await?;
    let announced = store::announced(&mut conn, person.id).await?;
    Ok(Member {
        csrf: csrf::token_of(app, request, org.id),
        announced: announced.into_iter().map(|(id, text, tone)| Announced { id: id.to_string(), text, tone }).collect(),
        org,
        credit,
        origin: client::origin(app, request),
        orgs,
        flash: told,
        dev: app.dev,
        signed_in,
    })
}

/// Of which organization the address says that its page is, where another one is open. Mails have such links.
fn other_than(request: &HttpRequest, open: OrgId) -> Option<OrgId> {
    if request.method() != Method::GET {
        return None;
    }
    let mut pairs = form_urlencoded::parse(request.query_string().as_bytes());
    let (_, named) = pairs.find(|(name, _)| name == OF_ORG)?;
    named.parse::<OrgId>().ok().filter(|named| *named != open)
}

/// Asks before another organization is opened: an address changes nothing, for programs that read mail follow links. Where the
/// person is not in that organization, nothing is there.
fn elsewhere(app: &App, request: &HttpRequest, open: &Org, wanted: Option<&Org>) -> PageError {
    let Some(wanted) = wanted else { return PageError::NotFound };
    PageError::Elsewhere(Box::new(Elsewhere {
        page: public_page(app, request, &format!("This is about {}", wanted.name)),
        id: wanted.id.to_string(),
        name: wanted.name.clone(),
        open: open.name.clone(),
        next: without_org(request),
    }))
}

/// The same page, whichever organization is open.
fn without_org(request: &HttpRequest) -> String {
    let pairs = form_urlencoded::parse(request.query_string().as_bytes()).filter(|(name, _)| name != OF_ORG);
    let rest = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    match rest.is_empty() {
        true => request.path().to_owned(),
        false => format!("{}?{rest}", request.path()),
    }
}

/// An operator who looks at an organization, as if they were its owner. The session was checked for it; see
/// [`crate::accounts::extract::look_only`] for what keeps it from changing anything.
async fn guest(
    app: &App,
    request: &HttpRequest,
    mut conn: sqlx::pool::PoolConnection<Postgres>,
    signed_in: SignedIn,
    looked_at: OrgId,
    told: Option<Flash>,
) -> Result<Member, PageError> {
    let org = store::as_guest(&mut conn, looked_at).await?.ok_or(PageError::NotFound)?;
    if other_than(request, org.id).is_some() {
        return Err(PageError::NotFound);
    }
    let credit = ledger::credit_state(&mut conn, org.id).await?;
    Ok(Member {
        csrf: csrf::token_of(app, request, org.id),
        orgs: vec![org.clone()],
        org,
        credit,
        origin: client::origin(app, request),
        flash: told,
        dev: app.dev,
        signed_in,
        announced: Vec::new(),
    })
}

/// A member whose form is about themselves, or about which organization is open. It does what it says whichever was opened
/// in another tab meanwhile; every other form of a page acts on the organization that the page was made for, or on nothing.
#[derive(Clone, Debug)]
pub struct Myself(pub Member);

impl Deref for Myself {
    type Target = Member;

    fn deref(&self) -> &Member {
        &self.0
    }
}

impl FromRequest for Myself {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { anywhere(&request).await.map(Myself) })
    }
}

macro_rules! proofs {
    ($($(#[$doc:meta])* $name:ident = $permission:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(pub Member);

        impl Deref for $name {
            type Target = Member;

            fn deref(&self) -> &Member {
                &self.0
            }
        }

        impl FromRequest for $name {
            type Error = PageError;
            type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let request = request.clone();
                Box::pin(async move {
                    let member = current(&request).await?;
                    if member.may(Permission::$permission) {
                        Ok($name(member))
                    } else {
                        Err(PageError::Forbidden(NOT_ALLOWED))
                    }
                })
            }
        }
    )*};
}

proofs! {
    /// A proof of somebody who may make keys here.
    KeyUser = UseKeys;
    /// A proof of somebody who manages everybody's keys, and those that make keys.
    KeyManager = ManageAllKeys;
    /// A proof of somebody who handles the credits of the organization.
    Billing = HandleCredits;
    /// A proof of somebody who may invite, remove and change people.
    Manager = ManageMembers;
    /// A proof of somebody who may change the settings and presets of the organization.
    SettingsEditor = ManageSettings;
    /// A proof of an owner.
    Owner = Own;
}

impl From<OrgError> for PageError {
    fn from(error: OrgError) -> PageError {
        match error {
            OrgError::NotAllowed => PageError::Forbidden(NOT_ALLOWED),
            OrgError::NotFound | OrgError::Personal => PageError::NotFound,
            OrgError::Database(error) => error.into(),
            OrgError::Internal(error) => PageError::Internal(error),
            told => PageError::Invalid(told.to_string()),
        }
    }
}
