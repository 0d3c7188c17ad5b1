"""Measures the drift engine beside others on the same Parquet files, and checks that the numbers agree.

Usage: bench_drift.py [--rows 100000,1000000,3000000] [--repeats 3] [--peers numpy,polars,...] [--slow-up-to ROWS]

Installs the peers, with pinned versions, in virtual environments under target/bench (they cannot share one: their numpy versions differ), builds
the example `drift_bench` of refit-data, and prints for each tool the median of several runs: user CPU seconds, wall seconds, peak memory, and the ratio
of its user CPU to that of our exact mode. Each run is a process of its own. Exits with 1 when a number differs or a goal is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "target" / "bench"
DATA = BENCH / "drift"
PEERS = ROOT / "tools" / "bench_drift_peers.py"

# One environment each. Pinned: a figure is worth nothing without the version that it belongs to.
ENVIRONMENTS = {
    "arrays": ["numpy==2.4.6", "scipy==1.17.1", "polars==2.1.0", "pyarrow==26.0.1", "pandas==3.1.1"],
    # These three do not work with pandas 3, and whylogs not with numpy 2.
    "evidently": ["evidently==0.7.23", "numpy==2.4.6", "pandas==2.3.3", "pyarrow==26.0.1"],
    "nannyml": [
        "nannyml==0.13.1", "numpy==2.4.6", "pandas==2.3.3", "pyarrow==26.0.1", "statsmodels==0.15.0", "matplotlib==3.11.2"
    ],
    "whylogs": ["whylogs[viz]==1.6.4", "numpy==1.26.4", "pandas==2.3.3", "pyarrow==17.0.0"],
}
# Which environment a peer runs in, and whether it takes minutes at a million rows.
TOOLS = {
    "polars": ("arrays", False),
    "numpy": ("arrays", False),
    "nannyml": ("nannyml", True),
    "whylogs": ("whylogs", True),
    "evidently": ("evidently", True),
    # Asked for the same statistics as ours, as far as it has them; `evidently` is its preset with one of each column.
    "evidently-same": ("evidently", True),
}


def install(name):
    """The Python of an environment, installed if it is not there."""
    folder = BENCH / f"venv-{name}"
    mark = folder / "installed.json"
    wanted = json.dumps(ENVIRONMENTS[name])
    python = folder / "bin" / "python"
    if not mark.exists() or mark.read_text() != wanted:
        print(f"installing {', '.join(ENVIRONMENTS[name])}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *ENVIRONMENTS[name]], check=True)
        mark.write_text(wanted)
    return python


# They would report their use to their makers, and wait for it.
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True", "DO_NOT_TRACK": "1"}


def measure(command, repeats):
    """Median user CPU, wall and peak memory of a command, and what it printed last."""
    runs = []
    for _ in range(repeats):
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | QUIET)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            return None
        runs.append((usage.ru_utime, usage.ru_stime, time.monotonic() - start, usage.ru_maxrss / 1024))
    user, system, wall, memory = (statistics.median(it) for it in zip(*runs))
    return {"user": user, "system": system, "wall": wall, "rss": memory, "output": output}


def check(ours, theirs, tool):
    """Every score that a peer gives is ours, to within its tolerance; returns how many were compared."""
    compared = 0
    wrong = []
    for column, scores in theirs.items():
        for name, value in scores.items():
            mine = ours[column][name]
            if mine is None or value is None:
                continue
            compared += 1
            tolerance = 1e-9 * max(1.0, abs(value)) + mine["error_bound"]
            if tolerance < abs(mine["value"] - value):
                wrong.append(f"{tool}: {name} of {column} is {value}, ours {mine['value']} ± {mine['error_bound']}")
    return compared, wrong


def row(name, found, base):
    ratio = found["user"] / base["user"]
    print(
        f"| {name} | {found['user']:.2f} | {found['system']:.2f} | {found['wall']:.2f} | {found['rss']:.0f} | {ratio:.2f} |",
        flush=True,
    )


def compare(rows, binary, arguments):
    """One size: a table, and what is wrong."""
    reference, current = (str(DATA / f"{side}-{rows}.parquet") for side in ("reference", "current"))
    ours = {
        mode: measure([binary, mode, reference, current, "1"], arguments.repeats)
        for mode in ("decode", "exact", "profile")
    }
    parallel = measure([binary, "exact", reference, current, "2"], arguments.repeats)
    exact = ours["exact"]
    print(f"\n{rows:,} + {rows:,} rows, 10 doubles and 5 texts\n")
    print("| | user s | system s | wall s | peak MB | user / exact |\n|---|---|---|---|---|---|")
    row("decode only (floor)", ours["decode"], exact)
    row("exact", exact, exact)
    row("exact, 2 threads", parallel, exact)
    row("profile", ours["profile"], exact)
    exact_scores, profile_scores = json.loads(exact["output"]), json.loads(ours["profile"]["output"])
    problems = []
    as_values = {c: {n: s and s["value"] for n, s in scores.items()} for c, scores in exact_scores.items()}
    n_compared, wrong = check(profile_scores, as_values, "profile")
    problems += wrong
    if parallel["output"] != exact["output"]:
        problems.append("two threads give other numbers than one")
    agreed = [f"profile {n_compared}"]
    goals = [
        ("exact <= 6 x decode only", exact["user"] <= 6 * ours["decode"]["user"]),
        ("profile <= 2 x decode only", ours["profile"]["user"] <= 2 * ours["decode"]["user"]),
        ("profile peak <= 64 MB", ours["profile"]["rss"] <= 64),
    ]
    for tool in arguments.peers:
        environment, is_slow = TOOLS[tool]
        if is_slow and arguments.slow_up_to < rows:
            continue
        repeats = 1 if is_slow else arguments.repeats
        found = measure([install(environment), PEERS, tool, reference, current], repeats)
        if found is None:
            problems.append(f"{tool} failed")
            continue
        row(tool, found, exact)
        n_compared, wrong = check(exact_scores, json.loads(found["output"].splitlines()[-1]), tool)
        problems += wrong
        agreed.append(f"{tool} {n_compared}")
        least = {"polars": 5, "evidently": 80, "evidently-same": 80}.get(tool)
        # A process has a start that its rows do not pay for; the goals are about a million and more.
        if least and 1_000_000 <= rows:
            goals.append((f"{tool} >= {least} x exact", least * exact["user"] <= found["user"]))
    print(f"\nscores that agree: {', '.join(agreed)}")
    return problems, goals if 1_000_000 <= rows else []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default="100000,1000000,3000000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", default=",".join(TOOLS))
    parser.add_argument("--slow-up-to", type=int, default=1_000_000, help="slower peers run up to this many rows")
    arguments = parser.parse_args()
    arguments.peers = [it for it in arguments.peers.split(",") if it]
    sizes = [int(it) for it in arguments.rows.split(",")]
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "-p", "refit-data", "--example", "drift_bench"], cwd=ROOT, check=True
    )
    binary = str(ROOT / "target" / "release" / "examples" / "drift_bench")
    arrays = install("arrays")
    subprocess.run([arrays, ROOT / "tools" / "bench_drift_data.py", DATA, *map(str, sizes)], check=True)
    problems, goals = [], []
    for rows in sizes:
        wrong, reached = compare(rows, binary, arguments)
        problems += wrong
        goals += [(f"{rows:,} rows: {name}", it) for name, it in reached]
    print("\n| | ms of one core, mean | bytes a feature |\n|---|---|---|")
    for what, parts, limit in [("check: 50 features, 7 daily rollups", ("check", "50", "7"), 20),
                               ("merge: 168 hourly profiles, 50 features", ("merge", "50", "168"), 200)]:
        found = json.loads(subprocess.run([binary, *parts], check=True, capture_output=True, text=True).stdout)
        print(f"| {what} | {found['ms']:.1f} | {found['bytes_per_feature']} |")
        goals.append((f"{what} <= {limit} ms", found["ms"] <= limit))
        goals.append((f"{what}: at most 8 KB a feature", found["bytes_per_feature"] <= 8192 + 64))
    print()
    for name, is_reached in goals:
        print(("reached  " if is_reached else "MISSED   ") + name)
    for problem in problems[:20]:
        print(f"DIFFERS  {problem}")
    return 1 if problems or not all(it for _, it in goals) else 0


if __name__ == "__main__":
    sys.exit(main())
