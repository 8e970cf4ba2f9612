#!/usr/bin/env python3
"""Prints the table in docs/accuracy.md: the hold-out skill of every model on every plant at the control horizon.

    python3 benches/accuracy.py [BINARY] [PLANT ...]

The script copies the shipped twins and all examples that have a log in `examples/NAME/log`. It fits the copies with all
models as candidates (`twinopt fit --dry-run --json`). The chosen model is printed in bold, followed by the hold-out
coverage of its 90 % interval in brackets. The script fails if the mean skill of a chosen model over all signals is
lower than the mean skill of `linear`.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS = ["linear", "forest", "gp", "ensemble", "stack"]
# A loss of mean skill up to this bound is attributed to chance, because the hold-out rows are not used to choose the
# model (not tuned).
TOLERANCE = 0.005


def plants(names):
    found = sorted(ROOT.glob("data/*/twin.toml")) + sorted(ROOT.glob("examples/*/twin.toml"))
    with_log = [twin.parent for twin in found if any((twin.parent / "log").glob("*.parquet"))]
    return [plant for plant in with_log if not names or plant.name in names]


def card(binary, plant):
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "data" / plant.name
        copy.mkdir(parents=True)
        (copy / "log").symlink_to(plant / "log")
        text = (plant / "twin.toml").read_text()
        text, changed = re.subn(r"(?m)^choose\s*=.*$", f"choose = {json.dumps(MODELS)}", text)
        assert changed == 1, f"{plant}/twin.toml: no line `choose = …` under [model]"
        # MPC settings are not tuned, because this table concerns only models
        text = re.sub(r"(?m)^\[mpc\]$", "[mpc]\ntune = false", text)
        (copy / "twin.toml").write_text(text)
        # the link leads out of the project
        env = dict(os.environ, TWINOPT_LOG_FOLDERS=str(plant / "log"))
        done = subprocess.run([binary, "fit", copy, "--dry-run", "--json", "--quiet"], stdout=subprocess.PIPE, env=env)
        # exit code 3 means that a model was fitted but refused
        assert done.returncode in (0, 3), f"{plant.name}: exit code {done.returncode}"
        return json.loads(done.stdout)["card"]


def rows(card):
    last = [s for s in card["scores"] if s["horizon"] == card["horizon"]]
    # signals with known equations are left out, because they do not depend on the model
    signals = [s["signal"] for s in last if s["model"] == card["model"] and s["rmse"] > 1e-9 and s["skill"] is not None]
    return signals, {(s["model"], s["signal"]): s for s in last}


def main():
    arguments = sys.argv[1:]
    binary = arguments[0] if arguments else str(ROOT / "target/release/twinopt")
    print("| plant | signal | horizon | " + " | ".join(MODELS) + " |")
    print("|---" * (3 + len(MODELS)) + "|", flush=True)
    lost = []
    for plant in plants(arguments[1:]):
        made = card(binary, plant)
        signals, scores = rows(made)
        for signal in signals:
            cells = []
            for model in MODELS:
                score = scores.get((model, signal))
                text = f"{score['skill']:.3f}" if score else "–"
                if model == made["model"]:
                    text = f"**{text} ({100 * score['coverage'][2]:.0f} %)**"
                cells.append(text)
            horizon = f"{made['horizon']} × {made['step']}"
            print(f"| {plant.name} | {signal} | {horizon} | " + " | ".join(cells) + " |", flush=True)
        mean = lambda model: sum(scores[model, s]["skill"] for s in signals) / len(signals)
        if mean(made["model"]) < mean("linear") - TOLERANCE:
            lost.append(f"{plant.name}: {made['model']} {mean(made['model']):.3f}, linear {mean('linear'):.3f}")
    if lost:
        sys.exit("the chosen model is worse than linear on the hold-out: " + "; ".join(lost))


main()
