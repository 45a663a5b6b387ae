#!/usr/bin/env bash
# Install into the virtual environment what a make target needs; a step that has already run is skipped.
#   scripts/setup.sh run | train | shapes | test | lint | bench
# Environment: VENV (default .venv, or .venv-$ROS_DISTRO if ROS 2 is sourced), PYTHON (interpreter of a new environment),
# TORCH_INDEX (package index for torch and torchvision, for example PyTorch's CPU index).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

level=${1:-run}
python=$VENV/bin/python
log=$VENV/setup.log

say() { printf 's4token: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# apt_install WHAT PACKAGE...: install Debian packages if root, else fail with one line that says what is missing.
apt_install() {
    local what=$1; shift
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "missing: $what; install it with: sudo apt-get install $*"
    fi
    say "installing $* (for $what)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } \
        >"${TMPDIR:-/tmp}/s4token-apt.log" 2>&1 </dev/null \
        || fail "missing: $what; apt-get install $* failed, see ${TMPDIR:-/tmp}/s4token-apt.log"
}

# step NAME TEXT FILES... -- COMMAND...: run the command unless it has already run with the same content of FILES.
step() { try_step "$@" || { tail -n 12 "$log" >&2; fail "could not finish: $2 (all of it: $log)"; }; }

# optional NAME TEXT FILES... -- COMMAND...: a step that may fail; the next run tries it again.
optional() { try_step "$@" || say "left out, not available now: $1"; }

try_step() {
    local name=$1 text=$2 files=() before=$SECONDS sum
    shift 2
    while [ "$1" != -- ]; do files+=("$1"); shift; done
    shift
    sum=$(cat "${files[@]}" /dev/null | sha256sum) || return 1
    [ "$(cat "$VENV/.s4token-$name" 2>/dev/null)" = "$sum" ] && return 0
    say "$text ..."
    "$@" >>"$log" 2>&1 </dev/null || return 1
    printf '%s\n' "$sum" >"$VENV/.s4token-$name"
    say "$text: done in $((SECONDS - before)) s"
}

suitable() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.12 python3.13 python3.11 python3.10 python3.14}; do
        if command -v "$candidate" >/dev/null && suitable "$candidate"; then echo "$candidate"; return; fi
    done
    fail "missing: Python 3.10 to 3.14 (found: $("${PYTHON:-python3}" --version 2>&1 || true)); set PYTHON=/path/to/python3"
}

make_venv() {
    local base flags=()
    base=$(find_python)
    if [ "$ROS_FLAVOUR" != wheels ]; then
        "$base" -c 'import rclpy' 2>/dev/null \
            || fail "ROS 2 $ROS_FLAVOUR is sourced, but $base cannot import its rclpy; set PYTHON=/usr/bin/python3"
        flags=(--system-site-packages)
    fi
    "$base" -c 'import venv, ensurepip' 2>/dev/null || apt_install "Python's venv module" \
        "python$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    say "making the virtual environment $VENV with $("$base" --version)"
    "$base" -m venv --clear ${flags[@]+"${flags[@]}"} "$VENV" || fail "could not make $VENV with $base -m venv"
}

need_compiler() {
    command -v g++ >/dev/null || apt_install "a C++ compiler (g++)" g++
    "$python" -c 'import os, sysconfig as s; raise SystemExit(not os.path.exists(s.get_path("include") + "/Python.h"))' \
        || apt_install "the C headers of Python" \
            "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-dev"
}

pip_install() { "$python" -m pip install --disable-pip-version-check --progress-bar off "$@"; }

install_torch() {
    [ -z "${TORCH_INDEX:-}" ] || pip_install --index-url "$TORCH_INDEX" torch torchvision || return 1
    pip_install -r requirements.txt
}

install_ros() {
    if [ "$ROS_FLAVOUR" = wheels ]; then
        pip_install -r requirements-ros.txt
    else
        pip_install scikit-build-core cmake ninja
    fi
}

install_interfaces() {
    rm -rf "$s4token_prefix/interfaces-build"  # never reuse the cache of another Python or ROS
    CMAKE_PREFIX_PATH=$s4token_prefix${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH} \
        pip_install --no-build-isolation --no-deps --force-reinstall \
        --config-settings build-dir="$s4token_prefix/interfaces-build" ./s4token_interfaces
}

# Open3D's wheel links to system libraries that a bare machine lacks; the loader names the next missing one.
need_open3d_libraries() {
    local missing package attempt
    for attempt in 1 2 3 4 5 6; do
        missing=$("$python" -c 'import open3d' 2>&1 >/dev/null | grep -o 'lib[A-Za-z0-9_.+-]*\.so[.0-9]*' | head -n 1) || true
        [ -n "$missing" ] || return 0
        case $missing in
            libusb-1.0.so*) package=libusb-1.0-0 ;;
            libGL.so*) package=libgl1 ;;
            libEGL.so*) package=libegl1 ;;
            libgomp.so*) package=libgomp1 ;;
            libX11.so*) package=libx11-6 ;;
            *) fail "missing: the system library $missing, which open3d needs" ;;
        esac
        apt_install "the system library $missing, which open3d needs" "$package"
    done
    fail "missing: system libraries of open3d (attempt $attempt): $missing"
}

if command -v flock >/dev/null; then exec 9>"$VENV.lock"; flock 9; fi  # parallel runs of make take turns
if [ "$ROS_FLAVOUR" = wheels ] && [ "$(uname -m)" != x86_64 ]; then
    fail "missing: ROS 2; its wheels exist for x86_64 only, so source /opt/ros/<distro>/setup.bash first"
fi
"$python" -m pip --version >/dev/null 2>&1 || make_venv
suitable "$python" || fail "$VENV holds $("$python" --version), 3.10 to 3.14 is needed; delete it or set VENV"
need_compiler

step pip "updating pip" -- pip_install --upgrade "pip>=23.1" "setuptools>=61" wheel
step ros "installing ROS 2 ($ROS_FLAVOUR)" requirements-ros.txt -- install_ros
free=$("$python" -c 'import shutil, sys; print(shutil.disk_usage(sys.prefix).free >> 30)') || true
[ -e "$VENV/.s4token-torch" ] || [ "${free:-9}" -ge 9 ] \
    || say "only $free GB are free for $VENV: PyTorch with CUDA takes 8, less with TORCH_INDEX of its CPU build"
step torch "installing PyTorch and the rest (a few gigabytes and minutes the first time)" requirements.txt -- install_torch
step package "installing s4token" setup.py setup.cfg package.xml pyproject.toml requirements*.txt \
    -- pip_install --no-deps -e .
case $level in
    run | test | bench) optional cut-pursuit-py "installing the other solver, if there is a wheel" \
        requirements-cut-pursuit.txt -- pip_install --only-binary :all: -r requirements-cut-pursuit.txt ;;
esac
mapfile -t sources < <(find s4token_interfaces -path '*/build' -prune -o -type f -print | LC_ALL=C sort)
step interfaces "building the messages and services" "${sources[@]}" -- install_interfaces
case $level in
    run) ;;
    train | shapes | test | bench)
        step train "installing what offline work needs" requirements-train.txt -- pip_install -r requirements-train.txt
        ;;&
    shapes | test)
        step shapes "installing the readers of CAD files" requirements-shapes.txt -- pip_install -r requirements-shapes.txt
        ;;&
    test) step test "installing pytest" requirements-test.txt -- pip_install -r requirements-test.txt ;;&
    bench) step bench "installing what the benchmark compares with" requirements-bench.txt \
        -- pip_install -r requirements-bench.txt ;;&
    shapes | test | bench) [ -e "$VENV/.s4token-libraries" ] || { need_open3d_libraries && touch "$VENV/.s4token-libraries"; } ;;
    lint) step lint "installing ruff and mypy" requirements-lint.txt -- pip_install -r requirements-lint.txt ;;
    train | shapes) ;;
    *) fail "unknown set-up '$level': run, train, shapes, test, lint or bench" ;;
esac
