#!/bin/bash
# Many images at once.
set -euxo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

IMAGES=${IMAGES:-16}
for number in $(seq "$IMAGES"); do
    make_image "disk$number" 4
    digest "$SOURCES/disk$number" >"$WORK/disk$number"
done
for number in $(seq "$IMAGES"); do
    ceph rbd migration run "$SOURCES/disk$number" "$TARGETS/disk$number"
done
for number in $(seq "$IMAGES"); do
    wait_state "$TARGETS/disk$number" committed
    [ "$(digest "$TARGETS/disk$number")" = "$(cat "$WORK/disk$number")" ]
done
[ "$(rbd ls "$SOURCES")" = "" ]
[ "$(rbd ls "$TARGETS" | wc -l)" = "$IMAGES" ]
echo OK
