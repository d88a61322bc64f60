# shellcheck shell=bash
# Sourced by the other scripts: temporary pools, and waiting for migrations.
# They need ceph and rbd on PATH, the admin's key, and the module enabled; nothing of this repository.

SOURCES=wu-src-$$ TARGETS=wu-dst-$$
WORK=$(mktemp -d)

ceph osd pool create "$SOURCES" 8
ceph osd pool create "$TARGETS" 8
rbd pool init "$SOURCES"
rbd pool init "$TARGETS"

clean_up() {
    local pool
    ceph rbd migration throttle clear >/dev/null || true
    for pool in "$SOURCES" "$TARGETS"; do
        ceph osd pool delete "$pool" "$pool" --yes-i-really-really-mean-it || true
    done
    rm -rf "$WORK"
}
trap clean_up EXIT

# make_image NAME MIB: random content with holes, and a snapshot that differs from the head
make_image() {
    dd if=/dev/urandom of="$WORK/content" bs=1M count="$2" status=none
    dd if=/dev/zero of="$WORK/content" bs=1M seek=1 count=1 conv=notrunc status=none
    rbd import --no-progress "$WORK/content" "$SOURCES/$1"
    rbd snap create --no-progress "$SOURCES/$1@before"
    rbd bench --io-type write --io-size 4K --io-total 256K --io-pattern rand "$SOURCES/$1" >/dev/null
    rm "$WORK/content"
}

# digest SPEC: of all bytes of an image or a snapshot
digest() {
    rbd export --no-progress "$1" - | sha256sum
}

# field TARGET NAME: of a migration's report
field() {
    ceph rbd migration status "$1" --format json |
        python3 -I -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"
}

# wait_state TARGET STATE [SECONDS]: fails if the migration fails, or on timeout
wait_state() {
    local state='' left=${3:-180}
    while [ "$left" -gt 0 ]; do
        state=$(field "$1" state)
        [ "$state" != "$2" ] || return 0
        [ "$state" != failed ] || break
        sleep 1
        left=$((left - 1))
    done
    echo "$1 is $state instead of $2" >&2
    ceph rbd migration status "$1" >&2
    return 1
}

# refused ERRNO COMMAND...: the command has to fail with this exit code
refused() {
    local code=0 expected=$1
    shift
    "$@" || code=$?
    [ "$code" = "$expected" ] || { echo "exit code $code instead of $expected: $*" >&2 && return 1; }
}
