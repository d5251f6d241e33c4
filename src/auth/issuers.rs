//! Other issuers whose tokens are taken: whose they are, which keys they may be signed with, and
//! what of their claims is a role here. Where the keys come from is none of this file's business.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::token::{Expected, TokenError, Verifier};
use crate::domain::Timestamp;
use crate::domain::role::{Caller, Role, Scopes, UnknownRole};

/// How far another issuer's clock may differ from ours, in seconds.
const LEEWAY_S: u64 = 30;

/// The most keys of an issuer that are looked at.
const KEYS_MAX: usize = 64;

/// Of several roles, the first of these counts.
const BY_WEIGHT: [Role; 4] = [Role::Admin, Role::Analyst, Role::Viewer, Role::Ingest];

/// An issuer, as the settings say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// Its name, exactly as its tokens have it in `iss`.
    pub issuer: String,
    /// Where its keys are published.
    pub jwks_url: String,
    /// Whom its tokens must be for: `aud` names it.
    pub audience: String,
    /// The claim that lists roles; dots lead into objects, as in `realm_access.roles`.
    pub role_claim: String,
    /// Their roles, and ours. Who has none of them gets in nowhere.
    pub roles: BTreeMap<String, String>,
    /// The claim that names people; what it holds shows up where something was done by them.
    #[serde(default = "subject")]
    pub name_claim: String,
    /// What stands before those names, so that they are nobody's here; unset, the issuer's host.
    pub prefix: Option<String>,
    /// Whether the claim `scope` (or `scp`) narrows what the role allows; otherwise it is not
    /// looked at.
    #[serde(default)]
    pub scope_narrows: bool,
}

fn subject() -> String {
    "sub".to_owned()
}

/// Settings of an issuer that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// A role of ours is none.
    #[error("auth.issuers, `{issuer}`: {source}")]
    Role {
        /// Which issuer.
        issuer: String,
        /// Which role.
        #[source]
        source: UnknownRole,
    },
    /// Something is missing.
    #[error("auth.issuers, `{issuer}`: {what} is missing")]
    Missing {
        /// Which issuer.
        issuer: String,
        /// What.
        what: &'static str,
    },
    /// It calls itself as we do.
    #[error("auth.issuers: `{0}` is what this program's own tokens name as their issuer")]
    Ours(String),
    /// Its keys would come over a line that anybody can change.
    #[error("auth.issuers, `{0}`: `jwks_url` must begin with https://; http:// is for this machine only")]
    NoTls(String),
}

/// An issuer, ready to judge tokens.
#[derive(Debug)]
pub struct Issuer {
    settings: IssuerSettings,
    roles: HashMap<String, Role>,
    prefix: String,
    audience: [String; 1],
}

impl Issuer {
    /// An issuer by its settings.
    ///
    /// # Errors
    /// When they can't be used.
    pub fn new(settings: &IssuerSettings) -> Result<Self, IssuerError> {
        let issuer = settings.issuer.clone();
        for (text, what) in [
            (&settings.issuer, "`issuer`"),
            (&settings.audience, "`audience`"),
            (&settings.role_claim, "`role_claim`"),
        ] {
            if text.is_empty() {
                return Err(IssuerError::Missing { issuer, what });
            }
        }
        if settings.issuer == super::keyring::ISSUER {
            return Err(IssuerError::Ours(issuer));
        }
        let mut roles = HashMap::new();
        for (theirs, ours) in &settings.roles {
            let ours = ours.parse().map_err(|source| IssuerError::Role {
                issuer: issuer.clone(),
                source,
            })?;
            roles.insert(theirs.clone(), ours);
        }
        Ok(Self {
            roles,
            prefix: settings
                .prefix
                .clone()
                .unwrap_or_else(|| host(&issuer).to_owned()),
            audience: [settings.audience.clone()],
            settings: settings.clone(),
        })
    }

    /// What its tokens have in `iss`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.issuer
    }

    /// Where its keys are published.
    #[must_use]
    pub fn jwks_url(&self) -> &str {
        &self.settings.jwks_url
    }

    /// Whom a token speaks for that one of its keys signed.
    ///
    /// # Errors
    /// When the token proves nothing, or gives no role here.
    pub fn caller(&self, token: &str, key: &Verifier) -> Result<Caller, TokenError> {
        let expected = Expected {
            issuer: &self.settings.issuer,
            audience: &self.audience,
            leeway_s: LEEWAY_S,
        };
        let claims: Map<String, Value> = key.read(token, expected)?;
        let claims = Value::Object(claims);
        let name = at(&claims, &self.settings.name_claim).and_then(Value::as_str);
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or(TokenError::Incomplete)?;
        let role = self.role(&claims).ok_or(TokenError::NoRole)?;
        let scopes = Scopes::of(role);
        let exp = &claims["exp"];
        // Some issuers write fractions of a second.
        let exp = exp
            .as_i64()
            .or_else(|| exp.to_string().split('.').next()?.parse().ok());
        let expires_at = exp.and_then(|exp| Timestamp::from_timestamp(exp, 0));
        Ok(Caller {
            name: format!("{}:{name}", self.prefix),
            role,
            scopes: if self.settings.scope_narrows {
                scopes.and(said_scopes(&claims))
            } else {
                scopes
            },
            session: None,
            expires_at: expires_at.ok_or(TokenError::Incomplete)?,
        })
    }

    fn role(&self, claims: &Value) -> Option<Role> {
        let said = words(at(claims, &self.settings.role_claim)?);
        let ours: Vec<Role> = said
            .filter_map(|theirs| self.roles.get(theirs).copied())
            .collect();
        BY_WEIGHT.into_iter().find(|role| ours.contains(role))
    }
}

/// The keys of a published set that are fit for tokens, by their ids; the others are left out, since
/// a set also holds keys for other things.
#[must_use]
pub fn keys(jwks: &Value) -> HashMap<String, Verifier> {
    let listed = jwks["keys"].as_array();
    let listed = listed.into_iter().flatten().take(KEYS_MAX);
    listed.filter_map(Verifier::of_jwk).collect()
}

/// What stands at a path. A claim's own name may have dots, too: the longest name that is there
/// goes first.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    let dots = path.match_indices('.').map(|(dot, _)| dot).rev();
    dots.into_iter()
        .find_map(|dot| at(value.get(&path[..dot])?, &path[dot + 1..]))
}

/// One text, or a list of them.
fn words(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str().into_iter();
    let many = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    one.chain(many)
}

fn said_scopes(claims: &Value) -> Scopes {
    let said = claims.get("scope").or_else(|| claims.get("scp"));
    let texts = said.into_iter().flat_map(words);
    Scopes::known(&texts.collect::<Vec<_>>().join(" "))
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use chrono::Utc;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use serde_json::json;

    use super::super::keys::Key;
    use super::super::token::install_crypto;
    use super::*;

    fn settings() -> IssuerSettings {
        serde_json::from_value(json!({
            "issuer": "https://login.example.com/realms/shop",
            "jwks_url": "https://login.example.com/keys",
            "audience": "cdp",
            "role_claim": "realm_access.roles",
            "roles": { "marketing": "analyst", "boss": "admin", "bot": "ingest" },
        }))
        .unwrap()
    }

    fn claims() -> Value {
        json!({
            "iss": "https://login.example.com/realms/shop", "aud": ["account", "cdp"], "sub": "ann",
            "exp": Utc::now().timestamp() + 60, "realm_access": { "roles": ["marketing", "other"] },
        })
    }

    /// Judges claims that are well signed.
    fn judge(settings: &IssuerSettings, claims: &Value) -> Result<Caller, TokenError> {
        let key = Key::generate().unwrap();
        let token = key.signer().unwrap().sign(&key.kid(), claims).unwrap();
        Issuer::new(settings)
            .unwrap()
            .caller(&token, &key.verifier().unwrap())
    }

    #[test]
    fn their_roles_become_ours_and_their_names_are_nobodys_here() {
        let caller = judge(&settings(), &claims()).unwrap();
        assert_eq!(caller.name, "login.example.com:ann");
        assert_eq!(
            (caller.role, caller.scopes),
            (Role::Analyst, Scopes::of(Role::Analyst))
        );
        assert_eq!(caller.session, None);
        let mut both = claims();
        both["realm_access"]["roles"] = json!(["bot", "boss", "marketing"]);
        assert_eq!(judge(&settings(), &both).unwrap().role, Role::Admin);
        for none in [json!([]), json!(["admin"]), json!("admin"), json!(1), Value::Null] {
            both["realm_access"]["roles"] = none;
            assert!(
                matches!(judge(&settings(), &both), Err(TokenError::NoRole)),
                "{both}"
            );
        }
    }

    #[test]
    fn what_is_for_others_or_from_others_is_refused() {
        for (claim, value) in [
            ("iss", json!("https://login.example.com/realms/other")),
            ("aud", json!("account")),
            ("exp", json!(Utc::now().timestamp() - 60)),
            ("nbf", json!(Utc::now().timestamp() + 600)),
            ("sub", json!("")),
        ] {
            let mut wrong = claims();
            wrong[claim] = value;
            assert!(judge(&settings(), &wrong).is_err(), "{claim}");
            wrong.as_object_mut().unwrap().remove(claim);
            assert_eq!(judge(&settings(), &wrong).is_ok(), claim == "nbf", "{claim}");
        }
    }

    #[test]
    fn scopes_narrow_where_that_is_set() {
        let mut narrow = settings();
        narrow.scope_narrows = true;
        let mut said = claims();
        said["scope"] = json!("openid profiles:read users:manage");
        assert_eq!(
            judge(&settings(), &said).unwrap().scopes,
            Scopes::of(Role::Analyst)
        );
        assert_eq!(judge(&narrow, &said).unwrap().scopes.to_string(), "profiles:read");
        said.as_object_mut().unwrap().remove("scope");
        assert!(judge(&narrow, &said).unwrap().scopes.is_empty());
        said["scp"] = json!(["cohorts:define"]);
        assert_eq!(
            judge(&narrow, &said).unwrap().scopes.to_string(),
            "cohorts:define"
        );
    }

    #[test]
    fn a_path_leads_into_objects_and_names_may_have_dots() {
        let claims = json!({
            "https://shop.example/roles": ["a"],
            "resource_access": { "my.client": { "roles": ["b"] } },
        });
        assert_eq!(at(&claims, "https://shop.example/roles"), Some(&json!(["a"])));
        assert_eq!(
            at(&claims, "resource_access.my.client.roles"),
            Some(&json!(["b"]))
        );
        assert_eq!(at(&claims, "resource_access.roles"), None);
    }

    #[test]
    fn only_keys_that_sign_with_the_three_algorithms_are_taken() {
        let jwk = Key::generate().unwrap().jwk();
        let with = |name: &str, value: Value| {
            let mut changed = jwk.clone();
            changed[name] = value;
            changed
        };
        let set = json!({ "keys": [
            with("kid", json!("good")),
            with("use", json!("enc")),
            with("alg", json!("HS256")),
            { "kty": "oct", "kid": "shared", "k": "c2VjcmV0" },
            { "kty": "oct", "kid": "shared-too", "alg": "HS256", "k": "c2VjcmV0" },
            { "kty": "RSA", "kid": "short", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB" },
            { "kty": "RSA", "kid": "pss", "alg": "PS256", "n": URL_SAFE_NO_PAD.encode([255; 256]), "e": "AQAB" },
            { "kty": "RSA", "kid": "rsa", "n": URL_SAFE_NO_PAD.encode([255; 256]), "e": "AQAB" },
            { "kty": "EC", "crv": "secp256k1", "kid": "other", "x": "AA", "y": "AA" },
            { "kty": "EC", "crv": "P-256", "kid": "ec", "x": URL_SAFE_NO_PAD.encode([1; 32]), "y": URL_SAFE_NO_PAD.encode([1; 32]) },
            "no key",
        ] });
        let mut names: Vec<String> = keys(&set).into_keys().collect();
        names.sort_unstable();
        assert_eq!(names, ["ec", "good", "rsa"]);
        assert!(keys(&json!(null)).is_empty() && keys(&json!({ "keys": 1 })).is_empty());
    }

    #[test]
    fn a_public_key_is_no_shared_secret() {
        install_crypto();
        let key = Key::generate().unwrap();
        let public = URL_SAFE_NO_PAD.decode(key.jwk()["x"].as_str().unwrap()).unwrap();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.kid());
        let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
        let issuer = Issuer::new(&settings()).unwrap();
        assert!(issuer.caller(&token, &key.verifier().unwrap()).is_err());
    }

    #[test]
    fn settings_that_would_let_in_the_wrong_people_are_refused() {
        let with = |name: &str, value: Value| {
            let mut changed = json!({
                "issuer": "https://a", "jwks_url": "https://a/keys", "audience": "cdp", "role_claim": "roles",
                "roles": {},
            });
            changed[name] = value;
            Issuer::new(&serde_json::from_value(changed).unwrap())
        };
        assert!(with("audience", json!("cdp")).is_ok());
        assert!(matches!(
            with("audience", json!("")),
            Err(IssuerError::Missing { .. })
        ));
        assert!(matches!(with("issuer", json!("cdp")), Err(IssuerError::Ours(_))));
        assert!(matches!(
            with("roles", json!({ "a": "root" })),
            Err(IssuerError::Role { .. })
        ));
    }
}
