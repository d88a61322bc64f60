#!/bin/bash
# An import-only migration from a file of the format FORMAT: raw, raw-snapshots, qcow1 or qcow2.
# The files are read by the active manager, so they have to be on its host.
set -euxo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

chmod 755 "$WORK"
dd if=/dev/urandom of="$WORK/disk.raw" bs=1M count=12 status=none
truncate -s 32M "$WORK/disk.raw"
expected=$(sha256sum <"$WORK/disk.raw")

stream() { # stream FILE
    printf '{"type": "file", "file_path": "%s"}' "$WORK/$1"
}

case "$FORMAT" in
    raw) spec="{\"type\": \"raw\", \"stream\": $(stream disk.raw)}" ;;
    raw-snapshots)
        cp "$WORK/disk.raw" "$WORK/before.raw"
        dd if=/dev/urandom of="$WORK/before.raw" bs=1M count=2 conv=notrunc status=none
        spec="{\"type\": \"raw\", \"stream\": $(stream disk.raw), \"snapshots\":
            [{\"type\": \"raw\", \"name\": \"before\", \"stream\": $(stream before.raw)}]}"
        ;;
    qcow1)
        qemu-img convert -f raw -O qcow "$WORK/disk.raw" "$WORK/disk.qcow"
        spec="{\"type\": \"qcow\", \"stream\": $(stream disk.qcow)}"
        ;;
    qcow2)
        qemu-img convert -f raw -O qcow2 "$WORK/disk.raw" "$WORK/disk.qcow2"
        spec="{\"type\": \"qcow\", \"stream\": $(stream disk.qcow2)}"
        ;;
    *)
        echo "Error: there is no format '$FORMAT' here" >&2
        exit 2
        ;;
esac
chmod 644 "$WORK"/disk.* "$WORK"/before.* 2>/dev/null || true

# Folders are opened one by one. A manager takes a moment to see a changed option.
prepare() {
    ceph rbd migration prepare --import-only "$TARGETS/disk" --source-spec "$spec"
}
refused 13 prepare
ceph config set mgr mgr/rbd_migration/import_folders "$WORK"
trap 'ceph config rm mgr mgr/rbd_migration/import_folders; clean_up' EXIT
for _ in $(seq 20); do
    ! prepare || break
    sleep 1
done
[ "$(field "$TARGETS/disk" state)" = prepared ]
[ "$(digest "$TARGETS/disk")" = "$expected" ]
ceph rbd migration execute "$TARGETS/disk"
wait_state "$TARGETS/disk" executed
ceph rbd migration commit "$TARGETS/disk"
wait_state "$TARGETS/disk" committed
[ "$(digest "$TARGETS/disk")" = "$expected" ]
if [ "$FORMAT" = raw-snapshots ]; then
    [ "$(digest "$TARGETS/disk@before")" = "$(sha256sum <"$WORK/before.raw")" ]
fi
# an import leaves its source as it is
[ "$(sha256sum <"$WORK/disk.raw")" = "$expected" ]
echo OK
