//! What happened when: the moments that the plots mark.

use jiff::Timestamp;
use maud::{Markup, html};
use plotters::prelude::{Color as _, PathElement, Polygon, RGBColor, Rectangle};
use refit_core::run::RunStatus;

use super::Report;
use super::plot::{Area, BAD, GOOD, Painted, REFUSED, WAIT, px, size};

/// Kinds of moment, each with its own shape and color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Promoted,
    RolledBack,
    Refused,
    Broke,
    Asked,
}

/// One moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) kind: Kind,
    pub(super) at: Timestamp,
    /// The end of a wait.
    pub(super) until: Timestamp,
    /// The version, where there is one.
    pub(super) version: Option<u64>,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] = [Kind::Promoted, Kind::RolledBack, Kind::Refused, Kind::Broke, Kind::Asked];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Promoted => "promoted",
            Kind::RolledBack => "rolled back",
            Kind::Refused => "rejected",
            Kind::Broke => "failed",
            Kind::Asked => "approval",
        }
    }

    pub(super) fn color(self) -> RGBColor {
        match self {
            Kind::Promoted => GOOD,
            Kind::RolledBack | Kind::Broke => BAD,
            Kind::Refused => REFUSED,
            Kind::Asked => WAIT,
        }
    }

    /// The shape as a path around the origin, in CSS pixels, and its class.
    fn path(self) -> (&'static str, &'static str) {
        match self {
            Kind::Promoted => ("mark promoted", "M0-6 6 5H-6Z"),
            Kind::RolledBack => ("mark broke", "M0-6.5 6.5 0 0 6.5-6.5 0Z"),
            Kind::Refused => ("mark refused", "M-4.5-4.5H4.5V4.5H-4.5Z"),
            Kind::Broke => ("mark failed", "M-4.5-4.5 4.5 4.5M4.5-4.5-4.5 4.5"),
            Kind::Asked => ("mark asked", "M-7-3H7V3H-7Z"),
        }
    }

    /// The shape in the page, centered.
    pub(super) fn shape(self) -> Markup {
        let (class, path) = self.path();
        html! { path class=(class) d=(path) {} }
    }

    /// The shape as a sign in a legend.
    pub(super) fn sign(self) -> Markup {
        html! { svg.key viewBox="-9 -8 18 16" width="18" height="16" aria-hidden="true" { (self.shape()) } }
    }

    /// Draws the shape in a plot, centered at a place in units.
    pub(super) fn paint(self, area: &Area<'_>, (x, y): (i32, i32)) -> Painted {
        let color = self.color();
        let fill = color.filled();
        let near = |points: &[(i32, i32)]| -> Vec<(i32, i32)> {
            points.iter().map(|it| (x + px(it.0), y + px(it.1))).collect()
        };
        match self {
            Kind::Promoted => area.draw(&Polygon::new(near(&[(0, -6), (6, 5), (-6, 5)]), fill)),
            Kind::RolledBack => area.draw(&Polygon::new(near(&[(0, -6), (6, 0), (0, 6), (-6, 0)]), fill)),
            // A rectangle's outline would have no width of its own.
            Kind::Refused => area.draw(&PathElement::new(
                near(&[(-4, -4), (4, -4), (4, 4), (-4, 4), (-4, -5)]),
                color.stroke_width(size(2)),
            )),
            Kind::Broke => {
                let stroke = color.stroke_width(size(2));
                area.draw(&PathElement::new(near(&[(-4, -4), (4, 4)]), stroke))?;
                area.draw(&PathElement::new(near(&[(4, -4), (-4, 4)]), stroke))
            }
            Kind::Asked => area.draw(&Rectangle::new([(x - px(2), y - px(3)), (x + px(2), y + px(3))], fill)),
        }
    }
}

/// How a run's end is marked; `None` while it is under way or when somebody ended it.
pub(super) fn ending(status: RunStatus) -> Option<Kind> {
    match status {
        RunStatus::Succeeded => Some(Kind::Promoted),
        RunStatus::Rejected => Some(Kind::Refused),
        RunStatus::Failed | RunStatus::TimedOut => Some(Kind::Broke),
        RunStatus::Canceled
        | RunStatus::Requested
        | RunStatus::Queued
        | RunStatus::Starting
        | RunStatus::Training
        | RunStatus::Evaluating
        | RunStatus::AwaitingApproval
        | RunStatus::Announced
        | RunStatus::RollingOut
        | RunStatus::Stopping => None,
    }
}

/// Every moment, by kind and then by time.
pub(super) fn all(report: &Report<'_>) -> Vec<Moment> {
    let document = report.document;
    let at = |kind, at, version| Moment { kind, at, until: at, version };
    let mut moments: Vec<Moment> = Vec::new();
    moments.extend(document.promotions.iter().map(|it| at(Kind::Promoted, it.at, Some(it.version))));
    moments.extend(document.rollbacks.iter().map(|it| at(Kind::RolledBack, it.at, Some(it.to))));
    moments.extend(document.rejections.iter().map(|it| at(Kind::Refused, it.at, it.version)));
    moments.extend(document.failures.iter().map(|it| at(Kind::Broke, it.at, it.version)));
    moments.extend(document.approvals.iter().map(|it| {
        let until = report.find_run(&it.run).map_or(report.end(), |run| report.run_end(run));
        Moment { until, ..at(Kind::Asked, it.requested_at, None) }
    }));
    moments
}
