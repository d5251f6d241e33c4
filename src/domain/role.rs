//! Who a caller is, and what they may do.

use std::fmt;
use std::str::FromStr;

/// A user's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads profiles and cohorts.
    Viewer,
    /// Reads, classifies, defines cohorts, exports.
    Analyst,
    /// Sends records, and reads nothing but the fate of what was sent.
    Ingest,
    /// Everything.
    Admin,
}

/// What a route or resolver lets its caller do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Read profiles, their identity graph, cohorts and their members.
    Read,
    /// Ask the classifier.
    Classify,
    /// Define cohorts and rules.
    Define,
    /// Send records, and see what became of them.
    Ingest,
    /// Judge who is who: undo merges, cut links, allow or keep apart what was refused.
    Judge,
    /// Take people out in files.
    Export,
    /// Say what is sent where: webhooks.
    Activate,
    /// Erase people, and see what is kept of whom.
    Erase,
    /// Say who may call: users, their sessions, and write keys.
    Administer,
    /// Read who did what.
    Audit,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Analyst, Self::Ingest, Self::Admin];

    /// The table of who may do what.
    #[must_use]
    pub const fn may(self, permission: Permission) -> bool {
        matches!(
            (self, permission),
            (Self::Admin, _)
                | (Self::Viewer, Permission::Read)
                | (
                    Self::Analyst,
                    Permission::Read | Permission::Classify | Permission::Define | Permission::Export
                )
                | (Self::Ingest, Permission::Ingest)
        )
    }

    /// The role's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; the roles are viewer, analyst, ingest and admin")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

/// Someone who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's name.
    pub name: String,
    /// The user's role.
    pub role: Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_may_more_than_the_table_says() {
        use Permission::{Activate, Administer, Audit, Classify, Define, Erase, Export, Ingest, Judge, Read};
        let all = [
            Read, Classify, Define, Ingest, Judge, Export, Activate, Erase, Administer, Audit,
        ];
        let table: [(Role, &[Permission]); 4] = [
            (Role::Viewer, &[Read]),
            (Role::Analyst, &[Read, Classify, Define, Export]),
            (Role::Ingest, &[Ingest]),
            (Role::Admin, &all),
        ];
        for (role, may) in table {
            for permission in all {
                assert_eq!(
                    role.may(permission),
                    may.contains(&permission),
                    "{role}, {permission:?}"
                );
            }
        }
    }

    #[test]
    fn a_role_reads_back_by_its_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
