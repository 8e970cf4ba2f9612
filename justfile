# `just check` runs exactly what CI runs.
check:
    bash .ci/run

# Answers a what-if question: the first command of the README.
run:
    cargo run --release -- run scenarios/datacenter

# All shipped plants.
shipped:
    for p in datacenter chiller gas_turbine distillation inventory; do cargo run --release -- run scenarios/$p; done

# Runs every shipped plant with the build of commit `base` and with this one, and compares all numbers of their results.
same-numbers base:
    #!/usr/bin/env bash
    set -euo pipefail
    work=$(mktemp -d); trap 'git worktree remove --force "$work/base"; rm -rf "$work"' EXIT
    git worktree add --detach "$work/base" {{base}}
    mkdir "$work/new"; cp -r data scenarios "$work/new"
    (cd "$work/base" && CARGO_TARGET_DIR="$work/target" cargo build --release)
    cargo build --release
    for p in datacenter chiller gas_turbine distillation inventory; do
        "$work/target/release/twinopt" run "$work/base/scenarios/$p" --quiet
        "${CARGO_TARGET_DIR:-target}/release/twinopt" run "$work/new/scenarios/$p" --quiet
    done
    python3 benches/same_numbers.py "$work/base/reports" "$work/new/reports"

# The table of docs/accuracy.md: all models on the shipped plants and on the examples with a log. Takes a while.
accuracy:
    cargo build --release
    python3 benches/accuracy.py "${CARGO_TARGET_DIR:-target}/release/twinopt"

# Closed loops on the shared plants: each under its own controller and under `twinopt control`, with the same seeds. Creates the
# Python environment of the plants in target/plants. Takes half an hour.
plants shared="../shared" *names:
    cargo build --release
    mkdir -p target/plants
    test -x target/plants/venv/bin/python || (python3.11 -m venv target/plants/venv && target/plants/venv/bin/pip install -q -r {{shared}}/plants/requirements.txt && target/plants/venv/bin/pip install -q --no-deps sinergym==3.5.1)
    target/plants/venv/bin/python benches/plants.py --shared {{shared}} --twinopt "${CARGO_TARGET_DIR:-target}/release/twinopt" --project target/plants {{names}}

bench:
    cargo bench

# Creates the Python environments of the peers (8 GiB each) and their data in target/peers.
peers shared="../shared":
    mkdir -p target/peers
    cp {{shared}}/peers/* target/peers
    cd target/peers && (test -x v1/bin/python || (python3.11 -m venv v1 && v1/bin/pip install -q -r requirements.txt))
    cd target/peers && (test -x v2/bin/python || (python3.11 -m venv v2 && v2/bin/pip install -q -r requirements-mbrl.txt && v2/bin/pip install -q --no-deps mbrl==0.2.0 sk-video))
    cd target/peers && (test -d data || v1/bin/python gen_data.py --out data)

# Networks and forests compared with their peers (run `just peers` first).
bench-ensemble peers="target/peers" *parts:
    cargo bench --bench ensemble -- {{peers}}/data --peers {{peers}} {{parts}}

# One MPC plan compared with do-mpc, and what-if runs on one thread and on two.
bench-twins shared="../shared" peers="target/peers" *parts:
    cargo bench --bench twins -- {{shared}} --peers {{peers}} {{parts}}

# Time to the same closed-loop cost as the CEM of mbrl-lib (`just plants ../shared cstr` creates the Python environment).
bench-loop shared="../shared" peers="target/peers" python="target/plants/venv/bin/python":
    cargo build --release
    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE {{peers}}/v2/bin/python benches/mbrl_cstr.py --shared {{shared}} --python {{python}} --twinopt "${CARGO_TARGET_DIR:-target}/release/twinopt" --project target/plants

deny:
    command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
    cargo deny check

# Regenerates the committed JSON Schemas.
schemas:
    UPDATE=1 cargo test --release --test check schemas

# Lines per file. More than 500 need a reason.
size:
    git ls-files '*.rs' | xargs wc -l | sort -rn | head -30

# Time of each crate in a clean build.
timings:
    CARGO_TARGET_DIR=$(mktemp -d) cargo build --release --timings
