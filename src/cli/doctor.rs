//! `cdp doctor`: checks whether a store contradicts itself, and mends it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::offline::StoreArgs;
use super::threads::runtime;
use super::{CommandError, progress_bar};
use crate::app::say;
use crate::domain::fault::{Fault, Finding, Subject};
use crate::services::doctor::{Doctor, Progress, Report};
use crate::services::search::reindex;

/// How the progress is drawn.
const BAR: &str = "{msg} {wide_bar} {percent}% ({elapsed})";

/// How many of the same fault are shown.
const EXAMPLES: usize = 5;

/// Which store, and what to do with it
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// The store
    #[command(flatten)]
    place: StoreArgs,
    /// Mend what can be derived; have a copy of the store
    #[arg(long)]
    repair: bool,
    /// Print cookies and addresses, which are personal data
    #[arg(long)]
    show_identifiers: bool,
}

/// Checks a store, mends it if asked to, and prints what was found. Fails if something is
/// wrong with it in the end.
///
/// # Errors
/// When there is no store, or a server has it open.
pub fn run(args: DoctorArgs) -> Result<ExitCode, CommandError> {
    let config = args.place.load()?;
    let bar = progress_bar(1, BAR);
    let listener = |progress: Progress| {
        bar.set_length(progress.of);
        bar.set_message(progress.doing);
        bar.set_position(progress.done);
    };
    let (found, left) = runtime(config.threads)?.block_on(async {
        let doctor = Doctor::open(&config.store).await?;
        let found = doctor.check(&listener).await?;
        let left = if args.repair && !found.is_sound() {
            // Before it is true: a repair that is interrupted has mended something.
            reindex::doubt(&config.search, &config.store)?;
            Some(doctor.repair(&listener).await?)
        } else {
            None
        };
        Ok::<_, CommandError>((found, left))
    })?;
    bar.finish_and_clear();
    summarise(&found, args.show_identifiers);
    if let Some(left) = &left {
        summarise_repair(left, args.show_identifiers);
    }
    let is_sound = left.as_ref().unwrap_or(&found).is_sound();
    Ok(if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn summarise(report: &Report, with_identifiers: bool) {
    say(&format!(
        "checked {} profiles, {} identifiers, {} edges",
        report.profiles, report.identifiers, report.edges
    ));
    if report.is_sound() {
        say("sound: nothing contradicts anything");
    } else {
        say_findings(report, with_identifiers);
    }
}

fn summarise_repair(left: &Report, with_identifiers: bool) {
    if left.is_sound() {
        say("mended: a second check-up found nothing");
    } else {
        say("mended as far as possible; what is left:");
        say_findings(left, with_identifiers);
    }
}

fn say_findings(report: &Report, with_identifiers: bool) {
    let mut examples: BTreeMap<Fault, Vec<String>> = BTreeMap::new();
    for Finding { fault, subject } in &report.findings {
        let shown = examples.entry(*fault).or_default();
        if shown.len() < EXAMPLES {
            shown.push(name(subject, with_identifiers));
        }
    }
    for (fault, count) in &report.counts {
        let shown = examples.remove(fault).unwrap_or_default().join(", ");
        say(&format!("{count:>9} {}: {shown}", fault.sentence()));
    }
}

fn name(subject: &Subject, with_identifiers: bool) -> String {
    match subject {
        Subject::Profile(id) => id.to_string(),
        Subject::Identifier(identifier, id) if with_identifiers => format!("{identifier} of {id}"),
        Subject::Identifier(_, id) => format!("one of {id}"),
        Subject::Member(cohort, id) => format!("{id} in {cohort}"),
        Subject::Link(cookie, email) if with_identifiers => format!("{cookie} with {email}"),
        Subject::Edge(edge) if with_identifiers => format!("{} with {}", edge.cookie, edge.email),
        Subject::Link(..) | Subject::Edge(_) => "(hidden)".to_owned(),
        Subject::Record(record) => record.clone(),
    }
}
