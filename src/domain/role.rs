//! Who a caller is, and what they may do: what their role allows, as far as their token's scopes
//! reach.

use std::fmt;
use std::str::FromStr;

use ulid::Ulid;

use super::Timestamp;

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

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Classify,
        Self::Define,
        Self::Ingest,
        Self::Judge,
        Self::Export,
        Self::Activate,
        Self::Erase,
        Self::Administer,
        Self::Audit,
    ];

    /// The name by which a token carries it, and a log-in asks for it.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Read => "profiles:read",
            Self::Classify => "interests:classify",
            Self::Define => "cohorts:define",
            Self::Ingest => "ingest:write",
            Self::Judge => "identity:judge",
            Self::Export => "profiles:export",
            Self::Activate => "webhooks:manage",
            Self::Erase => "people:erase",
            Self::Administer => "users:manage",
            Self::Audit => "audit:read",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// No permission.
    pub const NONE: Self = Self(0);

    /// What a role allows.
    #[must_use]
    pub fn of(role: Role) -> Self {
        let may = Permission::ALL.into_iter().filter(|some| role.may(*some));
        may.collect()
    }

    /// The permissions that a text of names parted by spaces names, whatever else it names.
    #[must_use]
    pub fn known(text: &str) -> Self {
        let named = |name: &str| Permission::ALL.into_iter().find(|some| some.scope() == name);
        text.split(' ').filter_map(named).collect()
    }

    /// Whether a permission is among them.
    #[must_use]
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, in the order of [`Permission::ALL`].
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let among = Permission::ALL.into_iter().filter(move |some| self.has(*some));
        among.map(Permission::scope)
    }
}

impl FromIterator<Permission> for Scopes {
    fn from_iter<T: IntoIterator<Item = Permission>>(permissions: T) -> Self {
        Self(permissions.into_iter().fold(0, |bits, some| bits | some.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(" "))
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope")]
pub struct UnknownScope(String);

impl FromStr for Scopes {
    type Err = UnknownScope;

    /// Names parted by spaces.
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let unknown = text.split_whitespace().find(|name| Self::known(name).is_empty());
        match unknown {
            Some(name) => Err(UnknownScope(name.to_owned())),
            None => Ok(text
                .split_whitespace()
                .flat_map(|name| Self::known(name).each())
                .collect()),
        }
    }
}

impl Scopes {
    fn each(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |some| self.has(*some))
    }
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
    /// The user's name; of somebody whom another issuer vouches for, with that issuer's name.
    pub name: String,
    /// The user's role.
    pub role: Role,
    /// What of that their token reaches to.
    pub scopes: Scopes,
    /// The session that their token is of; none of a token that another issuer signed.
    pub session: Option<Ulid>,
    /// When their token ends.
    pub expires_at: Timestamp,
}

impl Caller {
    /// Whether role and scopes both allow it.
    #[must_use]
    pub const fn may(&self, permission: Permission) -> bool {
        self.role.may(permission) && self.scopes.has(permission)
    }

    /// Why [`Caller::may`] says no.
    #[must_use]
    pub fn refusal(&self, permission: Permission) -> String {
        if self.role.may(permission) {
            format!("the token's scope does not reach to {}", permission.scope())
        } else {
            format!("the role {} may not do this", self.role)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_may_more_than_the_table_says() {
        use Permission::{Classify, Define, Export, Ingest, Read};
        let all = Permission::ALL;
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
    fn scopes_read_back_and_each_permission_has_its_own() {
        for role in Role::ALL {
            let scopes = Scopes::of(role);
            assert_eq!(scopes.to_string().parse(), Ok(scopes));
            for permission in Permission::ALL {
                assert_eq!(scopes.has(permission), role.may(permission));
            }
        }
        let all = Scopes::of(Role::Admin);
        assert_eq!(all.names().count(), Permission::ALL.len());
        for permission in Permission::ALL {
            assert_eq!(
                Scopes::known(permission.scope()).each().collect::<Vec<_>>(),
                [permission]
            );
        }
        assert_eq!("".parse(), Ok(Scopes::NONE));
        assert!("profiles:read profiles:write".parse::<Scopes>().is_err());
        assert_eq!(Scopes::known("openid profiles:read").to_string(), "profiles:read");
    }

    #[test]
    fn a_caller_may_what_role_and_scope_both_allow() {
        let caller = |role, scope: &str| Caller {
            name: "ann".to_owned(),
            role,
            scopes: scope.parse().unwrap(),
            session: None,
            expires_at: Timestamp::MAX_UTC,
        };
        let narrow = caller(Role::Admin, "profiles:read");
        assert!(narrow.may(Permission::Read));
        assert!(!narrow.may(Permission::Administer));
        assert!(narrow.refusal(Permission::Administer).contains("users:manage"));
        let wide = caller(Role::Viewer, "profiles:read users:manage");
        assert!(!wide.may(Permission::Administer));
        assert!(wide.refusal(Permission::Administer).contains("viewer"));
    }

    #[test]
    fn a_role_reads_back_by_its_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
