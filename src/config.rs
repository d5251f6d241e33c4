//! Joins each part's own settings: defaults < file < environment < flags. The defaults
//! file, `config.default.toml`, is the documentation, and a test keeps it equal to the
//! defaults in the code.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::Deserialize;

use crate::services::{accounts, audit, privacy, seeds};
use crate::{activation, api, auth, classify, ingest, pipeline, search, store, telemetry};

/// Every setting with its default and what it means.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// How strict the server is with itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Refuses default secrets and test users.
    Production,
    /// Seeds test users and prints them.
    Demo,
}

/// The settings that are secrets, by section and name. Each may stand in a file of its own, which
/// its name with `_file` behind it says: `auth.jwt_secret_file`, or `CDP_AUTH__JWT_SECRET_FILE`.
const SECRETS: [(&str, &str); 5] = [
    ("store", "password"),
    ("auth", "jwt_secret"),
    ("auth", "signing_key_pem"),
    ("login", "admin_password"),
    ("privacy", "pseudonym_key"),
];

/// The settings that stand in no section.
const OUTSIDE_SECTIONS: [&str; 2] = ["mode", "threads"];

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How strict the server is with itself.
    pub mode: Mode,
    /// How many threads serve; one for each core, and two at least, where this is unset.
    pub threads: Option<NonZeroUsize>,
    /// The store.
    pub store: store::Settings,
    /// How records are read and judged, and what may wait to be.
    pub ingest: ingest::Settings,
    /// Who is who.
    pub identity: pipeline::Settings,
    /// The classifier.
    pub classify: classify::Settings,
    /// Cohorts to start with.
    pub cohorts: seeds::Settings,
    /// The search index.
    pub search: search::Settings,
    /// What leaves the platform.
    pub activation: activation::Settings,
    /// Tokens and passwords.
    pub auth: auth::Settings,
    /// What people may ask of whoever keeps their data.
    pub privacy: privacy::Settings,
    /// Who did what.
    pub audit: audit::Settings,
    /// Logging in.
    pub login: accounts::Settings,
    /// The web.
    pub api: api::Settings,
    /// The log.
    pub telemetry: telemetry::Settings,
}

/// The settings can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named is not there.
    #[error("there is no settings file at `{0}`")]
    Missing(String),
    /// A secret is given, and a file of it too.
    #[error("`{0}` and `{0}_file` are both set")]
    Twice(String),
    /// The file of a secret can't be read.
    #[error("the file `{}` of `{setting}_file` can't be read", file.display())]
    Secret {
        /// The secret's name.
        setting: String,
        /// Its file.
        file: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A setting is unknown, or has a value of the wrong kind.
    #[error("a setting can't be used")]
    Unusable(#[source] Box<figment::Error>),
}

impl Config {
    /// Reads the settings: defaults, then the file, then the environment; and the secrets from files
    /// of their own, where these name some.
    ///
    /// # Errors
    /// When a file is missing, or a setting is unknown or of the wrong kind.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(file) = file {
            if !file.exists() {
                return Err(ConfigError::Missing(file.display().to_string()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        // One underscore is part of a name, two lead into a section. Other names without a
        // section are the command line's own, such as CDP_CONFIG.
        let environment = Env::prefixed("CDP_")
            .filter(|key| key.as_str().contains("__") || OUTSIDE_SECTIONS.iter().any(|name| key == name));
        let figment = with_secrets(figment.merge(environment.split("__")))?;
        figment
            .extract()
            .map_err(|error| ConfigError::Unusable(Box::new(error)))
    }
}

/// Puts what the files of secrets hold in the place of their names. The line's end that an editor
/// leaves is none of it.
fn with_secrets(figment: Figment) -> Result<Figment, ConfigError> {
    let unusable = |error| ConfigError::Unusable(Box::new(error));
    let mut settings: Dict = figment.extract().map_err(unusable)?;
    let mut has_files = false;
    for (section, name) in SECRETS {
        let Some(Value::Dict(_, section_settings)) = settings.get_mut(section) else {
            continue;
        };
        let setting = format!("{section}.{name}");
        let Some(file) = section_settings.remove(&format!("{name}_file")) else {
            continue;
        };
        if section_settings.contains_key(name) {
            return Err(ConfigError::Twice(setting));
        }
        let file: PathBuf = file.deserialize().map_err(unusable)?;
        let secret = std::fs::read_to_string(&file).map_err(|source| ConfigError::Secret {
            setting,
            file,
            source,
        })?;
        let secret = secret.trim_end_matches(['\r', '\n']);
        section_settings.insert(name.to_owned(), secret.into());
        has_files = true;
    }
    // What was not touched knows better where a wrong setting stands.
    Ok(if has_files {
        Figment::from(Serialized::defaults(settings))
    } else {
        figment
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::validate::{Severities, Severity};

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let config = Config::load(None).unwrap();
        assert_eq!(config.mode, Mode::Production);
        assert_eq!(
            format!("{:?}", config.store),
            format!("{:?}", store::Settings::default())
        );
        assert_eq!(config.ingest, ingest::Settings::default());
        assert_eq!(config.identity, pipeline::Settings::default());
        assert_eq!(config.classify, classify::Settings::default());
        assert_eq!(config.cohorts, seeds::Settings::default());
        assert_eq!(config.search, search::Settings::default());
        assert_eq!(config.activation, activation::Settings::default());
        assert_eq!(
            format!("{:?}", config.auth),
            format!("{:?}", auth::Settings::default())
        );
        assert_eq!(
            format!("{:?}", config.privacy),
            format!("{:?}", privacy::Settings::default())
        );
        assert_eq!(config.audit, audit::Settings::default());
        assert_eq!(
            format!("{:?}", config.login),
            format!("{:?}", accounts::Settings::default())
        );
        assert_eq!(
            format!("{:?}", config.api),
            format!("{:?}", api::Settings::default())
        );
        assert_eq!(
            format!("{:?}", config.telemetry),
            format!("{:?}", telemetry::Settings::default())
        );
    }

    #[test]
    fn a_list_of_placeholders_replaces_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cdp.toml");
        std::fs::write(
            &file,
            "[identity]\nplaceholders = [\"Kiosk-1\"]\n[identity.sources]\ntill = \"email_is_person\"\n",
        )
        .unwrap();
        let settings = Config::load(Some(&file)).unwrap().identity;
        assert_eq!(settings.placeholders, ["Kiosk-1"]);
        let placeholders = settings.placeholders();
        assert!(placeholders.contains("kiosk-1") && !placeholders.contains("undefined"));
        assert_eq!(
            settings.sources.get("till"),
            Some(&pipeline::PolicySetting::EmailIsPerson)
        );
        assert_eq!(settings.emails_max, pipeline::Settings::default().emails_max);
    }

    #[test]
    fn a_secret_may_stand_in_a_file_of_its_own() {
        use secrecy::ExposeSecret as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (folder.path().join("cdp.toml"), folder.path().join("secret"));
        std::fs::write(&secret, " a secret, with a space before it \r\n").unwrap();
        for (section, name) in SECRETS {
            let named = format!("[{section}]\n{name}_file = {:?}\n", secret.to_str().unwrap());
            std::fs::write(&file, &named).unwrap();
            let config = Config::load(Some(&file)).unwrap();
            let found = match name {
                "password" => config.store.password,
                "jwt_secret" => config.auth.jwt_secret,
                "signing_key_pem" => config.auth.signing_key_pem,
                "admin_password" => config.login.admin_password,
                _ => config.privacy.pseudonym_key,
            };
            assert_eq!(
                found.unwrap().expose_secret(),
                " a secret, with a space before it ",
                "{name}"
            );
            std::fs::write(&file, format!("{named}{name} = \"x\"\n")).unwrap();
            assert!(
                matches!(Config::load(Some(&file)), Err(ConfigError::Twice(_))),
                "{name}"
            );
        }
        std::fs::write(&file, "[auth]\njwt_secret_file = \"/nowhere/secret\"\n").unwrap();
        assert!(matches!(
            Config::load(Some(&file)),
            Err(ConfigError::Secret { .. })
        ));
        std::fs::write(&file, "[auth]\ntoken_ttl_s_file = \"/nowhere\"\n").unwrap();
        assert!(matches!(Config::load(Some(&file)), Err(ConfigError::Unusable(_))));
    }

    #[test]
    fn severities_are_set_by_field_or_by_finding() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cdp.toml");
        let table = "[ingest.quality.severity]\n\"phone_number\" = \"error\"\n\"email.invalid\" = \"drop\"\n";
        std::fs::write(
            &file,
            format!("[ingest.quality]\nphone_region = \"Germany\"\n{table}"),
        )
        .unwrap();
        let quality = Config::load(Some(&file)).unwrap().ingest.quality;
        let rules = quality.rules(pipeline::Settings::default().placeholders());
        assert_eq!(rules.phone_region, "DE");
        let table = [
            ("phone_number", Severity::Error),
            ("email.invalid", Severity::Drop),
        ];
        let table = table.map(|(name, severity)| (name.to_owned(), severity));
        assert_eq!(rules.severities, Severities::new(&table.into()).unwrap());
        for wrong in [
            "[ingest.quality.severity]\n\"cookie\" = \"drop\"\n",
            "[ingest.quality.severity]\n\"shoe_size\" = \"drop\"\n",
            "[ingest.quality]\nphone_region = \"Atlantis\"\n",
        ] {
            std::fs::write(&file, wrong).unwrap();
            assert!(
                matches!(Config::load(Some(&file)), Err(ConfigError::Unusable(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_file_overrides_what_it_names_and_may_not_misspell() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cdp.toml");
        std::fs::write(&file, "[api]\nlisten = \"0.0.0.0:9\"\n").unwrap();
        let config = Config::load(Some(&file)).unwrap();
        assert_eq!(
            (config.api.listen.as_str(), config.api.shutdown_grace_s),
            ("0.0.0.0:9", 20)
        );
        std::fs::write(&file, "[api]\nlissten = \"0.0.0.0:9\"\n").unwrap();
        assert!(matches!(Config::load(Some(&file)), Err(ConfigError::Unusable(_))));
        assert!(matches!(
            Config::load(Some(Path::new("/nowhere.toml"))),
            Err(ConfigError::Missing(_))
        ));
    }
}
