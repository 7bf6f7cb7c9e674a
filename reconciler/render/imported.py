"""What a person reads after an import: what was found on the server, what stays, and what comes next."""

from __future__ import annotations

from reconciler.managed import files
from reconciler.model import Server
from reconciler.render.text import harmless
from reconciler.steps.importing import Survey


def imported_lines(child: str, server: Server, survey: Survey) -> list[tuple[str, str | None]]:
    """Lines with their colour or None. Paths and units come from the host."""
    system = harmless(f"{survey.system}, {survey.machine}")
    lines: list[tuple[str, str | None]] = [
        ("", None),
        (f"{child} is server {server.name} ({server.id}) now: {system}.", "green"),
    ]
    if survey.was_ours:
        lines.append(("An apply of this tool has been at work there before; the next one goes on from that.", None))
    if survey.has_account:
        lines.append((f"There was an account {files.LOGIN_USER}; only this fleet's key logs in to it now.", None))
    lines += [(f"Found and not touched: {harmless(path)}", None) for path in survey.gateway]
    if files.HOME in survey.gateway:
        lines.append((f"The next apply runs the gateway on {files.HOME}: its memory and its own keys stay.", None))
    for unit in survey.running:
        lines.append(
            (f"Running: {harmless(unit)}. Two gateways cannot share a bot: stop it if it is another one.", "yellow")
        )
    lines.append(
        ("The fleet's firewall at the cloud covers it, from the next apply on at the latest: only SSH comes in.", None)
    )
    return [*lines, ("Next: fleet plan, which calls it unfinished, and fleet apply, which makes its gateway.", None)]
