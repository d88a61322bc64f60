// Sources of imports: formats and streams with their fields, and the JSON source-spec made of them.

const CHECKSUM = {
  name: "checksum",
  label: "Checksum",
  hint: "of the bytes as they are served, such as sha256:9f86d0...; the import fails if it is another one",
  more: true,
};
const PACKED = [
  {
    name: "compression",
    label: "Compression",
    choices: [["", "none"], "gzip", "xz", "zstd", "bzip2"],
    more: true,
  },
  { name: "member", label: "Disk in an archive of tar", hint: "its name there, such as disk.raw; empty: the file is the disk", more: true },
  { name: "size", label: "Size of the disk", hint: "in bytes, where neither the compressed file nor the server tells it", number: true, more: true },
  CHECKSUM,
];
const LOGIN = [
  { name: "user", label: "User", hint: "where the server asks for one", more: true },
  { name: "password", label: "Password", hint: "or config://KEY", login: true, more: true },
];
const REGION = { name: "region", label: "Region", hint: "such as eu-central-1, where the service has them", more: true };

export const STREAMS = [
  {
    name: "file",
    label: "File on the manager's host",
    fields: [{ name: "file_path", label: "Path", hint: "as the managers' hosts see it, such as /mnt/images/web.raw", required: true }, ...PACKED],
  },
  {
    name: "http",
    label: "HTTP or HTTPS",
    fields: [{ name: "url", label: "URL", hint: "such as https://images.example/web.qcow2", required: true }, ...LOGIN, ...PACKED],
  },
  {
    name: "s3",
    label: "S3",
    fields: [
      { name: "url", label: "URL", hint: "such as https://s3.example/bucket/web.raw", required: true },
      { name: "access_key", label: "Access key", hint: "or config://KEY for a config-key of the cluster" },
      { name: "secret_key", label: "Secret key", hint: "or config://KEY, so that it is not stored in the image's header", secret: true },
      REGION,
      ...PACKED,
    ],
  },
  {
    name: "nbd",
    label: "NBD",
    fields: [{ name: "uri", label: "URI", hint: "such as nbd://host:10809/export", required: true }, CHECKSUM],
  },
];

export const FORMATS = [
  { name: "raw", label: "raw", streams: true, fields: [] },
  {
    name: "qcow",
    label: "qcow (qcow2 and the old version 1)",
    streams: true,
    fields: [{ name: "passphrase", label: "Passphrase", hint: "of an encrypted disk, or config://KEY", login: true, more: true }],
  },
  { name: "vmdk", label: "vmdk (VMware, also in an OVA)", streams: true, fields: [] },
  { name: "vhdx", label: "vhdx (Hyper-V)", streams: true, fields: [] },
  { name: "vpc", label: "vpc (VHD: Azure, Xen)", streams: true, fields: [] },
  { name: "vdi", label: "vdi (VirtualBox)", streams: true, fields: [] },
  { name: "parallels", label: "parallels", streams: true, fields: [] },
  {
    name: "native",
    label: "RBD image, also of another cluster",
    streams: false,
    fields: [
      { name: "mon_host", label: "Monitors of another cluster", hint: "such as 10.0.0.1,10.0.0.2; empty: this one", more: true },
      { name: "client_name", label: "Client", hint: "of the other cluster, such as client.import", more: true },
      { name: "key", label: "Key", hint: "of that client, or config://KEY", login: true, more: true },
      { name: "pool_name", label: "Pool", required: true, pool: true },
      { name: "pool_namespace", label: "Namespace" },
      { name: "image_name", label: "Image", required: true },
      { name: "snap_name", label: "Snapshot", hint: "empty, of another cluster: the image itself, by the method warm" },
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
  const found = fields.map((field) => [field, given[prefix + field.name]]).filter(([, value]) => value);
  return Object.fromEntries(found.map(([field, value]) => [field.name, field.number ? Number(value) : value]));
}
