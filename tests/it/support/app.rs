//! [`TestApp`]: the real router over a real embedded store and the real model. One method
//! per thing that a user does, all through public routes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cdp::app::App;
use cdp::auth::password::Cost;
use cdp::classify::Classifier;
use cdp::config::{Config, Mode};
use cdp::domain::role::Role;
use poem::Response;
use poem::endpoint::BoxEndpoint;
use poem::http::StatusCode;
use poem::test::{TestClient, TestResponse};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The platform without a socket.
pub struct TestApp {
    client: TestClient<BoxEndpoint<'static, Response>>,
    tokens: [String; 4],
}

/// The platform behind a socket of its own.
pub struct ServedApp {
    /// Where it is, for example `http://127.0.0.1:41234`.
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
}

/// The model takes a second to load, so all tests of the process share one.
static CLASSIFIER: OnceLock<Arc<Classifier>> = OnceLock::new();
static LOADING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The model of the tests: the light one.
pub const MODEL: &str = "minilm";

/// Settings of a demo over a store in memory, with passwords that are cheap to check.
pub fn config() -> Config {
    let mut config = Config::load(None).unwrap();
    config.mode = Mode::Demo;
    "mem://".clone_into(&mut config.store.url);
    config.auth.password_cost = Cost::LEAST;
    "127.0.0.1:0".clone_into(&mut config.api.listen);
    config.api.shutdown_grace_s = 1;
    MODEL.clone_into(&mut config.classify.model);
    config
}

/// The platform, with the model that all tests share.
pub async fn build(config: &Config) -> App {
    let _one_at_a_time = LOADING.lock().await;
    let app = App::build_with(config, CLASSIFIER.get().cloned()).await.unwrap();
    CLASSIFIER.get_or_init(|| Arc::clone(&app.classifier));
    app
}

impl TestApp {
    /// Starts the platform over a store in memory.
    pub async fn start() -> Self {
        Self::with(&config()).await
    }

    /// Starts the platform with a classifier of its own, for a test that teaches it something.
    pub async fn alone() -> Self {
        Self::of(App::build_with(&config(), None).await.unwrap()).await
    }

    /// Starts the platform with settings of the test's own.
    pub async fn with(config: &Config) -> Self {
        Self::of(build(config).await).await
    }

    /// The tests' side of a platform that was put together already.
    pub async fn of(app: App) -> Self {
        let client = TestClient::new(app.into_routes());
        let mut tokens = Vec::new();
        for role in Role::ALL {
            tokens.push(log_in(&client, role).await);
        }
        Self {
            client,
            tokens: tokens.try_into().unwrap(),
        }
    }

    /// Starts the platform behind a socket.
    pub async fn serve() -> ServedApp {
        Self::serve_with(config()).await
    }

    /// The same with settings of the test's own.
    pub async fn serve_with(config: Config) -> ServedApp {
        Self::serve_app(build(&config).await, config.api.listen).await
    }

    /// Behind a socket, with a classifier of its own: nobody else teaches it, or fills its queue.
    pub async fn serve_alone() -> ServedApp {
        let config = config();
        let app = App::build_with(&config, None).await.unwrap();
        Self::serve_app(app, config.api.listen).await
    }

    async fn serve_app(app: App, listen: String) -> ServedApp {
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = oneshot::channel();
        tokio::spawn(async move {
            let report = move |address| bound.send(address).unwrap();
            let stop = async { drop(stopped.await) };
            app.serve(&listen, report, stop).await.unwrap();
        });
        let address = tokio::time::timeout(Duration::from_secs(30), address)
            .await
            .unwrap()
            .unwrap();
        ServedApp {
            url: format!("http://{address}"),
            stop: Some(stop),
        }
    }

    /// The client, for requests that no method here makes.
    pub fn client(&self) -> &TestClient<BoxEndpoint<'static, Response>> {
        &self.client
    }

    /// A token of the test user of a role.
    pub fn token(&self, role: Role) -> String {
        let at = Role::ALL.iter().position(|known| *known == role).unwrap();
        self.tokens[at].clone()
    }

    /// A GET as a role.
    pub async fn get_as(&self, role: Role, path: &str) -> TestResponse {
        self.client
            .get(path)
            .header("authorization", format!("Bearer {}", self.token(role)))
            .send()
            .await
    }

    /// A GET as admin that must succeed.
    #[track_caller]
    pub fn get(&self, path: &str) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let response = self.get_as(Role::Admin, path).await;
            let status = response.0.status();
            let body = response.0.into_body().into_string().await.unwrap();
            assert_eq!(status, StatusCode::OK, "GET {path} from {caller}: {body}");
            serde_json::from_str(&body).unwrap()
        }
    }

    /// Sends a payload as the role `ingest`; the status and the body.
    pub async fn send(&self, media_type: &str, body: impl Into<poem::Body>) -> (StatusCode, Value) {
        let response = self
            .client
            .post("/api/ingest")
            .header("authorization", format!("Bearer {}", self.token(Role::Ingest)))
            .content_type(media_type)
            .body(body)
            .send()
            .await;
        let status = response.0.status();
        let body = response.0.into_body().into_string().await.unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Sends records that must all be stored.
    #[track_caller]
    pub fn ingest(&self, records: Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let (status, report) = self.send("application/json", records.to_string()).await;
            assert_eq!(
                (status, &report["status"]),
                (StatusCode::OK, &json!("success")),
                "{caller}: {report}"
            );
            report
        }
    }

    /// The profile that a cookie leads to.
    #[track_caller]
    pub fn user_by_cookie(&self, cookie: &str) -> impl Future<Output = Value> {
        let path = format!("/api/user?cookie={cookie}&include=identities,scores,provenance");
        async move { self.get(&path).await["user_profile"].clone() }
    }

    /// The profile that an address leads to.
    #[track_caller]
    pub fn user_by_email(&self, email: &str) -> impl Future<Output = Value> {
        let path = format!("/api/user?email={email}&include=identities,scores,provenance");
        async move { self.get(&path).await["user_profile"].clone() }
    }
}

async fn log_in(client: &TestClient<BoxEndpoint<'static, Response>>, role: Role) -> String {
    let credentials = json!({ "username": role.name(), "password": format!("demo-{role}") });
    let response = client
        .post("/api/auth/token")
        .body_json(&credentials)
        .send()
        .await;
    response.assert_status_is_ok();
    let body = response.0.into_body().into_string().await.unwrap();
    serde_json::from_str::<Value>(&body).unwrap()["access_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

impl Drop for ServedApp {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}
