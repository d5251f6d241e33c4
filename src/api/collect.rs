//! `/collect`: what the snippet of a website sends, and the cookie by which its visitors are
//! known. A server sets it, and not a script, since browsers keep such a one longer.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::{HeaderMap, HeaderValue, header};
use poem::web::{Data, Json};
use poem::{Body, IntoResponse as _, Request, Response, Result, handler};
use serde_json::json;

use super::error::ApiError;
use super::segment::{protocol, read};
use super::senders::{self, Settings};
use crate::domain::error::Error;
use crate::services::Services;
use crate::services::ingest::events::Call;

/// How long an id may be that a browser brings, in characters.
const ID_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// What the answer does to the cookie.
enum Cookie {
    Set(String),
    Drop,
    Leave,
}

/// `POST /collect`: a batch of events of one visitor.
#[handler]
pub async fn collect(
    request: &Request,
    Data(services): Data<&Arc<Services>>,
    Data(settings): Data<&Settings>,
    body: Body,
) -> Result<Response> {
    let taken = take(request, services, settings, body).await;
    let (id, cookie) = taken.map_err(ApiError::from)?;
    let answer = match id {
        Some(id) => Json(json!({ "success": true, "id": id })),
        None => Json(json!({ "success": true })),
    };
    let mut response = answer
        .with_header(header::CACHE_CONTROL, "no-store")
        .into_response();
    let is_secure = protocol(request) == "https";
    let header = match cookie {
        Cookie::Set(id) => Some(set_cookie(
            settings,
            &id,
            u64::from(settings.cookie_days),
            is_secure,
        )),
        Cookie::Drop => Some(set_cookie(settings, "", 0, is_secure)),
        Cookie::Leave => None,
    };
    if let Some(Ok(value)) = header.map(|text| text.parse::<HeaderValue>()) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// Stores what may be stored of a visit; the visitor's id, if they are to have one.
async fn take(
    request: &Request,
    services: &Services,
    settings: &Settings,
    body: Body,
) -> Result<(Option<String>, Cookie), Error> {
    let mut received = read(body, Call::Batch).await?;
    let key = senders::key(request, services, &received)?;
    let known = cookie(request.headers(), &settings.cookie_name);
    let brought = received.anonymous_id().filter(|id| is_id(id)).map(str::to_owned);
    let consent = received.consent(&settings.purpose);
    let is_opted_out = settings.obey_opt_out && senders::is_opted_out(request.headers());
    let may_be_known = consent.unwrap_or(!is_opted_out && !settings.consent_required);
    if !may_be_known {
        // A refusal is kept of whoever is known, so that it is obeyed wherever their data goes.
        received.retain_consented(&settings.purpose, known.is_some() || brought.is_some());
    }
    let was_known = known.is_some();
    let after = if was_known && !may_be_known {
        Cookie::Drop
    } else {
        Cookie::Leave
    };
    if received.is_empty() {
        return Ok((None, after));
    }
    let id = known.or(brought).unwrap_or_else(fresh_id);
    received.name_visitor(&id);
    services.events.take(&key.source, received).await?;
    if !may_be_known {
        return Ok((None, after));
    }
    let after = if was_known { after } else { Cookie::Set(id.clone()) };
    Ok((Some(id), after))
}

/// The id in a request's cookie.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = pairs
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.split_once('='));
    let (_, id) = pairs.find(|(found, id)| found.trim() == name && is_id(id.trim()))?;
    Some(id.trim().to_owned())
}

fn is_id(id: &str) -> bool {
    ID_CHARS.contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn fresh_id() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

/// A cookie of the page's own site, for all of it. No script needs it.
fn set_cookie(settings: &Settings, id: &str, days: u64, is_secure: bool) -> String {
    let Settings {
        cookie_name: name,
        cookie_domain: domain,
        ..
    } = settings;
    let mut cookie = format!(
        "{name}={id}; Path=/; Max-Age={}; SameSite=Lax; HttpOnly",
        days * 24 * 60 * 60
    );
    if let Some(domain) = domain {
        cookie.push_str("; Domain=");
        cookie.push_str(domain);
    }
    if is_secure {
        cookie.push_str("; Secure");
    }
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_must_be_an_id() {
        let found = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))]);
            cookie(&headers, "cdp_id")
        };
        for text in [
            "cdp_id=abcdefgh",
            "a=b; cdp_id=abcdefgh; c=d",
            "xcdp_id=zzzzzzzz;cdp_id=abcdefgh",
        ] {
            assert_eq!(found(text).as_deref(), Some("abcdefgh"), "{text}");
        }
        for text in [
            "",
            "cdp_id=",
            "cdp_id=short",
            "cdp_id=abc defgh",
            "cdp_id=<script>",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn a_cookie_is_the_sites_own() {
        let settings = Settings {
            cookie_domain: Some("shop.example".to_owned()),
            ..Settings::default()
        };
        assert_eq!(
            set_cookie(&settings, "abcdefgh", 395, true),
            "cdp_id=abcdefgh; Path=/; Max-Age=34128000; SameSite=Lax; HttpOnly; Domain=shop.example; Secure"
        );
        assert_eq!(
            set_cookie(&Settings::default(), "", 0, false),
            "cdp_id=; Path=/; Max-Age=0; SameSite=Lax; HttpOnly"
        );
        assert!(is_id(&fresh_id()));
    }
}
