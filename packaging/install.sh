#!/bin/bash
# Install rbd_migration into the module directory of this host's manager, or remove it.
# 'install.sh --help' says how. Nothing but coreutils and the manager itself is needed.
set -euo pipefail

SOURCE=$(dirname "$(dirname "$(readlink -f "$0")")")
FOLDERS=(rbd_migration rbdmigrate) # both directly in the module directory
LIST=rbd_migration/.installed      # lists the files in folders of other packages
USUAL=(/usr/share/ceph/mgr /usr/lib/ceph/mgr /usr/lib64/ceph/mgr /usr/local/share/ceph/mgr)
PACKAGE=ceph-mgr-rbd-migration
MODULES=(rados rbd prettytable yaml) # that a manager and its workers import
LIBRARIES=(librados.so.2 librbd.so.1)
OLDEST_CEPH=16 NEWEST_CEPH=20
OLDEST_PYTHON=9 NEWEST_PYTHON=14 # of Python 3
STARTED_IN=$PWD
cd / # root runs this: it must not use files of the current directory

action=install module_dir='' dry_run='' force='' python=''

usage() {
    cat <<'TEXT'
Usage: install.sh [--uninstall] [--module-dir DIR] [--dry-run] [--force]

Installs rbd_migration for the ceph-mgr of this host, or replaces another version of it.

  --uninstall       remove it; disable the module first
  --module-dir DIR  the manager's module directory (default: as ceph.conf says, or where it usually is)
  --dry-run         check everything and say what would be done; change nothing
  --force           go on where a check fails: an unknown release, an older version, an enabled module
  --help            this text
TEXT
}

fail() {
    echo "Error: $*" >&2
    exit 1
}

# Reports a failed check: an error, or with --force a warning.
refuse() {
    [ -n "$force" ] || fail "$* (--force goes on nevertheless)"
    echo "Warning: $*" >&2
}

# Runs a command that changes something; a dry run only prints it.
act() {
    if [ -n "$dry_run" ]; then echo "would run: $*"; else "$@"; fi
}

find_module_dir() {
    local folder configured=''
    if command -v ceph-conf >/dev/null; then
        configured=$(ceph-conf --name "mgr.${HOSTNAME%%.*}" --show-config-value mgr_module_path \
            2>/dev/null) || configured=''
    fi
    for folder in $configured "${USUAL[@]}"; do
        if [ -f "$folder/mgr_module.py" ]; then
            echo "$folder"
            return
        fi
    done
    fail "this host has no module directory of a manager (${configured:+$configured, }${USUAL[*]});" \
        "install ceph-mgr first, or name the directory with --module-dir; for managers in containers" \
        "see packaging/cephadm"
}

# The version of a folder with rbdmigrate/; empty without one.
version_in() {
    [ ! -f "$1/rbdmigrate/__init__.py" ] ||
        sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$1/rbdmigrate/__init__.py"
}

is_older() { # is_older A B
    [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# The minor version of the Python that is embedded in ceph-mgr.
embedded_python() {
    local version
    version=$(ldd "$1" 2>/dev/null | sed -n 's/.*libpython3\.\([0-9]*\).*/\1/p' | head -n 1) || version=''
    [ -n "$version" ] || version=$(python3 -I -c 'import sys; print(sys.version_info[1])') || version=0
    echo "$version"
}

# The modules and libraries of a manager that a Python can load, on one line.
loaded_by() { # loaded_by PYTHON
    "$1" -I - "${MODULES[@]}" "${LIBRARIES[@]}" 2>/dev/null <<'TEXT'
import ctypes, importlib, sys
for name in sys.argv[1:]:
    try:
        (ctypes.CDLL if ".so" in name else importlib.import_module)(name)
    except Exception:
        continue
    print(name, end=" ", flush=True)
TEXT
}

# Sets 'python' to the program of the Python that is embedded in ceph-mgr, if there is one.
check_manager() {
    local manager release minor found missing
    if ! manager=$(command -v ceph-mgr); then
        refuse "ceph-mgr is not installed on this host"
        return
    fi
    release=$("$manager" --version | sed -n 's/^ceph version \([0-9]*\)\..*/\1/p') || release=0
    if [ "${release:-0}" -lt "$OLDEST_CEPH" ] || [ "${release:-0}" -gt "$NEWEST_CEPH" ]; then
        refuse "ceph-mgr is of release ${release:-unknown}; releases $OLDEST_CEPH to $NEWEST_CEPH are supported"
    fi
    minor=$(embedded_python "$manager")
    # Workers run with the system's Python, not with the first one on the administrator's PATH.
    if ! python=$(PATH=/usr/bin:$PATH command -v "python3.$minor"); then
        refuse "the program python3.$minor, of the version that ceph-mgr has in it, is not installed; workers run with it"
        return
    fi
    if [ "$minor" -lt "$OLDEST_PYTHON" ] || [ "$minor" -gt "$NEWEST_PYTHON" ]; then
        refuse "ceph-mgr has Python 3.$minor in it; 3.$OLDEST_PYTHON to 3.$NEWEST_PYTHON are supported"
    fi
    found=$(loaded_by "$python") || true # whatever ends it, what it has not named is missing
    for missing in "${MODULES[@]}"; do
        [[ " $found " = *" $missing "* ]] ||
            refuse "$python has no module $missing; install python3-$missing"
    done
    for missing in "${LIBRARIES[@]}"; do
        [[ " $found " = *" $missing "* ]] || refuse "the library $missing is not installed"
    done
}

check_owner() {
    if command -v dpkg-query >/dev/null && dpkg-query -S "$module_dir/rbdmigrate" >/dev/null 2>&1; then
        fail "$module_dir/rbdmigrate belongs to the Debian package $PACKAGE; use apt-get"
    fi
}

check_disabled() {
    local enabled
    enabled=$(timeout 15 ceph --connect-timeout 5 mgr module ls --format json 2>/dev/null) || return 0
    if grep -Eq '"enabled_modules":\[[^]]*"rbd_migration"' <<<"${enabled//[[:space:]]/}"; then
        refuse "the module is enabled; run 'ceph mgr module disable rbd_migration' first"
    fi
}

# Files to put into folders of other packages: one per line, relative to the module directory.
drop_ins() {
    local file
    [ -d "$module_dir/dashboard/controllers" ] || return 0
    for file in "$SOURCE"/mgr_module/dashboard/*.py; do
        [ ! -f "$file" ] || echo "dashboard/controllers/${file##*/}"
    done
}

# Remove the files in folders of other packages first, because they use the module.
remove_drop_ins() {
    local file base
    [ -f "$module_dir/$LIST" ] || return 0
    while read -r file; do
        base=${file##*/}
        act rm -f "$module_dir/$file" "$module_dir/${file%/*}/__pycache__/${base%.py}".*.pyc
    done <"$module_dir/$LIST"
}

install_all() {
    local old new stage folder file
    for folder in mgr_module/rbd_migration src/rbdmigrate; do
        [ -d "$SOURCE/$folder" ] || fail "$SOURCE/$folder is missing; run install.sh from the whole source tree"
    done
    old=$(version_in "$module_dir") new=$(version_in "$SOURCE/src")
    if [ -n "$old" ] && is_older "$new" "$old"; then
        refuse "version $old is installed, this is $new; an older version leaves newer records alone and does not go on with them"
    fi
    check_manager
    echo "rbd_migration $new -> $module_dir${old:+ (replaces $old)}"
    # Staged next to the module directory: a folder in it would be taken for a module.
    stage=$module_dir/../.rbd_migration.$$
    # shellcheck disable=SC2064 # expand the name now
    trap "rm -rf '$stage'" EXIT
    act mkdir -p "$stage"
    act cp -r "$SOURCE/mgr_module/rbd_migration" "$SOURCE/src/rbdmigrate" "$stage"
    act find "$stage" -name __pycache__ -prune -exec rm -rf {} +
    [ -n "$dry_run" ] || drop_ins >"$stage/$LIST"
    # Workers may not write to the module directory, and would compile all modules at each start.
    [ -z "$python" ] || act "$python" -I -m compileall -q -s "$stage" -p "$module_dir" "$stage"
    act chmod -R u=rwX,go=rX "$stage"
    remove_drop_ins
    for folder in "${FOLDERS[@]}"; do
        act rm -rf "${module_dir:?}/$folder"
        act mv "$stage/$folder" "$module_dir/$folder"
    done
    while read -r file; do
        act install -m 644 "$SOURCE/mgr_module/dashboard/${file##*/}" "$module_dir/$file"
    done < <(drop_ins)
    cat <<'TEXT'
Next: restart this host's manager (systemctl restart ceph-mgr.target); hosts with standby managers first.
When all hosts have it, once: ceph mgr module enable rbd_migration
TEXT
}

uninstall_all() {
    local folder
    if [ ! -d "$module_dir/rbd_migration" ] && [ ! -d "$module_dir/rbdmigrate" ]; then
        echo "rbd_migration is not installed in $module_dir."
        return
    fi
    check_disabled
    echo "removing rbd_migration $(version_in "$module_dir") from $module_dir"
    remove_drop_ins
    for folder in "${FOLDERS[@]}"; do
        act rm -rf "${module_dir:?}/$folder"
    done
    echo "Next: restart this host's manager (systemctl restart ceph-mgr.target)."
}

while [ $# -gt 0 ]; do
    case "$1" in
        --uninstall) action=uninstall ;;
        --module-dir)
            [ $# -gt 1 ] || fail "--module-dir needs a directory"
            module_dir=$2
            shift
            ;;
        --module-dir=*) module_dir=${1#*=} ;;
        --dry-run) dry_run=yes ;;
        --force) force=yes ;;
        -h | --help)
            usage
            exit
            ;;
        *)
            usage >&2
            fail "there is no option '$1'"
            ;;
    esac
    shift
done

case "$module_dir" in
    '') module_dir=$(find_module_dir) ;;
    /*) ;;
    *) module_dir=$STARTED_IN/$module_dir ;;
esac
[ -f "$module_dir/mgr_module.py" ] ||
    fail "$module_dir is no module directory of a manager: it has no mgr_module.py"
module_dir=$(readlink -f "$module_dir")
[ -n "$dry_run" ] || [ -w "$module_dir" ] || fail "$module_dir cannot be written to; use sudo"
check_owner
"${action}_all"
