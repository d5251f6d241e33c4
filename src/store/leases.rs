//! Leases, each a record by the name of its job: read with the store's own clock, taken only as
//! it was read, and held by what is written under it.

use std::time::Duration;

use surrealdb::types::{RecordId, SurrealValue, Value};

use super::rows;
use super::transaction::{bind, take};
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::lease::{Job, Lease};

#[derive(SurrealValue)]
struct LeaseRow {
    id: RecordId,
    holder: String,
    until: Timestamp,
    rev: u64,
}

#[derive(SurrealValue)]
struct RenewedRow {
    id: RecordId,
    rev: u64,
}

/// What a transaction shows to be allowed to write: it lands only while the lease is still this
/// server's, and extends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The job.
    pub job: Job,
    /// Who has it.
    pub holder: String,
    /// Under which revision.
    pub rev: u64,
    /// How long it is extended.
    pub ttl: Duration,
}

#[derive(SurrealValue)]
struct ProofRow {
    id: RecordId,
    holder: String,
    rev: u64,
    ttl: String,
}

/// Stands at the beginning of a transaction, with `$lease` bound to [`shown`]. It writes the
/// lease, so that whoever takes it over at the same moment is in conflict with this; what the
/// error says is how `store::transaction` knows it.
macro_rules! holding {
    () => {
        "IF $lease != NONE {
            IF array::len((UPDATE $lease.id SET until = time::now() + <duration>$lease.ttl
                WHERE holder = $lease.holder AND rev = $lease.rev RETURN VALUE rev)) = 0 {
                THROW 'the hold is lost: another server has the lease'
            }
        };"
    };
}
pub(super) use holding;

const READ: &str = "SELECT * FROM $id; RETURN [time::now()];";

const TAKE: &str = "UPDATE $row.id CONTENT $row WHERE rev = $before RETURN VALUE rev";

const RENEW: &str = "UPDATE $ids SET until = time::now() + <duration>$ttl
    WHERE holder = $holder RETURN id, rev";

const RELEASE: &str = "UPDATE $id SET holder = '', until = time::now()
    WHERE holder = $holder AND rev = $rev RETURN NONE";

impl Store {
    /// A lease as it is, and the store's clock; no lease where nobody has ever taken it.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn lease(&self, job: &Job) -> Result<(Option<Lease>, Timestamp), StoreError> {
        let parameters = bind([("id", lease_id(job).into_value())]);
        let mut results = self.results("read a lease", READ, parameters).await?;
        let found: Vec<LeaseRow> = take(&mut results, 0)?;
        let now: Vec<Timestamp> = take(&mut results, 1)?;
        let now = now.into_iter().next();
        let now = now.ok_or_else(|| StoreError::Corrupt("the store has no clock".to_owned()))?;
        let lease = found.into_iter().next().map(|row| Lease {
            holder: row.holder,
            until: row.until,
            rev: row.rev,
        });
        Ok((lease, now))
    }

    /// Takes a lease that was read at the revision before; false where somebody came first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_lease(&self, job: &Job, lease: &Lease) -> Result<bool, StoreError> {
        let row = LeaseRow {
            id: lease_id(job),
            holder: lease.holder.clone(),
            until: lease.until,
            rev: lease.rev,
        };
        let before = lease.rev.saturating_sub(1);
        let doing = "took a lease";
        let taken = if before == 0 {
            let text = "INSERT INTO lease $row RETURN NONE";
            let parameters = bind([("row", row.into_value())]);
            self.run(doing, text, parameters).await.map(|()| true)
        } else {
            let parameters = bind([("row", row.into_value()), ("before", before.into_value())]);
            let taken = self.select::<u64>(doing, TAKE, parameters).await;
            taken.map(|taken| !taken.is_empty())
        };
        match taken {
            Err(StoreError::Conflict) => Ok(false),
            taken => taken,
        }
    }

    /// Extends leases of a holder; says which of them are still theirs, each with its revision.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn renew_leases(
        &self,
        jobs: &[Job],
        holder: &str,
        ttl: Duration,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let ids: Vec<RecordId> = jobs.iter().map(lease_id).collect();
        let parameters = bind([
            ("ids", ids.into_value()),
            ("holder", holder.to_owned().into_value()),
            ("ttl", written(ttl).into_value()),
        ]);
        // What is written under one of them extends it, too.
        let renewed: Vec<RenewedRow> = self.select_again("renewed leases", RENEW, parameters).await?;
        renewed
            .into_iter()
            .map(|row| Ok((rows::text_key(&row.id)?.to_owned(), row.rev)))
            .collect()
    }

    /// Gives a lease back, if it is still as it was taken.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release_lease(&self, job: &Job, holder: &str, rev: u64) -> Result<(), StoreError> {
        let parameters = bind([
            ("id", lease_id(job).into_value()),
            ("holder", holder.to_owned().into_value()),
            ("rev", rev.into_value()),
        ]);
        self.run_again("gave a lease back", RELEASE, parameters).await
    }
}

pub(super) fn lease_id(job: &Job) -> RecordId {
    RecordId::new("lease", job.to_string())
}

/// A proof as `holding!` reads it; nothing where the store is one server's alone.
pub(super) fn shown(proof: Option<&Proof>) -> Value {
    let row = proof.map(|proof| ProofRow {
        id: lease_id(&proof.job),
        holder: proof.holder.clone(),
        rev: proof.rev,
        ttl: written(proof.ttl),
    });
    row.into_value()
}

/// A span as SurrealQL writes it.
fn written(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}
