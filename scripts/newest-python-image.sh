#!/usr/bin/env bash
# Makes sure that there is an image with the newest Python that Debian has (3.14 when this was written), on what base-image.sh prints,
# and prints its name. With the word `--anew`, makes it again.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

made=trainit-newest-python:local

have_docker || fail "no Docker daemon answers"
one_at_a_time newest-python-image
if [ "${1:-}" = --anew ] || ! have_image "$made"; then
    base=$("$root/scripts/base-image.sh")
    # Testing's index may be older than it says it is good for. Its packages split files of the base's.
    quietly docker build -q --no-cache -t "$made" - <<END || fail "no image with the newest Python can be made"
FROM $base
RUN mirror=\$(grep -hosE 'https?://[^ ]+/debian/?( |\$)' /etc/apt/sources.list /etc/apt/sources.list.d/* | head -1) \
 && rm -f /etc/apt/sources.list.d/* && echo "deb \$mirror testing main" >/etc/apt/sources.list \
 && apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Options::=--force-overwrite install -y -qq --no-install-recommends \
    python3 python3-venv python3-pip openssl >/dev/null
END
fi
echo "$made"
