"""Damages the files, values and processes of a small project, and counts what twinopt does.

usage: python3 benches/battery.py <twinopt> [--scale 1] [--seed 1] [--only storms,parts,...]

Needs numpy and pyarrow, and `strace` for the section `calls`. Every section prints its counts and every case that fails.
The exit code is 1 if a case fails.
"""

import argparse, json, math, os, random, re, shutil, signal, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 1500
START = np.datetime64("2024-01-01T00:00:00", "ms")
TWIN = """
name    = "room"
step    = "1h"
log     = { files = "log/*.parquet", time = "timestamp", max_gap = "3h" }
signals = [
  { name = "room_temp",    role = "state",       unit = "degC", column = "room_temp_c", soft = [19, 23] },
  { name = "power",        role = "output",      unit = "kW",   column = "power_kw" },
  { name = "heat",         role = "control",     unit = "kW",   column = "heater_kw", hard = [0, 8], max_move = 1.0 },
  { name = "outdoor_temp", role = "disturbance", unit = "degC", column = "outdoor_temp_c", forecast = { seasonal = "1d" } },
  { name = "price",        role = "disturbance", unit = "EUR/MWh", value = 90 },
]
[model]
choose  = ["linear"]
lags    = 2
holdout = "14d"
horizon = "6h"
[kpi]
energy_cost = { integral = "power * price" }
discomfort  = { exceedance = "room_temp" }
[objective]
energy_cost = 1.0
discomfort  = 5.0
[retrain]
window  = "35d"
blocks  = "14d"
"""
SCENARIO = """
question      = "What does a steady heater save in an ordinary week?"
twin          = "room"
start         = 2024-02-20T00:00:00Z
length        = "3d"
days_per_year = 200
particles     = 8
[case.baseline]
controller.replay = {}
[case.steady]
controller.hold = { heat = 3.0 }
"""
SIGNALS = {"room_temp_c": "room_temp", "power_kw": "power", "heater_kw": "heat", "outdoor_temp_c": "outdoor_temp"}
# Exit codes with which a verb may end: success, attention, bad data, no input, cannot write, faults in twin.toml.
CLEAN = {0, 3, 65, 66, 73, 74, 78}


def columns(rows=ROWS, gain=0.35, seed=7, changed=None, later=None):
    """The log of a heated room, one row per hour. From row `changed` on, 1 kW warms the room by `later` K."""
    rng = np.random.default_rng(seed)
    temp, heat, drift = 20.0, 3.0, 0.0
    out = {name: np.empty(rows) for name in SIGNALS}
    for k in range(rows):
        if k % 4 == 0:
            heat = float(np.clip(heat + rng.uniform(-1, 1) + 0.1 * (3.4 - heat), 1.0, 7.0))
        drift = 0.97 * drift + 0.3 * rng.standard_normal()
        outdoor = 5.0 + 4.0 * math.sin(k * math.tau / 24) + drift
        for name, value in zip(SIGNALS, (temp, 0.3 + 1.1 * heat + 0.02 * rng.standard_normal(), heat, outdoor)):
            out[name][k] = value
        g = gain if changed is None or k < changed else later
        temp += 0.08 * (outdoor - temp) + g * heat + 0.05 * rng.standard_normal()
    return out


def table(cols, start=START):
    rows = len(next(iter(cols.values())))
    times = pa.array((start + np.arange(rows).astype("timedelta64[h]")).astype("datetime64[ms]"), pa.timestamp("ms", "UTC"))
    return pa.table({"timestamp": times, **cols})


class Project:
    def __init__(self, parent, binary, log=None):
        self.root, self.binary = Path(tempfile.mkdtemp(dir=parent)), binary
        self.write("data/room/twin.toml", TWIN)
        self.write("scenarios/room/winter.toml", SCENARIO)
        self.write("scenarios/room/cold.toml", SCENARIO + "[disturbance]\noutdoor_temp = { add = -5.0 }\n")
        self.log = self.root / "data/room/log/room.parquet"
        self.log.parent.mkdir(parents=True)
        pq.write_table(table(columns()) if log is None else log, self.log)

    def write(self, file, text):
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *args, prefix=(), timeout=120, **kwargs):
        return subprocess.run([*prefix, self.binary, *args], cwd=self.root, capture_output=True, text=True,
                              errors="replace", stdin=subprocess.DEVNULL, timeout=timeout, **kwargs)

    def champion(self):
        done = self.run("models", "data/room", "list", "--json")
        return json.loads(done.stdout)["champion"] if done.returncode == 0 else f"exit {done.returncode}: {done.stderr}"


class Section:
    """The counts of one section."""

    def __init__(self, name, what):
        self.name, self.what, self.cases, self.failed, self.seconds = name, what, 0, [], 0.0
        self.codes = {}

    def case(self, label, code, faults):
        self.cases += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        if faults:
            self.failed.append(f"{label}: exit {code}: {'; '.join(faults)}")

    def summary(self):
        codes = ", ".join(f"{c}: {n}" for c, n in sorted(self.codes.items(), key=lambda kv: str(kv[0])))
        return f"{self.name}: {self.cases} cases, {len(self.failed)} failed, exit codes {{{codes}}}, {self.seconds:.0f} s"


def bug(text):
    return ["a panic or a bug message"] if re.search(r"panicked|bug in twinopt|ended early", text) else []


def storms(s, scale, parent, binary, rng):
    values = {"NaN": math.nan, "+Inf": math.inf, "-Inf": -math.inf, "denormal": 5e-324, "1e308": 1e308, "-1e308": -1e308,
              "-0": -0.0, "null": None, "constant": 3.25}
    extents = {"whole": slice(None), "first half": slice(0, ROWS // 2), "last half": slice(ROWS // 2, None),
               "last day": slice(ROWS - 24, None), "every 2nd": slice(0, None, 2), "one": slice(700, 701)}
    cases = [(c, v, e) for c in SIGNALS for v in values for e in extents]
    rng.shuffle(cases)
    good = columns()
    for column, value, extent in cases[: int(len(cases) * scale)]:
        cols = {name: list(v) for name, v in good.items()}
        for i in range(ROWS)[extents[extent]]:
            cols[column][i] = values[value]
        p = Project(parent, binary, table({n: pa.array(v, pa.float64()) for n, v in cols.items()}))
        p.write("scenarios/room/cold.toml", "x = 1")
        (p.root / "scenarios/room/cold.toml").unlink()
        done = p.run("run", "scenarios/room")
        faults = bug(done.stderr)
        if done.returncode not in CLEAN:
            faults.append("unexpected exit code")
        if done.returncode not in (0, 3) and not any(n in done.stderr for n in (column, f"`{SIGNALS[column]}`", SIGNALS[column])):
            faults.append("the message does not name the signal: " + done.stderr.strip()[:300])
        results = p.root / "reports/room/results.json"
        if results.exists():
            text = results.read_text()
            json.loads(text, parse_constant=lambda c: faults.append(f"{c} in results.json"))
            page = (p.root / "reports/room/index.html").read_text()
            if re.search(r"\bNaN\b|\binf\b", re.sub(r"<style>.*?</style>", "", page, flags=re.S)):
                faults.append("NaN or inf on the page")
        s.case(f"{column} {value} {extent}", done.returncode, faults)
        shutil.rmtree(p.root)
    # logs with few rows
    for rows in (0, 1, 2, 3, 24, 200):
        p = Project(parent, binary, table({n: v[:rows] for n, v in good.items()}))
        done = p.run("run", "scenarios/room")
        s.case(f"{rows} rows", done.returncode, bug(done.stderr) + ([] if done.returncode in (65, 66, 78) else ["unexpected exit code"]))
        shutil.rmtree(p.root)


def parts(s, scale, parent, binary, rng):
    p = Project(parent, binary)
    p.run("run", "scenarios/room")
    report = p.root / "reports/room"
    outputs = lambda: {f.name: f.read_bytes() for f in report.iterdir() if f.is_file()}
    clean = outputs()
    folder = report / ".parts"
    whole = {f: f.read_bytes() for f in folder.iterdir() if f.suffix in (".json", ".parquet")}
    for k in range(int(200 * scale)):
        file, kind = rng.choice(sorted(whole)), rng.choice(["bit", "zeros", "cut"])
        data = bytearray(whole[file])
        at = rng.randrange(len(data))
        if kind == "bit":
            data[at] ^= 1 << rng.randrange(8)
        elif kind == "zeros":
            data[at:at + 64] = bytes(len(data[at:at + 64]))
        else:
            del data[at:]
        file.write_bytes(data)
        try:
            done = p.run("run", "scenarios/room", "--resume", "--quiet", timeout=60)
            code, faults = done.returncode, bug(done.stderr)
            if code != 0:
                faults.append(done.stderr.strip()[:200])
            if outputs() != clean:
                faults.append("the report changed")
        except subprocess.TimeoutExpired:
            code, faults = "timeout", ["hang"]
        s.case(f"{file.name} {kind} at {at}", code, faults)
        for f, b in whole.items():
            f.write_bytes(b)
    shutil.rmtree(p.root)


def kills(s, scale, parent, binary, rng):
    """SIGKILL at a random time. Afterwards, the registry is intact, and the same command ends well within 60 s."""
    verbs = [["fit", "data/room"], ["retrain", "data/room", "--seed", "{k}"], ["run", "scenarios/room"],
             ["run", "scenarios/room", "--resume"], ["models", "data/room", "rollback"], ["report", "reports/room"],
             ["models", "data/room", "gc", "--keep", "3"], ["init", "data/fresh{k}", "--log", "data/room/log/room.parquet"]]
    p = Project(parent, binary)
    p.run("fit", "data/room")
    p.run("fit", "data/room", "--seed", "2")
    p.run("run", "scenarios/room")
    known = {}
    durations = {}
    for k in range(int(300 * scale)):
        verb = rng.choice(verbs)
        args = [a.replace("{k}", str(k)) for a in verb]
        if verb[0] not in durations:
            durations[verb[0]] = 1.0
        clock = time.monotonic()
        child = subprocess.Popen([binary, *args, "--quiet"], cwd=p.root, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(rng.uniform(0, 1.1) * durations[verb[0]])
            durations[verb[0]] = time.monotonic() - clock + 0.01
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
        faults = []
        for what in (["models", "data/room", "verify"], ["models", "data/room", "show"], ["status"]):
            done = p.run(*what)
            faults += bug(done.stderr)
            if done.returncode not in (0, 3):
                faults.append(f"{' '.join(what)}: exit {done.returncode}: {done.stderr.strip()[:200]}")
        for file in ("results.json", "provenance.json"):
            try:
                json.loads((p.root / "reports/room" / file).read_text())
            except ValueError as e:
                faults.append(f"{file}: {e}")
        try:
            pq.read_metadata(p.root / "reports/room/runs.parquet")
        except Exception as e:
            faults.append(f"runs.parquet: {e}")
        clock = time.monotonic()
        again = p.run(*(a.replace("fresh", "again") for a in args), "--quiet")
        if again.returncode not in (0, 3) and not (verb[1:3] == ["data/room", "rollback"] and again.returncode == 2):
            faults.append(f"the next {' '.join(args)}: exit {again.returncode}: {again.stderr.strip()[:200]}")
        faults += bug(again.stderr)
        if verb[0] in ("fit", "retrain", "run") and again.returncode in (0, 3):
            left = [f for d in ("models/room", "models/room/events", "reports/room", "reports/room/.parts")
                    for f in (p.root / d).iterdir() if ".twinopt-" in f.name]
            mine = [f for f in left if (verb[0] != "run") == ("models" in f.parts)]
            if mine:
                faults.append(f"temporary files are left: {mine[:3]}")
        s.case(f"kill {k} of {' '.join(args)}", child.returncode, faults)
    shutil.rmtree(p.root)


def parquet(s, scale, parent, binary, rng):
    """A damaged log: one bit flipped, bytes zeroed, or the end cut. The file carries page checksums."""
    p = Project(parent, binary)
    pq.write_table(table(columns()), p.log, write_page_checksum=True, row_group_size=300)
    good = p.log.read_bytes()
    values = lambda: json.loads(p.run("inspect", "data/room", "--json").stdout)
    clean = values()
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    for k in range(int(400 * scale)):
        data, kind = bytearray(good), rng.choice(["page bit", "footer bit", "zeros", "cut"])
        at = rng.randrange(footer, len(data)) if kind == "footer bit" else rng.randrange(4, footer if kind == "page bit" else len(data))
        if "bit" in kind:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == "zeros":
            data[at:at + 64] = bytes(len(data[at:at + 64]))
        else:
            del data[at:]
        p.log.write_bytes(data)
        try:
            clock = time.monotonic()
            done = p.run("inspect", "data/room", "--json", timeout=20)
            code, faults = done.returncode, bug(done.stderr)
            if time.monotonic() - clock > 10:
                faults.append("more than 10 s")
            if code == 0:
                now = json.loads(done.stdout)
                if any(now.get(key) != clean.get(key) for key in now if key != "sources" and "hash" not in json.dumps(now.get(key))):
                    if kind != "footer bit":
                        faults.append("other values without a message")
                    else:
                        faults.append("note: other values after a change of the footer, which has no checksum")
            elif code not in CLEAN:
                faults.append("unexpected exit code " + done.stderr.strip()[:200])
        except subprocess.TimeoutExpired:
            code, faults = "timeout", ["hang"]
        s.case(f"{kind} at {at}", code, faults)
    shutil.rmtree(p.root)


def calls(s, scale, parent, binary, rng):
    """One system call of each kind fails, injected by strace, while a verb runs. The champion is intact afterwards."""
    kinds = [("openat", "EIO"), ("openat", "EMFILE"), ("read", "EIO"), ("write", "ENOSPC"), ("write", "EIO"), ("fsync", "EIO"),
             ("close", "EIO"), ("mkdir", "ENOSPC"), ("rename", "EIO"), ("linkat", "EIO"), ("getdents64", "EIO"), ("unlink", "EIO"),
             ("ftruncate", "EIO"), ("statx", "EIO")]
    verbs = [["retrain", "data/room", "--seed", "{k}"], ["run", "scenarios/room"], ["status"], ["models", "data/room", "rollback"]]
    p = Project(parent, binary)
    p.run("fit", "data/room")
    p.run("fit", "data/room", "--seed", "2")
    p.run("run", "scenarios/room")
    pristine = p.root.parent / (p.root.name + "-pristine")
    shutil.copytree(p.root, pristine)
    total = {}
    for verb in verbs:
        args = [a.replace("{k}", "3") for a in verb]
        log = p.root / "trace"
        p.run(*args, "-j", "1", "--quiet", prefix=("strace", "-f", "-qq", "-c", "-o", str(log), "-e", "trace=" + ",".join({k for k, _ in kinds})))
        for line in log.read_text().splitlines():
            words = line.split()
            if len(words) >= 5 and words[-1] in {k for k, _ in kinds}:
                total[(verb[0], words[-1])] = int(words[3])
        shutil.rmtree(p.root)
        shutil.copytree(pristine, p.root)
    cases = [(verb, call, error, k) for verb in verbs for call, error in kinds for k in range(1, total.get((verb[0], call), 0) + 1)]
    rng.shuffle(cases)
    champion = p.champion()
    print(f"  {len(cases)} injection points", file=sys.stderr)
    for verb, call, error, k in cases[: int(400 * scale)]:
        args = [a.replace("{k}", str(1000 + k)) for a in verb]
        done = p.run(*args, "-j", "1", "--quiet", prefix=("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                                                          "-e", f"inject={call}:error={error}:when={k}"))
        faults = bug(done.stderr)
        if done.returncode not in CLEAN | {2, 127}:
            faults.append("unexpected exit code " + done.stderr.strip()[:200])
        now = p.champion()
        if now != champion and not (done.returncode in (0, 74)):
            faults.append(f"champion {champion} became {now}")
        check = p.run("models", "data/room", "verify")
        if check.returncode:
            faults.append("verify: " + check.stderr.strip()[:200])
        s.case(f"{' '.join(args)}: {call} number {k} fails with {error}", done.returncode, faults)
        shutil.rmtree(p.root)
        shutil.copytree(pristine, p.root)
    shutil.rmtree(p.root)
    shutil.rmtree(pristine)


def soak(s, scale, parent, binary, rng):
    """Nights with one day of new rows each. One night in ten has a fault."""
    faults = ["cut file", "no file", "other unit", "flat sensor", "kill", "clock ahead"]
    for seed in range(max(1, round(2 * scale))):
        nights = 365
        first = 60 * 24
        cols = columns(first + nights * 24, seed=seed)
        p = Project(parent, binary, table({n: v[:first] for n, v in cols.items()}))
        p.run("retrain", "data/room", "--quiet")
        sizes, outcomes = [], {}
        for night in range(nights):
            rows = first + 24 * (night + 1)
            now = {n: v[:rows].copy() for n, v in cols.items()}
            fault = rng.choice(faults) if rng.random() < 0.1 else None
            if fault == "other unit":
                now["room_temp_c"][-24:] = 1.8 * now["room_temp_c"][-24:] + 32
            if fault == "flat sensor":
                now["room_temp_c"][-24:] = now["room_temp_c"][-24]
            if fault == "clock ahead":
                now = {n: v[: rows - 24] for n, v in now.items()}
            pq.write_table(table(now), p.log)
            if fault == "cut file":
                p.log.write_bytes(p.log.read_bytes()[:-100])
            if fault == "no file":
                p.log.unlink()
            before = p.champion()
            if fault == "kill":
                child = subprocess.Popen([binary, "retrain", "data/room", "--quiet"], cwd=p.root, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(rng.uniform(0, 0.5))
                child.kill()
                child.wait()
                code, text = -9, ""
            else:
                done = p.run("retrain", "data/room", "--quiet")
                code, text = done.returncode, done.stderr
            bad = bug(text)
            if code not in CLEAN | {-9}:
                bad.append("unexpected exit code " + text.strip()[:200])
            after = p.champion()
            if after != before and fault in ("cut file", "no file", "other unit"):
                bad.append(f"{before} was replaced by {after} on a night with the fault {fault}")
            if fault in ("cut file", "no file", "other unit") and code not in (65, 66):
                bad.append(f"the fault {fault} was not refused: exit {code}")
            outcomes[(fault, code)] = outcomes.get((fault, code), 0) + 1
            sizes.append(len(list((p.root / "models/room/versions").iterdir())))
            s.case(f"seed {seed}, night {night}, {fault}", code, bad)
        verify = p.run("models", "data/room", "verify")
        s.case(f"seed {seed}, verify", verify.returncode, [] if verify.returncode == 0 else [verify.stderr[:200]])
        if max(sizes) > 70:
            s.failed.append(f"seed {seed}: {max(sizes)} versions")
        print(f"  seed {seed}: at most {max(sizes)} versions, outcomes " +
              ", ".join(f"{f or 'no fault'} {c}: {n}" for (f, c), n in sorted(outcomes.items(), key=str)))
        shutil.rmtree(p.root)


SECTIONS = {"storms": storms, "parts": parts, "kills": kills, "parquet": parquet, "calls": calls, "soak": soak}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("twinopt")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    binary, bad = os.path.abspath(args.twinopt), False
    for name in args.only.split(","):
        section = Section(name, SECTIONS[name].__doc__ or "")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as parent:
            clock = time.monotonic()
            SECTIONS[name](section, args.scale, parent, binary, random.Random(args.seed))
            section.seconds = time.monotonic() - clock
        for line in section.failed:
            print("  " + line)
        print(section.summary(), flush=True)
        bad |= bool(section.failed)
    sys.exit(bad)


if __name__ == "__main__":
    main()
