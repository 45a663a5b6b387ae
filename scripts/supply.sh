#!/usr/bin/env bash
# What the requirements come to:
#   scripts/supply.sh floors [pytest arguments]   run the quick tests with the lowest versions that requirements.txt allows
#   scripts/supply.sh lock [uv arguments]         write requirements-lock.txt, every version with its hashes; -U updates it
#   scripts/supply.sh platforms                   resolve every requirements file for other processors and Pythons; fails
#                                                 if the default install has no wheels somewhere
# Environment: FLOORS (environment of the lowest versions, default .venv-floors), FLOORS_PYTHON (default 3.10, else 3.11),
# TORCH_INDEX (package index for torch, for example PyTorch's CPU index).
set -euo pipefail
cd "$(dirname "$0")/.."

tools=.venv-supply
floors=${FLOORS:-.venv-floors}
quick=(test/io test/kernels test/pipeline test/test_checkpoint.py test/test_config.py test/test_metrics.py
    test/test_segmenter.py test/test_vocabulary.py test/test_words.py)

need_uv() {
    [ -x "$tools/bin/uv" ] && return 0
    python3 -m venv "$tools" && "$tools/bin/pip" install -q "uv>=0.5"
}

uv() { UV_PYTHON_DOWNLOADS=never "$tools/bin/uv" "$@"; }

run_floors() {
    local base sum
    for base in ${FLOORS_PYTHON:-3.10 3.11}; do uv python find "$base" >/dev/null 2>&1 && break; done
    sum=$(cat requirements.txt requirements-test.txt | sha256sum)
    if [ "$(cat "$floors/.s4token-floors" 2>/dev/null)" != "$sum" ]; then
        uv venv -q --clear --python "$base" "$floors"
        uv pip install --python "$floors/bin/python" --resolution lowest-direct --only-binary :all: \
            ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements.txt -r requirements-test.txt
        printf '%s\n' "$sum" >"$floors/.s4token-floors"
    fi
    export PYTHONPATH=$PWD OMP_WAIT_POLICY=PASSIVE
    "$floors/bin/python" -m pytest "${quick[@]}" "$@"
}

write_lock() {
    uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
        --custom-compile-command "make lock" requirements.txt -o requirements-lock.txt "$@"
}

resolve_all() {
    local platform python file result missing=0
    echo "| requirements file | platform |$(printf ' %s |' 3.10 3.11 3.12 3.13 3.14)"
    echo "|---|---|---|---|---|---|---|"
    for file in requirements*.txt; do
        [ "$file" = requirements-lock.txt ] && continue
        for platform in x86_64 aarch64; do
            printf '| `%s` | %s |' "$file" "$platform"
            for python in 3.10 3.11 3.12 3.13 3.14; do
                # empy, with which ROS messages are built, comes as source alone
                if result=$(uv pip compile -q --no-annotate --no-header --only-binary :all: --no-binary empy \
                    --python-platform "$platform-manylinux_2_35" --python-version "$python" "$file" 2>/dev/null); then
                    result=$(grep -c == <<<"$result") || result=none
                else
                    result=no
                    [ "$file" != requirements.txt ] || missing=1
                fi
                printf ' %s |' "$result"
            done
            echo
        done
    done
    return $missing
}

command=${1:-}
[ $# = 0 ] || shift
case $command in
    floors) need_uv; run_floors "$@" ;;
    lock) need_uv; write_lock "$@" ;;
    platforms) need_uv; resolve_all ;;
    *) sed -n '2,6s/^# *//p' "$0"; exit 1 ;;
esac
