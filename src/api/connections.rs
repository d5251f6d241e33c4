//! Connections: how many there are at once, how long one may be of no use, and how they come to their
//! end when the server stops.
//!
//! The framework's own server bounds neither: whoever connects and says nothing would hold a place for
//! ever, and where the process has no file left for the next one it would turn in a circle.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use poem::endpoint::BoxEndpoint;
use poem::http;
use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint as _, Request, Response};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::load::Told;

/// Files that are not connections: the store's, the index's, what is sent to others, and
/// sockets of subscriptions, which have bounds of their own. Where the process may open few, half of them.
const OTHER_FILES: u64 = 1024;

/// How long to wait where the system gives no further connection, as when there is no file for it, and
/// where each place is taken by somebody who waits for an answer.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a connection that shall end has for what is half begun.
const CLOSING: Duration = Duration::from_secs(1);

/// Requests at once over one connection of HTTP/2, and the longest head of one, in bytes.
const STREAMS_MAX: u32 = 1_000;
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// Requests over HTTP/2 that were taken back before they were looked at; a client that has more is sent
/// away (CVE-2023-44487).
const RESET_STREAMS_MAX: usize = 20;

/// How long a connection may be of no use: over which no request is under way.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From its beginning to the end of its first request's head, encryption included.
    pub first_request: Duration,
    /// From an answer to the end of the next request's head. Longer than load balancers keep theirs
    /// (Google's: 600 seconds), since the side that asks should be the one that closes.
    pub next_request: Duration,
    /// After which it goes where all places are taken, if it is the one that was of no use the longest.
    pub at_least: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(30),
            next_request: Duration::from_secs(620),
            at_least: Duration::from_secs(1),
        }
    }
}

/// How many connections there may be at once: as many as the setting says (0: any number), and no more
/// than the process may open files for.
#[must_use]
pub fn places(connections_max: usize) -> usize {
    let places = within(connections_max, getrlimit(Resource::Nofile).current);
    if places < connections_max {
        tracing::warn!(
            connections_max,
            places,
            "the process may open too few files (ulimit -n) for as many connections"
        );
    }
    places
}

fn within(connections_max: usize, files: Option<u64>) -> usize {
    let wanted = Some(connections_max).filter(|most| *most > 0);
    let of_files = files.and_then(|files| usize::try_from(files - OTHER_FILES.min(files / 2)).ok());
    wanted
        .unwrap_or(usize::MAX)
        .min(of_files.unwrap_or(usize::MAX))
        .max(1)
}

/// Serves what connects until it is told to stop; then takes no further connection, lets requests that
/// are under way end, for so long, and cuts the rest.
pub async fn serve<A: Acceptor>(
    mut acceptor: A,
    routes: BoxEndpoint<'static, Response>,
    places: usize,
    patience: Patience,
    stop: impl Future<Output = ()>,
    grace: Duration,
) {
    metrics::gauge!("cdp_http_connections_max").set(places as f64);
    let routes = Arc::new(routes);
    let (stopping, stopped) = watch::channel(false);
    let mut open = Open::default();
    let told = Told::default();
    let mut stop = pin!(stop);
    loop {
        metrics::gauge!("cdp_http_connections").set(open.tasks.len() as f64);
        let is_full = open.tasks.len() >= places;
        if is_full {
            told.now_and_then(|| tracing::warn!(places, "all connections that may be open are"));
            open.let_one_go(patience.at_least);
        }
        tokio::select! {
            () = &mut stop => break,
            true = open.one_ended() => {}
            () = sleep(PAUSE), if is_full => {}
            accepted = acceptor.accept(), if !is_full => match accepted {
                Ok((io, local, remote, scheme)) => {
                    let (ends, usage) = (Ends { local, remote, scheme }, Arc::new(Usage::new()));
                    let routes = Arc::clone(&routes);
                    let serving = serve_one(io, ends, routes, Arc::clone(&usage), patience, stopped.clone());
                    let id = open.tasks.spawn(serving).id();
                    open.usages.insert(id, usage);
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    told.now_and_then(|| tracing::warn!(%error, "the system gives no further connection"));
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(acceptor);
    stopping.send_replace(true);
    let ending = async { while open.one_ended().await {} };
    if timeout(grace, ending).await.is_err() {
        let connections = open.tasks.len();
        tracing::warn!(connections, "requests under way take too long and are cut");
        open.tasks.shutdown().await;
    }
}

/// The connections that are open.
#[derive(Default)]
struct Open {
    tasks: JoinSet<()>,
    /// What those are used for that may stay.
    usages: HashMap<Id, Arc<Usage>>,
}

impl Open {
    /// Waits until one ended; false where there is none.
    async fn one_ended(&mut self) -> bool {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return false;
        };
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => JoinError::id(error),
        };
        self.usages.remove(&id);
        if let Err(error) = ended {
            tracing::error!(%error, "a connection ended by a panic");
        }
        true
    }

    /// Tells the connection that was of no use the longest to make room, if there is any.
    fn let_one_go(&mut self, at_least: Duration) {
        let usages = self.usages.iter();
        let idle = usages.filter_map(|(id, usage)| Some((usage.idle()?, *id)));
        let longest = idle
            .filter(|(idle, _)| *idle >= at_least)
            .max_by_key(|(idle, _)| *idle);
        // Whoever was told is not told again.
        if let Some(usage) = longest.and_then(|(_, id)| self.usages.remove(&id)) {
            usage.go.notify_one();
        }
    }
}

/// What a connection is used for.
struct Usage {
    began: Instant,
    /// Requests whose answers have not gone out to their ends.
    under_way: AtomicUsize,
    was_asked: AtomicBool,
    /// When the last one had, in milliseconds since the beginning.
    idle_since_ms: AtomicU64,
    /// Told when it shall make room.
    go: Notify,
}

impl Usage {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            under_way: AtomicUsize::new(0),
            was_asked: AtomicBool::new(false),
            idle_since_ms: AtomicU64::new(0),
            go: Notify::new(),
        }
    }

    fn ask(self: &Arc<Self>) -> UnderWay {
        self.was_asked.store(true, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed)
    }

    /// How long no request has been under way; none while one is.
    fn idle(&self) -> Option<Duration> {
        if self.under_way.load(Ordering::Acquire) > 0 {
            return None;
        }
        let since = Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed));
        Some(self.began.elapsed().saturating_sub(since))
    }

    /// Waits until nothing was asked for as long as one may wait for it.
    async fn is_over(&self, patience: Patience) {
        loop {
            let most = if self.was_asked() {
                patience.next_request
            } else {
                patience.first_request
            };
            let left = most.saturating_sub(self.idle().unwrap_or_default());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }
}

/// A request that is under way, until this is dropped.
struct UnderWay(Arc<Usage>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.idle_since_ms.store(now, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Release);
    }
}

/// The body of an answer, which is under way until its end.
struct Answer<B> {
    body: B,
    _under_way: UnderWay,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Both ends of a connection.
#[derive(Clone)]
struct Ends {
    local: LocalAddr,
    remote: RemoteAddr,
    scheme: Scheme,
}

async fn serve_one<Io: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    io: Io,
    ends: Ends,
    routes: Arc<BoxEndpoint<'static, Response>>,
    usage: Arc<Usage>,
    patience: Patience,
    mut stopped: watch::Receiver<bool>,
) {
    let of_requests = Arc::clone(&usage);
    let service = service_fn(move |request| {
        let under_way = of_requests.ask();
        let Ends {
            local,
            remote,
            scheme,
        } = ends.clone();
        let request = Request::from((request, local, remote, scheme));
        let routes = Arc::clone(&routes);
        async move {
            let answer: http::Response<_> = routes.get_response(request).await.into();
            Ok::<_, Infallible>(answer.map(|body| Answer {
                body,
                _under_way: under_way,
            }))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));

    tokio::select! {
        // First, so that whoever has asked is not given up.
        biased;
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = usage.is_over(patience) => {}
        () = usage.go.notified() => {}
    }
    if !usage.was_asked() && !*stopped.borrow() {
        metrics::counter!("cdp_http_silent_total").increment(1);
        return;
    }
    connection.as_mut().graceful_shutdown();
    // What was asked meanwhile is answered; what is half asked is not waited for.
    while timeout(CLOSING, connection.as_mut()).await.is_err() {
        if usage.idle() >= Some(CLOSING) {
            return;
        }
    }
}

/// Whether an error is of the one connection that was to come, and the next may come at once.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use poem::Addr;
    use poem::endpoint::make;
    use poem::{EndpointExt as _, IntoResponse as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::{Semaphore, mpsc, oneshot};
    use tokio::task::JoinHandle;

    use super::*;

    /// What hangs must not hang the tests.
    const LONGEST: Duration = Duration::from_mins(1);

    /// How long an answer of `/slow` takes, and each of the two pieces of `/pieces`: longer than a
    /// connection may be of no use.
    const SLOW: Duration = Duration::from_millis(300);

    const SHORT: Duration = Duration::from_millis(100);

    const PATIENT: Patience = Patience {
        first_request: LONGEST,
        next_request: LONGEST,
        at_least: LONGEST,
    };

    /// For the next request alone.
    const HURRIED: Patience = Patience {
        next_request: SHORT,
        ..PATIENT
    };

    /// Connections that come out of a channel, and the errors of those that could not be had.
    struct Coming(mpsc::UnboundedReceiver<io::Result<DuplexStream>>);

    impl Acceptor for Coming {
        type Io = DuplexStream;

        fn local_addr(&self) -> Vec<LocalAddr> {
            Vec::new()
        }

        async fn accept(&mut self) -> io::Result<(DuplexStream, LocalAddr, RemoteAddr, Scheme)> {
            let nowhere = Addr::custom("test", "");
            match self.0.recv().await {
                Some(came) => Ok((
                    came?,
                    LocalAddr(nowhere.clone()),
                    RemoteAddr(nowhere),
                    Scheme::HTTP,
                )),
                None => std::future::pending().await,
            }
        }
    }

    struct Serving {
        connecting: mpsc::UnboundedSender<io::Result<DuplexStream>>,
        /// One for each request of `/never`.
        begun: Arc<Semaphore>,
        stop: oneshot::Sender<()>,
        ended: JoinHandle<()>,
    }

    impl Serving {
        fn start(places: usize, patience: Patience, grace: Duration) -> Self {
            let begun = Arc::new(Semaphore::new(0));
            let beginning = Arc::clone(&begun);
            let routes = make(move |request: Request| {
                let begun = Arc::clone(&beginning);
                async move {
                    match request.uri().path() {
                        "/slow" => sleep(SLOW).await,
                        "/never" => {
                            begun.add_permits(1);
                            std::future::pending::<()>().await;
                        }
                        "/pieces" => return Response::from(poem::Body::from_bytes_stream(pieces())),
                        _ => {}
                    }
                    "here".into_response()
                }
            });
            let (stop, stopped) = oneshot::channel();
            let stopped = async {
                let _ = stopped.await;
            };
            let (connecting, coming) = mpsc::unbounded_channel();
            let serving = serve(Coming(coming), routes.boxed(), places, patience, stopped, grace);
            Self {
                connecting,
                begun,
                stop,
                ended: tokio::spawn(serving),
            }
        }

        /// Connects, with something sent already.
        async fn connect(&self, sent: &str) -> DuplexStream {
            let (mut client, server) = duplex(64 * 1024);
            client.write_all(sent.as_bytes()).await.unwrap();
            self.connecting.send(Ok(server)).unwrap();
            client
        }

        /// Connects, and asks for what is never answered; returns once that is under way.
        async fn connect_for_ever(&self) -> DuplexStream {
            let client = self.connect(&ask("/never")).await;
            let begun = timeout(LONGEST, self.begun.acquire()).await;
            begun.unwrap().unwrap().forget();
            client
        }

        async fn stop(self) {
            self.stop.send(()).unwrap();
            timeout(LONGEST, self.ended).await.unwrap().unwrap();
        }
    }

    fn pieces() -> impl futures_util::Stream<Item = io::Result<&'static str>> + Send + 'static {
        futures_util::stream::iter(["he", "re"]).then(async |piece| {
            sleep(SLOW).await;
            Ok(piece)
        })
    }

    fn ask(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n")
    }

    /// Waits for an answer to its end.
    async fn answer(connection: &mut DuplexStream) -> String {
        let mut came = String::new();
        while !came.ends_with("here") && !came.ends_with("\r\n0\r\n\r\n") {
            let mut some = [0; 1024];
            let read = timeout(LONGEST, connection.read(&mut some)).await;
            let read = read.unwrap().unwrap();
            assert_ne!(read, 0, "{came}");
            came.push_str(std::str::from_utf8(&some[..read]).unwrap());
        }
        came
    }

    /// Waits until the other side closes; what comes until then.
    async fn rest(connection: &mut DuplexStream) -> String {
        let mut came = String::new();
        let closed = timeout(LONGEST, connection.read_to_string(&mut came)).await;
        closed.expect("the other side closes").unwrap();
        came
    }

    #[tokio::test]
    async fn who_asks_nothing_is_given_up_however_it_begins() {
        let first = Patience {
            first_request: SHORT,
            ..PATIENT
        };
        let serving = Serving::start(16, first, LONGEST);
        for begun in ["", "G", "PRI * HT", "GET / HTTP/1.1\r\nhost: he"] {
            assert_eq!(rest(&mut serving.connect(begun).await).await, "", "{begun}");
        }
        serving.stop().await;

        let serving = Serving::start(16, HURRIED, LONGEST);
        for begun in ["", "GET / HT"] {
            let mut once = serving.connect(&(ask("/") + begun)).await;
            assert!(answer(&mut once).await.starts_with("HTTP/1.1 200"));
            assert_eq!(rest(&mut once).await, "", "{begun}");
        }
        serving.stop().await;
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_or_for_its_end_is_not_given_up() {
        let serving = Serving::start(16, HURRIED, LONGEST);
        for path in ["/slow", "/pieces"] {
            let mut patient = serving.connect(&ask(path)).await;
            assert!(answer(&mut patient).await.starts_with("HTTP/1.1 200"), "{path}");
        }
        serving.stop().await;
    }

    #[tokio::test]
    async fn where_all_places_are_taken_who_was_of_no_use_the_longest_makes_room() {
        let patience = Patience {
            at_least: SHORT,
            ..PATIENT
        };
        let serving = Serving::start(3, patience, LONGEST);
        let waiting = serving.connect_for_ever().await;
        let mut first = serving.connect(&ask("/")).await;
        answer(&mut first).await;
        sleep(SHORT / 10).await;
        let mut second = serving.connect(&ask("/")).await;
        answer(&mut second).await;
        assert_eq!(rest(&mut first).await, "");
        let third = serving.connect_for_ever().await;
        assert_eq!(rest(&mut second).await, "");
        // Nobody who waits for an answer makes room: the next one waits for who leaves.
        let fourth = serving.connect_for_ever().await;
        let mut fifth = serving.connect(&ask("/")).await;
        assert!(timeout(SLOW, fifth.read_u8()).await.is_err());
        drop(waiting);
        assert!(answer(&mut fifth).await.starts_with("HTTP/1.1 200"));
        drop((third, fourth));
        serving.stop().await;
    }

    #[tokio::test]
    async fn what_is_under_way_ends_and_what_idles_is_closed() {
        let serving = Serving::start(16, PATIENT, LONGEST);
        let mut idle = serving.connect(&ask("/")).await;
        answer(&mut idle).await;
        let mut half = serving.connect("GET / HT").await;
        let mut asking = serving.connect(&ask("/slow")).await;
        // Taken in their order: once this one is under way, so are those.
        let gone = serving.connect_for_ever().await;
        drop(gone);
        serving.stop().await;
        assert!(answer(&mut asking).await.starts_with("HTTP/1.1 200"));
        assert_eq!(rest(&mut asking).await, "");
        assert_eq!(rest(&mut idle).await, "");
        assert_eq!(rest(&mut half).await, "");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_cut() {
        let serving = Serving::start(16, PATIENT, SHORT);
        let mut waiting = serving.connect_for_ever().await;
        serving.stop().await;
        assert_eq!(rest(&mut waiting).await, "");
    }

    #[tokio::test]
    async fn where_there_is_no_file_for_the_next_it_is_tried_again_after_a_pause() {
        let serving = Serving::start(16, PATIENT, LONGEST);
        let began = Instant::now();
        for _ in 0..2 {
            let without_file = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
            serving.connecting.send(Err(without_file)).unwrap();
        }
        let mut next = serving.connect(&ask("/")).await;
        assert!(answer(&mut next).await.starts_with("HTTP/1.1 200"));
        assert!(began.elapsed() >= 2 * PAUSE);
        serving.stop().await;
    }

    #[test]
    fn there_are_no_more_places_than_files() {
        assert_eq!(within(1000, Some(20_000)), 1000);
        assert_eq!(within(0, Some(20_000)), 18_976);
        assert_eq!(within(4096, Some(1024)), 512);
        assert_eq!(within(0, None), usize::MAX);
        assert_eq!(within(0, Some(0)), 1);
    }
}
