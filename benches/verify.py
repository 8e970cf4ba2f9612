#!/usr/bin/env python3
"""Placebo test of `twinopt verify` on real logs.

Usage: verify.py TWINOPT SHARED_DATA [WINDOWS]

In each window, the baseline and the reporting period are drawn from a stretch of a log in which no saving was made. The
script prints, for each log, the mean placebo saving relative to the use, and the fraction of 90 % intervals that contain
zero. A saving of s % of the measured use, added to the reporting period, would change the estimate by exactly s %, so the
errors and the coverage for injected savings are the same. The results of overlapping windows are correlated; the
effective number of windows is the covered time divided by the length of a reporting period.
"""
import datetime, json, math, pathlib, random, subprocess, sys, tempfile

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


def periods(first, last, baseline, reporting, count):
    """Seeded windows of a log: the first day of the baseline and the first and last day of the reporting period."""
    draw = random.Random(7)
    span = max((last - first).days - baseline - reporting - 1, 1)
    for _ in range(count):
        start = (first + datetime.timedelta(days=draw.randrange(span))).date()
        yield [start + datetime.timedelta(days=d) for d in (0, baseline - 1, baseline, baseline + reporting - 1)]


def verify(binary, plant, interval, window, *options):
    """The saving that twinopt states for a window, or the message of a refusal."""
    for old in (plant / "verify").glob("*"):
        old.unlink()
    a, b, c, d = (day.isoformat() for day in window)
    done = subprocess.run([binary, "verify", str(plant), "--kpi", "use", "--interval", interval, "--json", "-q",
                           "--baseline", f"{a}..{b}", "--reporting", f"{c}..{d}", *options], capture_output=True, text=True)
    if not done.stdout.strip():
        return done.stderr.strip()
    document = json.loads(done.stdout)
    return document["saving"] | {"cv_rmse": document["statistics"]["cv_rmse_adjusted"]}


def main():
    binary, shared = sys.argv[1], pathlib.Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    print(f"{'log':<16} {'interval':<8} {'days':>9} {'windows':>8} {'n_eff':>6} {'mean':>8} {'rms':>7} {'half':>7} {'coverage':>9} {'formula':>8} claims")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, log in LOGS.items():
            plant, first, last = make(root, name, log, shared)
            for interval in ["day", "hour"]:
                for baseline, reporting in [(90, 14), (120, 30)]:
                    all_windows = periods(first, last, baseline, reporting, count)
                    results = [verify(binary, plant, interval, window) for window in all_windows]
                    rows = [s for s in results if isinstance(s, dict) and "claim" in s]
                    messages = [s for s in results if isinstance(s, str)]
                    if not rows:
                        print(f"{name:<16} {interval:<8} {baseline}/{reporting}: no result, e.g. {messages[:1]}")
                        continue
                    claims = {}
                    for s in rows:
                        claims[s["claim"]] = claims.get(s["claim"], 0) + 1
                    relative = [s["saving"] / abs(s["adjusted_baseline"]) for s in rows]
                    half = sum((s["high"] - s["low"]) / 2 / abs(s["adjusted_baseline"]) for s in rows) / len(rows)
                    covered = sum(s["low"] <= 0 <= s["high"] for s in rows) / len(rows)
                    formula = sum(abs(s["saving"]) <= s["formula"][0] for s in rows) / len(rows)
                    mean = sum(relative) / len(rows)
                    rms = math.sqrt(sum(r * r for r in relative) / len(rows))
                    apart = ((last - first).days - baseline - reporting - 1) // reporting
                    print(f"{name:<16} {interval:<8} {baseline:>5}/{reporting:<3} {len(rows):>8} {min(len(rows), apart):>6} "
                          f"{100 * mean:>7.2f}% {100 * rms:>6.2f}% {100 * half:>6.2f}% {100 * covered:>8.1f}% {100 * formula:>7.1f}% {claims} ({len(messages)} refused)")
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
