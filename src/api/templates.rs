//! The template of a path: `/api/profiles/{id}/graph` for each of them. What is measured of
//! requests is told apart by these, since a path may name somebody, and there are as many as
//! callers care to make up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::rest::description::description;
use super::{UNDESCRIBED, is_any, is_of, versions};

/// What stands for the path of no route.
pub const UNMATCHED: &str = "unmatched";

/// All templates: those without parameters, and the others by how many parts they have.
struct Templates {
    plain: BTreeSet<String>,
    with_parameters: BTreeMap<usize, Vec<String>>,
    /// Folders: whatever stands below them is theirs.
    folders: Vec<String>,
}

static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::read);

impl Templates {
    fn read() -> Self {
        let described = description()["paths"].as_object();
        let described = described.into_iter().flat_map(|paths| paths.keys());
        let mut all: BTreeSet<String> = described.map(|path| format!("/api{path}")).collect();
        all.extend(UNDESCRIBED.iter().map(|(_, path, _)| (*path).to_owned()));
        let mut templates = Self {
            plain: BTreeSet::new(),
            with_parameters: BTreeMap::new(),
            folders: Vec::new(),
        };
        for template in all {
            if template == "/assets/*" {
                templates.folders.push(template);
            } else if template.split('/').any(is_any) {
                let parts = template.split('/').count();
                templates.with_parameters.entry(parts).or_default().push(template);
            } else {
                templates.plain.insert(template);
            }
        }
        templates
    }

    fn find(&self, path: &str) -> Option<&str> {
        if let Some(plain) = self.plain.get(path) {
            return Some(plain);
        }
        let alike = self.with_parameters.get(&path.split('/').count());
        let found = alike.into_iter().flatten().find(|template| is_of(path, template));
        let is_below = |folder: &&String| {
            let folder = folder.trim_end_matches('*');
            path.len() > folder.len() && path.starts_with(folder)
        };
        found
            .or_else(|| self.folders.iter().find(is_below))
            .map(String::as_str)
    }
}

/// The template of a path, with a version of the API or without.
pub fn of(path: &str) -> &'static str {
    let path = versions::without(path);
    let trimmed = if path.len() > 1 {
        path.trim_end_matches('/')
    } else {
        &*path
    };
    TEMPLATES.find(trimmed).unwrap_or(UNMATCHED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_by_its_template() {
        for (path, template) in [
            ("/", "/"),
            ("/api/user", "/api/user"),
            ("/api/v1/user", "/api/user"),
            ("/api/profiles/p1/graph", "/api/profiles/{id}/graph"),
            (
                "/api/v1/profiles/ann@example.com/graph",
                "/api/profiles/{id}/graph",
            ),
            ("/api/cohorts/preview", "/api/cohorts/preview"),
            ("/v1/track", "/v1/*"),
            ("/v1/projects/k/settings", "/v1/projects/*/settings"),
            ("/assets/a/b.js", "/assets/*"),
            ("/docs/", "/docs"),
            ("/metrics", "/metrics"),
            ("/assets/", UNMATCHED),
            ("/api/ann@example.com", UNMATCHED),
            ("/wp-login.php", UNMATCHED),
            ("//", UNMATCHED),
        ] {
            assert_eq!(of(path), template, "{path}");
        }
    }
}
