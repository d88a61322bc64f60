#!/bin/bash
# One image, step by step, and once more unattended: content, snapshots, abort, refusals.
set -euxo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

make_image disk 16
head=$(digest "$SOURCES/disk") before=$(digest "$SOURCES/disk@before")

same() { # same SPEC
    [ "$(digest "$1")" = "$head" ]
    [ "$(digest "$1@before")" = "$before" ]
}

ceph rbd migration check "$SOURCES/disk" "$TARGETS/disk"
ceph rbd migration prepare "$SOURCES/disk" "$TARGETS/disk" --object-size 1M
[ "$(field "$TARGETS/disk" state)" = prepared ]
same "$TARGETS/disk"

# abort, then prepare again
ceph rbd migration abort "$TARGETS/disk"
wait_state "$TARGETS/disk" aborted
same "$SOURCES/disk"
ceph rbd migration prepare "$SOURCES/disk" "$TARGETS/disk" --object-size 1M
refused 11 ceph rbd migration commit "$TARGETS/disk"
ceph rbd migration execute "$TARGETS/disk"
wait_state "$TARGETS/disk" executed
same "$TARGETS/disk"
ceph rbd migration commit "$TARGETS/disk"
wait_state "$TARGETS/disk" committed
same "$TARGETS/disk"
[ "$(rbd ls "$SOURCES")" = "" ]
rbd info "$TARGETS/disk" | grep "order 20"

# unattended, in place: only the layout changes
ceph rbd migration run "$TARGETS/disk" --object-size 4M
wait_state "$TARGETS/disk" committed
same "$TARGETS/disk"
rbd info "$TARGETS/disk" | grep "order 22"
echo OK
