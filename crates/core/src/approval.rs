//! Requests for approval and the votes on them, bound to what was shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::guard::Guard;
use crate::names::{Digest, RunId};

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Promote.
    Approve,
    /// Do not.
    Decline,
}

/// One person's vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Who; each person counts once.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// What.
    pub choice: Choice,
    /// Why, in their words.
    pub comment: String,
}

/// A request for people to decide about a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Document version.
    pub schema: u16,
    /// The run.
    pub run: RunId,
    /// Grows with each vote, from 1: a vote may name the generation that the person saw.
    pub generation: u64,
    /// H(candidate, champion, evaluation, gates, promotion policy): what the votes are about.
    pub basis: Digest,
    /// Since when people are asked.
    pub requested_at: Timestamp,
    /// When the request expires: votes count before, not at, this time.
    pub expires_at: Timestamp,
    /// How many people must approve.
    pub needed: u32,
    /// The votes so far.
    pub votes: Vec<Vote>,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalState {
    /// More votes are needed.
    Pending,
    /// Enough people approved.
    Approved,
    /// Somebody declined.
    Declined,
    /// The time is over.
    Expired,
}

impl Approval {
    /// The version of the document.
    pub const SCHEMA: u16 = 1;

    /// Where the request stands at `now`. One "decline" outweighs every "approve"; what was decided in time stays decided.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> ApprovalState {
        if Guard::DeclineOutweighs.is_kept() && self.votes.iter().any(|it| it.choice == Choice::Decline) {
            ApprovalState::Declined
        } else if !self.votes.is_empty()
            && Guard::QuorumCounts.holds(usize::try_from(self.needed).is_ok_and(|needed| needed <= self.votes.len()))
        {
            ApprovalState::Approved
        } else if self.expires_at <= now && Guard::VoteExpires.is_kept() {
            ApprovalState::Expired
        } else {
            ApprovalState::Pending
        }
    }
}
