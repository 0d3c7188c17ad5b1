//! The main plot: what was served against the first champion left alone, and what happened when.

use std::ops::Range;

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};
use plotters::prelude::{
    ChartBuilder, Circle, Color as _, Cross, EmptyElement, IntoDynElement as _, IntoSegmentedCoord as _, PathElement, Polygon, Rectangle,
    TriangleMarker,
};
use plotters::style::text_anchor::{HPos, VPos};
use refit_core::policy::Direction;
use refit_core::run::RunStatus;

use super::plot::{
    Area, BAD, FROZEN, GOOD, GRID, INK, Painted, REFIT, REFUSED, SHADE, TimeAxis, WAIT, draw, px, seconds, segments, size, text_style,
    value_range, write,
};
use super::text;
use super::Report;
use crate::replay::QualityWindow;
