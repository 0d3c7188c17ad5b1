//! Plays a time-ordered file through the loop on a virtual clock.

mod document;

pub use document::{
    ApprovalSummary, AuditSummary, DataSummary, DecisionSummary, Document, Ending, History, MetricSummary, Promotion, Quality,
    QualityMean, QualityWindow, RollbackSummary, RunSummary, VerdictSummary, VoteSummary,
};
