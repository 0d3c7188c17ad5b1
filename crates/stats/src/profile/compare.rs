//! Scores of two profiles, each with a bound that holds the exact one.

use std::collections::BTreeSet;

use super::bracket::{Shares, Unknown, binned, chi2_score, cramers_v, score};
use super::category::CategoryProfile;
use super::cell::{Cell, LINEAR_LEVEL, PARTS, Range};
use super::numeric::{NumericProfile, center_value};
use super::ranks::{Ranks, exact_gap, largest_gap};
use crate::distance::{Bins, chi_square_tail, homogeneity, ks_p_asymptotic, linf_robust};
use crate::key::{key_of, value_of};
use crate::scores::{BinnedScores, CategoricalScores, NumericScores, unit};
use crate::sum::pairwise;
use crate::verdict::Score;

/// A numeric profile made ready to be compared, which is done once for a baseline.
#[derive(Debug, Clone)]
pub struct PreparedProfile<'a> {
    profile: &'a NumericProfile,
    ranks: Ranks,
    is_exact: bool,
    /// Rows at their mean positions, rising.
    centers: Vec<(f64, u64)>,
    /// The Wasserstein distance of the rows from their mean positions is at most this.
    transport: f64,
}

/// 2^-600: values beyond 1e150 are scaled by it before they are subtracted, as the exact distance does.
const SCALE: f64 = 2.409_919_865_102_884e-181;
const SCALE_ABOVE: f64 = 1e150;

impl<'a> PreparedProfile<'a> {
    /// `None` without a finite value.
    pub fn new(profile: &'a NumericProfile) -> Option<PreparedProfile<'a>> {
        let range = profile.range()?;
        let mut centers: Vec<(f64, u64)> = profile.cells.iter().map(|it| (center_value(it, range), it.count)).collect();
        let n = profile.moments.n as f64;
        let share = |it: &Cell, center: f64| it.count as f64 / n * displacement(it, center, range);
        let transports: Vec<f64> = profile.cells.iter().zip(&centers).map(|(it, center)| share(it, center.0)).collect();
        let transport = pairwise(&transports);
        sort_nearly_sorted(&mut centers);
        let ranks = Ranks::new(&profile.cells, range);
        Some(PreparedProfile { profile, ranks, is_exact: profile.is_exact(), centers, transport })
    }

    fn n(&self) -> u64 {
        self.profile.moments.n
    }

    /// The row of this rank lies between two values.
    fn of_rank(&self, rank: u64) -> (f64, f64) {
        let (low, high) = self.ranks.of_rank(rank);
        (value_of(low), value_of(high))
    }

    fn share(&self, (low, high): (u64, u64)) -> (f64, f64) {
        (low as f64 / self.n() as f64, high as f64 / self.n() as f64)
    }
}

/// Sorts mean positions. They are those of cells in order, so that only a cell with others within it can stand too early.
fn sort_nearly_sorted(centers: &mut [(f64, u64)]) {
    // Where so many steps a position were not enough, it is quicker to sort.
    const MOST_STEPS: usize = 16;
    let mut steps = 0;
    for at in 1..centers.len() {
        let moved = centers[at];
        let mut to = at;
        while 0 < to && moved.0 < centers[to - 1].0 {
            centers[to] = centers[to - 1];
            to -= 1;
        }
        centers[to] = moved;
        steps += at - to;
        if MOST_STEPS * centers.len() < steps {
            return centers.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
    }
}

/// The most that the mean distance of a cell's rows from their mean position can be.
///
/// Of all distributions on an interval of length w with its mean at share u, two points have the largest mean distance from it, `2 u (1 - u) w`. A mean
/// that is wrong by b adds three times b: once itself, twice by the slope of that.
fn displacement(cell: &Cell, center: f64, range: Range) -> f64 {
    if cell.level == 64 {
        return 0.0;
    }
    let (low, high) = (cell.low.clamp(range.low, range.high), cell.high().clamp(range.low, range.high));
    let (low, high) = (value_of(low), value_of(high));
    let farthest = (center - low).max(high - center);
    if cell.level < LINEAR_LEVEL || high <= low {
        return farthest.max(0.0);
    }
    let blur = cell.blur as f64 / (cell.count as f64 * PARTS as f64) * (value_of(cell.high()) - value_of(cell.low));
    let share = (center - low) / (high - low);
    farthest.min(2.0 * share * (1.0 - share) * (high - low) + 3.0 * blur).max(0.0)
}

/// Compares two numeric profiles; `None` if one has no finite value.
///
/// Every score's bound holds for the score of all rows, as [`crate::scores::numeric_scores`] computes it.
pub fn compare_numeric(reference: &NumericProfile, current: &NumericProfile) -> Option<NumericScores> {
    compare_prepared(&PreparedProfile::new(reference)?, &PreparedProfile::new(current)?)
}

/// The same for profiles that were made ready before; `None` never for profiles that [`NumericBuilder`](super::NumericBuilder) made.
pub fn compare_prepared(reference: &PreparedProfile<'_>, current: &PreparedProfile<'_>) -> Option<NumericScores> {
    let (n, m) = (reference.n(), current.n());
    let robust = |d: f64| linf_robust(d.clamp(0.0, 1.0), n, m);
    let (ks, robust) = if reference.is_exact && current.is_exact {
        let gap = exact_gap(&reference.ranks, &current.ranks);
        (Score::exact(gap), Score::exact(robust(gap)?))
    } else {
        let (least, likely, most) = largest_gap(&reference.ranks, &current.ranks);
        (score(likely, least, most.min(1.0)), score(robust(likely)?, robust(least)?, robust(most)?))
    };
    let distance = wasserstein(reference, current);
    let over = |std: f64| {
        let value = distance.value / std;
        Score { value, error_bound: distance.error_bound / std + value * std_rounding(reference.profile, std) }
    };
    Some(NumericScores {
        ks,
        ks_p_value: ks_p_asymptotic(ks.low(), n as usize, m as usize),
        linf_robust: robust,
        wasserstein1: distance,
        wasserstein1_over_ref_std: reference.profile.std().and_then(unit).map(over),
        q10: deciles(reference, current)?,
        w20: equal_widths(reference, current),
    })
}

/// The relative error that the standard deviation of all rows has by itself: numpy's, like ours, squares deviations from a mean that is rounded
/// to a few units in its last place, which matters for values that are equal but for their last bits.
fn std_rounding(profile: &NumericProfile, std: f64) -> f64 {
    const UNITS: f64 = 4.0;
    let largest = profile.moments.min.abs().max(profile.moments.max.abs());
    let share = UNITS * f64::EPSILON * (largest / std);
    share * share
}

/// The distance of the mean positions, give or take how far the rows are from these (by the triangle inequality); and never less than that of the
/// means.
fn wasserstein(reference: &PreparedProfile<'_>, current: &PreparedProfile<'_>) -> Score {
    let (r, c) = (reference.profile.moments, current.profile.moments);
    let largest = r.min.abs().max(r.max.abs()).max(c.min.abs()).max(c.max.abs());
    let scale = if SCALE_ABOVE < largest { SCALE } else { 1.0 };
    let (n, m) = (r.n as f64, c.n as f64);
    let mut areas = Vec::with_capacity(reference.centers.len() + current.centers.len());
    let (mut i, mut j) = (0, 0);
    let (mut before, mut rows, mut other_rows) = (f64::NEG_INFINITY, 0_u64, 0_u64);
    loop {
        // Positions are finite.
        let of = |side: &[(f64, u64)], at: usize| side.get(at).copied().unwrap_or((f64::INFINITY, 0));
        let (ours, theirs) = (of(&reference.centers, i), of(&current.centers, j));
        let next = ours.0.min(theirs.0);
        if next == f64::INFINITY {
            break;
        }
        if 0 < i + j {
            let gap: f64 = rows as f64 / n - other_rows as f64 / m;
            areas.push(gap.abs() * (next * scale - before * scale));
        }
        // Which side is next cannot be foretold, so it is not asked by a jump.
        let is_ours = u64::from(ours.0 <= theirs.0);
        rows += ours.1 * is_ours;
        other_rows += theirs.1 * (1 - is_ours);
        i += is_ours as usize;
        j += 1 - is_ours as usize;
        before = next;
    }
    let likely = pairwise(&areas) / scale;
    let span = r.max.max(c.max) * scale - r.min.min(c.min) * scale;
    let error = reference.transport + current.transport + span * 1e-12 / scale;
    // The means are those of all rows, to within some units in their last places.
    let between_means = (r.mean * scale - c.mean * scale).abs() / scale * (1.0 - 1e-9) - 8.0 * f64::EPSILON * largest;
    let least = (likely - error).max(between_means).max(0.0);
    let most = (likely + error).max(least);
    let value = likely.clamp(least, most);
    Score { value, error_bound: (most - value).max(value - least) }
}

/// Where an edge lies, as keys, and how many rows of either side are at most it.
#[derive(Clone, Copy)]
struct Edge {
    low: u64,
    high: u64,
    reference: (u64, u64),
    current: (u64, u64),
}

fn deciles(reference: &PreparedProfile<'_>, current: &PreparedProfile<'_>) -> Option<BinnedScores> {
    let last = reference.n() - 1;
    let mut edges: Vec<Edge> = Vec::with_capacity(9);
    for tenth in 1..=9 {
        // As the exact quantile of type 7 finds its place, so that it is the same place.
        let position = last as f64 * (f64::from(tenth) / 10.0);
        let at = (position.floor() as u64).min(last);
        let share = position - at as f64;
        let below = reference.of_rank(at);
        let above = if 0.0 < share { reference.of_rank((at + 1).min(last)) } else { below };
        let (low, high) = if below.0 == below.1 && above.0 == above.1 {
            let edge = between(below.0, above.0, share);
            (edge, edge)
        } else {
            (below.0, above.1)
        };
        let (low, high) = (key_of(low), key_of(high));
        let bounds = |ranks: &Ranks| (ranks.at_most(low).0, ranks.at_most(high).1);
        let (fewest, most) = bounds(&reference.ranks);
        let edge = Edge { low, high, reference: (fewest.max(at.min(most)), most), current: bounds(&current.ranks) };
        // Edges that are the same for certain are one; others may be, and then the bin between them is empty on both sides, which no score notices.
        if edges.last().is_none_or(|it| it.low < it.high || low < high || it.high < low) {
            edges.push(edge);
        }
    }
    bins(reference, current, &edges)
}

/// The value at a share of the way from one to the other, as the exact quantile computes it.
fn between(low: f64, high: f64, share: f64) -> f64 {
    let step = high - low;
    if step.is_infinite() {
        return low * (1.0 - share) + high * share;
    }
    if 0.5 <= share { high - step * (1.0 - share) } else { low + step * share }
}

fn equal_widths(reference: &PreparedProfile<'_>, current: &PreparedProfile<'_>) -> Option<BinnedScores> {
    let moments = reference.profile.moments;
    let bins_of = Bins::equal_width_between(moments.min, moments.max)?;
    let edge = |value: &f64| {
        let key = key_of(*value);
        Edge { low: key, high: key, reference: reference.ranks.at_most(key), current: current.ranks.at_most(key) }
    };
    bins(reference, current, &bins_of.edges().iter().map(edge).collect::<Vec<_>>())
}

/// Scores over the bins between edges.
fn bins(reference: &PreparedProfile<'_>, current: &PreparedProfile<'_>, edges: &[Edge]) -> Option<BinnedScores> {
    let everything = Edge {
        low: u64::MAX,
        high: u64::MAX,
        reference: (reference.n(), reference.n()),
        current: (current.n(), current.n()),
    };
    let nothing = Edge { low: 0, high: 0, reference: (0, 0), current: (0, 0) };
    let between = |(low, high): (u64, u64), (next_low, next_high): (u64, u64)| {
        (next_low.saturating_sub(high), next_high.saturating_sub(low))
    };
    let mut shares = Vec::with_capacity(edges.len() + 1);
    let mut before = nothing;
    for edge in edges.iter().chain([&everything]) {
        shares.push(Shares {
            reference: reference.share(between(before.reference, edge.reference)),
            current: current.share(between(before.current, edge.current)),
        });
        before = *edge;
    }
    // The best guess takes each edge at its upper end, where most often a cell ends and the rows are known.
    let is_exact = reference.is_exact && current.is_exact;
    let mut distinct: Vec<Edge> = edges.to_vec();
    // Exact edges are those of all rows: of equal widths too small for doubles some are the same.
    if !is_exact {
        distinct.dedup_by_key(|it| it.high);
    }
    let guess = |side: &PreparedProfile<'_>| {
        let mut below = 0;
        let ends = distinct.iter().map(|it| {
            let (low, high) = side.ranks.at_most(it.high);
            low.midpoint(high)
        });
        ends.chain([side.n()]).map(|end| end - std::mem::replace(&mut below, end)).collect::<Vec<u64>>()
    };
    let counts = (guess(reference), guess(current));
    let ends = distinct.iter().map(|it| value_of(it.high)).collect();
    if is_exact {
        return BinnedScores::exact(ends, counts.0, counts.1);
    }
    binned(ends, counts, &shares, Unknown::default())
}

/// Compares two categorical profiles; `None` if one has no value.
///
/// Where all categories are kept the scores are exact, as [`crate::scores::categorical_scores`] computes them; else each one's bound holds that one.
pub fn compare_categories(reference: &CategoryProfile, current: &CategoryProfile) -> Option<CategoricalScores> {
    let union: BTreeSet<&String> = reference.counts.keys().chain(current.counts.keys()).collect();
    let (n, m) = (reference.present(), current.present());
    if n == 0 || m == 0 {
        return None;
    }
    let counts = |side: &CategoryProfile| {
        let of = |it: &&String| side.counts.get(*it).copied().unwrap_or(0);
        union.iter().map(of).collect::<Vec<u64>>()
    };
    let (mut of_reference, mut of_current) = (counts(reference), counts(current));
    let mut categories: Vec<Option<String>> = union.iter().map(|it| Some((*it).clone())).collect();
    let new = union.iter().zip(&of_current).filter(|it| !reference.counts.contains_key(*it.0)).map(|it| *it.1);
    let new: u64 = new.sum();
    if reference.is_exact() && current.is_exact() {
        let test = homogeneity(&of_reference, &of_current);
        return Some(CategoricalScores {
            counts: BinnedScores::exact(Vec::new(), of_reference, of_current)?,
            categories,
            chi2: test.map(|it| Score::exact(it.chi2)),
            chi2_p_value: test.map(|it| it.chi2_p),
            degrees_of_freedom: test.map(|it| it.degrees_of_freedom),
            cramers_v: test.map(|it| Score::exact(it.cramers_v)),
            new_category_rate: Score::exact(new as f64 / m as f64),
        });
    }
    let bounds = |side: &CategoryProfile, rows: u64, it: &String| {
        let (low, high) = side.count(it);
        (low as f64 / rows as f64, (high as f64 / rows as f64).min(1.0))
    };
    let shares: Vec<Shares> = union
        .iter()
        .map(|it| Shares { reference: bounds(reference, n, it), current: bounds(current, m, it) })
        .collect();
    let share = |side: &CategoryProfile, rows: u64| {
        (side.left_out as f64 / rows as f64, side.largest_left_out.min(side.left_out) as f64 / rows as f64)
    };
    let unknown = Unknown { reference: share(reference, n), current: share(current, m) };
    // What was left out counts as one category of its own.
    of_reference.push(reference.left_out);
    of_current.push(current.left_out);
    categories.push(None);
    let test = homogeneity(&of_reference, &of_current);
    let chi2 = test.map(|it| chi2_score(it.chi2, &shares, unknown, (n as f64, m as f64)));
    let new_share = new as f64 / m as f64;
    let cramers_v = chi2.map(|it| cramers_v(it, n + m));
    // A category that only the current window kept is new unless the reference left it out; one that was left out may be new.
    let least_new = if reference.is_exact() { new_share } else { 0.0 };
    Some(CategoricalScores {
        counts: binned(Vec::new(), (of_reference, of_current), &shares, unknown)?,
        categories,
        chi2,
        chi2_p_value: test.zip(chi2).map(|(it, chi2)| chi_square_tail(chi2.low(), it.degrees_of_freedom)),
        degrees_of_freedom: test.map(|it| it.degrees_of_freedom),
        cramers_v,
        new_category_rate: score(new_share, least_new, (new_share + unknown.current.0).min(1.0)),
    })
}
