//! `GET /api/cohort/export` and `GET /api/profiles/export`: people in files.

use std::io;
use std::sync::Arc;

use futures_util::StreamExt as _;
use poem::Body;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Binary;
use poem_openapi::{ApiResponse, OpenApi, ResponseContent};

use super::Tag;
use crate::api::error::ApiError;
use crate::api::guard::MayExport;
use crate::services::Services;
use crate::services::activation::export::{Export, Format, Order};

/// People in files.
pub struct ExportsApi;

/// A file, in the format that was asked for.
#[derive(ResponseContent)]
pub enum File {
    /// Comma-separated values with a header.
    #[oai(content_type = "text/csv; charset=utf-8")]
    Csv(Binary<Body>),
    /// A JSON object a line.
    #[oai(content_type = "application/x-ndjson")]
    Ndjson(Binary<Body>),
    /// Columns.
    #[oai(content_type = "application/vnd.apache.parquet")]
    Parquet(Binary<Body>),
}

/// A file.
#[derive(ApiResponse)]
pub enum FileResponse {
    /// The file, as it is written. One that broke off ends without the end of the transfer, which
    /// every HTTP client reports; Parquet lacks its footer, too.
    #[oai(status = 200)]
    Ok(
        File,
        /// What the file may be called.
        #[oai(header = "content-disposition")]
        String,
    ),
}

impl From<Export> for FileResponse {
    fn from(export: Export) -> Self {
        let (format, name) = (export.format, export.name.clone());
        let pieces = export
            .into_pieces()
            .map(|piece| piece.map_err(|error| io::Error::other(error.to_string())));
        let body = Binary(Body::from_bytes_stream(pieces));
        let file = match format {
            Format::Csv => File::Csv(body),
            Format::Ndjson => File::Ndjson(body),
            Format::Parquet => File::Parquet(body),
        };
        // The name is a slug and an ending, which need no quoting; not all slugs are ASCII.
        let ascii: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "-.".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        Self::Ok(file, format!("attachment; filename=\"{ascii}\""))
    }
}

#[expect(clippy::unused_async, reason = "the framework awaits every handler")]
#[OpenApi]
impl ExportsApi {
    /// The members of a cohort in a file
    ///
    /// As they are while the file is written: somebody who enters meanwhile may be in it or not.
    #[oai(
        path = "/cohort/export",
        method = "get",
        tag = "Tag::Activation",
        operation_id = "exportCohort"
    )]
    async fn cohort(
        &self,
        caller: MayExport,
        services: Data<&Arc<Services>>,
        /// The cohort's name or slug, in any case.
        cohort: Query<String>,
        /// `csv`, `ndjson` or `parquet`.
        #[oai(default = "default_format")]
        format: Query<String>,
        /// Names of fields, separated by commas; without, all.
        fields: Query<Option<String>>,
        /// Only people who consent to this purpose.
        purpose: Query<Option<String>>,
    ) -> Result<FileResponse, ApiError> {
        let order = Order {
            cohort: Some(cohort.0),
            format: format.0,
            fields: fields.0,
            purpose: purpose.0,
        };
        let sight = services.sights.of(caller.0.role);
        Ok(services.activation.exports.begin(&order, sight)?.into())
    }

    /// Everybody in a file
    ///
    /// As they are while the file is written.
    #[oai(
        path = "/profiles/export",
        method = "get",
        tag = "Tag::Activation",
        operation_id = "exportProfiles"
    )]
    async fn profiles(
        &self,
        caller: MayExport,
        services: Data<&Arc<Services>>,
        /// `csv`, `ndjson` or `parquet`.
        #[oai(default = "default_format")]
        format: Query<String>,
        /// Names of fields, separated by commas; without, all.
        fields: Query<Option<String>>,
        /// Only people who consent to this purpose.
        purpose: Query<Option<String>>,
    ) -> Result<FileResponse, ApiError> {
        let order = Order {
            cohort: None,
            format: format.0,
            fields: fields.0,
            purpose: purpose.0,
        };
        let sight = services.sights.of(caller.0.role);
        Ok(services.activation.exports.begin(&order, sight)?.into())
    }
}

fn default_format() -> String {
    Format::Csv.name().to_owned()
}
