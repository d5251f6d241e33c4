//! A body in one of the formats that are ingested, handed on as a stream.

use poem::http::header;
use poem::{Body, Request, RequestBody, Result};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::api::error::ApiError;
use crate::domain::error::{Error, ErrorCode};
use crate::services::ingest::Format;

/// The payload of an ingest call.
pub struct IngestPayload {
    /// Its format, by its media type.
    pub format: Format,
    /// Its bytes.
    pub body: Body,
}

impl<'a> ApiExtractor<'a> for IngestPayload {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_registry: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let media = |content_type, schema| MetaMediaType {
            content_type,
            schema: MetaSchemaRef::Inline(Box::new(schema)),
        };
        Some(MetaRequest {
            description: Some(
                "One record, an array of records, or either inside `{\"data\": …}`; one record a line; \
                 or CSV with a header. Every record has a `cookie`.",
            ),
            content: vec![
                media("application/json", MetaSchema::ANY),
                media("application/x-ndjson", MetaSchema::new("string")),
                media("text/csv", MetaSchema::new("string")),
            ],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let media_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let format = media_type.and_then(Format::of_media_type).ok_or_else(|| {
            let message = "send application/json, application/x-ndjson or text/csv".to_owned();
            ApiError::from(Error::new(ErrorCode::UnsupportedMediaType, message).with_field("content-type"))
        })?;
        Ok(Self {
            format,
            body: body.take()?,
        })
    }
}
