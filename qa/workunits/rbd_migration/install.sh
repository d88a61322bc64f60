#!/bin/bash
# Install the module into this host's module directory, before the managers start.
set -euxo pipefail
sudo "$(dirname "$(readlink -f "$0")")/../../../packaging/install.sh"
