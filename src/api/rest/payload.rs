//! A body in one of the formats that are ingested, or a form with a file of one, handed on as
//! a stream.

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::stream;
use poem::http::header;
use poem::web::{Field, Multipart};
use poem::{Body, FromRequest, Request, RequestBody, Result};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use crate::api::error::ApiError;
use crate::domain::error::{Error, ErrorCode};
use crate::services::ingest::{Format, PACKED_MEDIA_TYPES, Unreadable};

/// The most bytes of a form before its file, and behind it.
const FORM_MARGIN_BYTES_MAX: u64 = 16 * 1024;

/// Bytes of a form's file that are handed on at once.
const FILE_CHUNK_BYTES: usize = 32 * 1024;

const FORM: &str = "multipart/form-data";

type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// The payload of an ingest call.
pub struct IngestPayload {
    /// Its format, by its media type or its name.
    pub format: Format,
    /// Its bytes, packed or not.
    pub body: Reader,
}

/// A body of a media type, as the API's description shows it.
pub(super) fn media(content_type: &'static str, schema: MetaSchema) -> MetaMediaType {
    MetaMediaType {
        content_type,
        schema: MetaSchemaRef::Inline(Box::new(schema)),
    }
}

impl<'a> ApiExtractor<'a> for IngestPayload {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_registry: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let binary = || MetaSchema::new_with_format("string", "binary");
        let form = MetaSchema {
            required: vec!["file"],
            properties: vec![("file", MetaSchemaRef::Inline(Box::new(binary())))],
            ..MetaSchema::new("object")
        };
        Some(MetaRequest {
            description: Some(
                "One record, an array of records, or either inside `{\"data\": …}`; one record a line; \
                 or CSV with a header. Every record has a `cookie`. Or a form with one file of these, whose \
                 name or media type tells which. Any of them may be packed by gzip or Zstandard; sent \
                 as `application/gzip` or `application/zstd`, a `Content-Disposition` names the file.",
            ),
            content: vec![
                media("application/json", MetaSchema::ANY),
                media("application/x-ndjson", MetaSchema::new("string")),
                media("text/csv", MetaSchema::new("string")),
                media("text/tab-separated-values", MetaSchema::new("string")),
                media(FORM, form),
                media("application/gzip", binary()),
                media("application/zstd", binary()),
            ],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let said = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let media_type = said(header::CONTENT_TYPE).unwrap_or_default();
        if essence(media_type) == FORM {
            return of_form(request, body.take()?).await;
        }
        let file_name = said(header::CONTENT_DISPOSITION).and_then(file_name);
        let format = format(media_type, file_name).ok_or_else(|| unread_media_type("content-type"))?;
        Ok(Self {
            format,
            body: Box::pin(body.take()?.into_async_read()),
        })
    }
}

fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// The format of a payload: that of its media type; or of its file's name, where the media type
/// says no more than that it is packed, or is what a spreadsheet made of it.
fn format(media_type: &str, file_name: Option<&str>) -> Option<Format> {
    let essence = essence(media_type);
    let says_nothing = essence.is_empty()
        || PACKED_MEDIA_TYPES.contains(&essence.as_str())
        || ["text/plain", "application/vnd.ms-excel"].contains(&essence.as_str());
    let by_name = || file_name.filter(|_| says_nothing).and_then(Format::of_file_name);
    Format::of_media_type(media_type).or_else(by_name)
}

/// The name in `attachment; filename="visits.csv.gz"`.
fn file_name(disposition: &str) -> Option<&str> {
    let name = disposition
        .split(';')
        .find_map(|part| part.trim().strip_prefix("filename="))?;
    Some(name.trim_matches('"'))
}

fn unread_media_type(field: &str) -> ApiError {
    let message = "send application/json, application/x-ndjson or text/csv, packed by gzip or Zstandard or not; \
                   or a file of them in a form. A media type that only says how it is packed needs \
                   a file name such as visits.csv.gz beside it";
    Error::new(ErrorCode::UnsupportedMediaType, message)
        .with_field(field)
        .into()
}

fn unread_form(error: impl Display) -> ApiError {
    Error::new(
        ErrorCode::Unparseable,
        format!("the form can't be read ({error})"),
    )
    .into()
}

/// The one file of a form. Nothing of it is kept: it is read on as its bytes come.
async fn of_form(request: &Request, body: Body) -> Result<IngestPayload> {
    let left = Arc::new(AtomicU64::new(FORM_MARGIN_BYTES_MAX));
    let gate = Gate {
        body: Box::pin(body.into_async_read()),
        left: Arc::clone(&left),
        was_ready: false,
    };
    let mut body = RequestBody::new(Body::from_async_read(gate));
    let mut form = <Multipart as FromRequest>::from_request(request, &mut body)
        .await
        .map_err(unread_form)?;
    let Some(file) = form.next_field().await.map_err(unread_form)? else {
        let error = Error::new(ErrorCode::BadRequest, "the form has no file");
        return Err(ApiError::from(error).into());
    };
    let name = file.name().unwrap_or_default().to_owned();
    if file.file_name().is_none() && file.content_type().is_none() {
        let message = "is no file; a form holds one file, and all else is an argument of the query";
        return Err(ApiError::from(Error::bad_request(&name, message)).into());
    }
    let format = format(file.content_type().unwrap_or_default(), file.file_name());
    let format = format.ok_or_else(|| unread_media_type(&name))?;
    left.store(u64::MAX, Ordering::Relaxed);
    let body = FormFile {
        file: Box::pin(file.into_async_read()),
        form,
        left,
    };
    let chunks = stream::try_unfold(body, FormFile::next);
    Ok(IngestPayload {
        format,
        body: Box::pin(Body::from_bytes_stream(chunks).into_async_read()),
    })
}

/// The file of a form while it is read.
struct FormFile {
    file: Reader,
    form: Multipart,
    left: Arc<AtomicU64>,
}

impl FormFile {
    /// The next bytes of the file. Behind the last ones the form must end.
    async fn next(mut self) -> io::Result<Option<(Vec<u8>, Self)>> {
        let mut chunk = Vec::with_capacity(FILE_CHUNK_BYTES);
        if self.file.read_buf(&mut chunk).await.map_err(broken)? > 0 {
            return Ok(Some((chunk, self)));
        }
        let Self { file, mut form, left } = self;
        drop(file);
        left.store(FORM_MARGIN_BYTES_MAX, Ordering::Relaxed);
        match form.next_field().await.map_err(broken)? {
            None => Ok(None),
            Some(field) => Err(second(&field)),
        }
    }
}

fn second(field: &Field) -> io::Error {
    let name = field.name().unwrap_or_default();
    let message = format!("the form goes on behind its file, with `{name}`; send one file in a request");
    io::Error::other(Unreadable(message))
}

fn broken(error: impl Display) -> io::Error {
    io::Error::other(Unreadable(format!(
        "the form can't be read any further ({error})"
    )))
}

/// Bytes of a form, a few at a time. The parser takes all that it can have before it looks at any
/// of it, so after each piece it is told that there are no more yet. And it looks for a file
/// without bound, so until there is one, it can have only so many.
struct Gate {
    body: Reader,
    left: Arc<AtomicU64>,
    was_ready: bool,
}

impl AsyncRead for Gate {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.was_ready) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = self.body.as_mut().poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = polled {
            self.was_ready = true;
            let read = (buffer.filled().len() - before) as u64;
            let left = self.left.load(Ordering::Relaxed);
            let Some(rest) = left.checked_sub(read) else {
                let message = format!("more than {FORM_MARGIN_BYTES_MAX} bytes of a form are no file");
                return Poll::Ready(Err(io::Error::other(message)));
            };
            self.left.store(rest, Ordering::Relaxed);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_format_where_the_media_type_does_not() {
        for (media_type, file_name, expected) in [
            ("text/csv; charset=utf-8", Some("a.json"), Some(Format::Csv)),
            ("application/gzip", Some("a.ndjson.gz"), Some(Format::Ndjson)),
            ("application/octet-stream", Some("A.JSON.ZST"), Some(Format::Json)),
            ("application/vnd.ms-excel", Some("a.csv"), Some(Format::Csv)),
            ("text/plain", Some("a.tsv"), Some(Format::Csv)),
            ("", Some("a.jsonl"), Some(Format::Ndjson)),
            ("application/gzip", None, None),
            ("application/gzip", Some("a.gz"), None),
            ("image/png", Some("a.csv"), None),
            ("", None, None),
        ] {
            assert_eq!(
                format(media_type, file_name),
                expected,
                "{media_type} {file_name:?}"
            );
        }
        assert_eq!(file_name("attachment; filename=\"a b.csv\""), Some("a b.csv"));
        assert_eq!(file_name("attachment;filename=a.csv"), Some("a.csv"));
        assert_eq!(file_name("inline"), None);
    }
}
