"""The looks: each answers one question about one managed thing; None means that it is not there.

Part of the probe: Python 3.9, standard library and this package only.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from reconciler.probe_program.firewall import look_at_firewall
from reconciler.probe_program.reading import at, content, fields, listed, opened, output, parsed, rights, strays, text
from reconciler.probe_program.system import (
    look_at_loaded,
    look_at_paths,
    look_at_private_key,
    look_at_sshd,
    look_at_sudoers,
)
from reconciler.probe_program.tree import is_intact, noted_content

# A secret belongs into a file of its own; one that somebody wrote inline is not carried into plans and logs.
# `maxTokens` is none: of "tokens" only those that somebody gets in with.
SECRET_KEYS = re.compile(
    "(token|apikeys?|passwords?|passwd|passphrases?|secrets?|privatekeys?|credentials?|authorization|cookies?)$"
    "|^keys?$|^(access|api|auth|bearer|bot|id|refresh|)tokens$"
)
LONGEST_VALUE = 65536  # characters of one value; whoever writes more shall not fill our whole answer
MOST_NAMES = 20  # of what does not belong somewhere: more says nothing more
DEFAULT_REJECT = re.compile(" with icmpx? port-unreachable")  # some versions of nft name it, others do not
UNFINISHED = (".openclaw-lifecycle-pending", "dist/openclaw-install-guard")


def look_at(look: Any, key: bytes) -> Any:
    """The answer to `look`; `key` is for the digests of secrets."""
    return LOOKS[look["kind"]](look, key)


def look_at_file(look: Any, key: bytes) -> Any:
    found = opened(look["path"])
    if found is None:
        return {"error": "not a regular file"} if os.path.lexists(at(look["path"])) else None
    data, status = found
    if look.get("secret"):
        return {"hmac": hmac.new(key, data, hashlib.sha256).hexdigest(), **rights(status)}
    return {"sha256": hashlib.sha256(data).hexdigest(), **rights(status)}


def look_at_directory(look: Any, key: bytes) -> Any:
    try:
        status = os.lstat(at(look["path"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISDIR(status.st_mode):
        return {"error": "not a directory"}
    answer: dict[str, Any] = {**rights(status)}
    if "program" in look:
        answer["program"] = os.access(at(look["path"]) / look["program"], os.X_OK)
        answer["intact"] = is_intact(look["path"])
    more = strays(look["path"], "*", look["only"]) if "only" in look else []
    return {**answer, "strays": more[:MOST_NAMES]} if more else answer


def look_at_names(look: Any, key: bytes) -> Any:
    return strays(look["path"], look["pattern"], look["only"])[:MOST_NAMES]


def look_at_workspace(look: Any, key: bytes) -> Any:
    """Managed files by digest; of a seed only that it was sown: it may have changed or gone since."""
    answer: dict[str, Any] = {}
    for name, mode in look["files"].items():
        path = f"{look['path']}/{name}"
        if not is_plain(path):
            answer[name] = {"error": "a link on the way to it"}
        elif mode == "seed":
            if name in look.get("seeded", ()) or os.path.lexists(at(path)):
                answer[name] = "seeded"
        elif os.path.lexists(at(path)):
            data = content(path)
            answer[name] = {"error": "not a regular file"} if data is None else hashlib.sha256(data).hexdigest()
    return answer


def is_plain(path: str) -> bool:
    """Whether no directory on the way is a link: the gateway's user could lead us anywhere."""
    return not any(at(parent).is_symlink() for parent in Path(path).parents)


def look_at_account(look: Any, key: bytes) -> Any:
    name = look["name"]
    entries = {line.split(":")[0]: line.split(":") for line in text("/etc/passwd").splitlines()}
    if name not in entries:
        return None
    shadow = {line.split(":")[0]: line.split(":") for line in text("/etc/shadow").splitlines()}
    groups = [line.split(":") for line in text("/etc/group").splitlines()]
    more = sorted(group[0] for group in groups if name in group[-1].split(","))
    locked = shadow.get(name, ["", "!"])[1][:1] in ("!", "*")
    answer = {"home": entries[name][5], "shell": entries[name][6], "locked": locked}
    return {**answer, "groups": more} if more else answer


def look_at_packages(look: Any, key: bytes) -> Any:
    listing = output("dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *look["names"])
    installed = {line.split()[0] for line in listing.splitlines() if line.split()[1:] == ["ii"]}
    return {name: name in installed for name in look["names"]}


def look_at_json_keys(look: Any, key: bytes) -> Any:
    data = content(look["path"])
    if data is None:
        return None
    document = parsed(data)
    if not isinstance(document, dict):
        return {"error": "not JSON"}
    answer: dict[str, Any] = {}
    for path in look["keys"]:
        value: Any = document
        for name in path:
            value = value.get(name, look) if isinstance(value, dict) else look  # `look` itself: nothing there
        if value is not look:
            inner = answer
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            masked = without_secrets(value, path[-1])
            inner[path[-1]] = masked if len(json.dumps(masked)) <= LONGEST_VALUE else {"error": "too large"}
    return answer


def without_secrets(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {inner: without_secrets(more, inner) for inner, more in value.items()}
    if isinstance(value, list):
        return [without_secrets(more, name) for more in value]
    return "(inline secret)" if is_written_out(value) and is_secret(name) else value


def is_secret(name: str) -> bool:
    """Whether what stands at a key of this name is one."""
    return SECRET_KEYS.search(re.sub("[^a-z0-9]", "", name.lower())) is not None


def is_written_out(value: Any) -> bool:
    """A PIN is a number; a switch is no secret."""
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def secrets_in(look: Any) -> list[str]:
    """What the thing that is looked at holds of secrets, whoever put them there."""
    data = content(look["path"]) if "path" in look else None
    if look.get("secret"):
        return [(data or b"").decode("utf-8", "replace").strip()]
    return inline_secrets(parsed(data), "") if look["kind"] == "json_keys" else []


def inline_secrets(value: Any, name: str) -> list[str]:
    if isinstance(value, dict):
        return [secret for inner, more in value.items() for secret in inline_secrets(more, inner)]
    if isinstance(value, list):
        return [secret for more in value for secret in inline_secrets(more, name)]
    return [str(value)] if is_written_out(value) and is_secret(name) else []


def look_at_unit(look: Any, key: bytes) -> Any:
    shown = fields(output("systemctl", "show", "-p", "UnitFileState,ActiveState,LoadState", "--", look["name"]))
    if shown.get("LoadState") != "loaded":
        return None
    enabled = {"enabled": shown.get("UnitFileState", "")}
    return enabled if look.get("at_boot") else {**enabled, "active": shown.get("ActiveState", "")}


def look_at_rules(look: Any, key: bytes) -> Any:
    """The lines of an nft table that is in force, accounts by number or by name; null when there is none."""
    found = listed("nft", *(["--guid"] if look.get("names") else []), "list", "table", *look["table"])
    lines = [DEFAULT_REJECT.sub("", line.strip()) for line in found]
    return [line for line in lines if line] or None


def look_at_release(look: Any, key: bytes) -> Any:
    link = at(look["path"])
    if not link.is_symlink():
        return None
    release = Path(look["path"]).parent / link.readlink()
    package = release / "node_modules/openclaw"
    manifest = parsed(content(package / "package.json"))
    version = manifest.get("version") if isinstance(manifest, dict) else None
    complete = version is not None and not any(os.path.lexists(at(package / name)) for name in UNFINISHED)
    answer = {"version": version, "complete": complete, "link": str(link.readlink())}
    answer = {**answer, "intact": is_intact(release), "tree": noted_content(release)}
    return {**answer, **(rights(os.lstat(at(release))) if complete else {})}


LOOKS = {
    "file": look_at_file,
    "directory": look_at_directory,
    "account": look_at_account,
    "packages": look_at_packages,
    "json_keys": look_at_json_keys,
    "unit": look_at_unit,
    "release": look_at_release,
    "firewall": look_at_firewall,
    "rules": look_at_rules,
    "names": look_at_names,
    "paths": look_at_paths,
    "workspace": look_at_workspace,
    "private_key": look_at_private_key,
    "sshd": look_at_sshd,
    "sudoers": look_at_sudoers,
    "loaded": look_at_loaded,
}
