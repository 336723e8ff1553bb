//! From a request to a member of an organization.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::org::Org;
use super::{enter, store};
use crate::accounts::{Person, SignedIn};
use crate::base::ids::OrgId;
use crate::ledger::{self, CreditState};
use crate::web::views::Shell;
use crate::web::{App, PageError, csrf, flash, present};

/// A signed-in person in the organization that they are looking at.
#[derive(Clone, Debug)]
pub struct Member {
    pub signed_in: SignedIn,
    pub org: Org,
    pub credit: CreditState,
    csrf: String,
    flash: Option<crate::web::views::Flash>,
    dev: bool,
}

impl Member {
    #[must_use]
    pub fn org_id(&self) -> OrgId {
        self.org.id
    }

    #[must_use]
    pub fn person(&self) -> &Person {
        self.signed_in.person()
    }

    /// The frame of a page for this member.
    #[must_use]
    pub fn shell(&self, section: &'static str, title: &str, description: &str) -> Shell {
        let person = self.person();
        let available = self.credit.available();
        Shell {
            title: title.to_owned(),
            description: description.to_owned(),
            section,
            org_name: self.org.name.clone(),
            org_initials: present::initials(&self.org.name),
            balance: available.display(),
            balance_exact: available.display_exact(),
            person_name: person.name.clone(),
            person_email: person.email.clone(),
            person_initials: present::initials(&person.name),
            person_picture: self.signed_in.session.picture.map(|id| format!("/pictures/{id}")).unwrap_or_default(),
            csrf: self.csrf.clone(),
            flash: self.flash.clone(),
            theme: person.theme.clone(),
            dev: self.dev,
        }
    }
}

impl FromRequest for Member {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let signed_in = crate::accounts::extract::current(&request).await?;
            if signed_in.session.leaves_at.is_some() {
                return Err(PageError::Leaving);
            }
            let app = request.app_data::<web::Data<App>>().ok_or(PageError::Misconfigured)?;
            let org = personal_org(app, signed_in.person()).await?;
            let mut conn = app.db.acquire().await?;
            let credit = ledger::credit_state(&mut conn, org.id).await?;
            Ok(Member {
                signed_in,
                org,
                credit,
                csrf: csrf::token(app, &request),
                flash: flash::take(&request),
                dev: app.dev,
            })
        })
    }
}

async fn personal_org(app: &App, person: &Person) -> Result<Org, PageError> {
    let mut conn = app.db.acquire().await?;
    if let Some(org) = store::personal_org(&mut conn, person.id).await? {
        return Ok(org);
    }
    drop(conn);
    let mut tx = app.db.begin().await?;
    let org = enter::enter_personal(&mut tx, person).await?;
    tx.commit().await?;
    Ok(org)
}
