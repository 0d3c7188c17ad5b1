//! What the crash and invariant tests share: worlds at well-known moments, workflows, a player and the checks.

pub(crate) mod player;
pub(crate) mod summary;
pub(crate) mod workflows;
pub(crate) mod worlds;
