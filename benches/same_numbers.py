"""Checks that two builds give the same results: all numbers in kpi.csv and results.json must be equal in all
report folders.

    python3 same_numbers.py OLD_REPORTS NEW_REPORTS

Each argument is a folder that contains one report folder per plant. `RENAMED` maps old keys of results.json to new
keys. A value that is found under another key counts as moved. The script exits with 1 if a number differs or is
missing.
"""
import csv, json, os, sys
from collections import Counter

RENAMED = {"promise": "optimism_check"}
# Keys that are not compared, because they identify the build and its input files.
IGNORED = {"schema_version", "provenance", "version", "config_hash", "crate_version", "model_version"}


def numbers(node, path=()):
    """Yields every number in `node` and its descendants as (path, value)."""
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
    # a value that was only moved to another key is not missing, so values that occur on only one side are counted and
    # compared
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
