#!/usr/bin/env bash
# Keep requirements.txt and requirements-dev.txt equal to what uv.lock says.
#
#   scripts/lock.sh [--upgrade …]   resolve pyproject.toml into uv.lock, then export; options go to `uv lock`
#   scripts/lock.sh --check         change nothing; fail when uv.lock or an export is out of date
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# Where uv is not installed, the pinned one is put into a corner of .venv, apart from the project's own packages.
find_uv() {
    if command -v uv; then return; fi
    local corner=.venv/lock-tool
    if [[ ! -f $corner/.ready ]] || ! cmp -s scripts/uv-requirements.txt "$corner/.ready"; then
        .venv/bin/python -m venv --clear "$corner" >&2 </dev/null
        "$corner/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-input \
            --require-hashes -r scripts/uv-requirements.txt >&2 </dev/null
        cp scripts/uv-requirements.txt "$corner/.ready"
    fi
    printf '%s\n' "$corner/bin/uv"
}

export_to() { # $1: file, the rest: options of `uv export`
    local file=$1
    shift
    {
        printf '# Exported from uv.lock by "make lock"; do not edit.\n'
        "$uv" export --quiet --frozen --no-header --no-annotate --no-emit-project --format requirements.txt "$@"
    } >"$file"
}

uv=$(find_uv)
if [[ ${1:-} != --check ]]; then
    "$uv" lock "$@"
    export_to requirements.txt --no-dev --extra postgresql
    export_to requirements-dev.txt --only-dev
    exit 0
fi

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$uv" lock --quiet --check || {
    echo "uv.lock does not follow from pyproject.toml: run make lock." >&2
    exit 1
}
export_to "$fresh/requirements.txt" --no-dev --extra postgresql
export_to "$fresh/requirements-dev.txt" --only-dev
for file in requirements.txt requirements-dev.txt; do
    if ! diff -u "$file" "$fresh/$file" >&2; then
        echo "$file is not what uv.lock exports: run make lock." >&2
        exit 1
    fi
done
