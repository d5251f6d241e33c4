//! The connection to a SurrealDB server, which may go away and come back.
//!
//! The SDK's client connects again by itself, and lets whoever asks wait until then, however long that
//! takes. What was asked meanwhile it sends once the server is back, also where nobody waits for it any
//! more; and a session that could not be set up again it gives up for good. So the server is looked at
//! here. Where it neither answers nor lets anybody in, the client is dropped, and what it would still
//! send with it; whoever waits, and whoever asks, is told so at once, until there is a new one.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use surrealdb::engine::any::{self, Any};
use surrealdb::opt::auth::Root;
use surrealdb::types::{ConnectionError, QueryError, Variables};
use surrealdb::{IndexedResults, Surreal};
use tokio::sync::watch;
use tokio::time::timeout;

use super::connect::{DATABASE, NAMESPACE, Settings};
use super::transaction::{PAUSES, PING_MAX, is_conflict};

/// How long the server may take for an answer. What was asked may still be done.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The oldest version that knows all that it is asked: `SELECT … FOR UPDATE`.
const NEEDED: (u64, u64) = (3, 3);

/// Shared, since a clone of the SDK's client would open a session of its own.
type Client = Arc<Surreal<Any>>;

/// A SurrealDB server.
pub(super) struct Remote {
    /// None while the server is out of reach.
    client: watch::Receiver<Option<Client>>,
}

impl Remote {
    /// Connects, and keeps connected until this is dropped.
    pub(super) async fn open(settings: &Settings) -> Result<Self, surrealdb::Error> {
        let (sender, client) = watch::channel(Some(log_in(settings).await?));
        tokio::spawn(keep(sender, settings.clone()));
        Ok(Self { client })
    }

    pub(super) async fn query(
        &self,
        text: &str,
        variables: Variables,
    ) -> Result<IndexedResults, surrealdb::Error> {
        let mut held = self.client.clone();
        let client = held.borrow_and_update().clone();
        let Some(client) = client else {
            return Err(no_answer());
        };
        let answer = client.query(text).bind(variables).into_future();
        tokio::select! {
            answer = timeout(ANSWER_MAX, answer) => answer.unwrap_or_else(|_| Err(late())),
            () = left(&mut held) => Err(no_answer()),
        }
    }
}

/// Until the client that is held is given up. One that was only slow may answer yet, for as long as a
/// look takes; whoever waits for one whose server is gone would wait for the longest answer.
async fn left(held: &mut watch::Receiver<Option<Client>>) {
    match held.changed().await {
        Ok(()) if held.borrow().is_some() => tokio::time::sleep(PING_MAX).await,
        Ok(()) => {}
        Err(_) => std::future::pending().await,
    }
}

/// What is said when an answer takes too long of a server that is there.
fn late() -> surrealdb::Error {
    let late = QueryError::TimedOut { duration: ANSWER_MAX };
    surrealdb::Error::query("the store's server takes too long".to_owned(), late)
}

/// What is said when the server is out of reach.
pub(super) fn no_answer() -> surrealdb::Error {
    surrealdb::Error::connection(
        "the store's server does not answer".to_owned(),
        ConnectionError::ConnectionFailed,
    )
}

/// Looks at the server until nobody asks it any more. A client to which it does not answer is left for
/// a new one: the old one may wait for a server that went without a word, or have lost its session.
async fn keep(client: watch::Sender<Option<Client>>, settings: Settings) {
    let client = Arc::new(client);
    while timeout(LOOK_EVERY, client.closed()).await.is_err() {
        // In a task of its own, so that one that panics is followed by the next.
        let looking = tokio::spawn(look(Arc::clone(&client), settings.clone()));
        if let Err(error) = looking.await {
            tracing::error!(%error, "the store's server could not be looked at");
        }
    }
}

async fn look(client: Arc<watch::Sender<Option<Client>>>, settings: Settings) {
    let held = client.borrow().clone();
    if let Some(held) = &held
        && answers(held).await
    {
        return;
    }
    let anew = timeout(PING_MAX, log_in(&settings)).await;
    let anew = anew.unwrap_or_else(|_| Err(no_answer()));
    match &anew {
        Ok(_) => tracing::warn!("the store's server did not answer; it is connected anew"),
        Err(error) if held.is_some() => tracing::error!(%error, "the store's server is out of reach"),
        Err(_) => {}
    }
    client.send_replace(anew.ok());
}

async fn answers(client: &Client) -> bool {
    let answer = timeout(PING_MAX, client.query("RETURN NONE").into_future()).await;
    answer.is_ok_and(|answer| answer.and_then(IndexedResults::check).is_ok())
}

async fn log_in(settings: &Settings) -> Result<Client, surrealdb::Error> {
    let client = any::connect(&settings.url).await?;
    if let (Some(username), Some(password)) = (&settings.username, &settings.password) {
        let password = password.expose_secret().to_owned();
        client
            .signin(Root {
                username: username.clone(),
                password,
            })
            .await?;
    }
    let version = client.version().await?;
    if (version.major, version.minor) < NEEDED {
        let (major, minor) = NEEDED;
        let message =
            format!("the store's server is SurrealDB {version}, and {major}.{minor} or later is needed");
        return Err(surrealdb::Error::internal(message));
    }
    use_database(&client).await?;
    Ok(Arc::new(client))
}

/// The first to use the namespace and the database makes them; several may want to be that.
async fn use_database(client: &Surreal<Any>) -> Result<(), surrealdb::Error> {
    for pause in PAUSES {
        match client.use_ns(NAMESPACE).use_db(DATABASE).await {
            Err(error) if is_conflict(&error) => tokio::time::sleep(pause).await,
            done => return done.map(drop),
        }
    }
    client.use_ns(NAMESPACE).use_db(DATABASE).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than two looks take.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// An engine in the process stands for a server: it is asked through the same client.
    const THERE: &str = "mem://";

    /// Where nobody listens.
    const NOWHERE: &str = "ws://127.0.0.1:1";

    fn at(url: &str) -> Settings {
        Settings {
            url: url.to_owned(),
            ..Settings::default()
        }
    }

    /// A client that answers nobody, and what keeps it, with a server at `url`.
    fn broken(url: &str) -> (Remote, tokio::task::JoinHandle<()>) {
        let (sender, client) = watch::channel(Some(Arc::new(Surreal::init())));
        (Remote { client }, tokio::spawn(keep(sender, at(url))))
    }

    async fn is_out_of_reach(remote: &Remote, text: &str) -> bool {
        let answer = remote.query(text, Variables::new()).await;
        answer.err().is_some_and(|error| error.is_connection())
    }

    #[tokio::test]
    async fn whoever_waits_for_a_server_that_goes_is_told_and_whoever_asks_then() {
        let (sender, client) = watch::channel(Some(log_in(&at(THERE)).await.unwrap()));
        let remote = Remote { client };
        let going = async {
            sender.send_replace(None);
        };
        let asked = async { tokio::join!(is_out_of_reach(&remote, "SLEEP 1h"), going).0 };
        assert!(timeout(PATIENCE, asked).await.unwrap());
        assert!(is_out_of_reach(&remote, "RETURN 1").await);
    }

    #[tokio::test]
    async fn whoever_waits_for_a_client_that_was_left_for_another_is_told() {
        let (sender, client) = watch::channel(Some(log_in(&at(THERE)).await.unwrap()));
        let remote = Remote { client };
        let another = log_in(&at(THERE)).await.unwrap();
        let going = async {
            sender.send_replace(Some(another));
        };
        let asked = async { tokio::join!(is_out_of_reach(&remote, "SLEEP 1h"), going).0 };
        assert!(timeout(PATIENCE, asked).await.unwrap());
        assert!(!is_out_of_reach(&remote, "RETURN 1").await);
    }

    #[tokio::test]
    async fn a_client_to_which_nobody_answers_is_left_for_a_new_one() {
        let (remote, keeping) = broken(THERE);
        let answered = async {
            while remote.query("RETURN 1", Variables::new()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, answered).await.unwrap();
        drop(remote);
        timeout(PATIENCE, keeping).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn where_nobody_listens_there_is_no_client() {
        let (mut remote, _keeping) = broken(NOWHERE);
        let gone = timeout(PATIENCE, remote.client.wait_for(Option::is_none)).await;
        assert!(gone.unwrap().is_ok());
        assert!(is_out_of_reach(&remote, "RETURN 1").await);
    }
}
