//! `GET /api/backup`: a copy of everything, while the server goes on.

use std::io;
use std::sync::Arc;

use futures_util::StreamExt as _;
use poem::Body;
use poem::web::Data;
use poem_openapi::payload::Binary;
use poem_openapi::{ApiResponse, OpenApi, ResponseContent};

use super::Tag;
use crate::api::error::ApiError;
use crate::api::guard::MayAdminister;
use crate::services::Services;

/// A copy of everything.
pub struct BackupApi;

/// A file of this program's own.
#[derive(ResponseContent)]
pub enum BackupFile {
    /// Packed with zstd behind its first two lines.
    #[oai(content_type = "application/vnd.cdp.backup")]
    Backup(Binary<Body>),
}

/// A file.
#[derive(ApiResponse)]
pub enum BackupResponse {
    /// The file, as it is written. One that broke off is refused when it is restored.
    #[oai(status = 200)]
    Ok(
        BackupFile,
        /// What the file may be called.
        #[oai(header = "content-disposition")]
        String,
    ),
}

#[OpenApi]
impl BackupApi {
    /// A copy of everything
    ///
    /// All that is stored at this moment, also secrets and hashes of passwords: keep it as you keep
    /// the store. `cdp restore` makes a store of it. One runs at a time; a SurrealDB server is backed
    /// up by its own means.
    #[oai(
        path = "/backup",
        method = "get",
        tag = "Tag::Operation",
        operation_id = "backUp"
    )]
    async fn back_up(
        &self,
        _caller: MayAdminister,
        services: Data<&Arc<Services>>,
    ) -> Result<BackupResponse, ApiError> {
        let backup = services.backups.begin().await?;
        let name = backup.made_at.format("cdp-%Y-%m-%dT%H-%M-%SZ.backup");
        let disposition = format!("attachment; filename=\"{name}\"");
        let pieces = backup
            .pieces
            .map(|piece| piece.map_err(|error| io::Error::other(error.to_string())));
        let file = BackupFile::Backup(Binary(Body::from_bytes_stream(pieces)));
        Ok(BackupResponse::Ok(file, disposition))
    }
}
