"""The findings of inspections, with stable codes. The documentation lists them."""

from __future__ import annotations

from dataclasses import dataclass
from errno import (
    E2BIG,
    EACCES,
    EBADMSG,
    ECONNREFUSED,
    ECONNRESET,
    EEXIST,
    EHOSTUNREACH,
    EINVAL,
    EIO,
    ELOOP,
    ENOENT,
    ENOSPC,
    EOPNOTSUPP,
    EPERM,
    EPROTO,
    ETIMEDOUT,
)

from ..model.finding import Finding, Severity
from .errors import SourceError


@dataclass(frozen=True)
class Kind:
    """The declaration of a problem; ``meaning`` is for the documentation, ``errno`` of an error.

    ``errno`` is the default: a file that cannot be read has the errno of its own error.
    """

    code: str
    severity: Severity
    errno: int
    meaning: str


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

KINDS = (
    Kind("CONFIG_KEY_MISSING", _E, ENOENT, "A config-key of the source-spec cannot be read."),
    Kind("CONFIG_KEY_FORBIDDEN", _E, EPERM, "A config-key may not be used, or not sent there."),
    Kind("CONFIG_KEY_BAD", _E, EINVAL, "A config-key holds no key, or one with a line break."),
    Kind("SOURCE_SLOW", _E, ETIMEDOUT, "The source does not answer, or too slowly."),
    Kind("SOURCE_TRUNCATED", _E, EIO, "The source is shorter than its reported size."),
    Kind("SOURCE_EMPTY", _W, 0, "The source has no bytes."),
    Kind("SOURCE_CHANGED", _E, EIO, "The source's size changed during the inspection."),
    Kind("SOURCE_FICKLE", _W, 0, "ETag or date differ between answers."),
    Kind("SOURCE_UNREADABLE", _E, EIO, "The source made the inspection fail."),
    Kind("SOURCE_NATIVE", _E, EINVAL, "A native source was given where a stream is needed."),
    Kind("FILE_REACH", _E, EPERM, "The file is outside the folders that are open to imports."),
    Kind("FILE_MISSING", _E, ENOENT, "The file does not exist on the manager's host."),
    Kind("FILE_NOT_REGULAR", _E, EINVAL, "The file is a directory, device, FIFO or socket."),
    Kind("FILE_UNREADABLE", _E, EPERM, "The manager may not, or cannot, read the file."),
    Kind("FILE_EVERYWHERE", _I, 0, "Every host that opens the target reads the same path."),
    Kind("NETWORK_EVERYWHERE", _I, 0, "Every host that opens the target talks to the source."),
    Kind("HOST_UNKNOWN", _E, ENOENT, "The host's name has no address."),
    Kind("HOST_REACH", _E, EPERM, "The host, or an address of it, is not open to imports."),
    Kind("HOST_REFUSED", _E, ECONNREFUSED, "Nothing listens on the host's port."),
    Kind("HOST_UNREACHABLE", _E, EHOSTUNREACH, "The host cannot be reached."),
    Kind("CLUSTER_KEY", _E, EPERM, "The other cluster does not accept the key."),
    Kind("CONNECTION_LOST", _E, ECONNRESET, "The server hung up in the middle of an answer."),
    Kind("TLS_CERTIFICATE", _E, EPROTO, "The server's certificate is not trusted."),
    Kind("TLS_NONE", _E, EPROTO, "The server does not speak TLS on this port."),
    Kind("TLS_FAILED", _E, EPROTO, "The TLS handshake failed."),
    Kind("HTTP_NOT_FOUND", _E, ENOENT, "The server has no such file."),
    Kind("HTTP_FORBIDDEN", _E, EPERM, "The server wants a login, or forbids it."),
    Kind("HTTP_REDIRECT", _E, EINVAL, "The server redirects, which librbd does not follow."),
    Kind("HTTP_SERVER_ERROR", _E, EIO, "The server is in trouble."),
    Kind("HTTP_STATUS", _E, EIO, "The server gives another unexpected answer."),
    Kind("HTTP_NO_HEAD", _E, EOPNOTSUPP, "The server does not answer HEAD."),
    Kind("HTTP_NO_LENGTH", _E, EINVAL, "The server does not report the file's length."),
    Kind("HTTP_NO_RANGE", _E, EOPNOTSUPP, "The server does not honour ranges."),
    Kind("HTTP_ENCODED", _E, EOPNOTSUPP, "The server sends the file compressed."),
    Kind("HTTP_HEADERS", _E, EOPNOTSUPP, "The server sends more headers than librbd reads."),
    Kind("HTTP_BAD_ANSWER", _E, EBADMSG, "The server does not speak HTTP."),
    Kind("S3_NO_BUCKET", _E, ENOENT, "The bucket does not exist."),
    Kind("S3_NO_OBJECT", _E, ENOENT, "The object does not exist."),
    Kind("S3_ACCESS_KEY", _E, EPERM, "The service does not know the access key."),
    Kind("S3_SECRET_KEY", _E, EPERM, "The secret key does not belong to the access key."),
    Kind("S3_FORBIDDEN", _E, EPERM, "The access key may not read the object."),
    Kind("S3_CLOCK", _E, EPERM, "The clocks of the service and of the manager's host differ."),
    Kind("S3_REGION", _E, EINVAL, "The bucket is in another region, or at another endpoint."),
    Kind("S3_SIGNATURE_V4", _E, EOPNOTSUPP, "The service wants a signature librbd cannot make."),
    Kind("S3_VIRTUAL_HOSTED", _E, EOPNOTSUPP, "The bucket is in the host's name."),
    Kind("NBD_PROTOCOL", _E, EPROTO, "The server does not speak NBD, or not correctly."),
    Kind("NBD_NO_EXPORT", _E, ENOENT, "The NBD server does not have the export."),
    Kind("NBD_TLS", _E, EPERM, "The NBD server wants TLS."),
    Kind("NBD_REFUSED", _E, EPERM, "The NBD server refuses the export."),
    Kind("NBD_READ", _E, EIO, "The NBD server cannot read its data."),
    Kind("QCOW_MAGIC", _E, EINVAL, "The file is not a QCOW file."),
    Kind("QCOW_VERSION", _E, EOPNOTSUPP, "The file is of an unknown version of QCOW."),
    Kind("QCOW_BROKEN", _E, EBADMSG, "The file is inconsistent or truncated."),
    Kind("QCOW_TOO_BIG", _E, EBADMSG, "A table or the number of snapshots is too large."),
    Kind("QCOW_EMPTY", _E, EINVAL, "The disk, or a snapshot of it, has 0 bytes."),
    Kind("QCOW_SIZE", _E, EINVAL, "The size of the disk is not a multiple of 512."),
    Kind("QCOW_ENCRYPTED", _E, EOPNOTSUPP, "The file is encrypted."),
    Kind("QCOW_BACKING", _E, EOPNOTSUPP, "The file has a backing file."),
    Kind("QCOW_DATA_FILE", _E, EOPNOTSUPP, "The file has an external data file."),
    Kind("QCOW_EXTENDED_L2", _E, EOPNOTSUPP, "The file has extended L2 entries."),
    Kind("QCOW_COMPRESSION", _E, EOPNOTSUPP, "The header names a compression other than deflate."),
    Kind("QCOW_COMPRESSED", _E, EOPNOTSUPP, "The file has compressed clusters."),
    Kind("QCOW_ZEROED", _E, EOPNOTSUPP, "The file has zeroed clusters that kept their place."),
    Kind("QCOW_CUT_OFF", _E, EIO, "The file ends before its last clusters do."),
    Kind("QCOW_CORRUPT", _E, EBADMSG, "The file is marked as corrupt."),
    Kind("QCOW_FEATURE", _E, EOPNOTSUPP, "The file has an incompatible feature that is unknown."),
    Kind("QCOW_SNAPSHOT_TWICE", _E, EEXIST, "Two snapshots have one name."),
    Kind("QCOW_SNAPSHOT_UNUSABLE", _E, EINVAL, "A snapshot's name is empty or not text."),
    Kind("QCOW_SNAPSHOT_NAME", _W, 0, "A snapshot has a name that commands cannot give."),
    Kind("QCOW_NO_SNAPSHOT", _E, ENOENT, "The file does not have the snapshot."),
    Kind("QCOW_DIRTY", _W, 0, "The file is in use, or was not closed properly."),
    Kind("QCOW_NOT_SCANNED", _W, 0, "Not all of the file's tables were checked."),
    Kind("QCOW_VM_STATE", _I, 0, "A snapshot holds a virtual machine's memory: not imported."),
    Kind("RAW_ODD_SIZE", _W, 0, "The size is not a multiple of 512."),
    Kind("RAW_CONTAINER", _E, EINVAL, "The file is an image of another format, or packed."),
    Kind("RAW_LUKS", _I, 0, "The disk is encrypted with LUKS."),
    Kind("RAW_SNAPSHOT_SIZE", _W, 0, "A snapshot's size is not the head's."),
    Kind("FORMAT_OTHER", _E, EINVAL, "The file is not of the format that the source-spec names."),
    Kind("FORMAT_BROKEN", _E, EBADMSG, "The VHD file, or the Parallels disk, is inconsistent."),
    Kind("LIST_BROKEN", _E, EBADMSG, "What should list disks is no list, or not readable."),
    Kind("LIST_TOO_LONG", _E, E2BIG, "A list of disks is longer than what is read."),
    Kind("VMDK_BROKEN", _E, EBADMSG, "The VMDK file is inconsistent."),
    Kind("VMDK_EXTENT", _E, EOPNOTSUPP, "The VMDK disk has parts that are not read."),
    Kind("VHD_DIFFERENCING", _E, EOPNOTSUPP, "The VHD file has only differences to another one."),
    Kind("VHDX_DIFFERENCING", _E, EOPNOTSUPP, "The VHDX file has only differences to another."),
    Kind("VHDX_LOG", _E, EIO, "The VHDX file has a log that was not replayed."),
    Kind("BACKING_NAME", _E, EOPNOTSUPP, "The name of a backing file is no path of a file."),
    Kind("BACKING_FORMAT", _E, EOPNOTSUPP, "The format of a backing file is not written down."),
    Kind("BACKING_DEPTH", _E, ELOOP, "The chain of backing files is too long, or a circle."),
    Kind("PASSPHRASE_MISSING", _E, EINVAL, "The disk is encrypted, and no passphrase was given."),
    Kind("QCOW_SNAPSHOT_LARGER", _E, EIO, "A snapshot is larger than the disk."),
    Kind("QEMU_MISSING", _E, ENOENT, "The manager's host does not have qemu-nbd."),
    Kind("QEMU_REFUSED", _E, EIO, "QEMU cannot open the disk; its message says why."),
    Kind("QEMU_READ", _E, EIO, "QEMU cannot read a part of the disk."),
    Kind("QEMU_CRASHED", _E, EIO, "QEMU ended while it read the disk."),
    Kind("QEMU_SLOW", _E, ETIMEDOUT, "QEMU did not answer in time."),
    Kind("COMPRESSION_OTHER", _E, EINVAL, "The file is not compressed as the source-spec says."),
    Kind("COMPRESSION_BROKEN", _E, EBADMSG, "The file cannot be decompressed."),
    Kind("COMPRESSION_MEMORY", _E, EINVAL, "Decompressing the file takes too much memory."),
    Kind("ZSTD_MISSING", _E, ENOENT, "The manager's host does not have the library libzstd."),
    Kind("STREAM_SIZE", _E, EINVAL, "The size of the disk is not known, or not what was said."),
    Kind("ARCHIVE_BROKEN", _E, EINVAL, "The file is not an archive of tar, or damaged."),
    Kind("ARCHIVE_MEMBER", _E, ENOENT, "The archive does not have the file."),
    Kind("CHECKSUM_OTHER", _E, EBADMSG, "The source does not have the checksum that was given."),
    Kind("CHECKSUM_PASS", _I, 0, "The source is read once before the copy, for its checksum."),
    Kind("SOURCE_IN_ORDER", _I, 0, "The source is read in one go, from its beginning."),
    Kind("SOURCE_SPOOLED", _I, 0, "The source is put into a file on the manager's host first."),
    Kind("SPOOL_FULL", _E, ENOSPC, "There is too little space for that file."),
    Kind("SPOOL_FOLDER", _E, EACCES, "That file cannot be made."),
    Kind("SPOOL_PARTLY", _E, ENOSPC, "What must be known is not at the beginning of the source."),
    Kind("RAW_NO_SNAPSHOT", _E, ENOENT, "The source-spec does not have the snapshot."),
)
BY_CODE = {kind.code: kind for kind in KINDS}
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def found(code: str, about: str, message: str, remedy: str = "") -> Finding:
    """Return the Finding of a declared problem."""
    kind = BY_CODE[code]
    return Finding(code, kind.severity, about, message, remedy, kind.errno)


def of_error(error: SourceError, about: str) -> Finding:
    """Return the Finding of the error that ended an inspection."""
    errno = error.errno or EIO
    return Finding(error.problem, Severity.ERROR, about, error.message, error.remedy, errno)


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sort errors first, otherwise in the order found, and remove duplicates."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: _ORDER[finding.severity]))
