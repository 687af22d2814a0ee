#!/usr/bin/env bash
# Runs a flow on a scheduler and workers that are separate processes of this machine, and stops them again.
#   deploy/run-on-processes.sh [FILE [options of `prefectlite run`]]
# WORKERS (2) says how many workers, PYTHON (python) which Python has prefectlite.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
flow=$(realpath "${1:-$here/pi.py}")
shift $(($# > 0))
python=$(command -v "${PYTHON:-python}") || { echo "There is no ${PYTHON:-python}; say which with PYTHON=..." >&2; exit 2; }
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")

work=$(mktemp -d)
scheduler=
workers=()

stop() {
    status=$?
    trap '' INT TERM
    # Workers first: one that loses its scheduler spends its last seconds looking for it.
    for pid in ${workers[@]+"${workers[@]}"} $scheduler; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Elsewhere on purpose: the flow's functions travel to workers that have never seen its file. And in a session
# of their own: Ctrl-C is meant for the flow, which needs its cluster to end in order.
apart='import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])'
start() { (cd "$work" && TMPDIR="$work" exec "$python" -c "$apart" "$python" -m dask "$@") >"$work/$1-$RANDOM.log" 2>&1 & }

start scheduler --host 127.0.0.1 --port 0 --dashboard-address 127.0.0.1:0 --scheduler-file "$work/scheduler.json"
scheduler=$!
for _ in $(seq "${WORKERS:-2}"); do
    start worker --scheduler-file "$work/scheduler.json" --host 127.0.0.1 --dashboard-address 127.0.0.1:0 \
        --nthreads 1 --local-directory "$work" --death-timeout 60
    workers+=($!)
done
until [ -s "$work/scheduler.json" ]; do
    kill -0 "$scheduler" 2>/dev/null || { cat "$work"/scheduler-*.log >&2; exit 1; }
    sleep 0.1
done

"$python" -m prefectlite.cli run "$flow" --scheduler-file "$work/scheduler.json" "$@"
