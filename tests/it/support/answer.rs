//! [`Answer`]: a response that was read to its end, and what every error must look like.

use cdp::domain::role::Role;
use poem::http::HeaderMap;
use poem::test::{TestRequestBuilder, TestResponse};
use serde_json::Value;

use super::app::TestApp;

/// A response, read.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl TestApp {
    /// A GET as admin, its arguments encoded as a browser does.
    pub async fn ask(&self, path: &str, arguments: &[(&str, &str)]) -> Answer {
        let mut request = self.client().get(path);
        for (name, value) in arguments {
            request = request.query(*name, value);
        }
        self.answer_to(Role::Admin, request).await
    }

    /// The answer to a request as a role.
    pub async fn answer_to<E: poem::Endpoint>(
        &self,
        role: Role,
        request: TestRequestBuilder<'_, E>,
    ) -> Answer {
        let request = request.header("authorization", format!("Bearer {}", self.token(role)));
        Answer::of(request.send().await).await
    }

    /// The answer to a GraphQL request as admin, which must be free of errors.
    pub async fn graphql(&self, query: &str, variables: Value) -> Value {
        let body = serde_json::json!({ "query": query, "variables": variables });
        let request = self.client().post("/graphql").body_json(&body);
        let answer = self.answer_to(Role::Admin, request).await.json();
        assert_eq!(answer["errors"], Value::Null, "{query}: {answer}");
        answer["data"].clone()
    }
}

impl Answer {
    pub async fn of(response: TestResponse) -> Self {
        let (parts, body) = response.0.into_parts();
        let text = body.into_string().await.unwrap();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text,
        }
    }

    /// A header's value; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The one shape of all errors; returns `error`, whose message is for the test to judge.
    #[track_caller]
    pub fn error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert!(!self.header("x-request-id").is_empty(), "no request id: {self:?}");
        assert!(
            self.header("content-type").starts_with("application/json"),
            "{self:?}"
        );
        let body = self.json();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&body), ["error"], "{self:?}");
        let error = body["error"].clone();
        let known = |name: &String| ["code", "message", "field"].contains(&name.as_str());
        assert!(names(&error).iter().all(known), "{self:?}");
        assert_eq!(error["code"], code, "{self:?}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{self:?}"
        );
        error
    }
}

/// The errors of an ingest's answer: row, field and code of each.
pub fn row_errors(report: &Value) -> Vec<(u64, &str, &str)> {
    let errors = report["errors"].as_array().unwrap().iter();
    errors
        .map(|error| {
            (
                error["row"].as_u64().unwrap(),
                error["field"].as_str().unwrap(),
                error["code"].as_str().unwrap(),
            )
        })
        .collect()
}
