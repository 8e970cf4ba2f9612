#!/usr/bin/env python3
"""Placebo test of `twinopt verify` on real logs.

Usage: verify.py TWINOPT SHARED_DATA [WINDOWS]

In each window, the baseline and the reporting period are drawn from a stretch of a log in which no saving was made. The
script prints, for each log, the mean placebo saving relative to the use, and the fraction of 90 % intervals that contain
zero. A saving of s % of the measured use, added to the reporting period, would change the estimate by exactly s %, so the
errors and the coverage for injected savings are the same. The results of overlapping windows are correlated; the
effective number of windows is the covered time divided by the length of a reporting period.
"""
import json, math, pathlib, random, subprocess, sys, tempfile

import polars as pl

TWIN = """name = "{name}"
step = "{step}"
timezone = "UTC"
signals = [
{signals}]
[log]
files = "log/*.parquet"
time = "timestamp"
timezone = "UTC"
max_gap = "6h"
completeness = 0.3
[kpi]
use = {{ {kpi} = "use" }}
"""

LOGS = {
    "chiller_plant": dict(file="datacenter/chiller_plant.parquet", step="30min", use="chiller_energy_kwh", kind="sum",
                          drivers=["building_load_rt", "outdoor_temp_f", "humidity_pct"]),
    "gas_turbine": dict(file="process/gas_turbine.parquet", step="1h", use="energy_yield_mwh", kind="sum",
                        drivers=["ambient_temp_c", "ambient_pressure_mbar", "ambient_humidity_pct", "turbine_inlet_temp_c"]),
    "datacenter_crac": dict(file="rollouts/datacenter_crac.parquet", step="10min", use="hvac_power_w", kind="sum",
                            drivers=["outdoor_temp_c", "outdoor_wetbulb_c", "cpu_load"]),
}


def make(root, name, log, shared):
    plant = root / "data" / name
    (plant / "log").mkdir(parents=True)
    frame = pl.read_parquet(shared / log["file"])
    frame = frame.rename({log["use"]: "use"}).select(["timestamp", "use", *log["drivers"]])
    frame.write_parquet(plant / "log" / "log.parquet")
    lines = '  { name = "use", role = "output", unit = "1", kind = "level" },\n'
    lines += "".join(f'  {{ name = "{d}", role = "disturbance", unit = "1" }},\n' for d in log["drivers"])
    (plant / "twin.toml").write_text(TWIN.format(name=name, step=log["step"], signals=lines, kpi=log["kind"]))
    return plant, frame["timestamp"].min(), frame["timestamp"].max()


def main():
    binary, shared = sys.argv[1], pathlib.Path(sys.argv[2])
    windows = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    print(f"{'log':<16} {'interval':<8} {'days':>9} {'windows':>8} {'n_eff':>6} {'mean':>8} {'rms':>7} {'half':>7} {'coverage':>9} {'formula':>8} claims")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, log in LOGS.items():
            plant, first, last = make(root, name, log, shared)
            total = (last - first).days
            for interval in ["day", "hour"]:
                for baseline, reporting in [(90, 14), (120, 30)]:
                    random.seed(7)
                    rows, claims, failed = [], {}, 0
                    span = total - baseline - reporting - 1
                    for _ in range(windows):
                        start = (first + __import__("datetime").timedelta(days=random.randrange(max(span, 1)))).date()
                        days = lambda d: (start + __import__("datetime").timedelta(days=d)).isoformat()
                        for old in (plant / "verify").glob("*"):
                            old.unlink()
                        done = subprocess.run(
                            [binary, "verify", str(plant), "--kpi", "use", "--interval", interval, "--json", "-q",
                             "--baseline", f"{days(0)}..{days(baseline - 1)}",
                             "--reporting", f"{days(baseline)}..{days(baseline + reporting - 1)}"],
                            capture_output=True, text=True)
                        if not done.stdout.strip():
                            failed += 1
                            message = done.stderr.strip()
                            continue
                        s = json.loads(done.stdout)["saving"]
                        if "claim" in s:
                            rows.append(s)
                            claims[s["claim"]] = claims.get(s["claim"], 0) + 1
                    if not rows:
                        print(f"{name:<16} {interval:<8} {baseline}/{reporting}: no result, e.g. {message}")
                        continue
                    relative = [s["saving"] / abs(s["adjusted_baseline"]) for s in rows]
                    half = sum((s["high"] - s["low"]) / 2 / abs(s["adjusted_baseline"]) for s in rows) / len(rows)
                    covered = sum(s["low"] <= 0 <= s["high"] for s in rows) / len(rows)
                    formula = sum(abs(s["saving"]) <= s["formula"][0] for s in rows) / len(rows)
                    mean = sum(relative) / len(rows)
                    rms = math.sqrt(sum(r * r for r in relative) / len(rows))
                    print(f"{name:<16} {interval:<8} {baseline:>5}/{reporting:<3} {len(rows):>8} {min(len(rows), span // reporting):>6} "
                          f"{100 * mean:>7.2f}% {100 * rms:>6.2f}% {100 * half:>6.2f}% {100 * covered:>8.1f}% {100 * formula:>7.1f}% {claims} ({failed} refused)")
                    sys.stdout.flush()


main()
