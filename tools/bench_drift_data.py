"""Writes the Parquet files of the drift benchmark: ten doubles and five texts a row, the same on every machine for the same versions.

Usage: bench_drift_data.py FOLDER ROWS...
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def table(rows, seed, shift):
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal
    numbers = {
        "normal": normal(rows) + shift,
        "offset": 1e6 + 10 * normal(rows),
        "lognormal": np.exp(normal(rows) + shift),
        "uniform": rng.random(rows),
        "exponential": rng.exponential(2.0, rows),
        "heavy": rng.standard_t(2, rows),
        "mixture": np.where(rng.random(rows) < 0.3, normal(rows) * 0.1 + 5, normal(rows)),
        "cents": np.round(rng.gamma(2.0, 20.0, rows), 2),
        "count": rng.poisson(20, rows).astype(np.float64),
        "zeros": np.where(rng.random(rows) < 0.5, 0.0, rng.exponential(1.0, rows)),
    }

    def texts(categories, skew):
        codes = np.minimum((rng.random(rows) ** skew * categories).astype(np.int32), categories - 1)
        names = pa.array([f"category {at}" for at in range(categories)])
        return pa.DictionaryArray.from_arrays(pa.array(codes), names).cast(pa.string())

    columns = {name: pa.array(values) for name, values in numbers.items()}
    sizes = [(2, 1.0), (7, 1.5), (50, 2.0), (400, 3.0), (5000, 4.0)]
    columns |= {f"text_{categories}": texts(categories, skew) for categories, skew in sizes}
    return pa.table(columns)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for rows in map(int, sys.argv[2:]):
        for side, seed, shift in [("reference", 1, 0.0), ("current", 2, 0.05)]:
            path = folder / f"{side}-{rows}.parquet"
            if not path.exists():
                # Row groups of a quarter of a million rows and Snappy: between the defaults of polars, pyarrow and Spark.
                pq.write_table(table(rows, seed, shift), path, row_group_size=1 << 18)


main()
