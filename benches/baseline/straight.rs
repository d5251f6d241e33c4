//! The client of `straight.sql`: a batch is a JSON text.

use std::time::SystemTime;

use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::{Baseline, run, said};
use crate::road::Known;
use crate::visits::{Judged, SOURCE};

/// As a good engineer would first write it.
pub struct Straight;

/// A batch with what its rows share.
pub struct Batch {
    name: String,
    source: &'static str,
    received_at: SystemTime,
    records: String,
}

impl Baseline for Straight {
    type Batch = Batch;

    const SCHEMA: &'static str = "straight";
    const SQL: &'static str = include_str!("straight.sql");
    const PREPARE: &'static str = "";
    const INGEST: &'static str = "SELECT ingest($1, $2, $3, $4)";

    fn batch(judged: Vec<Judged>, received_at: SystemTime) -> Batch {
        let records: Vec<Value> = judged.into_iter().map(record).collect();
        Batch {
            name: ulid::Ulid::new().to_string(),
            source: SOURCE,
            received_at,
            records: Value::from(records).to_string(),
        }
    }

    fn parameters(batch: &Batch) -> Vec<&(dyn ToSql + Sync)> {
        vec![&batch.name, &batch.source, &batch.received_at, &batch.records]
    }

    async fn keep_scores(client: &Client, known: &Known) {
        run(client, "SET search_path = straight").await;
        let (mut interests, mut cohorts, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        for interest in &known.interests {
            for score in interest.scores.iter() {
                interests.push(interest.key.as_str());
                cohorts.push(score.cohort.as_str());
                scores.push(f64::from(score.score));
            }
        }
        let defined = known.cohorts();
        let (slugs, thresholds): (Vec<&str>, Vec<f64>) = (defined.iter())
            .map(|cohort| (cohort.slug.as_str(), f64::from(cohort.threshold)))
            .unzip();
        let score = "INSERT INTO score SELECT * FROM unnest($1::text[], $2::text[], $3::float8[])";
        let cohort = "INSERT INTO cohort SELECT * FROM unnest($1::text[], $2::float8[])";
        let kept = async {
            client.execute(score, &[&interests, &cohorts, &scores]).await?;
            client.execute(cohort, &[&slugs, &thresholds]).await
        };
        kept.await.map_or_else(|error| panic!("{}", said(&error)), drop);
    }
}

fn record(judged: Judged) -> Value {
    let (number, verbatim) = (judged.row.number, judged.row.verbatim);
    match judged.fact {
        Ok(fact) => {
            let attributes: Map<String, Value> = (fact.attributes.iter())
                .map(|(name, value)| (name.name().to_owned(), value.to_string().into()))
                .collect();
            let interests: Map<String, Value> = (fact.interests.into_iter())
                .map(|(key, interest)| (key.as_str().to_owned(), interest.display.into()))
                .collect();
            json!({
                "number": number, "verbatim": verbatim, "cookie": fact.cookie.as_str(),
                "email": fact.email.map(|email| email.to_string()), "at": fact.at.to_rfc3339(),
                "message_id": fact.message_id, "attributes": attributes, "interests": interests,
            })
        }
        Err(findings) => {
            let reasons: Vec<Value> = (findings.into_iter())
                .map(|finding| json!([finding.field, finding.code, finding.message]))
                .collect();
            json!({ "number": number, "verbatim": verbatim, "reasons": reasons })
        }
    }
}
