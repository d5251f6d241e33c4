//! Transforms: a file that anybody wrote is one or says why not, and no expression panics,
//! whatever the row holds. The first line is the expression, the next the row, the rest a file.
#![no_main]

use cdp_fuzz::ingest::fields::Names;
use cdp_fuzz::ingest::transform::Transform;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let (expression, row) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let Ok(row) = serde_json::from_str::<Value>(row) else { return };
    let Ok(row) = Names::as_sent().fields_of(row) else { return };
    // A file in YAML may as well be JSON.
    let file = json!({
        "source": "fuzz",
        "fields": [
            {"to": "cookie", "cel": expression},
            {"to": "email", "from": "a", "steps": [{"cel": expression}, "trim"]},
        ],
    });
    for file in [file.to_string(), lines.next().unwrap_or_default().to_owned()] {
        if let Ok(transform) = Transform::parse(&file)
            && let Err(finding) = transform.apply(row.clone())
        {
            assert_eq!(finding.code, "transform");
        }
    }
});
