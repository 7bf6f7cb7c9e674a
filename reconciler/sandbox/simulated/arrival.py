"""The commands of an import, as a simulated host that this tool has not made carries them out."""

from __future__ import annotations

from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import Account, File, exists
from reconciler.sandbox.simulated.host import SimulatedHost

_GATEWAY_PLACES = ("/var/lib/openclaw", "/opt/openclaw", "/etc/openclaw", "/root/.openclaw")


def survey(host: SimulatedHost, call: Call) -> bytes:
    lines = ["system Debian GNU/Linux 12 (bookworm)", f"machine {host.architecture}", "init systemd", "hostkey ed25519"]
    lines += ["sudo yes"] if "sudo" in host.packages else []
    ports = [line.split()[1] for line in host.sshd_config.decode().splitlines() if line.startswith("Port ")]
    lines += [f"port {port}" for port in ports or ["22"]]
    lines += [f"gateway {path}" for path in _GATEWAY_PLACES if exists(host, path)]
    units = sorted(name for name in host.systemd.runs if name.startswith("openclaw"))
    lines += [f"running {name}" for name in units if host.systemd.is_active(name)]
    lines += ["applied yes"] if exists(host, "/var/lib/openclaw-deploy/applied.json") else []
    lines += [f"account {name}" for name in call.arguments if name in host.accounts]
    return "".join(f"{line}\n" for line in lines).encode()


def make_login_account(host: SimulatedHost, call: Call) -> None:
    name, sudoers = call.arguments
    home, owner = f"/home/{name}", f"{name}:{name}"
    if name == "root":
        raise Fails("root is root")
    before = host.accounts.get(name)
    host.accounts[name] = Account(before.home if before else home, "/bin/sh")
    if before is None:
        host.directories.setdefault(home, (owner, "0755"))  # HOME_MODE is not set on Debian 12
    if b"=" not in call.stdin:
        raise Fails("sudo does not understand its rule")
    host.files[sudoers] = File(call.stdin, mode="0440")


def prove_root(host: SimulatedHost, call: Call) -> None:
    """Whoever a simulated host lets in is root by sudo."""
    del host, call
