//! [`Forger`]: somebody who has the server's signing key, and so can sign what the server never
//! would, and who tries to without it.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cdp::auth::install_crypto;
use cdp::config::Config;
use cdp::domain::role::{Role, Scopes};
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use ulid::Ulid;

use super::app::{self, TestApp};

/// The key that the server signs with.
static PEM: OnceLock<String> = OnceLock::new();

/// Settings of a server whose signing key the forger has.
pub fn config() -> Config {
    let mut config = app::config();
    config.auth.signing_key_pem = Some(pem().as_str().into());
    config
}

fn pem() -> &'static String {
    PEM.get_or_init(fresh_pem)
}

fn fresh_pem() -> String {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|at| &text[at..text.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

/// Claims that verify, for ten minutes.
pub fn claims(name: &str, role: Role) -> Value {
    let now = Utc::now().timestamp();
    json!({
        "iss": "cdp", "aud": "cdp-api", "sub": name, "role": role.name(),
        "scope": Scopes::of(role).to_string(), "sid": Ulid::new().to_string(),
        "jti": Ulid::new().to_string(), "iat": now, "exp": now + 600,
    })
}

/// Signs what is asked of it.
pub struct Forger {
    jwk: Value,
}

impl Forger {
    /// The forger of a server with the settings above.
    pub async fn of(app: &TestApp) -> Self {
        install_crypto();
        let set = app.get("/.well-known/jwks.json").await;
        Self {
            jwk: set["keys"][0].clone(),
        }
    }

    fn header(&self, algorithm: Algorithm) -> Header {
        let mut header = Header::new(algorithm);
        header.kid = Some(self.jwk["kid"].as_str().unwrap().to_owned());
        header
    }

    /// A token that the server can't tell from its own.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_rsa(Algorithm::RS256, pem(), claims)
    }

    /// A token of the same key by another algorithm.
    pub fn sign_as(&self, algorithm: &str, claims: &Value) -> String {
        self.sign_rsa(algorithm.parse().unwrap(), pem(), claims)
    }

    /// A token of a key that the server does not have, under the id of its own.
    pub fn sign_with_another_key(&self, claims: &Value) -> String {
        self.sign_rsa(Algorithm::RS256, &fresh_pem(), claims)
    }

    fn sign_rsa(&self, algorithm: Algorithm, pem: &str, claims: &Value) -> String {
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        jsonwebtoken::encode(&self.header(algorithm), claims, &key).unwrap()
    }

    /// A token of a secret that both sides know, as if the public key were one.
    pub fn sign_shared(&self, algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret);
        jsonwebtoken::encode(&self.header(algorithm), claims, &key).unwrap()
    }

    /// What everybody knows of the key.
    pub fn public_pem_and_numbers(&self) -> [String; 3] {
        let modulus = self.jwk["n"].as_str().unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(modulus).unwrap();
        [
            format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                STANDARD.encode(bytes)
            ),
            modulus.to_owned(),
            self.jwk.to_string(),
        ]
    }
}
