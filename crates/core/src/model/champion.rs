//! Which version is champion: adopted, promoted, taken back.

use std::sync::Arc;

use super::{Inconsistent, Model, missing};
use crate::audit::AuditEvent;
use crate::guard::Guard;
use crate::names::RunId;
use crate::package::{Package, PackageStatus};
use crate::run::{Outcome, OutcomeCode, RunEvent};

impl Model {
    pub(super) fn adopt_package(&mut self, event: &AuditEvent, package: &Arc<Package>) -> Result<(), Inconsistent> {
        if self.head.champion.is_some() || self.head.active_run.is_some() {
            return Err(Inconsistent::Misplaced(event.seq, event.fact.name()));
        }
        self.head_mut().champion = Some(package.version);
        self.packages.insert(package.version, Arc::clone(package));
        Ok(())
    }

    /// A version that was judged before keeps what it was, and may be champion by now: refusing its return is no new judgment.
    pub(super) fn refuse_candidate(&mut self, version: Option<u64>) {
        if let Some(package) = version.and_then(|it| self.packages.get_mut(&it)).map(Arc::make_mut)
            && package.status == PackageStatus::Candidate
        {
            package.status = PackageStatus::Rejected;
        }
    }

    pub(super) fn package(&mut self, seq: u64, version: u64) -> Result<&mut Package, Inconsistent> {
        self.packages.get_mut(&version).map(Arc::make_mut).ok_or_else(|| missing(seq, "package version", &version))
    }

    pub(super) fn promote(
        &mut self,
        event: &AuditEvent,
        run: &RunId,
        version: u64,
        replaced: Option<u64>,
    ) -> Result<(), Inconsistent> {
        let seq = event.seq;
        if self.head.champion != replaced {
            return Err(Inconsistent::Misplaced(seq, event.fact.name()));
        }
        if let Some(old) = replaced.filter(|_| Guard::OldChampionRetires.is_kept()) {
            self.package(seq, old)?.status = PackageStatus::Retired;
        }
        let package = self.package(seq, version)?;
        // It served before and was replaced: rolling back far enough comes to that time, too.
        if package.status == PackageStatus::Retired {
            package.replaced_before.push(package.replaced);
        }
        package.status = PackageStatus::Champion;
        package.promoted_at = Some(event.at);
        package.replaced = replaced;
        let outcome =
            Outcome { at: event.at, code: OutcomeCode::Promoted, reason: format!("version {version} is champion") };
        self.end_run(seq, run, RunEvent::Promote, &outcome)?;
        let head = self.head_mut();
        head.champion = Some(version);
        if Guard::PreviousChampionKept.is_kept() {
            head.previous_champion = replaced;
        }
        head.rolled_back = None;
        head.setbacks_before = std::mem::take(&mut head.setbacks);
        // A promotion under a freeze was approved by a person: it lifts the freeze.
        head.frozen = None;
        head.drift = None;
        head.performance = None;
        Ok(())
    }

    pub(super) fn roll_back(&mut self, seq: u64, from: u64, to: u64) -> Result<(), Inconsistent> {
        let rollback =
            self.head_mut().active_rollback.take().ok_or_else(|| missing(seq, "the rollback to version", &to))?;
        let taken = self.package(seq, from)?;
        match taken.replaced_before.pop() {
            // It is again what it was before it was promoted again.
            Some(replaced) => {
                taken.status = PackageStatus::Retired;
                taken.replaced = replaced;
            }
            None => taken.status = PackageStatus::RolledBack,
        }
        let restored = self.package(seq, to)?;
        restored.status = PackageStatus::Champion;
        let previous = restored.replaced;
        let head = self.head_mut();
        head.champion = Some(to);
        head.previous_champion = previous;
        head.frozen = Guard::RollbackFreezes
            .is_kept()
            .then(|| format!("version {from} was rolled back to {to}: {}", rollback.reason));
        head.rolled_back = Some(rollback);
        head.setbacks = head.setbacks.saturating_add(std::mem::take(&mut head.setbacks_before)) + 1;
        head.drift = None;
        head.performance = None;
        Ok(())
    }
}
