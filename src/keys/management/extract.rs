//! From a request to whoever may call the API.

use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::pace::Management;
use crate::base::origin::subscriber;
use crate::keys::AuthError;
use crate::keys::caller::Caller;
use crate::keys::extract::{Authenticated, NotAuthenticated, authenticate};
use crate::keys::issue::IssueError;
use crate::keys::scope::ScopeError;
use crate::keys::under::UnderError;
use crate::web::api::ApiError;

/// One sentence for every wrong key; 403 for a disabled one; 503 when the database is away.
impl From<NotAuthenticated> for ApiError {
    fn from(refused: NotAuthenticated) -> ApiError {
        match refused {
            NotAuthenticated::Missing | NotAuthenticated::Refused(AuthError::Unknown) => ApiError::unauthorized(),
            NotAuthenticated::Refused(AuthError::Disabled) => ApiError::forbidden("This API key is disabled."),
            NotAuthenticated::Refused(AuthError::Frozen) => ApiError::forbidden("This organization is frozen."),
            NotAuthenticated::Refused(AuthError::MakerFrozen) => {
                ApiError::forbidden("The account that made this API key is frozen.")
            }
            NotAuthenticated::Refused(AuthError::Closing) => {
                let told = "This organization will be deleted, so its keys are refused. An owner can undo that.";
                ApiError::forbidden(told)
            }
            NotAuthenticated::Refused(AuthError::Stopped) => {
                ApiError::forbidden("All keys of this organization are stopped. An owner or admin can let them go on.")
            }
            NotAuthenticated::Elsewhere(address) => {
                ApiError::forbidden(format!("This API key may not be used from the address {address}."))
            }
            NotAuthenticated::Refused(AuthError::Unavailable(error)) => {
                tracing::warn!(%error, "a key could not be looked up");
                ApiError::unavailable()
            }
        }
    }
}

impl From<UnderError> for ApiError {
    fn from(error: UnderError) -> ApiError {
        match error {
            UnderError::Issue(IssueError::Database(error)) => {
                tracing::error!(%error, "a key was not made");
                ApiError::unavailable()
            }
            told => ApiError::forbidden(told.to_string()),
        }
    }
}

/// 403, an end in the past too: a schema cannot say what lies ahead, and a body that keeps to the document is no 400.
impl From<ScopeError> for ApiError {
    fn from(error: ScopeError) -> ApiError {
        ApiError::forbidden(error.to_string())
    }
}

/// A request with any valid key.
pub struct AnyCaller(Authenticated);

/// A request with a provisioning key that may manage, within its pace.
pub struct Managing(Authenticated);

impl AnyCaller {
    #[must_use]
    pub fn get(&self) -> &Caller {
        self.0.caller()
    }
}

impl Managing {
    #[must_use]
    pub fn get(&self) -> &Caller {
        self.0.caller()
    }
}

impl FromRequest for AnyCaller {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(AnyCaller(authenticate(&request).await?)) })
    }
}

impl FromRequest for Managing {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let authenticated = authenticate(&request).await?;
            let caller = authenticated.caller();
            if !caller.powers.manage {
                let told = "Only provisioning keys that may manage keys can do this, and only while whoever made them is \
                            an owner or admin.";
                return Err(ApiError::forbidden(told));
            }
            let management = request.app_data::<web::Data<Management>>().ok_or_else(ApiError::internal)?;
            management.admit_key(caller.key).map_err(ApiError::too_many)?;
            Ok(Managing(authenticated))
        })
    }
}

/// For requests without a key: how often one network address may try.
///
/// # Errors
/// 429 with the time to wait.
pub fn paced_by_address(request: &HttpRequest, ip: &str) -> Result<(), ApiError> {
    let management = request.app_data::<web::Data<Management>>().ok_or_else(ApiError::internal)?;
    management.admit_address(&subscriber(ip)).map_err(ApiError::too_many)
}
