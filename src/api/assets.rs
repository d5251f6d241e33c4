//! The web pages, embedded in the binary: the playground, GraphiQL, and the files that both are made of;
//! and the snippet that websites load.
//!
//! Nothing on them comes from another host, and the browser is told to insist on that. The pages are built
//! from `web-playground/` into `web-playground/dist`, which must stand before this file is compiled.

use std::borrow::Cow;

use poem::error::NotFoundError;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::web::Path;
use poem::{Body, Response, Result, handler};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::tags::{is_known, weak_tag};

/// What `npm run build` made.
#[derive(RustEmbed)]
#[folder = "web-playground/dist"]
struct Dist;

/// No script but our own files, no request but to this server. Monaco, GraphiQL's editor, writes inline
/// styles, and its workers may start from a blob.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss:; \
     worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

/// Sent with every file. A worker obeys the policy of its own response, so scripts carry it too.
const SECURITY_HEADERS: [(&str, &str); 4] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
];

/// How long a browser may keep a file without asking.
#[derive(Clone, Copy)]
enum Caching {
    /// The name stays and the content changes: ask each time, and get 304 when nothing has changed.
    Revalidate,
    /// Others load it again and again, and may be an hour behind.
    Hour,
    /// The name carries a hash of the content: for good.
    Immutable,
}

impl Caching {
    const fn header(self) -> &'static str {
        match self {
            Self::Revalidate => "no-cache",
            Self::Hour => "public, max-age=3600",
            Self::Immutable => "public, max-age=31536000, immutable",
        }
    }
}

/// `GET /`: the playground.
#[handler]
pub fn index(headers: &HeaderMap) -> Result<Response> {
    serve("index.html", Caching::Revalidate, headers)
}

/// `GET /graphiql`: GraphiQL, behind its own log-in.
#[handler]
pub fn graphiql(headers: &HeaderMap) -> Result<Response> {
    serve("graphiql.html", Caching::Revalidate, headers)
}

/// `GET /assets/*path`: scripts, styles, fonts and images of both pages.
#[handler]
pub fn asset(Path(path): Path<String>, headers: &HeaderMap) -> Result<Response> {
    serve(&format!("assets/{path}"), Caching::Immutable, headers)
}

/// `GET /collect.js`: the snippet, which websites load from here.
#[handler]
pub fn snippet(headers: &HeaderMap) -> Result<Response> {
    let mut response = serve("collect.js", Caching::Hour, headers)?;
    // It is made to be loaded by pages of other hosts.
    let anybody = HeaderValue::from_static("cross-origin");
    response
        .headers_mut()
        .insert("cross-origin-resource-policy", anybody);
    Ok(response)
}

/// The file with its headers, or 304 to a browser that has it, or poem's own 404.
fn serve(path: &str, caching: Caching, request: &HeaderMap) -> Result<Response> {
    let file = Dist::get(path).ok_or(NotFoundError)?;
    let tag = weak_tag(&file.metadata.sha256_hash());
    let mut response = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, caching.header());
    for (name, value) in SECURITY_HEADERS {
        response = response.header(name, value);
    }
    if is_known(request, &tag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    Ok(response.content_type(content_type(&file)).body(body(file.data)))
}

fn content_type(file: &EmbeddedFile) -> String {
    match file.metadata.mimetype() {
        text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        other => other.to_owned(),
    }
}

/// An embedded file is sent from where it lies in the binary, without a copy.
fn body(data: Cow<'static, [u8]>) -> Body {
    match data {
        Cow::Borrowed(bytes) => bytes.into(),
        Cow::Owned(bytes) => bytes.into(),
    }
}

#[cfg(test)]
mod tests {
    use poem::test::{TestClient, TestResponse};
    use poem::{Route, get};

    use super::*;

    async fn get_path(path: &str) -> TestResponse {
        let pages = Route::new()
            .at("/", get(index))
            .at("/graphiql", get(graphiql))
            .at("/assets/*path", get(asset));
        TestClient::new(pages).get(path).send().await
    }

    #[tokio::test]
    async fn the_pages_are_revalidated_and_locked_down() {
        for path in ["/", "/graphiql"] {
            let response = get_path(path).await;
            response.assert_status_is_ok();
            response.assert_content_type("text/html; charset=utf-8");
            response.assert_header("cache-control", "no-cache");
            response.assert_header("content-security-policy", CONTENT_SECURITY_POLICY);
            response.assert_header("x-content-type-options", "nosniff");
        }
    }

    #[tokio::test]
    async fn every_asset_is_served_for_good_with_a_type_that_browsers_run() {
        for path in Dist::iter().filter(|path| path.starts_with("assets/")) {
            let response = get_path(&format!("/{path}")).await;
            response.assert_status_is_ok();
            response.assert_header("cache-control", Caching::Immutable.header());
            let content_type = response.0.content_type().unwrap_or_default();
            let is_script = content_type.starts_with("text/javascript");
            assert_eq!(
                path.rsplit('.').next() == Some("js"),
                is_script,
                "{path} is {content_type}"
            );
        }
    }

    #[tokio::test]
    async fn a_browser_that_has_the_page_gets_no_body() {
        let tag = get_path("/").await.0.header("etag").unwrap().to_owned();
        let client = TestClient::new(Route::new().at("/", get(index)));
        let again = client.get("/").header("if-none-match", &tag).send().await;
        again.assert_status(StatusCode::NOT_MODIFIED);
        let other = client
            .get("/")
            .header("if-none-match", "W/\"other\"")
            .send()
            .await;
        other.assert_status_is_ok();
    }

    #[tokio::test]
    async fn nothing_outside_the_build_is_served() {
        for path in [
            "/assets/none.js",
            "/assets/",
            "/assets/../index.html",
            "/assets/..%2f..%2fpackage.json",
        ] {
            get_path(path).await.assert_status(StatusCode::NOT_FOUND);
        }
    }
}
