# `just check` runs the same checks as CI.
check:
    bash .ci/run

# Runs the first command of the README, which answers a what-if question.
run:
    cargo run --release -- run scenarios/datacenter

# Runs the scenarios of all shipped plants.
shipped:
    for p in datacenter chiller gas_turbine distillation inventory; do cargo run --release -- run scenarios/$p; done

# Runs every shipped plant with builds of commit `base` and of this checkout, and compares all numbers in their results.
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

# Prints the table in docs/accuracy.md: all models on the shipped plants and on the examples that have a log.
accuracy:
    cargo build --release
    python3 benches/accuracy.py "${CARGO_TARGET_DIR:-target}/release/twinopt"

# Runs each shared plant in closed loop under its own controller and under `twinopt control`, with the same seeds. Creates
# the Python environment of the plants in target/plants. This takes half an hour.
plants shared="../shared" *names:
    cargo build --release
    mkdir -p target/plants
    test -x target/plants/venv/bin/python || (python3.11 -m venv target/plants/venv && target/plants/venv/bin/pip install -q -r {{shared}}/plants/requirements.txt && target/plants/venv/bin/pip install -q --no-deps sinergym==3.5.1)
    target/plants/venv/bin/python benches/plants.py --shared {{shared}} --twinopt "${CARGO_TARGET_DIR:-target}/release/twinopt" --project target/plants {{names}}

# Compares promised savings with the true savings of plants whose effects are known, and prints the tables of
# docs/truth.md, e.g. `just truth --seeds 20 --models linear,gp:5 --plants static,dead_time --write`.
truth *args:
    cargo build --release --bin twinopt --example truth
    "${CARGO_TARGET_DIR:-target}/release/examples/truth" {{args}}

# Prints the table in docs/plans.md: plans with default settings, compared with the optimum. Needs numpy, pyarrow and scipy.
plans *names:
    cargo build --release
    python3 benches/plans.py "${CARGO_TARGET_DIR:-target}/release/twinopt" {{names}}

# Measures the counts in docs/reliability.md: damaged files, failing system calls, killed processes, simulated nights, and
# the experiments on false alarms. Needs numpy, pyarrow and strace. With `scale=1`, it takes about half an hour.
battery scale="1" *args:
    cargo build --release
    python3 benches/battery.py "${CARGO_TARGET_DIR:-target}/release/twinopt" --scale {{scale}} {{args}}
    cargo test --release --lib -- learn::drift learn::gate --include-ignored --nocapture

# Runs `twinopt verify` on windows of real logs without a saving, as in docs/verify.md. Needs polars for Python.
verify shared="../shared" windows="40":
    cargo build --release
    python3 benches/verify.py "${CARGO_TARGET_DIR:-target}/release/twinopt" {{shared}}/data {{windows}}

# Compares `twinopt verify` with the daily and hourly models of OpenDSM on the same windows.
verify-peers shared="../shared" windows="16":
    cargo build --release
    mkdir -p target
    test -x target/opendsm/bin/python || (python3.11 -m venv target/opendsm && target/opendsm/bin/pip install -q opendsm==1.2.7 'multimethod<2' polars==2.1.0 pyarrow)
    target/opendsm/bin/python benches/verify_peers.py "${CARGO_TARGET_DIR:-target}/release/twinopt" {{shared}}/data {{windows}}

# Packs both programs into a wheel and a Debian package in target/dist, with completions and man pages.
dist:
    cargo build --release --locked
    cargo build --release --locked -p twinopt-import
    python3 packaging/package.py "${CARGO_TARGET_DIR:-target}/release" target/dist

bench:
    cargo bench

# Creates the Python environments of the reference libraries (8 GiB each) and the benchmark data in target/peers.
peers shared="../shared":
    mkdir -p target/peers
    cp {{shared}}/peers/* target/peers
    cd target/peers && (test -x v1/bin/python || (python3.11 -m venv v1 && v1/bin/pip install -q -r requirements.txt))
    cd target/peers && (test -x v2/bin/python || (python3.11 -m venv v2 && v2/bin/pip install -q -r requirements-mbrl.txt && v2/bin/pip install -q --no-deps mbrl==0.2.0 sk-video))
    cd target/peers && (test -d data || v1/bin/python gen_data.py --out data)

# Compares networks and forests with the reference libraries. Run `just peers` first.
bench-ensemble peers="target/peers" *parts:
    cargo bench --bench ensemble -- {{peers}}/data --peers {{peers}} {{parts}}

# Compares the time of one MPC plan with do-mpc, and times what-if runs on one and on two threads.
bench-twins shared="../shared" peers="target/peers" *parts:
    cargo bench --bench twins -- {{shared}} --peers {{peers}} {{parts}}

# Compares the planning time for the same closed-loop cost with the CEM of mbrl-lib. Run `just peers` and
# `just plants ../shared cstr` first.
bench-loop shared="../shared" peers="target/peers" python="target/plants/venv/bin/python":
    cargo build --release
    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE {{peers}}/v2/bin/python benches/mbrl_cstr.py --shared {{shared}} --python {{python}} --twinopt "${CARGO_TARGET_DIR:-target}/release/twinopt" --project target/plants

# Imports objects from a local S3 service (moto), and compares the logs with imports of the same files from the disk.
import-check:
    cargo build --release -p twinopt-import
    mkdir -p target
    test -x target/moto/bin/moto_server || (python3.11 -m venv target/moto && target/moto/bin/pip install -q 'moto[server]==5.2.5' boto3==1.44.8)
    target/moto/bin/python crates/import/tests/moto_check.py "${CARGO_TARGET_DIR:-target}/release/twinopt-import"

deny:
    command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
    cargo deny --workspace check

# Regenerates the committed JSON Schemas.
schemas:
    UPDATE=1 cargo test --release --test check schemas

# Lists the longest source files. A file with more than 500 lines needs a reason.
size:
    git ls-files '*.rs' | xargs wc -l | sort -rn | head -30

# Reports the compile time of each crate in a clean build.
timings:
    CARGO_TARGET_DIR=$(mktemp -d) cargo build --release --timings
