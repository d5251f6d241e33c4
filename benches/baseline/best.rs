//! The client of `best.sql`: a batch is one array for each column, sent in binary.

use std::time::SystemTime;

use cdp::domain::fact::Attribute;
use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::{Baseline, run, said};
use crate::road::Known;
use crate::visits::{Judged, SOURCE};

/// As fast as we could make it.
pub struct Best;

/// A text of each row, where it has one.
type Texts = Vec<Option<String>>;

/// A batch, column by column.
#[derive(Default)]
pub struct Batch {
    name: String,
    source: &'static str,
    received_at: Option<SystemTime>,
    numbers: Vec<i32>,
    verbatims: Vec<String>,
    reasons: Texts,
    cookies: Texts,
    emails: Texts,
    times: Vec<Option<SystemTime>>,
    message_ids: Texts,
    attributes: [Texts; Attribute::ALL.len()],
    interest_numbers: Vec<i32>,
    interests: Vec<String>,
    displays: Vec<String>,
}

impl Baseline for Best {
    type Batch = Batch;

    const SCHEMA: &'static str = "best";
    const SQL: &'static str = include_str!("best.sql");
    const PREPARE: &'static str = "CALL prepare_connection()";
    const INGEST: &'static str = "SELECT ingest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
         $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)";

    fn batch(judged: Vec<Judged>, received_at: SystemTime) -> Batch {
        let mut batch = Batch {
            name: ulid::Ulid::new().to_string(),
            source: SOURCE,
            received_at: Some(received_at),
            ..Batch::default()
        };
        for (number, judged) in (0..).zip(judged) {
            batch.add(number, judged);
        }
        batch
    }

    fn parameters(batch: &Batch) -> Vec<&(dyn ToSql + Sync)> {
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
            &batch.name,
            &batch.source,
            &batch.received_at,
            &batch.numbers,
            &batch.verbatims,
            &batch.reasons,
            &batch.cookies,
            &batch.emails,
            &batch.times,
            &batch.message_ids,
        ];
        for texts in &batch.attributes {
            parameters.push(texts);
        }
        parameters.push(&batch.interest_numbers);
        parameters.push(&batch.interests);
        parameters.push(&batch.displays);
        parameters
    }

    async fn keep_scores(client: &Client, known: &Known) {
        /// Less is no evidence.
        const EVIDENCE_MIN: f32 = 0.4;
        run(client, "SET search_path = best").await;
        let keys: Vec<&str> = known
            .interests
            .iter()
            .map(|interest| interest.key.as_str())
            .collect();
        let defined = known.cohorts();
        let (slugs, thresholds): (Vec<&str>, Vec<f64>) = (defined.iter())
            .map(|cohort| (cohort.slug.as_str(), f64::from(cohort.threshold)))
            .unzip();
        let (mut interests, mut cohorts, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        for interest in &known.interests {
            for score in interest.scores.iter().filter(|score| score.score >= EVIDENCE_MIN) {
                interests.push(interest.key.as_str());
                cohorts.push(score.cohort.as_str());
                scores.push(f64::from(score.score));
            }
        }
        let interest = "INSERT INTO interest SELECT row_number() OVER (), key FROM unnest($1::text[]) AS key";
        let cohort =
            "INSERT INTO cohort SELECT row_number() OVER (), * FROM unnest($1::text[], $2::float8[])";
        let score = "INSERT INTO score SELECT interest.id, cohort.id, said.score \
             FROM unnest($1::text[], $2::text[], $3::float8[]) AS said(interest, slug, score) \
             JOIN interest USING (interest) JOIN cohort USING (slug)";
        let kept = async {
            client.execute(interest, &[&keys]).await?;
            client.execute(cohort, &[&slugs, &thresholds]).await?;
            client.execute(score, &[&interests, &cohorts, &scores]).await
        };
        kept.await.map_or_else(|error| panic!("{}", said(&error)), drop);
    }
}

impl Batch {
    fn add(&mut self, number: i32, judged: Judged) {
        self.numbers.push(number);
        self.verbatims.push(judged.row.verbatim);
        let (fact, findings) = match judged.fact {
            Ok(fact) => (Some(fact), None),
            Err(findings) => (None, Some(findings)),
        };
        self.reasons.push(findings.map(|findings| {
            let reasons = findings
                .into_iter()
                .map(|finding| json!([finding.field, finding.code, finding.message]));
            reasons.collect::<serde_json::Value>().to_string()
        }));
        let Some(fact) = fact else {
            self.cookies.push(None);
            self.emails.push(None);
            self.times.push(None);
            self.message_ids.push(None);
            self.attributes.iter_mut().for_each(|texts| texts.push(None));
            return;
        };
        self.cookies.push(Some(fact.cookie.to_string()));
        self.emails.push(fact.email.map(|email| email.to_string()));
        self.times.push(Some(fact.at.into()));
        self.message_ids.push(fact.message_id);
        for (texts, name) in self.attributes.iter_mut().zip(Attribute::ALL) {
            texts.push(fact.attributes.get(&name).map(ToString::to_string));
        }
        for (key, interest) in fact.interests {
            self.interest_numbers.push(number);
            self.interests.push(key.as_str().to_owned());
            self.displays.push(interest.display);
        }
    }
}
