"""Writes traps.json: what peers answer on the data of tests/traps.rs, which draws the same numbers.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python peers.py
"""

import json
import os
import pathlib

os.environ["DO_NOT_TRACK"] = "1"

import evidently
import numpy
import pandas
import scipy
from evidently.legacy.calculations.stattests import chisquare_stattest, jensenshannon, ks_stattest, psi, wasserstein_distance_norm
from evidently.legacy.core import ColumnType
from scipy import stats

MASK = (1 << 64) - 1


class Draws:
    """The generator of the oracle files: x -> 6364136223846793005 x + 1442695040888963407 mod 2^64."""

    def __init__(self, seed):
        self.x = seed & MASK

    def uniform(self):
        self.x = (6364136223846793005 * self.x + 1442695040888963407) & MASK
        return ((self.x >> 11) + 0.5) * 2.0**-53

    def uniforms(self, n):
        return numpy.array([self.uniform() for _ in range(n)])

    def normals(self, n):
        """Quantiles of uniform numbers, so that no pair of draws is needed."""
        return stats.norm.ppf(self.uniforms(n))


def evidently_psi(reference, current, kind=ColumnType.Numerical):
    return float(psi._psi(pd(reference), pd(current), kind, 0.1)[0])


def pd(values):
    return pandas.Series(values)


def deciles_psi(reference, current):
    """The textbook index, as NUMERICS q10: right-closed bins at the reference's deciles, proportions floored at 1e-4."""
    edges = numpy.unique(numpy.quantile(reference, numpy.arange(1, 10) / 10))
    share = lambda it: numpy.maximum(numpy.bincount(numpy.searchsorted(edges, it), minlength=len(edges) + 1) / len(it), 1e-4)
    p, q = share(reference), share(current)
    return float(((q - p) * numpy.log(q / p)).sum())


def no_drift():
    """The mean index of 400 undrifted windows."""
    draws = Draws(1)
    reference = draws.normals(20_000)
    out = {}
    for rows in (50, 100):
        windows = [draws.normals(rows) for _ in range(400)]
        out[str(rows)] = {
            "deciles": float(numpy.mean([deciles_psi(reference, it) for it in windows])),
            "evidently": float(numpy.mean([evidently_psi(reference, it) for it in windows])),
            "evidently_flagged": sum(0.1 <= evidently_psi(reference, it) for it in windows),
        }
    return out


def exact_reference():
    """Forty undrifted columns of ten categories, 1,000 rows on both sides: how many are flagged at 5 %."""
    draws = Draws(2)
    flagged = {"evidently_chisquare": 0, "scipy_chi2_contingency": 0}
    for _ in range(40):
        reference, current = ((10 * draws.uniforms(1_000)).astype(int) for _ in range(2))
        p, is_drifted = chisquare_stattest._chi_stat_test(pd(reference), pd(current), ColumnType.Categorical, 0.05)
        flagged["evidently_chisquare"] += int(is_drifted)
        counts = [numpy.bincount(it, minlength=10) for it in (reference, current)]
        flagged["scipy_chi2_contingency"] += int(stats.chi2_contingency(counts, correction=False).pvalue < 0.05)
    return flagged


def outlier():
    """A shift of half a standard deviation, without and with one far value in the window."""
    draws = Draws(3)
    reference, current = draws.normals(5_000), draws.normals(5_000) + 0.5
    out = {}
    for name, window in (("clean", current), ("outlier", numpy.append(current, 1_000.0))):
        edges = numpy.histogram_bin_edges(numpy.concatenate([reference, window]), bins="sturges")
        shares = [numpy.histogram(it, edges)[0] / len(it) for it in (reference, window)]
        out[name] = {
            "evidently_psi": evidently_psi(reference, window),
            "evidently_js": float(jensenshannon._jensenshannon(pd(reference), pd(window), ColumnType.Numerical, 0.1)[0]),
            "pooled_bins_ks": float(numpy.abs(numpy.cumsum(shares[0]) - numpy.cumsum(shares[1])).max()),
            "evidently_wasserstein_norm": float(
                wasserstein_distance_norm._wasserstein_distance_norm(pd(reference), pd(window), ColumnType.Numerical, 0.1)[0]
            ),
            "wasserstein_over_pooled_std": float(
                stats.wasserstein_distance(reference, window) / numpy.std(numpy.concatenate([reference, window]))
            ),
        }
    return out


def zero_rule():
    """5,000 categories, a hundred of which the window lacks; and the same with one rare category beside them."""
    counts = numpy.full(5_000, 200)
    window = numpy.full(5_000, 40)
    window[:100] = 0
    rare = window.copy()
    rare[100] = 5
    out = {}
    for name, current in (("hundred_gone", window), ("and_one_rare", rare)):
        reference_values, current_values = (numpy.repeat(numpy.arange(5_000), it) for it in (counts, current))
        p, q = counts / counts.sum(), current / current.sum()
        floor = lambda it: numpy.maximum(it, 1e-4)
        out[name] = {
            "floor_1e-4": float(((floor(q) - floor(p)) * numpy.log(floor(q) / floor(p))).sum()),
            "evidently": evidently_psi(reference_values, current_values, ColumnType.Categorical),
        }
    return out


def large():
    """Three million rows on both sides, evenly spaced quantiles, a shift of 0.005 standard deviations."""
    n = 3_000_000
    x = stats.norm.ppf((numpy.arange(n) + 0.5) / n)
    found = stats.ks_2samp(x, x + 0.005, method="asymp")
    return {"scipy_ks": float(found.statistic), "scipy_p": float(found.pvalue)}


def ties():
    """500 pairs of undrifted columns of three values, and of as many continuous ones, 400 rows a side: rejected at 5 %."""
    draws = Draws(4)
    out = {"scipy_tied": 0, "scipy_continuous": 0}
    for _ in range(500):
        for name, make in (("scipy_tied", lambda it: (3 * it).astype(int)), ("scipy_continuous", lambda it: it)):
            reference, current = make(draws.uniforms(400)), make(draws.uniforms(400))
            out[name] += int(stats.ks_2samp(reference, current, method="asymp").pvalue <= 0.05)
    return out


out = {
    "made_by": "peers.py",
    "evidently": evidently.__version__,
    "scipy": scipy.__version__,
    "numpy": numpy.__version__,
    "no_drift": no_drift(),
    "exact_reference": exact_reference(),
    "outlier": outlier(),
    "zero_rule": zero_rule(),
    "large": large(),
    "ties": ties(),
}
text = json.dumps(out, indent=1)
pathlib.Path(__file__).with_name("traps.json").write_text(text + "\n")
print(text)
