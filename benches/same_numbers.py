"""Compares the results of two builds: every number in kpi.csv and results.json of every scenario folder must be equal.

    python3 same_numbers.py OLD_REPORTS NEW_REPORTS

Each argument is a folder with one report folder per plant. `RENAMED` maps old keys of results.json to new ones; a value
under a new key that has the old value counts as moved. Exits with 1 if a number differs or is missing.
"""
import csv, json, os, sys
from collections import Counter

RENAMED = {"promise": "optimism_check"}
# Provenance, which names the build and its files.
IGNORED = {"schema_version", "provenance", "version", "config_hash", "crate_version", "model_version"}


def numbers(node, path=()):
    """Every number below `node` as (path, value)."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in IGNORED:
                yield from numbers(value, (*path, RENAMED.get(key, key)))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from numbers(value, (*path, i))
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield path, node


def table(file):
    with open(file, newline="") as f:
        return list(csv.reader(f))


def compare(name, old, new):
    faults = []
    if table(os.path.join(old, "kpi.csv")) != table(os.path.join(new, "kpi.csv")):
        faults.append("kpi.csv differs")
    a, b = (dict(numbers(json.load(open(os.path.join(d, "results.json"))))) for d in (old, new))
    differ = [p for p in a if p in b and a[p] != b[p]]
    # a value that moved to another key is still there: count values that only one side has
    gone = Counter(a[p] for p in a if p not in b) - Counter(b[p] for p in b if p not in a)
    faults += [f"{'.'.join(map(str, p))}: {a[p]!r} is now {b[p]!r}" for p in differ]
    faults += [f"{'.'.join(map(str, p))}: {a[p]!r} is gone" for p in a if p not in b and gone[a[p]] > 0]
    print(f"{name}: {len(a)} numbers, {len(faults)} faults")
    for fault in faults[:20]:
        print("   ", fault)
    return not faults


def main():
    old, new = sys.argv[1:3]
    plants = sorted(p for p in os.listdir(old) if os.path.exists(os.path.join(old, p, "results.json")))
    if not plants:
        sys.exit(f"{old} has no report with a results.json")
    sys.exit(0 if all([compare(p, os.path.join(old, p), os.path.join(new, p)) for p in plants]) else 1)


main()
