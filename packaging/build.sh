#!/bin/bash
# Build the packages from a copy of the source; './run package' installs the tools first.
# Usage: build.sh PYTHON FOLDER: the Debian packages, the wheel of the engine by the pip of PYTHON, and
# the collection for Ansible by an ansible-core of its own.
set -euo pipefail

source=$(dirname "$(dirname "$(readlink -f "$0")")")
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
mkdir -p "$2"
folder=$(readlink -f "$2")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
cd "$source"
cp -r mgr_module src LICENSE README.md pyproject.toml "$work/tree"
cp -r packaging/debian "$work/tree/debian"
mkdir "$work/tree/packaging"
cp -r packaging/agent packaging/ansible packaging/monitoring "$work/tree/packaging"
cd "$work/tree"
find . -name __pycache__ -prune -exec rm -rf {} +

# dpkg-buildpackage requires a folder 'debian' at the top and writes to the tree's parent.
run() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        echo "Error: $1 failed; its messages are above." >&2
        exit 1
    }
}
# The dependencies are not checked: build-essential, which is always among them, is not needed.
run dpkg-buildpackage --build=binary --unsigned-source --unsigned-changes --no-check-builddeps
run "$python" -m pip wheel --no-deps --wheel-dir "$work" .
run "$python" -m venv "$work/ansible"
run "$work/ansible/bin/pip" install 'ansible-core>=2.15,<2.21'
run "$work/ansible/bin/ansible-galaxy" collection build packaging/ansible --output-path "$work"
mv "$work"/*.deb "$work"/*.whl "$work"/*.tar.gz "$folder"
ls "$folder"
