"""What others compute about drift, as one process each: `bench_drift_peers.py TOOL REFERENCE CURRENT` prints scores by column as JSON.

Every tool does the nearest to our exact scores that it offers. Where it computes the same number by the same definition (NUMERICS of numpy and scipy),
the number is printed, so that it is compared; else the tool only works, and an empty object is printed for the column.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")
FLOOR = 1e-4


def texts(names):
    return [it for it in names if it.startswith("text_")]


def numbers(names):
    return [it for it in names if not it.startswith("text_")]


def binned(p, q):
    """Scores over counts, as stated for ours."""
    import numpy as np
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import entropy

    p, q = p / p.sum(), q / q.sum()
    floored = np.maximum(p, FLOOR), np.maximum(q, FLOOR)
    return {
        "psi": float(((floored[1] - floored[0]) * np.log(floored[1] / floored[0])).sum()),
        "kl_cur_ref": float(entropy(floored[1], floored[0])),
        "js_distance_base2": float(jensenshannon(p, q, base=2)),
    }


def numeric(r, c):
    """Every numeric score of sorted arrays, by hand."""
    import numpy as np
    from scipy.stats import wasserstein_distance

    both = np.concatenate([r, c])
    gap = np.searchsorted(r, both, side="right") / len(r) - np.searchsorted(c, both, side="right") / len(c)
    deciles = np.unique(np.quantile(r, np.arange(1, 10) / 10))
    low, high = r[0], r[-1]
    widths = np.array([low + (high - low) * k / 20 for k in range(1, 20)])

    def counts(values, edges):
        ends = np.append(np.searchsorted(values, edges, side="right"), len(values))
        return np.diff(ends, prepend=0).astype(float)

    q10 = binned(counts(r, deciles), counts(c, deciles))
    w20 = binned(counts(r, widths), counts(c, widths))
    return {
        "ks": float(np.abs(gap).max()),
        "wasserstein1": float(wasserstein_distance(r, c)),
        "psi_q10": q10["psi"],
        "kl_cur_ref": q10["kl_cur_ref"],
        "js_distance_base2": q10["js_distance_base2"],
        "psi_w20": w20["psi"],
    }


def categorical(p, q):
    import numpy as np
    from scipy.stats import chi2_contingency

    p, q = np.asarray(p, float), np.asarray(q, float)
    found = binned(p, q)
    chi2 = float(chi2_contingency(np.array([p, q]), correction=False).statistic)
    found.pop("kl_cur_ref")
    return found | {"chi2": chi2, "cramers_v": (chi2 / (p.sum() + q.sum())) ** 0.5}


def run_numpy(reference, current):
    """Column by column from Parquet: pyarrow reads, numpy sorts, scipy measures."""
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    names = pq.read_schema(reference).names
    found = {}
    for name in names:
        sides = [pq.read_table(path, columns=[name], read_dictionary=texts([name]))[name] for path in (reference, current)]
        if texts([name]):
            counted = [
                {it["values"]: it["counts"] for it in pc.value_counts(side.cast("string")).to_pylist()} for side in sides
            ]
            union = sorted(set(counted[0]) | set(counted[1]))
            found[name] = categorical(*[[it.get(key, 0) for key in union] for it in counted])
        else:
            found[name] = numeric(*[np.sort(side.to_numpy()) for side in sides])
    return found


def run_polars(reference, current):
    """The same by hand in polars: its reader, its sort, its group-by; searches and sums in expressions and numpy."""
    import polars as pl

    found = {}
    for name in pl.read_parquet_schema(reference):
        sides = [pl.read_parquet(path, columns=[name])[name] for path in (reference, current)]
        if texts([name]):
            counted = [side.value_counts(name="rows") for side in sides]
            both = counted[0].join(counted[1], on=name, how="full", coalesce=True, suffix="_current").fill_null(0)
            found[name] = categorical(both["rows"].to_numpy(), both["rows_current"].to_numpy())
        else:
            found[name] = numeric(*[side.sort().to_numpy() for side in sides])
    return found


def frames(reference, current):
    import pandas as pd

    return pd.read_parquet(reference), pd.read_parquet(current)


def run_evidently(reference, current):
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    r, c = frames(reference, current)
    definition = DataDefinition(numerical_columns=numbers(r.columns), categorical_columns=texts(r.columns))
    sides = [Dataset.from_pandas(it, data_definition=definition) for it in (c, r)]
    # KS and Jensen-Shannon are the nearest to the statistics that decide for us; the default would be the normed Wasserstein distance.
    report = Report([DataDriftPreset(num_method="ks", cat_method="jensenshannon")])
    report.run(*sides).dict()
    return {name: {} for name in r.columns}


def run_evidently_same(reference, current):
    """The statistics of evidently that ours are, too, by whatever bins: all of them, of every column."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    r, c = frames(reference, current)
    definition = DataDefinition(numerical_columns=numbers(r.columns), categorical_columns=texts(r.columns))
    sides = [Dataset.from_pandas(it, data_definition=definition) for it in (c, r)]
    # Left out, though ours has it: the total variation distance, which is a test by permutations there.
    both = ["psi", "kl_div", "jensenshannon", "hellinger"]
    methods = {name: ["ks", "wasserstein", *both] for name in numbers(r.columns)}
    methods |= {name: ["chisquare", *both] for name in texts(r.columns)}
    report = Report([ValueDrift(column=name, method=it) for name, those in methods.items() for it in those])
    assert len(report.run(*sides).dict()["metrics"]) == sum(map(len, methods.values()))
    return {name: {} for name in r.columns}


def run_nannyml(reference, current):
    import nannyml as nml

    r, c = frames(reference, current)
    calculator = nml.UnivariateDriftCalculator(
        column_names=list(r.columns),
        continuous_methods=["kolmogorov_smirnov", "wasserstein", "jensen_shannon"],
        categorical_methods=["chi2", "jensen_shannon"],
        chunk_number=1,
    )
    calculator.fit(r)
    calculator.calculate(c)
    return {name: {} for name in r.columns}


def run_whylogs(reference, current):
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    r, c = frames(reference, current)
    views = [why.log(pandas=it).profile().view() for it in (c, r)]
    calculate_drift_scores(target_view=views[0], reference_view=views[1], with_thresholds=True)
    return {name: {} for name in r.columns}


if __name__ == "__main__":
    tools = {
        "numpy": run_numpy,
        "polars": run_polars,
        "evidently": run_evidently,
        "evidently-same": run_evidently_same,
        "nannyml": run_nannyml,
        "whylogs": run_whylogs,
    }
    print(json.dumps(tools[sys.argv[1]](sys.argv[2], sys.argv[3])))
