//! Brings the schema up to date: the files of `schema/store`, in order, each once.

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
];

#[derive(SurrealValue)]
struct Applied {
    id: RecordId,
    name: String,
}

/// Applies what is missing.
///
/// # Errors
/// When a migration fails, or the store has one that this version does not know.
pub(super) async fn apply(store: &Store) -> Result<(), StoreError> {
    store
        .run(
            "prepared its migrations",
            "DEFINE TABLE IF NOT EXISTS migration SCHEMALESS",
            bind([]),
        )
        .await?;
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
    for (index, (name, text)) in MIGRATIONS.iter().enumerate().skip(rows.len()) {
        let failed = |error: StoreError| StoreError::Migration {
            number: number(index),
            reason: std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
        };
        store
            .run("applied a migration", text, bind([]))
            .await
            .map_err(failed)?;
        let row = Applied {
            id: RecordId::new("migration", i64::from(number(index))),
            name: (*name).to_owned(),
        };
        store
            .run(
                "recorded a migration",
                "INSERT INTO migration $row RETURN NONE",
                bind([("row", row.into_value())]),
            )
            .await?;
        tracing::info!(migration.name = name, "applied migration {name}");
    }
    Ok(())
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}
