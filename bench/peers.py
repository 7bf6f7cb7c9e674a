"""One command on 50 hosts, side by side with ansible and pyinfra: seconds, and CPU seconds of the client. Needs root.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install ansible-core pyinfra
    python bench/peers.py --peers /tmp/peers [--rounds N] [--hosts N]

Each host is an address of one real sshd, in a network of this process's own, where root's shell is /bin/sh: the start
files of a developer's bash take longer than any client. All log in by one Ed25519 key, check the host key, and use
curve25519: the default exchange of keys would cost the others more. Rounds are in turn, and figures are medians; what
counts are the ratios of one run. CPU seconds are those of the client and all that it waited for.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from world import PROJECT, enter_namespaces

COMMAND = "cat /proc/uptime"
OURS = """\
import sys
from pathlib import Path
from reconciler.model import Command, HostAddress, Secret
from reconciler.parallel import in_parallel
from reconciler.ssh import FabricDialer
key, pin = Secret(Path(sys.argv[1]).read_text()), Path(sys.argv[2]).read_text().strip()
def ask(address):
    host = FabricDialer().connect(HostAddress(address, 22, "root", (key,), (pin,)), 10)
    try:
        return host.run(Command("ask", sys.argv[3])).stdout
    finally:
        host.close()
answers = list(in_parallel(ask, sys.argv[4:], 32))
assert all(answers) and len(answers) == len(sys.argv) - 4
"""
PLAY = """\
- hosts: all
  strategy: free
  gather_facts: false
  tasks:
    - raw: {command}
"""
SSH_OPTIONS = (
    "-o KexAlgorithms=curve25519-sha256 -o ControlMaster=no -o ControlPersist=no -o StrictHostKeyChecking=yes "
    "-o UserKnownHostsFile={known} -o IdentitiesOnly=yes"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hosts", type=int, default=50)
    asked = parser.parse_args()
    enter_namespaces()
    with tempfile.TemporaryDirectory() as place, sshd(Path(place)):
        show(measured(clients(Path(place), asked.peers, asked.hosts), Path(place), asked.rounds))


@contextmanager
def sshd(place: Path) -> Iterator[None]:
    """A real one on every address of loopback."""
    for name in ("host", "login"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", place / name], check=True)
    (place / "sshd_config").write_text(
        f"Port 22\nListenAddress 0.0.0.0\nHostKey {place}/host\nAuthorizedKeysFile {place}/login.pub\n"
        "PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\nMaxStartups 500:1:1000\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    accounts = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines()]
    plain = [[*fields[:-1], "/bin/sh"] if fields[0] == "root" else fields for fields in accounts]
    (place / "passwd").write_text("".join(":".join(fields) + "\n" for fields in plain))
    subprocess.run(["mount", "--bind", place / "passwd", "/etc/passwd"], check=True)
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", place / "sshd_config"], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield
    finally:
        server.terminate()
        server.wait()
        subprocess.run(["umount", "/etc/passwd"], check=True)


def clients(place: Path, peers: Path, count: int) -> dict[str, list[str]]:
    addresses = [f"127.85.0.{number}" for number in range(1, count + 1)]
    public = (place / "host.pub").read_text().strip()
    (place / "known").write_text("".join(f"{address} {public}\n" for address in addresses))
    (place / "ours.py").write_text(OURS)
    (place / "play.yaml").write_text(PLAY.format(command=COMMAND))
    (place / "hosts.py").write_text(f"hosts = {addresses!r}\n")
    (place / "inventory").write_text("".join(f"{address} ansible_user=root\n" for address in addresses))
    options = SSH_OPTIONS.format(known=place / "known")
    ansible = ["-i", str(place / "inventory"), "-f", str(count), "--private-key", str(place / "login")]
    ansible += [f"--ssh-common-args={options}"]
    data = ["--data", "ssh_user=root", "--data", f"ssh_key={place / 'login'}"]
    data += ["--data", f"ssh_known_hosts_file={place / 'known'}", "--data", "ssh_strict_host_key_checking=yes"]
    ours = [sys.executable, str(place / "ours.py"), str(place / "login"), str(place / "host.pub"), COMMAND]
    return {
        "this tool": [*ours, *addresses],
        "pyinfra exec": [str(peers / "bin/pyinfra"), "-y", *data, str(place / "hosts.py"), "exec", "--", COMMAND],
        "ansible play, free strategy": [str(peers / "bin/ansible-playbook"), *ansible, str(place / "play.yaml")],
        "ansible all -m raw": [str(peers / "bin/ansible"), "all", *ansible, "-m", "raw", "-a", COMMAND],
    }


def measured(those: dict[str, list[str]], place: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Of each client, seconds and CPU seconds of every round but the first, which fills caches."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in those}
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "PYTHONPATH": str(PROJECT), "LC_ALL": "C.UTF-8"}
    for turn in range(rounds + 1):
        for name, words in those.items():
            if shutil.which(words[0]) is None:
                sys.exit(f"{words[0]} is not there: see --help")
            began = time.perf_counter()
            with subprocess.Popen(
                words,
                cwd=place,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process:
                assert process.stdout is not None
                said = process.stdout.read()
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f"{name} failed: {said[-2000:]}")
            if turn:
                taken[name].append((time.perf_counter() - began, used.ru_utime + used.ru_stime))
    return taken


def show(taken: dict[str, list[tuple[float, float]]]) -> None:
    medians = {name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in taken.items()}
    seconds, cpu = medians["this tool"]
    print(f"{'':30}  wall s   CPU s   wall   CPU")
    for name, (wall, used) in medians.items():
        print(f"{name:30}{wall:8.2f}{used:8.2f}{wall / seconds:6.1f}x{used / cpu:5.1f}x")
    print(f"{'load average':30}{os.getloadavg()[0]:8.1f}")


if __name__ == "__main__":
    main()
