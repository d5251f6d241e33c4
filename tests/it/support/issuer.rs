//! [`TestIssuer`]: another issuer of tokens, in the process of the test, who publishes keys, changes
//! them, and goes away.

use std::sync::{Arc, Mutex};

use cdp::auth::issuers::IssuerSettings;
use cdp::auth::keys::Key;
use chrono::Utc;
use poem::endpoint::make_sync;
use poem::http::StatusCode;
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use poem::{IntoResponse as _, Response, Route};
use serde_json::{Value, json};

/// What its tokens call it.
pub const ISSUER: &str = "https://login.example.com/realms/shop";

/// The issuer.
pub struct TestIssuer {
    state: Arc<Mutex<State>>,
    url: String,
}

struct State {
    keys: Vec<Key>,
    fetches: usize,
    is_away: bool,
}

impl State {
    fn answer(&mut self) -> Response {
        self.fetches += 1;
        if self.is_away {
            return StatusCode::BAD_GATEWAY.into_response();
        }
        let keys: Vec<Value> = self.keys.iter().map(Key::jwk).collect();
        // As real ones do, it publishes a key for other things, too.
        let other = json!({ "kty": "RSA", "use": "enc", "kid": "for-encryption", "n": "AQAB", "e": "AQAB" });
        let keys = keys.into_iter().chain([other]).collect::<Vec<_>>();
        Response::builder()
            .content_type("application/json")
            .body(json!({ "keys": keys }).to_string())
    }
}

impl TestIssuer {
    /// Publishes a first key.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            keys: vec![Key::generate().unwrap()],
            fetches: 0,
            is_away: false,
        }));
        let answering = Arc::clone(&state);
        let routes = Route::new().at("/keys", make_sync(move |_| answering.lock().unwrap().answer()));
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(routes));
        Self {
            state,
            url: format!("http://{address}/keys"),
        }
    }

    /// Settings that take its tokens.
    pub fn settings(&self) -> IssuerSettings {
        serde_json::from_value(json!({
            "issuer": ISSUER,
            "jwks_url": self.url,
            "audience": "cdp",
            "role_claim": "realm_access.roles",
            "roles": { "marketing": "analyst", "boss": "admin", "reader": "viewer" },
        }))
        .unwrap()
    }

    /// Claims that are good, for people with a role of theirs.
    pub fn claims(name: &str, role: &str) -> Value {
        json!({
            "iss": ISSUER, "aud": ["account", "cdp"], "sub": name, "exp": Utc::now().timestamp() + 300,
            "realm_access": { "roles": [role] },
        })
    }

    /// A token of its newest key.
    pub fn sign(&self, claims: &Value) -> String {
        let state = self.state.lock().unwrap();
        let key = state.keys.last().unwrap();
        key.signer().unwrap().sign(&key.kid(), claims).unwrap()
    }

    /// Publishes another key, and those before it no more.
    pub fn rotate(&self) {
        self.state.lock().unwrap().keys = vec![Key::generate().unwrap()];
    }

    /// A token of a key that it does not publish.
    pub fn sign_unpublished(claims: &Value) -> String {
        let key = Key::generate().unwrap();
        key.signer().unwrap().sign(&key.kid(), claims).unwrap()
    }

    /// Answers nobody any more, or again.
    pub fn go_away(&self, is_away: bool) {
        self.state.lock().unwrap().is_away = is_away;
    }

    /// How often its keys were asked for.
    pub fn fetches(&self) -> usize {
        self.state.lock().unwrap().fetches
    }
}
