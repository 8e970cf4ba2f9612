# `just check` runs exactly what CI runs.
check:
    bash .ci/run

# The main job.
run:
    cargo run --release -- run scenarios/datacenter

# Every shipped plant.
plants:
    for p in datacenter chiller gas_turbine distillation inventory; do cargo run --release -- run scenarios/$p; done

# The README's table of skills: all models on the shipped plants, and on the examples whose log is there. Takes a while.
accuracy:
    cargo build --release
    python3 benches/accuracy.py "${CARGO_TARGET_DIR:-target}/release/twinopt"

bench:
    cargo bench

deny:
    command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
    cargo deny check

# Regenerates the committed JSON Schemas.
schemas:
    UPDATE=1 cargo test --release --test check schemas

# Lines per file; more than 500 need a reason.
size:
    git ls-files '*.rs' | xargs wc -l | sort -rn | head -30

# Where a clean build spends its time.
timings:
    CARGO_TARGET_DIR=$(mktemp -d) cargo build --release --timings
