//! Scores over bins whose counts are known only between two numbers each.
//!
//! Every score here is a sum (or the largest) of terms `f(p, q)` that are 0 for equal proportions and grow as these part, so the least and the
//! most of a term lie at corners of what the proportions can be.

use crate::distance::{CountPair, PROPORTION_FLOOR, chi_square_tail, homogeneity};
use crate::scores::{BinnedScores, BoundedTest};
use crate::verdict::{MIN_EXPECTED, Score};

/// Bounds of the proportion of each side in one bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shares {
    pub(super) reference: (f64, f64),
    pub(super) current: (f64, f64),
}

impl Shares {
    /// The least and the most that a term can be.
    pub(super) fn bounds(self, term: &impl Fn(f64, f64) -> f64) -> (f64, f64) {
        let ((p_low, p_high), (q_low, q_high)) = (self.reference, self.current);
        let least = if p_high < q_low {
            term(p_high, q_low)
        } else if q_high < p_low {
            term(p_low, q_high)
        } else {
            0.0
        };
        (least, term(p_low, q_high).max(term(p_high, q_low)))
    }

    /// Both bins as one.
    fn and(self, other: Shares) -> Shares {
        let add = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, (a.1 + b.1).min(1.0));
        Shares { reference: add(self.reference, other.reference), current: add(self.current, other.current) }
    }

    fn floored(self) -> Shares {
        let floor = |(low, high): (f64, f64)| (low.max(PROPORTION_FLOOR), high.max(PROPORTION_FLOOR));
        Shares { reference: floor(self.reference), current: floor(self.current) }
    }
}

/// Rows whose bins are not known: of each side their share, and the most of it that one bin can have.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Unknown {
    pub(super) reference: (f64, f64),
    pub(super) current: (f64, f64),
}

impl Unknown {
    fn is_none(self) -> bool {
        self.reference.0 == 0.0 && self.current.0 == 0.0
    }

    /// The most that terms of the unknown rows can sum up to. A term for a share on one side alone grows at least in proportion to it, so the fewest and
    /// largest bins give the most.
    fn most(self, alone: impl Fn(f64) -> f64) -> f64 {
        let of = |(share, largest): (f64, f64)| if 0.0 < largest { share / largest * alone(largest) } else { 0.0 };
        of(self.reference) + of(self.current)
    }
}

/// Relative and absolute slack for the rounding of both ways of computing a score.
const ROUNDING: f64 = 1e-12;

/// A best guess and bounds as a score.
pub(super) fn score(likely: f64, least: f64, most: f64) -> Score {
    let most = most.max(least);
    let value = likely.clamp(least, most);
    let error_bound = (most - value).max(value - least);
    Score { value, error_bound: error_bound + ROUNDING * most.abs().max(1.0) }
}

/// The scores of `likely` counts with bounds from `shares`, which need not be over the same bins.
///
/// `None` when a side counts nothing.
pub(super) fn binned(
    edges: Vec<f64>,
    (reference, current): (Vec<u64>, Vec<u64>),
    shares: &[Shares],
    unknown: Unknown,
) -> Option<BinnedScores> {
    let pair = CountPair::new(&reference, &current).ok()?;
    let sum = |term: &dyn Fn(f64, f64) -> f64| {
        shares.iter().map(|it| it.bounds(&term)).fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
    };
    let jensen_shannon = |p: f64, q: f64| {
        let whole = p + q;
        let part = |x: f64| if x <= 0.0 { 0.0 } else { x * (2.0 * x / whole).ln() };
        ((part(p) + part(q)) / 2.0).max(0.0)
    };
    let (js_least, js_most) = sum(&jensen_shannon);
    let js_most = js_most + unknown.most(|it| it * std::f64::consts::LN_2 / 2.0);
    let to_distance = |nats: f64| (nats / std::f64::consts::LN_2).min(1.0).sqrt();
    let hellinger = |p: f64, q: f64| (p.sqrt() - q.sqrt()) * (p.sqrt() - q.sqrt()) / 2.0;
    let (h_least, h_most) = sum(&hellinger);
    let (t_least, t_most) = sum(&|p, q| (p - q).abs() / 2.0);
    let (l_least, l_most) = largest(shares, unknown);
    let t_most = (t_most + unknown.most(|it| it / 2.0)).min(1.0);
    Some(BinnedScores {
        psi: psi(&pair, shares, unknown),
        kl_cur_ref: relative_entropy(shares, unknown, &|p, q| entropy_term(q, p))
            .map(|it| score(pair.kl_current_reference(), it.0, it.1)),
        kl_ref_cur: relative_entropy(shares, unknown, &entropy_term)
            .map(|it| score(pair.kl_reference_current(), it.0, it.1)),
        js_distance_base2: score(pair.js_distance_base2(), to_distance(js_least), to_distance(js_most)),
        hellinger: score(pair.hellinger(), h_least.sqrt(), (h_most + unknown.most(|it| it / 2.0)).sqrt().min(1.0)),
        tvd: score(pair.tvd(), t_least.min(t_most), t_most),
        l_infinity: score(pair.l_infinity(), l_least, l_most),
        bounded_test: Some(bounded_test(&reference, &current, shares, unknown)),
        edges,
        reference,
        current,
    })
}

fn bounded_test(reference: &[u64], current: &[u64], shares: &[Shares], unknown: Unknown) -> BoundedTest {
    let (n, m): (u64, u64) = (reference.iter().sum(), current.iter().sum());
    let likely = homogeneity(reference, current).map_or(0.0, |it| it.chi2);
    let chi2 = chi2_score(likely, shares, unknown, (n as f64, m as f64));
    BoundedTest { cramers_v: cramers_v(chi2, n + m), p_value_at_most: p_value_at_most(shares, unknown, (n, m)) }
}

/// The effect size of a chi-square statistic of so many rows.
pub(super) fn cramers_v(chi2: Score, rows: u64) -> Score {
    let of = |chi2: f64| (chi2 / rows as f64).sqrt();
    score(of(chi2.value), of(chi2.low()), of(chi2.high()).min(1.0))
}

/// Chi-square over two rows is `n m` times the sum of `(p - q)^2 / (n p + m q)` over categories, whose terms grow as p and q part.
pub(super) fn chi2_score(likely: f64, shares: &[Shares], unknown: Unknown, (n, m): (f64, f64)) -> Score {
    let (mut least, mut most) = (0.0, 0.0);
    for it in shares {
        let bounds = it.bounds(&|p, q| chi2_term(p, q, n, m));
        least += bounds.0;
        most += bounds.1;
    }
    // A category on one side alone adds in proportion to its rows: m of the reference's share, n of the current one's.
    let most = (most + m * unknown.reference.0 + n * unknown.current.0).min(n + m);
    score(likely.max(least), least, most.max(least))
}

/// The most that the p-value of the two-sample chi-square test can be: that of the least its statistic can be. Cells that expect too few rows are pooled as
/// [`counts_p_value`](crate::verdict::counts_p_value) pools them, by the middle of what their totals can be; rows that were left out are one cell more, which
/// may add nothing.
fn p_value_at_most(shares: &[Shares], unknown: Unknown, (n, m): (u64, u64)) -> Option<f64> {
    let (n, m) = (n as f64, m as f64);
    let total =
        |it: &Shares| n * f64::midpoint(it.reference.0, it.reference.1) + m * f64::midpoint(it.current.0, it.current.1);
    let is_small = |it: &Shares| total(it) * n.min(m) / (n + m) < MIN_EXPECTED;
    let mut cells: Vec<Shares> = shares.iter().copied().filter(|it| 0.0 < total(it)).collect();
    cells.sort_by(|a, b| total(a).total_cmp(&total(b)));
    let mut n_pooled = cells.partition_point(is_small);
    let nothing = Shares { reference: (0.0, 0.0), current: (0.0, 0.0) };
    let mut pool = cells[..n_pooled].iter().fold(nothing, |sum, it| sum.and(*it));
    if 0 < n_pooled && is_small(&pool) {
        pool = pool.and(*cells.get(n_pooled)?);
        n_pooled += 1;
    }
    cells.drain(..n_pooled);
    if 0 < n_pooled {
        cells.push(pool);
    }
    let least: f64 = cells.iter().map(|it| it.bounds(&|p, q| chi2_term(p, q, n, m)).0).sum();
    let n_cells = cells.len() as u64 + u64::from(!unknown.is_none());
    (2 <= n_cells).then(|| chi_square_tail(least, n_cells - 1))
}

/// A cell's part of the two-sample chi-square statistic, which grows as its proportions part.
fn chi2_term(p: f64, q: f64, n: f64, m: f64) -> f64 {
    let whole = n * p + m * q;
    if whole <= 0.0 { 0.0 } else { n * m * (p - q) * (p - q) / whole }
}

fn psi(pair: &CountPair, shares: &[Shares], unknown: Unknown) -> Score {
    let term = |p: f64, q: f64| (q - p) * (q / p).ln();
    let known = shares.iter().map(|it| it.floored().bounds(&term));
    let (least, most) = known.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    let most = most + unknown.most(|it| if PROPORTION_FLOOR < it { term(it, PROPORTION_FLOOR) } else { 0.0 });
    score(pair.psi(), least, most)
}

/// `p ln(p/q)` less what sums up to nothing, so that it is never negative.
fn entropy_term(p: f64, q: f64) -> f64 {
    (p * (p / q).ln() - p + q).max(0.0)
}

/// Floored proportions are made to sum to 1 again; how many floors there were is known between two numbers, and not at all with unknown bins.
fn relative_entropy(shares: &[Shares], unknown: Unknown, term: &dyn Fn(f64, f64) -> f64) -> Option<(f64, f64)> {
    if !unknown.is_none() {
        return None;
    }
    let total = |side: fn(&Shares) -> (f64, f64)| {
        let added = |it: &f64| (PROPORTION_FLOOR - it).max(0.0);
        let least: f64 = shares.iter().map(|it| added(&side(it).1)).sum();
        let most: f64 = shares.iter().map(|it| added(&side(it).0)).sum();
        (1.0 + least, 1.0 + most)
    };
    let (p_total, q_total) = (total(|it| it.reference), total(|it| it.current));
    let (mut least, mut most) = (0.0, 0.0);
    for it in shares {
        let Shares { reference: (p_low, p_high), current: (q_low, q_high) } = it.floored();
        let shares = Shares {
            reference: (p_low / p_total.1, p_high / p_total.0),
            current: (q_low / q_total.1, q_high / q_total.0),
        };
        let bounds = shares.bounds(&term);
        least += bounds.0;
        most += bounds.1;
    }
    Some((least, most))
}

fn largest(shares: &[Shares], unknown: Unknown) -> (f64, f64) {
    let bounds = shares.iter().map(|it| it.bounds(&|p: f64, q: f64| (p - q).abs()));
    let (least, most) = bounds.fold((0.0_f64, 0.0_f64), |sum, it| (sum.0.max(it.0), sum.1.max(it.1)));
    (least, most.max(unknown.reference.1).max(unknown.current.1))
}
