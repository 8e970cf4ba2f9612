#!/usr/bin/env python3
"""Compares `twinopt verify` with the daily and hourly models of OpenDSM on windows of real logs without a saving.

Usage: verify_peers.py TWINOPT SHARED_DATA [WINDOWS]   (in an environment with polars and opendsm, see the justfile)

All programs get the same windows. OpenDSM knows the outdoor temperature and the calendar; twinopt is run once with the
same driver and once with all drivers of the log. CV(RMSE) is that of the baseline: for OpenDSM within the sample, for
twinopt on left-out folds. The 90 % interval of OpenDSM is computed from its uncertainty of each interval, with the number
of intervals reduced by the autocorrelation that it reports for the baseline.
"""
import logging, math, pathlib, sys, tempfile, warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import pandas
from opendsm import eemeter

import verify

# the column with the outdoor temperature, and its conversion to °F
TEMPERATURES = {
    "chiller_plant": ("outdoor_temp_f", lambda t: t),
    "gas_turbine": ("ambient_temp_c", lambda t: 1.8 * t + 32),
    "datacenter_crac": ("outdoor_temp_c", lambda t: 1.8 * t + 32),
}
WINDOWS = {"chiller_plant": [(120, 30)], "gas_turbine": [(120, 30), (365, 30)], "datacenter_crac": [(90, 14)]}


def hourly(log, name, shared):
    """Use and outdoor temperature per hour. An hour without all of its samples is missing."""
    column, convert = TEMPERATURES[name]
    frame = pandas.read_parquet(shared / log["file"]).set_index("timestamp")
    frame.index = pandas.to_datetime(frame.index, utc=True)
    frame = frame[~frame.index.duplicated()].sort_index()
    samples = round(pandas.Timedelta("1h") / pandas.Timedelta(log["step"]))
    use = frame[log["use"]].resample("1h").sum(min_count=samples)
    return pandas.DataFrame({"observed": use, "temperature": convert(frame[column].resample("1h").mean())})


def opendsm(frame, interval, window):
    """Saving, half-width of its 90 % interval, adjusted baseline and CV(RMSE), or the message of an error."""
    def part(first, last):
        return frame[(frame.index.date >= first) & (frame.index.date <= last)]

    data = {"day": (eemeter.DailyBaselineData, eemeter.DailyModel, eemeter.DailyReportingData),
            "hour": (eemeter.HourlyBaselineData, eemeter.HourlyModel, eemeter.HourlyReportingData)}[interval]
    try:
        baseline = data[0](part(*window[:2]), is_electricity_data=True)
        model = data[1]().fit(baseline, ignore_disqualification=True)
        reporting = part(*window[2:])
        result = model.predict(data[2](reporting, is_electricity_data=True), ignore_disqualification=True)
    except Exception as error:  # the models raise many types
        return f"{type(error).__name__}: {error}"[:80]
    # values that OpenDSM filled in are not measurements
    measured = result["observed"].notna()
    if "interpolated_observed" in result:
        measured &= ~result["interpolated_observed"].astype(bool)
    result = result[measured]
    if result.empty:
        return "no measured interval"
    metrics = model.baseline_metrics
    independent = max(len(result) * metrics.n_prime / metrics.n, 1)
    each = math.sqrt((result["predicted_unc"] ** 2).mean())
    saving = float((result["predicted"] - result["observed"]).sum())
    return saving, each * len(result) / math.sqrt(independent), float(result["predicted"].sum()), float(metrics.cvrmse_adj)


def twinopt(binary, plant, interval, window, *options):
    s = verify.verify(binary, plant, interval, window, *options)
    if not isinstance(s, dict) or "claim" not in s:
        return str(s)[:80]
    return s["saving"], (s["low"], s["high"]), s["adjusted_baseline"], s["cv_rmse"]


def show(name, interval, days, program, results):
    rows = [r for r in results if isinstance(r, tuple)]
    failed = [r for r in results if isinstance(r, str)]
    if rows:
        relative = [saving / abs(adjusted) for saving, _, adjusted, _ in rows]
        ends = [(s - h, s + h) if isinstance(h, float) else h for s, h, _, _ in rows]
        half = sum((high - low) / 2 / abs(r[2]) for (low, high), r in zip(ends, rows)) / len(rows)
        covered = sum(low <= 0 <= high for low, high in ends) / len(rows)
        mean, rms = sum(relative) / len(rows), math.sqrt(sum(r * r for r in relative) / len(rows))
        cv = sorted(r[3] for r in rows)[len(rows) // 2]
        print(f"| {name} | {interval} | {days} | {program} | {len(rows)} | {100 * cv:.1f} % | {100 * mean:.2f} % | {100 * rms:.2f} % | "
              f"{100 * half:.2f} % | {100 * covered:.1f} % | {len(failed)} |")
    else:
        print(f"| {name} | {interval} | {days} | {program} | 0 | | | | | | {len(failed)} ({failed[0] if failed else ''}) |")
    sys.stdout.flush()


def main():
    binary, shared = sys.argv[1], pathlib.Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 40
    print("| log | interval | baseline / reporting (days) | program | windows | CV(RMSE), median | mean saving | root mean square | half-width | coverage | errors |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, log in verify.LOGS.items():
            plant, first, last = verify.make(pathlib.Path(folder), name, log, shared)
            frame = hourly(log, name, shared)
            for baseline, reporting in WINDOWS[name]:
                windows = list(verify.periods(first, last, baseline, reporting, count))
                for interval in ["day", "hour"]:
                    days = f"{baseline}/{reporting}"
                    show(name, interval, days, "OpenDSM", [opendsm(frame, interval, w) for w in windows])
                    same = [twinopt(binary, plant, interval, w, "--drivers", TEMPERATURES[name][0]) for w in windows]
                    show(name, interval, days, "twinopt, temperature", same)
                    show(name, interval, days, "twinopt, all drivers", [twinopt(binary, plant, interval, w) for w in windows])


main()
