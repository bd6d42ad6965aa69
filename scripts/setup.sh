#!/usr/bin/env bash
# Make .venv hold what uv.lock says, and do nothing when it already does.
#
#   scripts/setup.sh [runtime|dev]
#
# Uses uv where it is installed, else a Python of 3.11 or newer with pip and the hashes of requirements*.txt
# (exported from uv.lock). PYTHON=… names the interpreter for the second way. Everything it says goes to stderr, and
# it never reads stdin, so `echo hello | make -s chat` is a conversation.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

root=$PWD
wanted=${1:-runtime}
venv=.venv
unfinished=$venv/.rekku-unfinished # there while a set-up runs: found at the start, the last one was interrupted
compiled=$venv/.rekku-compiled     # its time: when the project's bytecode was last compiled
packages=(core plugins interfaces engines)

say() { printf 'rekku: %s\n' "$*" >&2; }
fail() {
    printf 'rekku: %s\n' "$@" >&2
    exit 1
}

checksum() { # of stdin; any of these will do, it only has to differ
    if command -v sha256sum >/dev/null; then sha256sum; else cksum; fi
}

state() { # what a finished set-up depends on: the lock, this script, where we are, and the interpreter behind .venv
    cat uv.lock requirements.txt requirements-dev.txt scripts/setup.sh | checksum
    printf '%s\n' "$root"
    readlink -f "$venv/bin/python" 2>/dev/null || true
}

is_current() { # $1: runtime or dev
    [[ -x $venv/bin/python && -f $venv/.rekku-$1 && ! -e $unfinished && "$(<"$venv/.rekku-$1")" == "$(state)" ]]
}

compile_project() { # explicitly, since PYTHONDONTWRITEBYTECODE keeps Python from doing it
    [[ ! -f $compiled || -n $(find "${packages[@]}" -name '*.py' -newer "$compiled" 2>/dev/null) ]] || return 0
    touch "$venv/.rekku-compiling" # taken before, so that an edit made meanwhile counts as newer
    "$venv/bin/python" -m compileall -qq -j 0 "${packages[@]}" >&2 </dev/null || true # only speed is lost
    mv -f "$venv/.rekku-compiling" "$compiled"
}

# Prints "COMMAND VERSION" of the first interpreter that can make environments, or fails with the cure.
find_python() {
    local candidates=(python3.11 python3.12 python3.13 python3.14 python3 python) candidate version seen='' bare=''
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        version=$("$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null </dev/null) ||
            continue
        seen="$seen $candidate ($version)"
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null </dev/null || continue
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null </dev/null; then
            printf '%s %s\n' "$candidate" "$version"
            return
        fi
        bare=${bare:-$candidate}
    done
    if [[ -n $bare ]]; then
        fail "$bare cannot make virtual environments: its venv and ensurepip modules are not installed." \
            "On Debian or Ubuntu: apt-get install python3-venv. Or install uv, then run this again."
    fi
    fail "Python 3.11 or newer is needed; found${seen:- none}." \
        "Install it, name it (PYTHON=/path/to/python3 make …), or install uv, then run this again."
}

count_packages() { # of the lock, for this set-up; some are for other systems or versions
    local files=(requirements.txt)
    [[ $wanted == dev ]] && files+=(requirements-dev.txt)
    cat "${files[@]}" | grep -cE '^[A-Za-z0-9][^ ]*=='
}

# Shows how far pip is, from what it prints: a line that is written over on a terminal, else every tenth package.
show_steps() {
    local total=$1 line name count=0
    while IFS= read -r line; do
        case $line in
            'Collecting '*) name=${line#Collecting } count=$((count + 1)) ;;
            'Processing '*) name=${line##*/} count=$((count + 1)) ;; # of a directory of packages
            'Installing collected packages'*) name='' ;;
            *) continue ;;
        esac
        name=${name%% *}
        [[ ! -t 2 ]] || printf '\r\033[K' >&2
        if [[ -z $name ]]; then
            say "    installing $count packages"
        elif [[ -t 2 ]]; then
            printf 'rekku:     %s of about %s: %.40s' "$count" "$total" "$name" >&2
        elif ((count % 10 == 1)); then
            say "    $count of about $total: $name"
        fi
    done
}

install_with_uv() {
    local options=(--frozen --no-install-project) total
    [[ $wanted == dev ]] || options+=(--no-dev)
    total=$(count_packages)
    say "1/2 downloading and installing about $total locked packages with uv ($wanted)"
    [[ -e $venv ]] || uv venv --quiet "$venv" >&2 </dev/null
    touch "$unfinished"
    if [[ -t 2 ]]; then # it shows bars
        env -u VIRTUAL_ENV UV_PROJECT_ENVIRONMENT="$venv" uv sync "${options[@]}" >&2 </dev/null
        return
    fi
    # Elsewhere it tells of the larger downloads; the list of all that it has added helps nobody.
    env -u VIRTUAL_ENV UV_PROJECT_ENVIRONMENT="$venv" uv sync "${options[@]}" 2>&1 >/dev/null </dev/null |
        { grep -vE '^ [+-] ' || true; } >&2
}

install_with_pip() {
    local options=(--disable-pip-version-check --no-input --no-compile --progress-bar off) found total
    options+=(--root-user-action ignore --require-hashes -r requirements.txt)
    [[ $wanted == dev ]] && options+=(-r requirements-dev.txt)
    # An environment that uv made has no pip; it is given one rather than made anew.
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 </dev/null &&
        ! "$venv/bin/python" -m ensurepip >/dev/null 2>&1 </dev/null; then
        found=$(find_python)
        say "making $venv with ${found% *} (${found##* })"
        "${found% *}" -m venv --clear "$venv" >&2 </dev/null
    fi
    touch "$unfinished"
    total=$(count_packages)
    say "1/2 downloading and installing about $total locked packages with pip ($wanted); that takes a minute or three"
    { # its errors as they are; its warnings, of a configuration that is not ours, to nobody
        PYTHONUNBUFFERED=1 "$venv/bin/python" -m pip install "${options[@]}" 2>&1 >&3 </dev/null |
            { grep -v '^WARNING: ' || true; } >&2
    } 3>&1 | show_steps "$total"
}

write_command() { # `rekku …` is `python main.py …` inside the environment
    printf '#!/bin/sh\nexec %q %q "$@"\n' "$root/$venv/bin/python" "$root/main.py" >"$venv/bin/rekku"
    chmod +x "$venv/bin/rekku"
}

[[ $wanted == runtime || $wanted == dev ]] || fail "usage: scripts/setup.sh [runtime|dev]"

if is_current "$wanted"; then
    compile_project
    exit 0
fi

# One set-up at a time: a second `make` waits here, then finds the work done.
if command -v flock >/dev/null; then
    exec 9<scripts/setup.sh
    flock 9
    is_current "$wanted" && exit 0
fi

[[ ! -f $venv/.rekku-dev ]] || wanted=dev # what was there stays there

if [[ -e $unfinished ]]; then
    say "the last set-up was interrupted: starting afresh"
    rm -rf "$venv"
elif [[ -f $venv/.rekku-runtime ]] && ! grep -qxF -- "$root" "$venv/.rekku-runtime"; then
    say "this folder was moved or copied: making $venv anew"
    rm -rf "$venv"
elif [[ -e $venv ]] &&
    ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null </dev/null; then
    say "the Python behind $venv is gone or too old: making it anew"
    rm -rf "$venv"
fi

started=$SECONDS
if command -v uv >/dev/null; then
    install_with_uv
else
    install_with_pip
fi
say "2/2 compiling them, so that every start is quick"
"$venv/bin/python" -m compileall -qq -j 0 "$venv/lib" >/dev/null 2>&1 </dev/null || true # some packages ship templates
compile_project
write_command
rm -f "$unfinished"
state >"$venv/.rekku-runtime"
[[ $wanted == runtime ]] || state >"$venv/.rekku-dev"
say "ready after $((SECONDS - started)) s"
