"""Runs each shared plant in closed loop under its own controller and under `twinopt control`, with the same seeds.

    python plants.py --shared DIR --twinopt PATH --project DIR [--seeds 101,102,...] [--steps 400] [NAME...]

The run under the plant's own controller is also recorded (`control --shadow --log`). The saving by MPC is predicted by
a scenario over that record with the same model. The last column of the table is the ratio of the realised to the
predicted saving.

The folder `--shared` contains plants/serve.py and data/rollouts/NAME.parquet. The interpreter `--python` runs serve.py;
the default is the interpreter of this script. In the folder `--project`, the script creates data/NAME with the log and
the twin.toml of examples/NAME, and fits a model, unless these already exist. It prints one table row per plant and
writes plants.json.
"""
import argparse, json, math, os, shutil, statistics, subprocess, sys, time, tomllib
from datetime import datetime, timedelta

# The KPI that is compared for each plant, as its mean per step.
MEASURE = {
    "cstr": "reward", "four_tank": "reward", "ph_neutralization": "reward", "distillation": "reward",
    "serial_inventory": "profit", "datacenter_crac": "total_power_w",
}
# The corresponding KPI of the twin, and a function that converts its value over a run of `hours` and `steps` to a mean
# per step.
TWIN_KPI = {
    "cstr": ("tracking", lambda v, hours, steps: v), "four_tank": ("tracking", lambda v, hours, steps: v),
    "ph_neutralization": ("tracking", lambda v, hours, steps: v), "distillation": ("tracking", lambda v, hours, steps: v),
    "serial_inventory": ("profit", lambda v, hours, steps: v / steps),
    "datacenter_crac": ("energy", lambda v, hours, steps: v * 1000 / hours),  # kWh to W
}
# Number of steps at the start of a record that precede the scenario, because models and forecasts require past values.
PAST = 12
# Plants whose twin uses the calendar. Each entry is the start date of a run, as in the log, and the number of days
# after which the calendar repeats.
START = {"serial_inventory": ("2024-01-01", 7 * 365)}


def serve(a, name, seed):
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([a.python, "serve.py", name, "--seed", str(seed), "--steps", str(a.steps)], cwd=os.path.join(a.shared, "plants"),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)


def loop(a, name, seed, answer):
    """Runs one closed loop, in which `answer(line)` returns the answer to a line of the plant. Returns the messages of
    each step, with KPIs, observations and applied controls, and the reason for which the loop ended."""
    plant = serve(a, name, seed)
    steps, end = [], "?"
    for line in plant.stdout:
        message = json.loads(line)
        if "end" in message:
            end = message["end"]
            answer(line)
            break
        if "kpi" in message:
            steps.append(message)
        reply = answer(line)
        if reply is not None and len(steps) < a.steps:
            plant.stdin.write(reply)
            plant.stdin.flush()
    plant.stdin.close()
    plant.wait()
    return steps, end


class Control:
    def __init__(self, a, name, seed, *more, start=None):
        command = [a.twinopt, "control", os.path.join("data", name), *a.option, *more]
        self.errors = open(os.path.join(a.project, f"control-{name}-{seed}.log"), "w")
        self.process = subprocess.Popen(command, cwd=a.project, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)
        self.answers = []
        self.start = start or (datetime.fromisoformat(START[name][0]) if name in START else None)

    def __call__(self, line):
        message = json.loads(line)
        if self.start and "k" in message:
            time = self.start + message["k"] * timedelta(seconds=self.dt)
            line = json.dumps({**message, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ")}) + "\n"
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:
            sys.exit(f"twinopt control ended early: see {self.errors.name}")
        if "describe" in message:
            self.dt = message["describe"]["dt_seconds"]
        if "describe" in message or "end" in message:
            return None
        reply = self.process.stdout.readline()
        self.answers.append(json.loads(reply))
        return reply

    def ms(self, step):
        """Median time of the answers with a new plan. The twin plans once per step; other answers reuse the plan."""
        times = sorted((a["ms"] for a in self.answers if a["decided_by"] == "plan"), reverse=True)
        plans = times[: max(1, round(len(times) * self.dt / step))]
        return statistics.median(plans) if plans else None

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def mean_kpi(steps, kpi, wanted):
    """Mean of a KPI per step. After a trip, a tracking reward counts as 0 in all remaining steps."""
    values = [s["kpi"][kpi] for s in steps]
    return sum(values) / (wanted if kpi == "reward" else max(len(values), 1))


def fit(a, name):
    """Fits a model unless the project already has one. Returns the duration of the fit in seconds, or `None`."""
    folder = os.path.join(a.project, "data", name)
    if not os.path.exists(folder):
        os.makedirs(os.path.join(folder, "log"))
        here = os.path.dirname(os.path.abspath(__file__))
        shutil.copy(os.path.join(here, "..", "examples", name, "twin.toml"), folder)
        shutil.copy(os.path.join(a.shared, "data", "rollouts", name + ".parquet"), os.path.join(folder, "log"))
    if not os.path.exists(os.path.join(a.project, "models", name)):
        began = time.monotonic()
        done = subprocess.run([a.twinopt, "fit", "--quiet", os.path.join("data", name)], cwd=a.project)
        if done.returncode:
            sys.exit(f"{name}: the fit failed")
        return time.monotonic() - began
    return None


def inline(value):
    """Formats a value as inline TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {inline(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(inline(v) for v in value) + "]"
    return json.dumps(value)


def twin_of(a, name):
    with open(os.path.join(a.project, "data", name, "twin.toml"), "rb") as f:
        return tomllib.load(f)


def step_of(a, name):
    """Sample time of the twin in seconds."""
    step = twin_of(a, name)["step"]
    digits = next(i for i, c in enumerate(step) if c.isalpha())
    return float(step[:digits]) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[step[digits:]]


def beyond(a, name, steps):
    """Number of steps that end with a measurement outside its hard or soft limits, or `None` if there are no limits. The
    limits need no conversion, because the signals of the examples have the units of their columns. Controls are not
    checked, because the plants keep them within their limits."""
    measured = [s for s in twin_of(a, name)["signals"] if s["role"] in ("state", "output")]
    limits = [(s.get("column", s["name"]), limit) for s in measured for limit in (s.get("hard"), s.get("soft")) if limit]
    if not limits:
        return None
    # the tolerance covers rounding errors of the plants, which compute in single precision
    out = lambda value, low, high: value < low - 1e-6 * abs(low) or value > high + 1e-6 * abs(high)
    values = lambda s: {**s["kpi"], **s["obs"]}
    return sum(any(out(v[column], *limit) for column, limit in limits) for v in map(values, steps))


def after_log(a, name):
    """Start of a run: shortly after the end of the log, or on the next later date with the same calendar as `START`."""
    versions = os.path.join(a.project, "models", name, "versions")
    with open(os.path.join(versions, os.listdir(versions)[0], "card.json")) as f:
        end = datetime.fromisoformat(json.load(f)["holdout_end"]).replace(tzinfo=None)
    if name not in START:
        return end + timedelta(seconds=200 * step_of(a, name))
    start, period = datetime.fromisoformat(START[name][0]), timedelta(days=START[name][1])
    while start < end:
        start += period
    return start


def predicted_kpi(a, name, seed, record, start, steps):
    """Mean KPI per step that the twin predicts for MPC with the disturbances of the run that was recorded from `start` on."""
    folder = f"{name}-{seed}"
    at = os.path.join(a.project, "data", folder)
    os.makedirs(os.path.join(at, "log"), exist_ok=True)
    shutil.copytree(os.path.join(a.project, "data", name), at, dirs_exist_ok=True)
    os.replace(record, os.path.join(at, "log", "record.parquet"))
    # the model from the closed loop is used, which was fitted without the record
    shutil.copytree(os.path.join(a.project, "models", name), os.path.join(a.project, "models", folder), dirs_exist_ok=True)
    twin, seconds = twin_of(a, name), step_of(a, name)
    start += timedelta(seconds=PAST * seconds)
    length = steps - PAST - 2
    mpc = {k: v for k, v in twin["mpc"].items() if k not in ("tune", "safe", "settle")}
    scenario = os.path.join("scenarios", folder)
    os.makedirs(os.path.join(a.project, scenario), exist_ok=True)
    with open(os.path.join(a.project, scenario, "mpc.toml"), "w") as f:
        f.write(f'question = "How much does MPC save?"\ntwin = "{folder}"\nstart = {start:%Y-%m-%dT%H:%M:%S}Z\n'
                f'length = "{int(length * seconds)}s"\nparticles = 2\n'
                f'[case.baseline]\ncontroller.replay = {{}}\n[case.mpc]\ncontroller.mpc = {inline(mpc)}\n')
    done = subprocess.run([a.twinopt, "run", "--quiet", scenario], cwd=a.project, capture_output=True, text=True)
    results = os.path.join(a.project, "reports", folder, "results.json")
    if not os.path.exists(results):
        print(done.stderr, file=sys.stderr)
        return float("nan")
    with open(results) as f:
        run = json.load(f)["scenarios"][0]
    kpi, per_step = TWIN_KPI[name]
    case = next((c for c in run["cases"] if c["name"] == "mpc"), None)
    if case is None:
        print(run["error"], file=sys.stderr)
        return float("nan")
    samples = next(k["samples"] for k in case["kpis"] if k["name"] == kpi)
    return per_step(statistics.mean(samples), run["hours"], length)


def plant_row(a, name):
    seconds = fit(a, name)
    kpi = MEASURE[name]
    runs = []
    for seed in a.seeds:
        record = os.path.join(a.project, f"own-{name}-{seed}.parquet")
        start = after_log(a, name)
        shadow = Control(a, name, seed, "--shadow", "--log", record, start=start)
        base, base_end = loop(a, name, seed, shadow)
        shadow.close()
        control = Control(a, name, seed)
        ours, our_end = loop(a, name, seed, control)
        control.close()
        decided_by = {}
        for answer in control.answers:
            decided_by[answer["decided_by"]] = decided_by.get(answer["decided_by"], 0) + 1
        run = dict(seed=seed, baseline=mean_kpi(base, kpi, a.steps), ours=mean_kpi(ours, kpi, a.steps), base_end=base_end,
                   our_end=our_end, steps=len(ours), decided_by=decided_by, ms=control.ms(step_of(a, name)),
                   beyond=[beyond(a, name, base), beyond(a, name, ours)])
        if name == "serial_inventory":
            for key, steps in (("fill_base", base), ("fill_ours", ours)):
                # demand that is not served immediately enters the backlog
                demand = sum(s["kpi"]["demand"] for s in steps)
                run[key] = 1 - sum(min(s["kpi"]["demand"], s["kpi"]["backlog"]) for s in steps) / demand
        lines = step_of(a, name) / shadow.dt  # per step of the twin
        of = lambda steps: statistics.mean(s["kpi"][kpi] for s in steps[round(PAST * lines):])
        run["predicted"] = predicted_kpi(a, name, seed, record, start, int(len(base) / lines)) - of(base)
        run["realised"] = of(ours) - of(base)
        runs.append(run)
        print(json.dumps(run), file=sys.stderr, flush=True)
    base, ours = (statistics.mean(r[k] for r in runs) for k in ("baseline", "ours"))
    ratios = [r["ours"] / r["baseline"] if r["baseline"] else float("nan") for r in runs]
    differences = [r["ours"] - r["baseline"] for r in runs]
    half = lambda values: 1.96 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else float("nan")
    return dict(plant=name, kpi=kpi, baseline=base, ours=ours, ratio=ours / base, ratio_mean=statistics.mean(ratios), half=half(ratios),
                difference=statistics.mean(differences), difference_half=half(differences), fit_s=seconds,
                trips=sum(r["our_end"] != "steps" for r in runs), base_trips=sum(r["base_end"] != "steps" for r in runs), runs=runs,
                beyond=[sum(r["beyond"][i] for r in runs) for i in (0, 1)] if runs[0]["beyond"][0] is not None else None,
                realised_share=sum(r["realised"] for r in runs) / sum(r["predicted"] for r in runs),
                ms=statistics.median(r["ms"] for r in runs if r["ms"] is not None) if any(r["ms"] for r in runs) else None)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*")
    p.add_argument("--shared", required=True)
    p.add_argument("--twinopt", required=True)
    p.add_argument("--project", required=True)
    p.add_argument("--seeds", type=lambda t: [int(s) for s in t.split(",")], default=[101, 102, 103, 104, 105])
    p.add_argument("--steps", type=int, default=400)
    p.add_argument("--python", default=sys.executable, help="Python interpreter that runs the plants")
    p.add_argument("--option", action="append", default=[], help="additional option of `twinopt control`")
    a = p.parse_args()
    a.shared, a.twinopt, a.project = (os.path.abspath(p) for p in (a.shared, a.twinopt, a.project))
    os.makedirs(a.project, exist_ok=True)
    rows = []
    print("| plant | measure per step | own controller | twinopt | difference (95 %) | ratio (95 %) | trips, own / ours | steps beyond limits "
          "| ms per plan | realised / predicted |\n|---|---|---|---|---|---|---|---|---|---|")
    for name in a.names or MEASURE:
        row = plant_row(a, name)
        rows.append(row)
        ms = f"{row['ms']:.1f}" if row["ms"] is not None else "–"
        digits = ",.0f" if abs(row["difference"]) >= 100 else ".3g"
        limits = "{} / {}".format(*row["beyond"]) if row["beyond"] else "–"
        print(f"| {name} | {row['kpi']} | {row['baseline']:.4g} | {row['ours']:.4g} | {row['difference']:+{digits}} ± {row['difference_half']:{digits}} "
              f"| {row['ratio_mean']:.3f} ± {row['half']:.3f} | {row['base_trips']} / {row['trips']} | {limits} "
              f"| {ms} | {row['realised_share']:.2f} |", flush=True)
        if name == "serial_inventory":
            fills = (100 * statistics.mean(r[k] for r in row["runs"]) for k in ("fill_base", "fill_ours"))
            print("served at once, own and ours: {:.1f} % and {:.1f} %".format(*fills), file=sys.stderr)
        if row["fit_s"] is not None:
            print(f"{name}: fitted in {row['fit_s']:.0f} s", file=sys.stderr, flush=True)
    with open(os.path.join(a.project, "plants.json"), "w") as f:
        json.dump(rows, f, indent=1)
