//! Brings the schema up to date: the files of `schema/store`, in order, each once.

use std::time::Duration;

use surrealdb::types::{RecordId, SurrealValue};

use super::transaction::bind;
use super::{Store, StoreError};

/// Every migration ever released, in order. Add to the end; never change one.
const MIGRATIONS: &[(&str, &str)] = &[
    ("001_road", include_str!("../../schema/store/001_road.surql")),
    (
        "002_identity",
        include_str!("../../schema/store/002_identity.surql"),
    ),
    (
        "003_quality",
        include_str!("../../schema/store/003_quality.surql"),
    ),
    (
        "004_batches",
        include_str!("../../schema/store/004_batches.surql"),
    ),
    (
        "005_revisions",
        include_str!("../../schema/store/005_revisions.surql"),
    ),
    (
        "006_corrections",
        include_str!("../../schema/store/006_corrections.surql"),
    ),
    (
        "007_cohorts",
        include_str!("../../schema/store/007_cohorts.surql"),
    ),
    (
        "008_activation",
        include_str!("../../schema/store/008_activation.surql"),
    ),
    ("009_tally", include_str!("../../schema/store/009_tally.surql")),
    (
        "010_secrets",
        include_str!("../../schema/store/010_secrets.surql"),
    ),
    ("011_auth", include_str!("../../schema/store/011_auth.surql")),
    (
        "012_privacy",
        include_str!("../../schema/store/012_privacy.surql"),
    ),
    (
        "013_write_keys",
        include_str!("../../schema/store/013_write_keys.surql"),
    ),
    ("014_audit", include_str!("../../schema/store/014_audit.surql")),
    (
        "015_cluster",
        include_str!("../../schema/store/015_cluster.surql"),
    ),
    ("016_facets", include_str!("../../schema/store/016_facets.surql")),
];

/// The pause before the migrations are read again when another process applies them.
const PAUSE: Duration = Duration::from_millis(20);

/// After so many races lost it is no other process that is in the way.
const LOST_MAX: u32 = 100;

#[derive(SurrealValue)]
struct Applied {
    id: RecordId,
    name: String,
}

/// Applies what is missing. Each migration is one transaction with the record of it: whoever
/// ends half way leaves nothing of it behind, and of several that start at once on one store,
/// one applies it and the others find it applied.
///
/// # Errors
/// When a migration fails, or the store has one that this version does not know.
pub(super) async fn apply(store: &Store) -> Result<(), StoreError> {
    store
        .run_again(
            "prepared its migrations",
            "DEFINE TABLE IF NOT EXISTS migration SCHEMALESS",
            bind([]),
        )
        .await?;
    let mut lost = 0;
    loop {
        let index = applied(store).await?;
        let Some((name, text)) = MIGRATIONS.get(index) else {
            return Ok(());
        };
        let row = Applied {
            id: RecordId::new("migration", i64::from(number(index))),
            name: (*name).to_owned(),
        };
        let text = format!("BEGIN; INSERT INTO migration $row RETURN NONE;\n{text}\nCOMMIT;");
        match store
            .run("applied a migration", &text, bind([("row", row.into_value())]))
            .await
        {
            Ok(()) => tracing::info!(migration.name = name, "applied migration {name}"),
            // Another process is ahead: the next look at what was applied tells how far.
            Err(StoreError::Conflict) if lost < LOST_MAX => {
                lost += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                return Err(StoreError::Migration {
                    number: number(index),
                    reason: std::error::Error::source(&error)
                        .map_or_else(|| error.to_string(), ToString::to_string),
                });
            }
        }
    }
}

/// How many migrations were applied, which must be the first ones of this version.
async fn applied(store: &Store) -> Result<usize, StoreError> {
    let rows: Vec<Applied> = store
        .select(
            "read its migrations",
            "SELECT id, name FROM migration ORDER BY id",
            bind([]),
        )
        .await?;
    for (index, row) in rows.iter().enumerate() {
        let expected = MIGRATIONS.get(index).map(|(name, _)| *name);
        if expected != Some(row.name.as_str()) {
            let reason = format!(
                "the store has `{}` from a newer version of this program",
                row.name
            );
            return Err(StoreError::Migration {
                number: number(index),
                reason,
            });
        }
    }
    Ok(rows.len())
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_of_a_newer_version_is_left_alone() {
        let store = Store::in_memory().await;
        apply(&store).await.unwrap();
        let newer = Applied {
            id: RecordId::new("migration", i64::from(number(MIGRATIONS.len()))),
            name: "999_tomorrow".to_owned(),
        };
        let row = bind([("row", newer.into_value())]);
        store
            .run("noted a migration", "INSERT INTO migration $row RETURN NONE", row)
            .await
            .unwrap();
        let error = apply(&store).await.unwrap_err().to_string();
        assert!(
            error.contains("the store has `999_tomorrow` from a newer version of this program"),
            "{error}"
        );
    }
}
