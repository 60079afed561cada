#!/bin/sh
# Install ssl_ecg into /opt/venv, in two steps so that the large one is made once: what Dockerfile, apptainer.def and
# chroot.sh share. In the folder of the checkout:
#   install.sh needs     PyTorch and the rest of what is needed, in the versions of constraints.txt
#   install.sh package   ssl_ecg itself, and what is in $EXTRAS, such as "wandb,files"
# INDEX is where PyTorch comes from: https://download.pytorch.org/whl/cpu, or empty for CUDA.
set -eu

pip() { /opt/venv/bin/python -m pip --disable-pip-version-check "$@"; }

case $1 in
  needs)
    python3 -m venv /opt/venv
    pip install --constraint constraints.txt ${INDEX:+--index-url "$INDEX" --extra-index-url https://pypi.org/simple} \
      torch torchvision
    /opt/venv/bin/python -c 'import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print(*project["dependencies"], *project["optional-dependencies"]["train"], sep="\n")' > /tmp/needs.txt
    pip install --constraint constraints.txt --requirement /tmp/needs.txt
    rm /tmp/needs.txt
    ;;
  package) pip install --constraint constraints.txt ".[train${EXTRAS:+,$EXTRAS}]" ;;
esac
