//! The platform's lookups over PostgreSQL: the same route with the same guard, the same layers
//! around it and the same shape of the answer, and behind it one prepared statement over tables
//! that a plain application would have. [`fill`] copies people out of a platform's store; [`serve`]
//! answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cdp::api::error::ApiError;
use cdp::api::guard::MayRead;
use cdp::api::health;
use cdp::api::rest::token::TokenApi;
use cdp::api::rest::users::UserProfileBody;
use cdp::app::App;
use cdp::config::Config;
use cdp::domain::Timestamp;
use cdp::domain::error::Error;
use cdp::domain::identifier::{Cookie, Email};
use cdp::services::Services;
use cdp::services::sight::Sight;
use cdp::services::view::{IdentifierView, MembershipView, UserProfile};
use futures_util::SinkExt as _;
use poem::listener::TcpAcceptor;
use poem::web::Data;
use poem::{EndpointExt as _, Route, Server, get};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi, OpenApiService};
use tokio_postgres::{Client, NoTls, Row, Statement};

/// Connections to PostgreSQL; each takes the next statement while it waits for the answer to one.
const POOL: usize = 8;

/// People who are copied at once.
const COPIED_AT_ONCE: u32 = 1_000;

const SCHEMA: &str = include_str!("twin.sql");
const KEYS: &str = include_str!("twin_keys.sql");

const BY_COOKIE: &str = "SELECT p.*, ARRAY(SELECT cookie FROM cookie WHERE profile = p.id ORDER BY rank), \
    ARRAY(SELECT email FROM email WHERE profile = p.id ORDER BY rank), \
    ARRAY(SELECT interest FROM interest WHERE profile = p.id ORDER BY rank), \
    ARRAY(SELECT name FROM member JOIN cohort ON slug = cohort WHERE profile = p.id ORDER BY rank) \
    FROM cookie JOIN profile p ON p.id = profile WHERE cookie = $1";

const BY_EMAIL: &str = "SELECT p.*, ARRAY(SELECT cookie FROM cookie WHERE profile = p.id ORDER BY rank), \
    ARRAY(SELECT email FROM email WHERE profile = p.id ORDER BY rank), \
    ARRAY(SELECT interest FROM interest WHERE profile = p.id ORDER BY rank), \
    ARRAY(SELECT name FROM member JOIN cohort ON slug = cohort WHERE profile = p.id ORDER BY rank) \
    FROM email JOIN profile p ON p.id = profile WHERE email = $1";

/// Where the columns that [`BY_COOKIE`] adds begin.
const LISTS: usize = 14;

async fn connect(server: &str) -> Client {
    let connected = tokio_postgres::connect(server, NoTls).await;
    let (client, connection) = connected.unwrap_or_else(|error| panic!("no PostgreSQL: {error}"));
    // Ends when the client is dropped.
    tokio::spawn(connection);
    client
}

/// The processes of a server: those that work for its clients, its own, and the one that starts
/// them all.
pub async fn backends(server: &str) -> Vec<u32> {
    let client = connect(server).await;
    let text = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
        UNION SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int";
    let found = client.query(text, &[]).await;
    let found = found.unwrap_or_else(|error| panic!("PostgreSQL: {error}"));
    let numbers = found.iter().map(|row| row.get::<_, i32>(0));
    numbers.filter_map(|number| u32::try_from(number).ok()).collect()
}

async fn run(client: &Client, sql: &str) {
    // One after another: some of them may not be in a transaction, which several at once are.
    let statements = sql.split(';').filter(|statement| !statement.trim().is_empty());
    for statement in statements {
        let done = client.batch_execute(statement).await;
        done.unwrap_or_else(|error| panic!("PostgreSQL: {error:?}"));
    }
}

/// Copies everybody out of the store of a platform that is not running.
pub async fn fill(config: &Config, server: &str) {
    let app = App::build(config).await;
    let app = app.unwrap_or_else(|error| panic!("no platform: {error}"));
    let client = connect(server).await;
    run(&client, SCHEMA).await;
    let mut cohorts = Rows::default();
    for sized in app.services.cohorts.all() {
        cohorts.row([Some(sized.cohort.slug().as_str()), Some(sized.cohort.name())]);
    }
    cohorts.copy(&client, "cohort").await;
    let mut after = None;
    loop {
        let page = app
            .services
            .lookup
            .users(after.as_deref(), COPIED_AT_ONCE, Sight::FULL)
            .await;
        let page = page.unwrap_or_else(|error| panic!("can't read people: {}", error.message));
        copy(&client, &page.profiles).await;
        after = page.profiles.last().map(|last| last.id.clone());
        if !page.has_more {
            break;
        }
    }
    run(&client, KEYS).await;
}

/// Rows as PostgreSQL's `COPY` reads them.
#[derive(Default)]
struct Rows(String);

impl Rows {
    fn row<'a>(&mut self, fields: impl IntoIterator<Item = Option<&'a str>>) {
        let fields: Vec<String> = fields.into_iter().map(copied).collect();
        self.0.push_str(&fields.join("\t"));
        self.0.push('\n');
    }

    async fn copy(self, client: &Client, table: &str) {
        let copying = async {
            let sink = client
                .copy_in(format!("COPY {table} FROM STDIN").as_str())
                .await?;
            let mut sink = std::pin::pin!(sink);
            sink.send(Cursor::new(self.0.into_bytes())).await?;
            sink.as_mut().finish().await
        };
        copying
            .await
            .unwrap_or_else(|error| panic!("can't copy into {table}: {error:?}"));
    }
}

fn copied(field: Option<&str>) -> String {
    field.map_or_else(
        || "\\N".to_owned(),
        |field| {
            field
                .replace('\\', "\\\\")
                .replace('\t', "\\t")
                .replace('\n', "\\n")
        },
    )
}

async fn copy(client: &Client, people: &[UserProfile]) {
    let mut rows: BTreeMap<&str, Rows> = BTreeMap::new();
    for person in people {
        let id = Some(person.id.as_str());
        let age = person.age.map(|age| age.to_string());
        let texts = [&person.first_name, &person.last_name, &person.phone_number];
        let places = [&person.city, &person.state, &person.country];
        let life = [&person.gender, &person.education, &person.income];
        let fields = [id, Some(person.primary_key.as_str())].into_iter();
        let fields = fields.chain(texts.into_iter().chain(places).map(|text| text.as_deref()));
        let fields = fields
            .chain([age.as_deref()])
            .chain(life.map(|text| text.as_deref()));
        let (created, updated) = (person.created_at.to_rfc3339(), person.updated_at.to_rfc3339());
        let fields = fields.chain([Some(created.as_str()), Some(updated.as_str())]);
        rows.entry("profile").or_default().row(fields);
        for (table, identifiers) in [("cookie", &person.cookies), ("email", &person.emails)] {
            for (identifier, rank) in identifiers.iter().zip(0..) {
                let rank = i32::to_string(&rank);
                let fields = [Some(identifier.value.as_str()), id, Some(rank.as_str())];
                rows.entry(table).or_default().row(fields);
            }
        }
        for (interest, rank) in person.interests.iter().zip(0..) {
            let rank = i32::to_string(&rank);
            rows.entry("interest")
                .or_default()
                .row([id, Some(rank.as_str()), Some(interest.as_str())]);
        }
        for (member, rank) in person.memberships.iter().zip(0..) {
            let (rank, score) = (i32::to_string(&rank), member.score.to_string());
            let fields = [
                id,
                Some(rank.as_str()),
                Some(member.slug.as_str()),
                Some(score.as_str()),
            ];
            rows.entry("member").or_default().row(fields);
        }
    }
    for (table, rows) in rows {
        rows.copy(client, table).await;
    }
}

/// The connections, in turn.
struct Pool {
    connections: Vec<(Client, Statement, Statement)>,
    next: AtomicUsize,
}

impl Pool {
    async fn open(server: &str) -> Self {
        let mut connections = Vec::new();
        for _ in 0..POOL {
            let client = connect(server).await;
            run(&client, "SET search_path = twin").await;
            let prepared = async { Ok((client.prepare(BY_COOKIE).await?, client.prepare(BY_EMAIL).await?)) };
            let prepared: Result<_, tokio_postgres::Error> = prepared.await;
            let (by_cookie, by_email) = prepared.unwrap_or_else(|error| panic!("PostgreSQL: {error:?}"));
            connections.push((client, by_cookie, by_email));
        }
        Self {
            connections,
            next: AtomicUsize::new(0),
        }
    }

    async fn user(&self, cookie: Option<&str>, email: Option<&str>) -> Result<UserProfile, Error> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let (client, by_cookie, by_email) = &self.connections[next];
        let found = match (cookie, email) {
            (Some(cookie), _) => {
                let cookie = parse_cookie(cookie)?;
                client.query_opt(by_cookie, &[&cookie.as_str()]).await
            }
            (None, Some(email)) => {
                let email = parse_email(email)?;
                client.query_opt(by_email, &[&email.as_str()]).await
            }
            (None, None) => return Err(Error::bad_request("cookie", "give a `cookie` or an `email`")),
        };
        let found = found.map_err(|error| Error::internal(error.to_string()))?;
        found
            .map(|row| person(&row))
            .ok_or_else(|| Error::not_found("nobody is known by this"))
    }
}

fn parse_cookie(cookie: &str) -> Result<Cookie, Error> {
    Cookie::parse(cookie).map_err(|error| Error::bad_request("cookie", format!("the cookie {error}")))
}

fn parse_email(email: &str) -> Result<Email, Error> {
    Email::parse(email).map_err(|error| Error::bad_request("email", format!("the email {error}")))
}

fn person(row: &Row) -> UserProfile {
    let texts = |at: usize| -> Vec<String> { row.get(at) };
    let [created_at, updated_at] =
        [12, 13].map(|at| Timestamp::from(row.get::<_, std::time::SystemTime>(at)));
    let identifier = |value: String| IdentifierView {
        value,
        first_seen: created_at,
        last_seen: updated_at,
    };
    let cookies: Vec<_> = texts(LISTS).into_iter().map(identifier).collect();
    let emails: Vec<_> = texts(LISTS + 1).into_iter().map(identifier).collect();
    let member = |cohort| MembershipView {
        cohort,
        slug: String::new(),
        score: 0.0,
        reason: Vec::new(),
        since: updated_at,
    };
    let [city, state, country]: [Option<String>; 3] = [5, 6, 7].map(|at| row.get(at));
    let places: Vec<&str> = [&city, &state, &country]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    UserProfile {
        id: row.get(0),
        primary_key: row.get(1),
        cookie: cookies.first().map(|cookie| cookie.value.clone()),
        email: emails.first().map(|email| email.value.clone()),
        first_name: row.get(2),
        last_name: row.get(3),
        phone_number: row.get(4),
        location: (!places.is_empty()).then(|| places.join(", ")),
        city,
        state,
        country,
        age: row.get(8),
        gender: row.get(9),
        education: row.get(10),
        income: row.get(11),
        interests: texts(LISTS + 2),
        memberships: texts(LISTS + 3).into_iter().map(member).collect(),
        cookie_count: u32::try_from(cookies.len()).unwrap_or_default(),
        cookies,
        emails,
        provenance: Vec::new(),
        first_seen: created_at,
        last_seen: updated_at,
        created_at,
        updated_at,
    }
}

struct TwinApi;

/// A person, found.
#[derive(Object)]
struct TwinBody {
    user_profile: UserProfileBody,
}

#[OpenApi]
impl TwinApi {
    /// The person whom a cookie or an address leads to
    #[oai(path = "/user", method = "get", operation_id = "user")]
    async fn user(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        pool: Data<&Arc<Pool>>,
        cookie: Query<Option<String>>,
        email: Query<Option<String>>,
    ) -> Result<Json<TwinBody>, ApiError> {
        let sight = services.sights.of(caller.0.role);
        let found = pool.user(cookie.0.as_deref(), email.0.as_deref()).await?;
        Ok(Json(TwinBody {
            user_profile: UserProfileBody::of(sight.user(found), &BTreeSet::new()),
        }))
    }
}

/// Answers until the process ends. Accounts and the audit log are the platform's own, over the
/// store of `config`, so that both pay for them alike.
pub async fn serve(config: &Config, server: &str) {
    let app = App::build(config).await;
    let app = app.unwrap_or_else(|error| panic!("no platform: {error}"));
    let pool = Arc::new(Pool::open(server).await);
    let api = OpenApiService::new((TwinApi, TokenApi), "twin", "1");
    let routes = Route::new()
        .nest("/api", api)
        .at("/readyz", get(health::ready))
        .data(pool);
    let routes = cdp::api::dress(routes, Arc::clone(&app.services), &config.api);
    let routes = routes.unwrap_or_else(|error| panic!("no routes: {error}"));
    let listening = std::net::TcpListener::bind("127.0.0.1:0");
    let listening = listening.unwrap_or_else(|error| panic!("can't listen: {error}"));
    let address = listening.local_addr();
    let address = address.unwrap_or_else(|error| panic!("can't listen: {error}"));
    let acceptor = TcpAcceptor::from_std(listening);
    let acceptor = acceptor.unwrap_or_else(|error| panic!("can't listen: {error}"));
    println!("twin at http://{address}");
    let ended = Server::new_with_acceptor(acceptor).run(routes).await;
    ended.unwrap_or_else(|error| panic!("can't serve: {error}"));
}
