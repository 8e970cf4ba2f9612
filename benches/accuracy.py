#!/usr/bin/env python3
"""Hold-out skill of every model on every plant at the control horizon, as the table in docs/accuracy.md.

    python3 benches/accuracy.py [BINARY] [PLANT ...]

Fits copies of the shipped twins, and of the examples with a log in `examples/NAME/log`, with all models as candidates
(`twinopt fit --dry-run --json`). The chosen model is bold, with the hold-out coverage of its 90 % interval in brackets. The
script fails if the chosen model has a lower mean skill over signals than `linear`.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS = ["linear", "forest", "gp", "ensemble", "stack"]
# Loss of mean skill that is attributed to chance, because the choice is made on other rows (guess).
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
        # tuning of the plans is not part of this table
        text = re.sub(r"(?m)^\[mpc\]$", "[mpc]\ntune = false", text)
        (copy / "twin.toml").write_text(text)
        done = subprocess.run([binary, "fit", copy, "--dry-run", "--json", "--quiet"], stdout=subprocess.PIPE)
        # 3: fitted, but the model was refused
        assert done.returncode in (0, 3), f"{plant.name}: exit code {done.returncode}"
        return json.loads(done.stdout)["card"]


def rows(card):
    last = [s for s in card["scores"] if s["horizon"] == card["horizon"]]
    # signals with exact known equations do not compare models
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
        sys.exit("the chosen model is worse than linear on hold-out: " + "; ".join(lost))


main()
