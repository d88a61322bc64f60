// An example of a plan file.

export const EXAMPLE = `plan: nvme-move              # its name
select:                      # which images
  - pool: hdd
    name: "vm-*"             # a glob; or regex: to fit the whole name
    exclude: ["vm-test-*"]
    size: ">=1G,<2T"         # optional
map:                         # target of each image; layout options left out are those of the source
  target_pool: nvme
  name: "{name}"             # may use {pool} {namespace} {name} {index}
  # object_size: 4M
waves:
  size: 20                   # images at a time
  stop_after_failures: 2     # then no more images begin; 0: never stop
policy:
  goal: executed             # prepared, executed, verified or committed
  verify: auto               # auto, none, sample or full
  rate: 200M                 # all copies of the plan together
limits:
  max_copies: 4
window: ["Mon-Fri 20:00-06:00", "Sat-Sun"]
`;
