"""The fields of a Report about the source of an import, or an image of another cluster."""

from .fields import field

CHECKSUM = (
    field("stream", "string", "The path of the stream in the source-spec.", example="stream"),
    field("checksum", "string", "Its kind, a colon and hexadecimal digits."),
    field("compared", "boolean", "The source had it: the copy is complete."),
)
SOURCE = (
    field("import_only", "boolean", "An import: the source is only read."),
    field(
        "source_cluster",
        "string",
        "The fsid of the source's cluster, where a whole image of another cluster is migrated.",
        nullable=True,
    ),
    field("source_spec", "object", "The source-spec of an import, without secrets.", nullable=True),
    field(
        "later_snapshot",
        "string",
        "The later snapshot that an import goes on to; null when it holds the one asked for.",
        nullable=True,
    ),
    field(
        "source_went_on",
        "string",
        "What clients did to an import's source after the later snapshot that was copied last; "
        "null: nothing.",
        nullable=True,
    ),
    field("source_changes", "array", "What changed at an import's source during the copy."),
    field(
        "checksums",
        "array",
        "The checksums that an import's source has to have.",
        fields=CHECKSUM,
    ),
)
