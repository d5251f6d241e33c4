//! `/api/write-keys`: what programs and websites send with.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use secrecy::ExposeSecret as _;

use super::Tag;
use super::body::Body;
use crate::api::error::ApiError;
use crate::api::guard::MayAdminister;
use crate::domain::Timestamp;
use crate::domain::write_key::WriteKey;
use crate::services::Services;
use crate::services::write_keys::Wish;

/// Write keys.
pub struct WriteKeysApi;

/// A key that is wanted.
#[derive(Object)]
pub struct WriteKeyRequest {
    /// The source of all that will be sent with it.
    source: String,
    /// `server`, or `public` for a website.
    kind: String,
    /// The sites that a public key is good from: `https://shop.example`, `https://*.shop.example`,
    /// or `*` for any.
    #[oai(default)]
    origins: Vec<String>,
    /// What people call it.
    #[oai(default)]
    label: String,
}

/// A key, without its text.
#[derive(Object)]
pub struct WriteKeyBody {
    /// Its id.
    id: String,
    /// The first characters of its text.
    hint: String,
    /// The source of all that is sent with it.
    source: String,
    /// `server` or `public`.
    kind: String,
    /// The sites that a public key is good from.
    origins: Vec<String>,
    /// What people call it.
    label: String,
    /// Who made it.
    by: String,
    /// When.
    created_at: Timestamp,
    /// When it was last used, to within seconds; null if it never was.
    last_used_at: Option<Timestamp>,
    /// Since when it is good for nothing any more; null while it is.
    revoked_at: Option<Timestamp>,
}

/// A key with its text, which is shown this once.
#[derive(Object)]
pub struct WriteKeyWithText {
    /// The key.
    write_key: WriteKeyBody,
    /// Its text: what senders send.
    text: String,
}

/// Write keys, the oldest first.
#[derive(Object)]
pub struct WriteKeysBody {
    /// All of them, revoked ones too.
    write_keys: Vec<WriteKeyBody>,
}

/// How revoking a key ends.
#[derive(ApiResponse)]
pub enum RevokeResponse {
    /// It is good for nothing any more.
    #[oai(status = 204)]
    Revoked,
}

impl From<WriteKey> for WriteKeyBody {
    fn from(key: WriteKey) -> Self {
        let origins = key.origins.iter().map(|origin| origin.as_str().to_owned());
        Self {
            id: key.id.to_string(),
            origins: origins.collect(),
            hint: key.hint,
            source: key.source,
            kind: key.kind.name().to_owned(),
            label: key.label,
            by: key.by,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

#[OpenApi]
impl WriteKeysApi {
    /// List write keys
    #[oai(
        path = "/write-keys",
        method = "get",
        tag = "Tag::Ingest",
        operation_id = "listWriteKeys"
    )]
    async fn list(
        &self,
        _caller: MayAdminister,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<WriteKeysBody>, ApiError> {
        let keys = services.write_keys.list().await?;
        Ok(Json(WriteKeysBody {
            write_keys: keys.into_iter().map(WriteKeyBody::from).collect(),
        }))
    }

    /// Make a write key
    ///
    /// It sends records of one source to `/v1` and `/collect`, and does nothing else; the answer
    /// has its text, which is not shown again. `docs/COLLECTING.md` says how it is used.
    #[oai(
        path = "/write-keys",
        method = "post",
        tag = "Tag::Ingest",
        operation_id = "createWriteKey"
    )]
    async fn create(
        &self,
        caller: MayAdminister,
        services: Data<&Arc<Services>>,
        request: Body<WriteKeyRequest>,
    ) -> Result<Json<WriteKeyWithText>, ApiError> {
        let WriteKeyRequest {
            source,
            kind,
            origins,
            label,
        } = request.0;
        let wish = Wish {
            source,
            kind,
            origins,
            label,
        };
        let (key, text) = services.write_keys.create(&wish, &caller.0.name).await?;
        Ok(Json(WriteKeyWithText {
            write_key: key.into(),
            text: text.expose_secret().to_owned(),
        }))
    }

    /// Revoke a write key
    ///
    /// At once on this server, and within seconds on others that share its store.
    #[oai(
        path = "/write-keys/:id",
        method = "delete",
        tag = "Tag::Ingest",
        operation_id = "revokeWriteKey"
    )]
    async fn revoke(
        &self,
        _caller: MayAdminister,
        services: Data<&Arc<Services>>,
        /// The key's id.
        id: Path<String>,
    ) -> Result<RevokeResponse, ApiError> {
        services.write_keys.revoke(&id).await?;
        Ok(RevokeResponse::Revoked)
    }
}
