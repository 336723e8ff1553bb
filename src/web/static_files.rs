//! Serving the files that are compiled in.

use std::borrow::Cow;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Deserialize;

use super::assets;

/// The address named this very content, so it never changes.
const KEEP: &str = "public, max-age=31536000, immutable";
/// Ask again each time; the entity tag makes the answer short.
const REVALIDATE: &str = "public, no-cache";

#[derive(Deserialize)]
pub struct Version {
    #[serde(default)]
    v: Option<String>,
}

/// `GET /static/{path}`
pub async fn get(request: HttpRequest, path: web::Path<String>, query: web::Query<Version>) -> HttpResponse {
    let Some(asset) = assets::get(&path) else {
        return HttpResponse::NotFound()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .content_type("text/plain; charset=utf-8")
            .body("There is no such file.\n");
    };
    let known = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .any(|value| names(value, &asset.etag));
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    let caching = if asset.is_version(query.v.as_deref()) { KEEP } else { REVALIDATE };
    response
        .insert_header((header::ETAG, asset.etag.as_str()))
        .insert_header((header::CACHE_CONTROL, caching))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if known {
        return response.finish();
    }
    let body = match asset.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    response.content_type(asset.mime.as_str()).body(body)
}

/// Whether `If-None-Match` names the tag. A proxy that compressed the file made the tag a weak one.
fn names(header: &str, etag: &str) -> bool {
    header.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;

    async fn fetch(uri: &str, tag: Option<&str>) -> actix_web::dev::ServiceResponse {
        let app = actix_web::App::new().route("/static/{path:.*}", web::get().to(get));
        let app = init_service(app).await;
        let mut request = TestRequest::get().uri(uri);
        if let Some(tag) = tag {
            request = request.insert_header((header::IF_NONE_MATCH, tag));
        }
        call_service(&app, request.to_request()).await
    }

    fn text(response: &actix_web::dev::ServiceResponse, name: header::HeaderName) -> String {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    #[actix_web::test]
    async fn a_versioned_address_is_kept_and_others_are_asked_for_again() {
        let versioned = fetch(&assets::url("css/base.css"), None).await;
        assert_eq!(text(&versioned, header::CACHE_CONTROL), KEEP);
        assert_eq!(text(&versioned, header::CONTENT_TYPE), "text/css; charset=utf-8");
        let tag = text(&versioned, header::ETAG);
        for uri in ["/static/css/base.css", "/static/css/base.css?v=old"] {
            let again = fetch(uri, Some(&format!("\"other\", W/{tag}"))).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{uri}");
            assert_eq!(text(&again, header::CACHE_CONTROL), REVALIDATE);
        }
    }

    #[actix_web::test]
    async fn nothing_outside_is_served() {
        for uri in ["/static/", "/static/../Cargo.toml", "/static/%2e%2e/Cargo.toml", "/static/none.css"] {
            let response = fetch(uri, None).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{uri}");
            assert_eq!(text(&response, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        }
    }
}
