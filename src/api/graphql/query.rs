//! The query root: each field looks one thing up and changes nothing.

use async_graphql::{Context, ID, Object};

use super::error::{Result, null_if_not_found};
use super::guard::{Needs, NeedsLogin, caller};
use super::page::{self, ProfileConnection};
use super::types::account::Me;
use super::types::analytics::{
    AnalyticsPoint, AnalyticsStep, AnalyticsSubject, AnalyticsSummary, CohortHistory, FrequentInterest,
};
use super::types::audit::AuditLog;
use super::types::change::{ChangeKind, ChangePage};
use super::types::classification::Classification;
use super::types::cohort::Cohort;
use super::types::correction::{Backfill, Correction};
use super::types::definition::{
    CohortCombination, CohortOverlap, CohortPreview, CohortVersion, CombinationInput,
};
use super::types::identity::{FieldProvenance, IdentityGraph, RawRow};
use super::types::ingest::{Batch, File, FileParts, Reject};
use super::types::judgement::{ConflictPage, MergePage};
use super::types::profile::Profile;
use super::types::search::{InterestSearch, ProfileSearch, SimilarProfiles, Suggestions};
use super::types::timeline::Timeline;
use super::types::webhook::{Deliveries, Webhook};
use super::{services, sight};
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::domain::role::Permission;
use crate::services::activation::webhooks::DELIVERIES_PAGE_MAX;
use crate::services::analytics::HISTORY_MAX;
use crate::services::audit::Asked;
use crate::services::definitions::SAMPLE_MAX;
use crate::services::search::HITS_MAX;
use crate::services::search::interests::FREQUENT_MAX;
use crate::services::search::users::UserQuestion;
use crate::services::timeline;

/// How many cohorts a list of all of them is reckoned to hold.
const COHORTS_RECKONED: usize = 20;

/// How many webhooks a list of all of them is reckoned to hold.
const WEBHOOKS_RECKONED: usize = 20;

/// What unpacking one block of the raw stage costs beside reading a field: it holds up to a
/// thousand rows.
const BLOCK_COST: usize = 20;

/// How many hits a search gives, unless it is told how many.
const HITS_DEFAULT: i32 = 20;

/// How many suggestions of each kind.
const SUGGESTIONS_DEFAULT: i32 = 5;

/// What a search costs beside reading its hits: a look at the whole index.
const SEARCH_COST: usize = 20;

/// What an entry of a timeline costs beside reading its fields: what one visit sends lies in one
/// block, so a block is unpacked for several of them.
const ENTRY_COST: usize = 4;

/// What a preview costs beside what it shows: it looks at people for two seconds.
const PREVIEW_COST: usize = 20;

/// What reading counts costs beside what is shown: a range of records for each subject.
const SUMMARY_COST: usize = 20;

/// Looks things up.
pub struct Query;

/// Looks things up, and changes nothing.
#[Object]
impl Query {
    /// Who asks, and what their token reaches to.
    #[graphql(guard = "NeedsLogin")]
    #[expect(clippy::unused_async, reason = "async-graphql takes no other resolvers")]
    async fn me(&self, ctx: &Context<'_>) -> Result<Me> {
        Ok(caller(ctx)?.into())
    }

    /// The person whom a cookie, an address or both lead to, or who has an id, of today or from
    /// before a merge; null when nobody is known by it.
    #[graphql(guard = "Needs(Permission::Read)")]
    async fn profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A cookie, of today or of a merged profile.")] cookie: Option<String>,
        #[graphql(desc = "An address in any case.")] email: Option<String>,
        #[graphql(desc = "A profile's id; give it without the others.")] id: Option<ID>,
    ) -> Result<Option<Profile>> {
        let (lookup, sight) = (&services(ctx)?.lookup, sight(ctx)?);
        let found = match id {
            None => lookup.user(cookie.as_deref(), email.as_deref(), sight).await,
            Some(_) if cookie.is_some() || email.is_some() => Err(Error::bad_request(
                "id",
                "give it without a `cookie` or an `email`",
            )),
            Some(id) => lookup.user_by_id(&id, sight).await,
        };
        Ok(null_if_not_found(found)?.map(Profile::from))
    }

    /// Everybody, in the order of their ids.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "page::cost(first, child_complexity)"
    )]
    async fn profiles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 1000.", default_with = "page::first_default()")] first: Option<i32>,
        #[graphql(desc = "A cursor of this list.")] after: Option<String>,
    ) -> Result<ProfileConnection> {
        let limit = page::limit(first)?;
        let lookup = &services(ctx)?.lookup;
        let page = lookup.users(after.as_deref(), limit, sight(ctx)?).await?;
        Ok(ProfileConnection::of(page, after.as_deref()))
    }

    /// People by what is typed: every word must be found among their names, addresses, cookies,
    /// places or interests, the last one may be half typed, and typos are forgiven where few are
    /// as typed. What was stored shows within a second.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "SEARCH_COST + page::cost(first, child_complexity)"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is an argument of the field")]
    async fn search_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is typed; without it, whoever passes the filters.", default)] q: String,
        #[graphql(desc = "Only those in this cohort, by name or slug in any case.")] cohort: Option<String>,
        #[graphql(desc = "Only those in this city, in any case.")] city: Option<String>,
        #[graphql(desc = "Only those in this country, in any case.")] country: Option<String>,
        #[graphql(desc = "Only those with this interest.")] interest: Option<String>,
        #[graphql(desc = "How many, 1 to 100.", default_with = "Some(HITS_DEFAULT)")] first: Option<i32>,
        #[graphql(desc = "How many to pass over; with `first` at most 10000.", default)] offset: u64,
    ) -> Result<ProfileSearch> {
        let asked = UserQuestion {
            text: &q,
            cohort: cohort.as_deref(),
            city: city.as_deref(),
            country: country.as_deref(),
            interest: interest.as_deref(),
            limit: page::limit_of("first", first, HITS_MAX)?,
            offset,
        };
        Ok(services(ctx)?.search.users(asked, sight(ctx)?).await?.into())
    }

    /// Interests that somebody has, by what is typed: the last word may be half typed, and typos
    /// are forgiven.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "SEARCH_COST + page::cost(first, child_complexity)"
    )]
    async fn search_interests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is typed, up to 256 characters.")] q: String,
        #[graphql(desc = "How many, 1 to 100.", default_with = "Some(HITS_DEFAULT)")] first: Option<i32>,
    ) -> Result<InterestSearch> {
        let limit = page::limit_of("first", first, HITS_MAX)?;
        Ok(services(ctx)?.search.interests(&q, limit).await?.into())
    }

    /// Interests that somebody has and that mean nearly what a text means, which may be one that
    /// nobody has.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "SEARCH_COST + page::cost(first, child_complexity)"
    )]
    async fn similar_interests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The interest, as people write it.")] interest: String,
        #[graphql(desc = "How many, 1 to 100.", default_with = "Some(HITS_DEFAULT)")] first: Option<i32>,
    ) -> Result<InterestSearch> {
        let limit = page::limit_of("first", first, HITS_MAX)?;
        let search = &services(ctx)?.search;
        Ok(search.similar_interests(&interest, limit).await?.into())
    }

    /// Interests and people by what is half typed, a few of each, for a search box.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "2 * SEARCH_COST + page::cost(first, child_complexity)"
    )]
    async fn suggest(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is typed, up to 256 characters.")] q: String,
        #[graphql(
            desc = "How many of each, 1 to 100.",
            default_with = "Some(SUGGESTIONS_DEFAULT)"
        )]
        first: Option<i32>,
    ) -> Result<Suggestions> {
        let limit = page::limit_of("first", first, HITS_MAX)?;
        Ok(services(ctx)?
            .search
            .suggest(&q, limit, sight(ctx)?)
            .await?
            .into())
    }

    /// People like the one whom a cookie, an address or both lead to, or who has an id, by what
    /// they like; null when nobody is known by it.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "SEARCH_COST + page::cost(first, child_complexity)"
    )]
    async fn similar_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A cookie, of today or of a merged profile.")] cookie: Option<String>,
        #[graphql(desc = "An address in any case.")] email: Option<String>,
        #[graphql(desc = "A profile's id; give it without the others.")] id: Option<ID>,
        #[graphql(desc = "How many, 1 to 100.", default_with = "Some(HITS_DEFAULT)")] first: Option<i32>,
    ) -> Result<Option<SimilarProfiles>> {
        let limit = page::limit_of("first", first, HITS_MAX)?;
        let services = services(ctx)?;
        let id = id.as_ref().map(|id| id.as_str());
        let (lookup, cookie, email) = (&services.lookup, cookie.as_deref(), email.as_deref());
        let asked = services
            .search
            .users_like(lookup, cookie, email, id, limit, sight(ctx)?);
        Ok(null_if_not_found(asked.await)?.map(SimilarProfiles::from))
    }

    /// A cohort; when there is none of that name, the error names those there are.
    #[graphql(guard = "Needs(Permission::Read)")]
    #[expect(clippy::unused_async, reason = "async-graphql takes no other resolvers")]
    async fn cohort(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or slug in any case.")] name: String,
    ) -> Result<Option<Cohort>> {
        Ok(Some(services(ctx)?.cohorts.one(&name)?.into()))
    }

    /// Every cohort, by name.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "COHORTS_RECKONED * child_complexity"
    )]
    #[expect(clippy::unused_async, reason = "async-graphql takes no other resolvers")]
    async fn cohorts(&self, ctx: &Context<'_>) -> Result<Vec<Cohort>> {
        Ok(services(ctx)?
            .cohorts
            .all()
            .into_iter()
            .map(Cohort::from)
            .collect())
    }

    /// Every cohort by rule, by name.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "COHORTS_RECKONED * child_complexity"
    )]
    #[expect(clippy::unused_async, reason = "async-graphql takes no other resolvers")]
    async fn rules(&self, ctx: &Context<'_>) -> Result<Vec<Cohort>> {
        let rules = services(ctx)?.cohorts.rules();
        Ok(rules.into_iter().map(Cohort::from).collect())
    }

    /// Whether a rule may be saved: what is wrong is an error that says where, and what would be
    /// right.
    #[graphql(guard = "Needs(Permission::Define)")]
    #[expect(clippy::unused_async, reason = "async-graphql takes no other resolvers")]
    async fn check_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule, in CEL.")] expression: String,
    ) -> Result<bool> {
        services(ctx)?.definitions.check(&expression)?;
        Ok(true)
    }

    /// What the classifier says of each text, in the order asked.
    #[graphql(
        guard = "Needs(Permission::Classify)",
        complexity = "texts.len() * child_complexity"
    )]
    async fn classify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Interests as people write them, 1 to 1000.")] texts: Vec<String>,
    ) -> Result<Vec<Classification>> {
        let answers = services(ctx)?.classification.classify(&texts).await?;
        Ok(answers.into_iter().map(Classification::from).collect())
    }

    /// How many people a rule would have, before anything is saved.
    #[graphql(
        guard = "Needs(Permission::Define)",
        complexity = "page::cost(first, PREVIEW_COST + child_complexity)"
    )]
    async fn preview_cohort(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule, in CEL.")] expression: String,
        #[graphql(desc = "How many members to show, 1 to 50.", default_with = "Some(10)")] first: Option<i32>,
    ) -> Result<CohortPreview> {
        let limit = page::limit_of("first", first, SAMPLE_MAX)?;
        Ok(services(ctx)?
            .definitions
            .preview(&expression, limit, sight(ctx)?)
            .await?
            .into())
    }

    /// Union, intersection and difference of cohorts, without defining anything.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "page::cost(first, child_complexity)"
    )]
    async fn combine_cohorts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cohorts.")] of: CombinationInput,
        #[graphql(desc = "How many people to show, 1 to 50.", default_with = "Some(10)")] first: Option<i32>,
    ) -> Result<CohortCombination> {
        let limit = page::limit_of("first", first, SAMPLE_MAX)?;
        Ok(services(ctx)?
            .definitions
            .combine(&of.into(), limit, sight(ctx)?)
            .await?
            .into())
    }

    /// How many people each two cohorts share; of all if none are named.
    #[graphql(guard = "Needs(Permission::Read)", complexity = "100 * child_complexity")]
    #[expect(clippy::unused_async, reason = "async-graphql takes no other resolvers")]
    async fn cohort_overlap(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Names or slugs, at most 40.", default)] cohorts: Vec<String>,
    ) -> Result<Vec<CohortOverlap>> {
        let overlaps = services(ctx)?.definitions.overlaps(&cohorts)?;
        Ok(overlaps.into_iter().map(CohortOverlap::from).collect())
    }

    /// Every version of a cohort, the latest first.
    #[graphql(guard = "Needs(Permission::Read)", complexity = "10 * child_complexity")]
    async fn cohort_versions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or slug; also of one that was dropped.")] name: String,
    ) -> Result<Vec<CohortVersion>> {
        let versions = services(ctx)?.definitions.versions(&name).await?;
        Ok(versions.into_iter().map(CohortVersion::from).collect())
    }

    /// How the platform fares, counted as it happens.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "SUMMARY_COST + child_complexity"
    )]
    async fn analytics_summary(&self, ctx: &Context<'_>) -> Result<AnalyticsSummary> {
        Ok(services(ctx)?.analytics.summary().await?.into())
    }

    /// What was counted over time, with sizes at the end of each stretch.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "SUMMARY_COST * child_complexity"
    )]
    async fn analytics_series(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of what.")] of: AnalyticsSubject,
        #[graphql(desc = "Which one: a cohort, a source, or a finding such as `email.invalid`.")]
        name: Option<String>,
        #[graphql(desc = "From when on; a week before `to` if it is missing.")] from: Option<Timestamp>,
        #[graphql(desc = "Until when; now if it is missing.")] to: Option<Timestamp>,
        #[graphql(desc = "How wide a point is.", default_with = "AnalyticsStep::Hour")] step: AnalyticsStep,
    ) -> Result<Vec<AnalyticsPoint>> {
        let analytics = &services(ctx)?.analytics;
        let points = analytics
            .series(of.name(), name.as_deref(), (from, to), step.into())
            .await?;
        Ok(points.into_iter().map(AnalyticsPoint::from).collect())
    }

    /// The interests that most people have, the most frequent first.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "SEARCH_COST + page::cost(first, child_complexity)"
    )]
    async fn frequent_interests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200.", default_with = "page::first_default()")] first: Option<i32>,
    ) -> Result<Vec<FrequentInterest>> {
        let limit = page::limit_of("first", first, FREQUENT_MAX)?;
        let frequent = services(ctx)?.search.frequent(limit).await?.into_iter();
        Ok(frequent
            .map(|(interest, people)| FrequentInterest { interest, people })
            .collect())
    }

    /// Who entered a cohort and who left it, the latest first.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "SUMMARY_COST + page::cost(first, child_complexity)"
    )]
    async fn cohort_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or slug in any case.")] name: String,
        #[graphql(desc = "The `nextCursor` of the page before.")] before: Option<String>,
        #[graphql(desc = "How many, 1 to 200.", default_with = "page::first_default()")] first: Option<i32>,
    ) -> Result<CohortHistory> {
        let limit = page::limit_of("first", first, HISTORY_MAX)?;
        let analytics = &services(ctx)?.analytics;
        Ok(analytics.history(&name, before.as_deref(), limit).await?.into())
    }

    /// What people said of single interests, by interest.
    #[graphql(guard = "Needs(Permission::Read)", complexity = "10 * child_complexity")]
    async fn corrections(&self, ctx: &Context<'_>) -> Result<Vec<Correction>> {
        let corrections = services(ctx)?.corrections.list().await?;
        Ok(corrections.into_iter().map(Correction::from).collect())
    }

    /// Walks over all profiles after a change, the latest first.
    #[graphql(guard = "Needs(Permission::Read)", complexity = "10 * child_complexity")]
    async fn backfills(&self, ctx: &Context<'_>) -> Result<Vec<Backfill>> {
        let backfills = services(ctx)?.backfills.list().await?;
        Ok(backfills.into_iter().map(Backfill::from).collect())
    }

    /// A walk over all profiles; null when there is none of that id.
    #[graphql(guard = "Needs(Permission::Read)")]
    async fn backfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The `id` of a backfill.")] id: ID,
    ) -> Result<Option<Backfill>> {
        let found = services(ctx)?.backfills.get(&id).await;
        Ok(null_if_not_found(found)?.map(Backfill::from))
    }

    /// A page of what happened to people, in the order in which it happened; the subscriptions
    /// tell it as it happens.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "BLOCK_COST + page::cost(first, child_complexity)"
    )]
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The cursor of the last change that was seen, or `0` for the first ever; without, from now on."
        )]
        after: Option<String>,
        #[graphql(desc = "Only changes of these kinds.")] kinds: Option<Vec<ChangeKind>>,
        #[graphql(desc = "The name or slug of a cohort: only who enters and leaves it.")] cohort: Option<
            String,
        >,
        #[graphql(desc = "How many, 1 to 1000.", default_with = "page::first_default()")] first: Option<i32>,
    ) -> Result<ChangePage> {
        let limit = page::limit(first)?;
        let changes = &services(ctx)?.activation.changes;
        let kinds = kinds.map(|kinds| {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            names.join(",")
        });
        let filter = changes.filter(kinds.as_deref(), cohort.as_deref())?;
        let page = changes.page(after.as_deref(), &filter, limit).await;
        Ok(page.map_err(page::blame_after)?.into())
    }

    /// Why somebody is one person: which row tied each cookie to each address, which profiles
    /// merged, and what people decided; null when nobody has the id.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "BLOCK_COST + child_complexity"
    )]
    async fn identity_graph(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A profile's id, of today or from before a merge.")] id: ID,
    ) -> Result<Option<IdentityGraph>> {
        let services = services(ctx)?;
        let graph = services.explain.identity_graph(services, &id, sight(ctx)?).await;
        Ok(null_if_not_found(graph)?.map(IdentityGraph::from))
    }

    /// Where each value of somebody comes from; null when nobody has the id.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "BLOCK_COST + child_complexity"
    )]
    async fn provenance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A profile's id, of today or from before a merge.")] id: ID,
    ) -> Result<Option<Vec<FieldProvenance>>> {
        let services = services(ctx)?;
        let fields = services.explain.provenance(services, &id, sight(ctx)?).await;
        let fields = null_if_not_found(fields)?;
        Ok(fields.map(|fields| fields.into_iter().map(FieldProvenance::from).collect()))
    }

    /// All that arrived of somebody and was decided about them, latest first; null when nobody
    /// has the id. Records are those of the cookies and addresses that are theirs today.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "page::cost(limit, ENTRY_COST + child_complexity)"
    )]
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A profile's id, of today or from before a merge.")] id: ID,
        #[graphql(desc = "A cursor of this timeline.")] before: Option<String>,
        #[graphql(desc = "How many, 1 to 200.", default_with = "page::first_default()")] limit: Option<i32>,
    ) -> Result<Option<Timeline>> {
        let limit = page::limit_of("limit", limit, timeline::PAGE_MAX)?;
        let services = services(ctx)?;
        let page = services
            .timeline
            .page(services, &id, before.as_deref(), limit, sight(ctx)?)
            .await;
        Ok(null_if_not_found(page)?.map(Timeline::from))
    }

    /// All merges, latest first.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "page::cost(first, child_complexity)"
    )]
    async fn merges(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only merges before the one with this id.")] before: Option<String>,
        #[graphql(desc = "How many, 1 to 1000.", default_with = "page::first_default()")] first: Option<i32>,
    ) -> Result<MergePage> {
        let limit = page::limit(first)?;
        let judgement = &services(ctx)?.judgement;
        let page = judgement.merges(before.as_deref(), limit, sight(ctx)?).await?;
        Ok(page.into())
    }

    /// What guards refused, in the order of its times.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "page::cost(first, child_complexity)"
    )]
    async fn conflicts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Only those that are `open`, `allowed` or `kept_apart`, or `all`.",
            default = "open"
        )]
        verdict: String,
        #[graphql(desc = "A cursor of this list.")] after: Option<String>,
        #[graphql(desc = "How many, 1 to 1000.", default_with = "page::first_default()")] first: Option<i32>,
    ) -> Result<ConflictPage> {
        let limit = page::limit(first)?;
        let judgement = &services(ctx)?.judgement;
        let page = judgement
            .conflicts(&verdict, after.as_deref(), limit, sight(ctx)?)
            .await?;
        Ok(page.into())
    }

    /// Every webhook, the oldest first.
    #[graphql(
        guard = "Needs(Permission::Activate)",
        complexity = "WEBHOOKS_RECKONED * child_complexity"
    )]
    async fn webhooks(&self, ctx: &Context<'_>) -> Result<Vec<Webhook>> {
        let webhooks = services(ctx)?.activation.webhooks.list().await?;
        Ok(webhooks.into_iter().map(Webhook::from).collect())
    }

    /// One webhook; null when there is none of that id.
    #[graphql(guard = "Needs(Permission::Activate)")]
    async fn webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook's id.")] id: ID,
    ) -> Result<Option<Webhook>> {
        let found = services(ctx)?.activation.webhooks.get(&id).await;
        Ok(null_if_not_found(found)?.map(Webhook::from))
    }

    /// What became of a webhook's events, latest first.
    #[graphql(
        guard = "Needs(Permission::Activate)",
        complexity = "page::cost(first, child_complexity)"
    )]
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook's id.")] webhook: ID,
        #[graphql(desc = "How many, 1 to 200.", default_with = "page::first_default()")] first: Option<i32>,
        #[graphql(desc = "The `nextBefore` of the page before.")] before: Option<u64>,
        #[graphql(desc = "Only dead letters.", default)] dead: bool,
    ) -> Result<Deliveries> {
        let limit = page::limit_of("first", first, DELIVERIES_PAGE_MAX)?;
        let webhooks = &services(ctx)?.activation.webhooks;
        Ok(webhooks.deliveries(&webhook, before, dead, limit).await?.into())
    }

    /// What has become of a batch; null when there is none of that id.
    #[graphql(guard = "Needs(Permission::Ingest)")]
    async fn batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The `batchId` of an ingest's answer.")] id: ID,
    ) -> Result<Option<Batch>> {
        let found = services(ctx)?.ingest.standing(&id).await;
        Ok(null_if_not_found(found)?.map(Batch::from))
    }

    /// The refused records of a batch, by their number; null when there is no batch of that id.
    #[graphql(
        guard = "Needs(Permission::Ingest)",
        complexity = "page::cost(first, child_complexity)"
    )]
    async fn rejects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The batch's id.")] batch: ID,
        #[graphql(desc = "Only records behind this number.")] after: Option<u64>,
        #[graphql(desc = "How many, 1 to 1000.", default_with = "page::first_default()")] first: Option<i32>,
    ) -> Result<Option<Vec<Reject>>> {
        let limit = page::limit(first)?;
        let ingest = &services(ctx)?.ingest;
        let after = after.unwrap_or_default();
        let found = ingest.rejects(&batch, after, limit.into(), sight(ctx)?).await;
        let rejects = null_if_not_found(found)?;
        Ok(rejects.map(|rejects| rejects.into_iter().map(Reject::from).collect()))
    }

    /// What is stored of a file that the caller sent in parts; null when nothing of it is.
    #[graphql(
        guard = "Needs(Permission::Ingest)",
        complexity = "BLOCK_COST + child_complexity"
    )]
    async fn file(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file's sha256, in hex.")] sha256: ID,
    ) -> Result<Option<File>> {
        let found = services(ctx)?.ingest.file(&caller(ctx)?.name, &sha256).await;
        Ok(null_if_not_found(found)?.map(|report| File::new(sha256, &report)))
    }

    /// Which parts of a file are stored.
    #[graphql(
        guard = "Needs(Permission::Ingest)",
        complexity = "BLOCK_COST + 50 * child_complexity"
    )]
    async fn file_parts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file's sha256, in hex.")] sha256: ID,
        #[graphql(desc = "Only parts with first records behind this number.")] after: Option<u64>,
    ) -> Result<FileParts> {
        let found = services(ctx)?
            .ingest
            .file_parts(&caller(ctx)?.name, &sha256, after.unwrap_or_default());
        Ok(found.await?.into())
    }

    /// A row exactly as it arrived; null when there is none at that address.
    #[graphql(
        guard = "Needs(Permission::Read)",
        complexity = "BLOCK_COST + child_complexity"
    )]
    async fn raw_row(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The `raw` of a provenance, an edge or a merge.")] id: String,
    ) -> Result<Option<RawRow>> {
        let found = services(ctx)?.explain.raw_row(&id, sight(ctx)?).await;
        Ok(null_if_not_found(found)?.map(|stored| RawRow {
            id,
            source: stored.source,
            batch: ID(stored.batch.to_string()),
            received_at: stored.received_at,
            number: stored.row.number,
            line: stored.row.line,
            verbatim: stored.row.verbatim,
        }))
    }

    /// Who read, changed, exported or erased what, the newest first. Nobody's cookie or address
    /// stands in it: ask with one, and it is looked for by its pseudonym.
    #[graphql(
        guard = "Needs(Permission::Audit)",
        complexity = "page::cost(first, child_complexity) + SEARCH_COST"
    )]
    #[expect(clippy::too_many_arguments, reason = "one for each argument of the field")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The name of who called, or by which somebody tried to log in.")] user: Option<
            String,
        >,
        #[graphql(desc = "What was asked for, for example `getUser` or `Query.profile`.")] action: Option<
            String,
        >,
        #[graphql(desc = "A cookie about which was asked.")] cookie: Option<String>,
        #[graphql(desc = "An address about which was asked.")] email: Option<String>,
        #[graphql(desc = "From when on.")] from: Option<Timestamp>,
        #[graphql(desc = "Before when.")] until: Option<Timestamp>,
        #[graphql(desc = "How many, 1 to 1000.", default_with = "page::first_default()")] first: Option<i32>,
    ) -> Result<AuditLog> {
        let limit = page::limit(first)?;
        let asked = Asked {
            user,
            action,
            cookie,
            email,
            from,
            until,
        };
        Ok(services(ctx)?.audit.find(&asked, limit).await?.into())
    }
}
