//! The mutation root: what changes something.

use std::io::Cursor;

use async_graphql::{Context, ID, Json, Object, Value};

use super::error::Result;
use super::guard::{Needs, caller};
use super::services;
use super::types::correction::{Backfill, Corrected};
use super::types::definition::{CohortInput, DefinedCohort};
use super::types::ingest::{Batch, IngestReport, RejectsReplay};
use super::types::judgement::Judged;
use super::types::privacy::Erasure;
use super::types::webhook::{Webhook, WebhookInput, WebhookTest, WebhookWithSecret};
use crate::domain::error::Error;
use crate::domain::role::Permission;
use crate::services::ingest::{Format, Payload, Renames};

/// The most records of one ingest; files are sent to the REST route, which streams.
const RECORDS_MAX: usize = 10_000;

/// The most bytes that the records may have together. The route takes smaller bodies than
/// that; this bounds whoever runs the schema without it.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The source of records whose sender does not name one.
const SOURCE: &str = "graphql";

/// Changes things.
pub struct Mutation;

/// Changes things.
#[Object]
impl Mutation {
    /// Says where an interest belongs: it is certain, goes before what the model says, and counts
    /// as an example from then on. Everybody who has the interest gets the cohorts that follow.
    #[graphql(guard = "Needs(Permission::Classify)")]
    async fn correct_interest(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The interest, in any spelling of case and spaces.")] interest: String,
        #[graphql(desc = "The names or slugs of its cohorts; none when it belongs nowhere.")] cohorts: Vec<
            String,
        >,
    ) -> Result<Corrected> {
        let by = &caller(ctx)?.name;
        let corrected = services(ctx)?.corrections.put(&interest, &cohorts, by).await?;
        Ok(corrected.into())
    }

    /// Leaves an interest to the model again.
    #[graphql(guard = "Needs(Permission::Classify)")]
    async fn withdraw_correction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The interest.")] interest: String,
    ) -> Result<Backfill> {
        let by = &caller(ctx)?.name;
        Ok(services(ctx)?.corrections.withdraw(&interest, by).await?.into())
    }

    /// Erases the person whom a cookie or an address leads to, from everywhere; keyed hashes of
    /// their identifiers remain, so that nothing brings them back. What is not gone after ten
    /// seconds is looked for in the background.
    #[graphql(guard = "Needs(Permission::Erase)")]
    async fn erase_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A cookie.")] cookie: Option<String>,
        #[graphql(desc = "An address.")] email: Option<String>,
        #[graphql(desc = "Why, without naming them; kept for good.")] reason: Option<String>,
    ) -> Result<Erasure> {
        let by = &caller(ctx)?.name;
        let privacy = &services(ctx)?.privacy;
        let (cookie, email) = (cookie.as_deref(), email.as_deref());
        let erased = privacy.erase(cookie, email, reason.as_deref(), by).await?;
        Ok(erased.into())
    }

    /// Defines a cohort. Its members are found in the background; who comes from now on is
    /// judged by it at once.
    #[graphql(guard = "Needs(Permission::Define)")]
    async fn create_cohort(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is.")] cohort: CohortInput,
    ) -> Result<DefinedCohort> {
        let by = &caller(ctx)?.name;
        Ok(services(ctx)?.definitions.create(cohort.into(), by).await?.into())
    }

    /// Defines a cohort anew. It keeps its slug.
    #[graphql(guard = "Needs(Permission::Define)")]
    async fn change_cohort(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or slug in any case.")] name: String,
        #[graphql(desc = "What it is from now on, as a whole.")] cohort: CohortInput,
    ) -> Result<DefinedCohort> {
        let by = &caller(ctx)?.name;
        Ok(services(ctx)?
            .definitions
            .replace(&name, cohort.into(), by)
            .await?
            .into())
    }

    /// Drops a cohort that no rule names. Whoever is in it leaves it.
    #[graphql(guard = "Needs(Permission::Define)")]
    async fn delete_cohort(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or slug in any case.")] name: String,
    ) -> Result<DefinedCohort> {
        let by = &caller(ctx)?.name;
        Ok(services(ctx)?.definitions.drop_cohort(&name, by).await?.into())
    }

    /// Makes a cohort what it was in another version. One that was dropped comes back.
    #[graphql(guard = "Needs(Permission::Define)")]
    async fn roll_back_cohort(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or slug.")] name: String,
        #[graphql(desc = "The number of the version.")] version: u32,
    ) -> Result<DefinedCohort> {
        let by = &caller(ctx)?.name;
        Ok(services(ctx)?
            .definitions
            .roll_back(&name, version, by)
            .await?
            .into())
    }

    /// Stores records, and answers when they are durable: whoever reads afterwards sees them.
    #[graphql(guard = "Needs(Permission::Ingest)")]
    async fn ingest(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Customer records, 1 to 10000, of the form that the REST route takes.")]
        records: Vec<Json<Value>>,
        #[graphql(desc = "Who sends them.", default_with = "Some(SOURCE.to_owned())")] source: Option<String>,
        #[graphql(
            desc = "A name for this request. Repeated with the same records, it gets the first answer, or goes on where that request broke off; no record is stored twice."
        )]
        idempotency_key: Option<String>,
    ) -> Result<IngestReport> {
        check_number(&records)?;
        let ingest = &services(ctx)?.ingest;
        let by = &caller(ctx)?.name;
        let key = idempotency_key.map(|key| ingest.key(by, &key)).transpose()?;
        let payload = Payload {
            format: Format::Json,
            renames: Renames::default(),
            source: source.unwrap_or_else(|| SOURCE.to_owned()),
            batch: None,
            bytes_max: BYTES_MAX,
            key,
        };
        let body = Cursor::new(json_lines(&records).map_err(Error::internal)?);
        Ok(ingest.ingest(payload, body).await?.into())
    }

    /// Cancels a batch that is queued or being worked off; records that are stored stay. Does
    /// nothing to one that is cancelled already.
    #[graphql(guard = "Needs(Permission::Ingest)")]
    async fn cancel_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The batch's id.")] id: ID,
    ) -> Result<Batch> {
        Ok(services(ctx)?.ingest.cancel(&id).await?.into())
    }

    /// Judges the rejects of a batch again, as they were kept, or as they were mended. What is
    /// accepted is stored as if it had come with its batch, and never replayed again.
    #[graphql(guard = "Needs(Permission::Ingest)")]
    async fn replay_rejects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the batch whose rejects they are.")] batch: ID,
        #[graphql(
            desc = "Mended records, 1 to 10000, each with the number of its reject as `row`; without them, all rejects as they were kept."
        )]
        records: Option<Vec<Json<Value>>>,
    ) -> Result<RejectsReplay> {
        let ingest = &services(ctx)?.ingest;
        let Some(records) = records else {
            return Ok(ingest.replay(&batch).await?.into());
        };
        check_number(&records)?;
        let body = Cursor::new(json_lines(&records).map_err(Error::internal)?);
        let replayed = ingest.replay_mended(&batch, Format::Json, BYTES_MAX, body);
        Ok(replayed.await?.into())
    }

    /// Takes a merge apart: the absorbed profile is itself again. The evidence that tied the two
    /// counts no more; later evidence does.
    #[graphql(guard = "Needs(Permission::Judge)")]
    async fn undo_merge(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The merge's id.")] id: ID,
    ) -> Result<Judged> {
        let by = &caller(ctx)?.name;
        Ok(services(ctx)?.judgement.undo(&id, by).await?.into())
    }

    /// Cuts links that are wrong: with a cookie and an address, the one between the two; with one
    /// of them, all of its links. Later evidence ties them again.
    #[graphql(guard = "Needs(Permission::Judge)")]
    async fn cut(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person's id.")] profile: ID,
        #[graphql(desc = "A cookie of theirs.")] cookie: Option<String>,
        #[graphql(desc = "An address of theirs.")] email: Option<String>,
    ) -> Result<Judged> {
        let by = &caller(ctx)?.name;
        let judgement = &services(ctx)?.judgement;
        let judged = judgement.cut(&profile, cookie.as_deref(), email.as_deref(), by);
        Ok(judged.await?.into())
    }

    /// Makes a webhook: says what is sent where. Its secret is shown this once.
    #[graphql(guard = "Needs(Permission::Activate)")]
    async fn create_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to be sent where.")] webhook: WebhookInput,
        #[graphql(desc = "Behind which change to begin; without, with what happens from now on.")]
        after: Option<String>,
    ) -> Result<WebhookWithSecret> {
        let by = &caller(ctx)?.name;
        let webhooks = &services(ctx)?.activation.webhooks;
        Ok(webhooks
            .create(&webhook.into(), after.as_deref(), by)
            .await?
            .into())
    }

    /// Defines a webhook anew. It goes on where it is, at once if it was failing or disabled.
    #[graphql(guard = "Needs(Permission::Activate)")]
    async fn change_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook's id.")] id: ID,
        #[graphql(desc = "What is to be sent where.")] webhook: WebhookInput,
    ) -> Result<Webhook> {
        let by = &caller(ctx)?.name;
        let webhooks = &services(ctx)?.activation.webhooks;
        Ok(webhooks.change(&id, &webhook.into(), by).await?.into())
    }

    /// Forgets a webhook, and what it delivered.
    #[graphql(guard = "Needs(Permission::Activate)")]
    async fn delete_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook's id.")] id: ID,
    ) -> Result<bool> {
        let by = &caller(ctx)?.name;
        services(ctx)?.activation.webhooks.delete(&id, by).await?;
        Ok(true)
    }

    /// Gives a webhook a new secret, which is shown this once. The one before signs beside it for a
    /// day.
    #[graphql(guard = "Needs(Permission::Activate)")]
    async fn rotate_webhook_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook's id.")] id: ID,
    ) -> Result<WebhookWithSecret> {
        let by = &caller(ctx)?.name;
        Ok(services(ctx)?.activation.webhooks.rotate(&id, by).await?.into())
    }

    /// Sends events again: what happened behind a cursor, in order; or without one each dead
    /// letter. They have the ids that they had.
    #[graphql(guard = "Needs(Permission::Activate)")]
    async fn replay_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook's id.")] id: ID,
        #[graphql(desc = "A cursor of the feed.")] after: Option<String>,
    ) -> Result<Webhook> {
        let by = &caller(ctx)?.name;
        let webhooks = &services(ctx)?.activation.webhooks;
        let webhook = match after {
            Some(after) => webhooks.replay(&id, &after, by).await?,
            None => webhooks.replay_dead(&id, by).await?,
        };
        Ok(webhook.into())
    }

    /// Sends an event of the type `webhook.test`, once and now.
    #[graphql(guard = "Needs(Permission::Activate)")]
    async fn test_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook's id.")] id: ID,
    ) -> Result<WebhookTest> {
        Ok(services(ctx)?.activation.webhooks.test(&id).await?.into())
    }

    /// Allows a link that was refused, beyond any bound, or keeps its ends apart, whatever comes.
    #[graphql(guard = "Needs(Permission::Judge)")]
    async fn review_conflict(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The conflict's id.")] id: ID,
        #[graphql(desc = "`allow` or `keep_apart`.")] action: String,
    ) -> Result<Judged> {
        let by = &caller(ctx)?.name;
        Ok(services(ctx)?.judgement.review(&id, &action, by).await?.into())
    }
}

fn check_number(records: &[Json<Value>]) -> Result<()> {
    if (1..=RECORDS_MAX).contains(&records.len()) {
        return Ok(());
    }
    Err(Error::bad_request("records", format!("give 1 to {RECORDS_MAX} records")).into())
}

/// A JSON array with each record on a line of its own, so that the line of an error is the
/// record's number.
fn json_lines(records: &[Json<Value>]) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (index, record) in records.iter().enumerate() {
        bytes.extend_from_slice(if index == 0 { b"[" } else { b",\n" });
        serde_json::to_writer(&mut bytes, record)?;
    }
    bytes.push(b']');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use async_graphql::value;

    use super::*;

    #[test]
    fn each_record_has_a_line_and_keeps_the_order_of_its_fields() {
        let records = [
            Json(value!({"cookie": "c1", "age": 42})),
            Json(value!("no record")),
        ];
        let json = String::from_utf8(json_lines(&records).unwrap()).unwrap();
        assert_eq!(json, "[{\"cookie\":\"c1\",\"age\":42},\n\"no record\"]");
    }
}
