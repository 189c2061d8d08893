# SPDX-License-Identifier: Apache-2.0
"""Give an environment's `ovs` library the JSON parser in C: `python -m bench.c_parser VENV`.

Distributions ship `ovs` with it, pip's wheel comes without. `ovn-octavia-provider` reads its
databases by that library, so a comparison without it would be unfair. The extension is taken out of
Debian's python3-openvswitch, which is not installed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

_PACKAGE = "python3-openvswitch"
_CHECK = "from ovs import json; import sys; sys.exit(json.PARSER != 'C')"


def has_c_parser(venv: Path) -> bool:
    """Say which parser an environment's library uses."""
    command = [venv / "bin" / "python", "-c", _CHECK]
    return subprocess.run(command, check=False).returncode == 0


def install(venv: Path) -> None:
    """Copy the extension beside the library.

    :raises SystemExit: when it does not fit this Python
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)  # apt downloads as a user of its own
        download = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", _PACKAGE]
        subprocess.run(download, cwd=root, check=True)
        (package,) = root.glob("*.deb")
        subprocess.run(["dpkg", "-x", package, root / "files"], check=True)
        (extension,) = root.glob("files/usr/lib/python3/dist-packages/ovs/_json*.so")
        (library,) = venv.glob("lib/python3.*/site-packages/ovs")
        shutil.copy(extension, library)
    if not has_c_parser(venv):
        raise SystemExit(f"{extension.name} does not work with {venv}: another Python is needed")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.c_parser", description=__doc__)
    parser.add_argument("venv", type=Path)
    venv = parser.parse_args().venv
    if not has_c_parser(venv):
        install(venv)


if __name__ == "__main__":
    main()
