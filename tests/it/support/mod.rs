//! What the crash and invariant tests share with `refit-sim pairs`: worlds at well-known moments, workflows, and a player.

pub(crate) use refit_local::sim::workflows::{self, player, summary, worlds};
