//! The one thread on which the model works. Requests that wait while it is busy are
//! answered together in its next batch; what several of them ask is asked once.
//!
//! It knows nothing of models: it turns requests into batches, and answers into replies.

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tracing::Span;

/// A batch takes no further request once it has this many questions; larger requests
/// are cut, so that a small one never waits for a large one to end.
pub const BATCH_QUESTIONS_MAX: usize = 256;

/// Requests that may wait for the thread.
const WAITING_REQUESTS_MAX: usize = 64;

/// What who asks does when so many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Waits for a place: whoever asks so holds back what comes behind.
    Wait,
    /// Gives up at once, and says when to come again.
    GiveUp,
}

/// A batch was not answered.
#[derive(Debug, thiserror::Error)]
pub enum BatchError<E: std::error::Error + 'static> {
    /// The work failed, for all whose questions were in the batch.
    #[error("the batch failed")]
    Failed(#[source] Arc<E>),
    /// Too many wait already, and this one would not.
    #[error("too many requests wait for the thread that works on batches")]
    Busy,
    /// The thread is gone, or gave the batch up in a panic.
    #[error("the thread that works on batches gave no answer")]
    Unanswered,
}

impl<E: std::error::Error + 'static> BatchError<E> {
    /// What it is counted as.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Busy => "busy",
            Self::Unanswered => "unanswered",
        }
    }
}

type Reply<A, E> = oneshot::Sender<Result<Vec<A>, Arc<E>>>;

struct Request<Q, A, E> {
    questions: Vec<Q>,
    reply: Reply<A, E>,
    /// Of whoever asks.
    span: Span,
}

/// The way to the thread. Dropped, it ends the thread after its current batch.
pub struct Batcher<Q, A, E> {
    requests: Option<mpsc::Sender<Request<Q, A, E>>>,
    thread: Option<JoinHandle<()>>,
}

impl<Q, A, E> Batcher<Q, A, E>
where
    Q: Clone + Eq + Hash + Send + 'static,
    A: Clone + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    /// Starts the thread. `work` answers distinct questions in their order.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        name: &str,
        work: impl FnMut(&[Q]) -> Result<Vec<A>, E> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (requests, waiting) = mpsc::channel(WAITING_REQUESTS_MAX);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work_through(waiting, work))?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// One answer for each question, in their order.
    ///
    /// # Errors
    /// When the work failed, the thread is gone, or too many wait and this one would not.
    pub async fn ask(&self, questions: &[Q], patience: Patience) -> Result<Vec<A>, BatchError<E>> {
        let mut answers = Vec::with_capacity(questions.len());
        for part in questions.chunks(BATCH_QUESTIONS_MAX) {
            // Who got a part of an answer waits for the rest, rather than waste it.
            let patience = if answers.is_empty() {
                patience
            } else {
                Patience::Wait
            };
            answers.extend(self.ask_part(part.to_vec(), patience).await?);
        }
        Ok(answers)
    }

    /// How many requests wait for the thread.
    pub fn waiting(&self) -> usize {
        self.requests
            .as_ref()
            .map_or(0, |requests| requests.max_capacity() - requests.capacity())
    }

    async fn ask_part(&self, questions: Vec<Q>, patience: Patience) -> Result<Vec<A>, BatchError<E>> {
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(BatchError::Unanswered)?;
        let place = match patience {
            Patience::Wait => requests.reserve().await.map_err(|_| BatchError::Unanswered)?,
            Patience::GiveUp => requests.try_reserve().map_err(|error| match error {
                mpsc::error::TrySendError::Full(()) => BatchError::Busy,
                mpsc::error::TrySendError::Closed(()) => BatchError::Unanswered,
            })?,
        };
        place.send(Request {
            questions,
            reply,
            span: Span::current(),
        });
        let answer = answer.await.map_err(|_| BatchError::Unanswered)?;
        answer.map_err(BatchError::Failed)
    }
}

impl<Q, A, E> Drop for Batcher<Q, A, E> {
    fn drop(&mut self) {
        // The thread ends when nobody can send any more.
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // A panic was told by the panic hook already.
            let _ = thread.join();
        }
    }
}

/// The thread's life: takes what waits, works, replies, until nobody can ask.
fn work_through<Q, A, E>(
    mut waiting: mpsc::Receiver<Request<Q, A, E>>,
    mut work: impl FnMut(&[Q]) -> Result<Vec<A>, E>,
) where
    Q: Clone + Eq + Hash,
    A: Clone,
{
    while let Some(first) = waiting.blocking_recv() {
        let batch = coalesce(first, &mut waiting);
        // A text that makes the model panic fails its batch, and not the next one.
        let _ = catch_unwind(AssertUnwindSafe(|| answer(batch, &mut work)));
    }
}

/// The first request and those that wait behind it, as many as a batch takes.
fn coalesce<Q, A, E>(
    first: Request<Q, A, E>,
    waiting: &mut mpsc::Receiver<Request<Q, A, E>>,
) -> Vec<Request<Q, A, E>> {
    let mut questions = first.questions.len();
    let mut batch = vec![first];
    while questions < BATCH_QUESTIONS_MAX
        && let Ok(next) = waiting.try_recv()
    {
        questions += next.questions.len();
        batch.push(next);
    }
    // Who went away in the meantime needs no answer.
    batch.retain(|request| !request.reply.is_closed());
    batch
}

/// The span of a batch: a part of what the first of those who ask do, and linked to the others.
fn span_of<Q, A, E>(batch: &[Request<Q, A, E>], questions: usize) -> Span {
    let parent = batch.first().and_then(|first| first.span.id());
    let span = tracing::debug_span!(parent: parent, "model", questions);
    for other in batch.iter().skip(1) {
        span.follows_from(&other.span);
    }
    span
}

fn answer<Q, A, E>(batch: Vec<Request<Q, A, E>>, work: &mut impl FnMut(&[Q]) -> Result<Vec<A>, E>)
where
    Q: Clone + Eq + Hash,
    A: Clone,
{
    let mut places = HashMap::new();
    let mut distinct = Vec::new();
    for question in batch.iter().flat_map(|request| &request.questions) {
        places.entry(question.clone()).or_insert_with(|| {
            distinct.push(question.clone());
            distinct.len() - 1
        });
    }
    if distinct.is_empty() {
        return;
    }
    match span_of(&batch, distinct.len()).in_scope(|| work(&distinct)) {
        Ok(answers) => {
            for Request { questions, reply, .. } in batch {
                let own = questions.iter().map(|question| answers[places[question]].clone());
                let _ = reply.send(Ok(own.collect()));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for request in batch {
                let _ = request.reply.send(Err(Arc::clone(&error)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    #[derive(Debug, thiserror::Error, PartialEq)]
    #[error("{0} is odd")]
    struct Odd(u32);

    fn halve(numbers: &[u32]) -> Result<Vec<u32>, Odd> {
        let half = |number: &u32| {
            if number.is_multiple_of(2) {
                Ok(number / 2)
            } else {
                Err(Odd(*number))
            }
        };
        numbers.iter().map(half).collect()
    }

    #[tokio::test]
    async fn answers_come_in_the_order_of_questions() {
        let batcher = Batcher::start("test", halve).unwrap();
        assert_eq!(
            batcher.ask(&[8, 2, 8, 4], Patience::Wait).await.unwrap(),
            [4, 1, 4, 2]
        );
        assert_eq!(batcher.ask(&[], Patience::Wait).await.unwrap(), [0; 0]);
    }

    #[tokio::test]
    async fn a_failure_reaches_who_asked() {
        let batcher = Batcher::start("test", halve).unwrap();
        let error = batcher.ask(&[2, 3], Patience::Wait).await.unwrap_err();
        assert!(matches!(error, BatchError::Failed(odd) if *odd == Odd(3)));
        assert_eq!(
            batcher.ask(&[2], Patience::Wait).await.unwrap(),
            [1],
            "the thread lives on"
        );
    }

    #[tokio::test]
    async fn a_panic_fails_its_batch_only() {
        let work = |numbers: &[u32]| {
            assert_ne!(numbers, [13], "unlucky");
            halve(numbers)
        };
        let batcher = Batcher::start("test", work).unwrap();
        assert!(matches!(
            batcher.ask(&[13], Patience::Wait).await,
            Err(BatchError::Unanswered)
        ));
        assert_eq!(batcher.ask(&[2], Patience::Wait).await.unwrap(), [1]);
    }

    #[tokio::test]
    async fn a_large_request_is_cut() {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sizes);
        let work = move |numbers: &[u32]| {
            seen.lock().unwrap().push(numbers.len());
            halve(numbers)
        };
        let batcher = Batcher::start("test", work).unwrap();
        let questions: Vec<u32> = (0..600).map(|number| number * 2).collect();
        let answers = batcher.ask(&questions, Patience::Wait).await.unwrap();
        assert_eq!(answers, (0..600).collect::<Vec<_>>());
        assert_eq!(*sizes.lock().unwrap(), [256, 256, 88]);
    }

    #[tokio::test]
    async fn requests_that_wait_are_answered_together_and_what_they_share_is_asked_once() {
        let worked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&worked);
        let (go, gate) = channel::<()>();
        let (at_work, started) = channel::<()>();
        let work = move |numbers: &[u32]| {
            at_work.send(()).unwrap();
            gate.recv().unwrap();
            seen.lock().unwrap().push(numbers.to_vec());
            halve(numbers)
        };
        let batcher = Arc::new(Batcher::start("test", work).unwrap());
        let ask = |questions: Vec<u32>| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { batcher.ask(&questions, Patience::Wait).await.unwrap() })
        };
        let first = ask(vec![2]);
        tokio::task::yield_now().await;
        started.recv().unwrap();
        let (second, third) = (ask(vec![4, 6]), ask(vec![6, 8]));
        while batcher.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            go.send(()).unwrap();
        }
        assert_eq!(first.await.unwrap(), [1]);
        assert_eq!(second.await.unwrap(), [2, 3]);
        assert_eq!(third.await.unwrap(), [3, 4]);
        let worked = worked.lock().unwrap();
        assert!(worked.len() <= 2, "{worked:?}");
        let sixes = worked.concat().iter().filter(|number| **number == 6).count();
        assert_eq!(sixes, 1, "{worked:?}");
    }

    #[tokio::test]
    async fn who_will_not_wait_is_told_so_when_the_queue_is_full() {
        let (go, gate) = channel::<()>();
        let (at_work, started) = channel::<()>();
        let work = move |numbers: &[u32]| {
            at_work.send(()).unwrap();
            let _ = gate.recv();
            halve(numbers)
        };
        let batcher = Arc::new(Batcher::start("test", work).unwrap());
        let ask = |number: u32| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { batcher.ask(&[number], Patience::Wait).await.unwrap() })
        };
        let mut asked = vec![ask(2)];
        tokio::task::yield_now().await;
        started.recv().unwrap();
        while batcher.waiting() < WAITING_REQUESTS_MAX {
            asked.push(ask(4));
            tokio::task::yield_now().await;
        }
        let busy = batcher.ask(&[6], Patience::GiveUp).await;
        assert!(matches!(busy, Err(BatchError::Busy)), "{busy:?}");
        drop(go);
        for one in asked {
            one.await.unwrap();
        }
        assert_eq!(batcher.ask(&[6], Patience::GiveUp).await.unwrap(), [3]);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_worked_on() {
        let worked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&worked);
        let (go, gate) = channel::<()>();
        let (at_work, started) = channel::<()>();
        let work = move |numbers: &[u32]| {
            at_work.send(()).unwrap();
            let _ = gate.recv();
            seen.lock().unwrap().extend_from_slice(numbers);
            halve(numbers)
        };
        let batcher = Arc::new(Batcher::start("test", work).unwrap());
        let ask = |number: u32| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { batcher.ask(&[number], Patience::Wait).await.unwrap() })
        };
        let first = ask(2);
        tokio::task::yield_now().await;
        started.recv().unwrap();
        let gone = ask(4);
        while batcher.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        drop(go);
        assert_eq!(first.await.unwrap(), [1]);
        assert_eq!(batcher.ask(&[6], Patience::Wait).await.unwrap(), [3]);
        assert_eq!(*worked.lock().unwrap(), [2, 6]);
    }
}
