#!/usr/bin/env bash
# Where no engine and no base image can be had: the steps of the Dockerfile in a root made by debootstrap, as root; then
# the main job and tests inside it, as the user without privileges.
#   docker/chroot.sh ROOT [TEST ...]
set -euo pipefail
root=$(realpath -m "$1") && shift
tests=("$@") && [ $# -gt 0 ] || tests=(tests/encoders tests/metrics)
cd "$(dirname "$0")/.."

inside() { chroot "$root" /usr/bin/env --ignore-environment "PATH=/opt/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@"; }

[ -x "$root/usr/bin/python3" ] || debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
  bookworm "$root" "${DEBIAN:-http://deb.debian.org/debian}"
trap 'umount "$root/dev" "$root/proc" || true' EXIT
mount --bind /dev "$root/dev" && mount -t proc proc "$root/proc"
cp /etc/resolv.conf "$root/etc/"
for file in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do # how this machine reaches the registry
  [ ! -e "$file" ] || cp "$file" "$root$file"
done
mkdir -p "$root/src"
git archive HEAD | tar --extract --directory "$root/src"
inside sh -c 'id ecg > /dev/null 2>&1 || useradd --create-home --uid 1000 ecg'
inside /opt/venv/bin/python -c 'import lightly' 2> /dev/null ||
  inside INDEX="${INDEX-}" sh -c 'cd /src && docker/install.sh needs'
inside EXTRAS=wandb,files,stream sh -c 'cd /src && docker/install.sh package'
inside sh -c '/opt/venv/bin/python -m pip install --quiet --constraint /src/constraints.txt \
  pytest pytest-timeout pytest-xdist hypothesis'
inside HOME=/home/ecg setpriv --reuid=ecg --regid=ecg --clear-groups sh -c '
  set -e; cd; python -m ssl_ecg.pretrain --trainer.max_epochs 1 --data.patients 60 --batch_size 64
  cp -r /src/tests /src/pyproject.toml .; python -m pytest -q -n 2 -p no:cacheprovider -m "not slow" '"${tests[*]}"
du -shx "$root"
