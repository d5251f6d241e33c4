//! What a user can do. REST, GraphQL and the command line are skins over it.

pub mod interests;
pub mod seeds;
