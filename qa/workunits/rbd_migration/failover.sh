#!/bin/bash
# The active manager fails repeatedly in the middle of a copy; the copy continues.
set -euxo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

make_image disk 48
head=$(digest "$SOURCES/disk")
ceph rbd migration throttle set --rate 2M
ceph rbd migration run "$SOURCES/disk" "$TARGETS/disk" --goal executed
for _ in 1 2; do
    wait_state "$TARGETS/disk" executing
    ceph mgr fail
    answered=
    for _ in $(seq 60); do
        if ceph rbd migration ls >/dev/null; then
            answered=yes
            break
        fi
        sleep 1
    done
    [ -n "$answered" ]
    wait_state "$TARGETS/disk" executing
done
ceph rbd migration throttle clear
wait_state "$TARGETS/disk" executed
[ "$(digest "$TARGETS/disk")" = "$head" ]
ceph rbd migration commit "$TARGETS/disk"
wait_state "$TARGETS/disk" committed
[ "$(digest "$TARGETS/disk")" = "$head" ]
echo OK
