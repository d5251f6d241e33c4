//! What callers get while the store grows: lookups beside PostgreSQL, all other questions, and what
//! a server costs, at one size after another.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::cores::Divided;
use super::http::{Connection, get};
use super::load::{Target, closed, times_at};
use super::people::{cookie, email};
use super::process::Process;
use super::questions::{Question, lookups, nothing, others, pages};
use super::server::{Place, Server, disk_mb, mb, told};
use super::statistics::{Times, exponent, median};
use super::{table, twin};

/// How much of what a server takes at its most it is asked when it is asked how long it takes.
const HALF: f64 = 0.5;

/// How many times as long as it is asked for its most a contender is asked before, for each question:
/// both were just started, and have nothing in their caches.
const WARM_UP: u32 = 4;

/// What the store's cache may take: as much as PostgreSQL has for its buffers
/// (`scripts/postgres-server`).
const CACHE_MIB: u32 = 1_024;

/// People whose answers are compared with those of PostgreSQL.
const COMPARED: u32 = 50;

/// Of the people, a tenth are as old as this rule says.
const RULE: &str = "profile.age >= 74";

/// What to measure, and for how long.
pub struct Plan {
    /// How many people, growing.
    pub sizes: Vec<u32>,
    /// Connections of the clients.
    pub connections: usize,
    /// How long each question is asked, once for its most and once for its times.
    pub duration: Duration,
    /// How often contenders take turns.
    pub turns: u32,
    pub engine: &'static str,
    pub model: String,
    /// Where PostgreSQL is, if it is.
    pub postgres: Option<String>,
}

/// Requests a second at most, and in milliseconds the 50th and 99th percentile at half of that.
type Answered = [f64; 3];

/// Of each figure its values, by size.
#[derive(Default)]
struct Growth(Vec<(String, Vec<(f64, f64)>)>);

impl Growth {
    fn note(&mut self, name: &str, people: u32, figure: f64) {
        let point = (f64::from(people), figure);
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, points)) => points.push(point),
            None => self.0.push((name.to_owned(), vec![point])),
        }
    }

    fn print(&self, sizes: &[u32]) {
        let sizes: Vec<String> = sizes.iter().map(|size| format!("{size} people")).collect();
        let mut headings = vec![""];
        headings.extend(sizes.iter().map(String::as_str));
        headings.extend([
            "grows as size to the power of",
            "at most, from one size to the next",
        ]);
        let rows: Vec<_> = (self.0.iter())
            .map(|(name, points)| {
                let grows = match points.as_slice() {
                    [first, .., last] => exponent(*first, *last),
                    _ => f64::NAN,
                };
                let steps = points.windows(2).map(|step| exponent(step[0], step[1]));
                let steepest = steps.fold(f64::NAN, f64::max);
                let figures = points.iter().map(|point| point.1).chain([grows, steepest]);
                (name.clone(), figures.collect())
            })
            .collect();
        table::print("Growth", &headings, &rows);
    }
}

/// Grows one store from size to size, and measures at each.
pub async fn measure(plan: &Plan) {
    let place = Place::new(plan.engine, &plan.model).with_cache(CACHE_MIB);
    let mut growth = Growth::default();
    let mut before = 0;
    for people in plan.sizes.iter().copied() {
        println!("{people} people");
        let (server, _) = place.start().await;
        let took = server.import(before, people).await;
        let each = took.as_secs_f64() * 1e6 / f64::from(people - before);
        growth.note("import, µs a record", people, each);
        server.settle(people).await;
        growth.note("memory at most by then, MB", people, mb(server.memory().1));
        server.stop();
        let divided = Divided::begin();
        let twin = match &plan.postgres {
            Some(postgres) => Some(Twin::of(&place, plan, postgres).await),
            None => None,
        };
        let (server, ready) = place.start().await;
        if let Some(divided) = &divided {
            divided.take_first(twin.as_ref().map_or(&[], |twin| &twin.backends));
        }
        growth.note("start until it is ready, s", people, ready.as_secs_f64());
        growth.note("memory after the start, MB", people, mb(server.memory().0));
        growth.note("store on disk, MB", people, disk_mb(&place.store()));
        growth.note("search index on disk, MB", people, disk_mb(&place.index()));
        let asking = Asking {
            connections: plan.connections,
            duration: plan.duration,
            is_apart: divided.is_some(),
        };
        beside(plan, &asking, people, &server, twin.as_ref()).await;
        drop(twin);
        served(&asking, people, &server, &mut growth).await;
        let took = server.backfill(&format!("Elders of {people}"), RULE).await;
        growth.note("backfill of a rule, s", people, took.as_secs_f64());
        growth.note("memory after all that, MB", people, mb(server.memory().0));
        server.stop();
        before = people;
    }
    growth.print(&plan.sizes);
    per_million(&growth);
}

/// What a million people more take, by the first and the last size.
fn per_million(growth: &Growth) {
    let rows: Vec<_> = (growth.0.iter())
        .filter(|(name, _)| name.ends_with("MB"))
        .filter_map(|(name, points)| match points.as_slice() {
            [first, .., last] => Some((name.clone(), vec![(last.1 - first.1) / (last.0 - first.0) * 1e6])),
            _ => None,
        })
        .collect();
    table::print("A million people more", &["", "MB"], &rows);
}

/// Lookups, the platform and PostgreSQL in turn.
async fn beside(plan: &Plan, asking: &Asking, people: u32, server: &Server, twin: Option<&Twin>) {
    // Both are asked the same, each as far as it gets, and on from there at the next turn.
    let mut contenders = vec![("cdp", server.address(), lookups(people, &server.analyst))];
    if let Some(twin) = twin {
        twin.expect_same(server, people).await;
        let asked = lookups(people, &twin.server.analyst);
        contenders.push(("PostgreSQL", twin.server.address(), asked));
    }
    for (_, address, questions) in &contenders {
        for question in questions {
            closed(
                &asking.target(address),
                asking.duration * WARM_UP,
                &question.asked,
            )
            .await;
        }
    }
    let mut measured: BTreeMap<(usize, usize), Vec<Answered>> = BTreeMap::new();
    let (nothing, mut controls) = (nothing(), Vec::new());
    for _ in 0..plan.turns {
        for (at, (_, address, questions)) in contenders.iter().enumerate() {
            for (number, question) in questions.iter().enumerate() {
                let answered = asking.ask(address, question).await;
                measured.entry((number, at)).or_default().push(answered);
            }
        }
        let least = measured.values().filter_map(|answered| answered.last());
        let rate = least.map(|answered| answered[0]).fold(f64::INFINITY, f64::min) * HALF;
        let times = asking.times(server.address(), rate, &nothing).await;
        controls.push([rate, times.ms(0.5), times.ms(0.99)]);
    }
    let median_of = |answered: &[Answered]| {
        [0, 1, 2].map(|at| median(&answered.iter().map(|one| one[at]).collect::<Vec<_>>()))
    };
    let mut rows = Vec::new();
    for ((number, at), answered) in &measured {
        let figures = median_of(answered);
        let first = measured
            .get(&(*number, 0))
            .map_or([f64::NAN; 3], |first| median_of(first));
        let (contender, _, questions) = &contenders[*at];
        let name = format!("{}, {contender}", questions[*number].name);
        rows.push((name, [figures.as_slice(), &[first[0] / figures[0]]].concat()));
    }
    let [rate, p50, p99] = median_of(&controls);
    rows.push((
        format!("{}, {rate:.0}/s", nothing.name),
        vec![f64::NAN, p50, p99, f64::NAN],
    ));
    let caption = format!("Lookups among {people} people, medians of {} turns", plan.turns);
    let headings = [
        "",
        "requests/s",
        "p50 at half of that, ms",
        "p99 at half of that, ms",
        "cdp's requests/s by these",
    ];
    table::print(&caption, &headings, &rows);
}

/// All other questions.
async fn served(asking: &Asking, people: u32, server: &Server, growth: &mut Growth) {
    let members = server.members().await;
    let questions = (lookups(people, &server.analyst).into_iter())
        .chain(pages(members, &server.analyst))
        .chain(others(people, &server.analyst));
    let mut rows = Vec::new();
    for question in questions {
        let answered = asking.ask(server.address(), &question).await;
        growth.note(&format!("{}, p50 in ms", question.name), people, answered[1]);
        rows.push((question.name, answered.to_vec()));
    }
    let caption = format!("Requests over {people} people, {members} of them in the cohort that is paged");
    let headings = [
        "",
        "requests/s",
        "p50 at half of that, ms",
        "p99 at half of that, ms",
    ];
    table::print(&caption, &headings, &rows);
}

/// How questions are asked.
struct Asking {
    connections: usize,
    duration: Duration,
    is_apart: bool,
}

impl Asking {
    /// How many answers a second there are at most, and how long they take at half of that.
    async fn ask(&self, address: &str, question: &Question) -> Answered {
        let most = closed(&self.target(address), self.duration, &question.asked).await;
        let times = self.times(address, most * HALF, question).await;
        println!("  {}: {most:.0}/s, {:.2} ms", question.name, times.ms(0.5));
        [most, times.ms(0.5), times.ms(0.99)]
    }

    /// How long answers take at so many a second.
    async fn times(&self, address: &str, per_second: f64, question: &Question) -> Times {
        times_at(&self.target(address), per_second, self.duration, &question.asked).await
    }

    fn target(&self, address: &str) -> Target {
        Target {
            address: address.to_owned(),
            connections: self.connections,
            is_apart: self.is_apart,
        }
    }
}

/// PostgreSQL with the same people, behind the same route.
struct Twin {
    server: Server,
    /// PostgreSQL's processes that work for it.
    backends: Vec<u32>,
    /// Its accounts and its audit log.
    _place: Place,
}

impl Twin {
    /// Copies the people out of a store that nobody has open, and serves them.
    async fn of(place: &Place, plan: &Plan, postgres: &str) -> Self {
        let itself = std::env::current_exe();
        let itself = itself.unwrap_or_else(|error| panic!("no program: {error}"));
        let mut filling = Command::new(&itself);
        filling.args(["fill", "--store", &place.url(), "--postgres", postgres]);
        let filled = told(&mut filling, &plan.model).status();
        assert!(
            filled.is_ok_and(|status| status.success()),
            "can't copy the people"
        );
        let own = Place::new("surrealkv", &plan.model);
        let process = Process::start(told(
            Command::new(itself).args(["twin", "--store", &own.url(), "--postgres", postgres]),
            &plan.model,
        ));
        Self {
            server: Server::of(process).await,
            backends: twin::backends(postgres).await,
            _place: own,
        }
    }

    /// Stops the benchmark if the two do not say the same.
    async fn expect_same(&self, server: &Server, people: u32) {
        let answer = async |server: &Server, path: &str| {
            let mut connection = Connection::open(server.address()).await;
            connection.ask(&get(path, &server.analyst)).await.json()
        };
        for person in (0..people).step_by((people / COMPARED).max(1) as usize) {
            for by in [
                format!("cookie={}", cookie(person)),
                format!("email={}", email(person)),
            ] {
                let path = format!("/api/user?{by}");
                assert_eq!(
                    answer(server, &path).await,
                    answer(&self.server, &path).await,
                    "{path}"
                );
            }
        }
    }
}
