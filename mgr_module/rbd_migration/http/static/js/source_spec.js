// Sources of imports: formats and streams with their fields, and the JSON source-spec made of them.

export const STREAMS = [
  {
    name: "file",
    label: "File on the manager's host",
    fields: [{ name: "file_path", label: "Path", hint: "as the managers' hosts see it, such as /mnt/images/web.raw", required: true }],
  },
  {
    name: "http",
    label: "HTTP or HTTPS",
    fields: [{ name: "url", label: "URL", hint: "such as https://images.example/web.qcow2; the server has to support ranges", required: true }],
  },
  {
    name: "s3",
    label: "S3",
    fields: [
      { name: "url", label: "URL", hint: "such as https://s3.example/bucket/web.raw", required: true },
      { name: "access_key", label: "Access key", hint: "or config://KEY for a config-key of the cluster" },
      { name: "secret_key", label: "Secret key", hint: "or config://KEY, so that it is not stored in the image's header", secret: true },
    ],
  },
  {
    name: "nbd",
    label: "NBD (Ceph 19.2.3 and later)",
    fields: [{ name: "uri", label: "URI", hint: "such as nbd://host:10809/export", required: true }],
  },
];

export const FORMATS = [
  { name: "raw", label: "raw", streams: true, fields: [] },
  { name: "qcow", label: "qcow (qcow2 and the old version 1)", streams: true, fields: [] },
  {
    name: "native",
    label: "RBD image, read from a snapshot",
    streams: false,
    fields: [
      { name: "cluster_name", label: "Cluster", hint: "another cluster (Ceph 20 and later); empty: this one" },
      { name: "client_name", label: "Client", hint: "of the other cluster, such as client.admin" },
      { name: "pool_name", label: "Pool", required: true, pool: true },
      { name: "pool_namespace", label: "Namespace" },
      { name: "image_name", label: "Image", required: true },
      { name: "snap_name", label: "Snapshot", required: true },
    ],
  },
];

// ``format`` and ``stream`` are names; ``given`` holds fields by name, of the stream as "stream.url".
// ``snapshots``: [{name, given}] for raw, the oldest first.
export function sourceSpec(format, stream, given, snapshots = []) {
  const known = FORMATS.find((one) => one.name === format);
  const spec = { type: format, ...pick(known.fields, given, "") };
  if (known.streams) spec.stream = streamSpec(stream, given);
  if (format === "raw" && snapshots.length) {
    spec.snapshots = snapshots.map((one) => ({ type: "raw", name: one.name, stream: streamSpec(stream, one.given) }));
  }
  return spec;
}

function streamSpec(name, given) {
  const known = STREAMS.find((one) => one.name === name);
  return { type: name, ...pick(known.fields, given, "stream.") };
}

function pick(fields, given, prefix) {
  return Object.fromEntries(fields.map((field) => [field.name, given[prefix + field.name]]).filter(([, value]) => value));
}
