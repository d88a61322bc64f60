"""The options that all modules of this collection share."""


class ModuleDocFragment:
    """Part of the documentation of every module."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of the module's own server, such as C(https://192.0.2.1:8483), or of the Ceph dashboard.
      - With several, such as those of all managers, each is tried until one answers. A standby manager names the active one.
      - Without it the environment variable E(RBD_MIGRATION_URL) is used, where commas separate addresses.
    type: list
    elements: str
    required: true
  key:
    description:
      - An API key (C(ceph rbd migration api key create)), or a token of the dashboard.
      - Without it the environment variable E(RBD_MIGRATION_KEY) is used.
    type: str
    required: true
    aliases: [token]
  validate_certs:
    description: Verify the certificate of the server.
    type: bool
    default: true
  ca_path:
    description: A file with the certificates to trust, in PEM. Without it those of the system.
    type: path
  timeout:
    description: Seconds in which the server has to answer a request.
    type: int
    default: 60
"""
