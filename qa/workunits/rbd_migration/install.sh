#!/bin/bash
# Put the module where this host's manager looks for it; to be run before the managers start.
set -euxo pipefail
sudo "$(dirname "$(readlink -f "$0")")/../../../packaging/install.sh"
