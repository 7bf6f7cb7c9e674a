"""What a gateway and its unit have written: OpenClaw's own log, and the journal.

The log lies where the gateway's user may put anything in its place, so it is read as that user. A look goes on where
the one before has ended: in the log by the file's number and a place in it, through a rotation too (OpenClaw keeps
five archives, `openclaw.1.log` the newest: facts on OpenClaw, section 4), in the journal by its cursor.
"""

from __future__ import annotations

import json
from typing import Final

from reconciler.commands.shell import script
from reconciler.model import Command, Json

LOG: Final = "/var/log/openclaw/openclaw.log"
UNIT: Final = "openclaw-gateway.service"
MOST_BYTES: Final = 300_000  # of each of both; a host may answer 1 MiB, and JSON may write a character in six
_LOOKED_AT: Final = 1 << 20  # bytes of log, from its end
_LOOKED_THROUGH: Final = 8 << 20  # where not every line is wanted, or as many as there are
_LONGEST: Final = 4000  # characters of one line

# Both print {"entries": [...], "cursor": ..., "is_cut": ..., "more": ...}, the oldest first; is_cut: older ones were
# left out; more: what comes after the cursor was left for the next look. Who goes on from a cursor loses nothing so.
# `left_at`: when the first was written that was looked at, where there are older ones.
_SHARED: Final = """
import collections, datetime, glob, json, os, re, sys, time
wanted = json.loads(sys.argv[1])
if wanted["age"] is not None:
    wanted["since"] = time.time() - wanted["age"]
def told(found, cursor, is_cut, left_at=None):
    kept, size = collections.deque(), 0
    if left_at is not None and (wanted["lines"] is None or len(found) < wanted["lines"]):
        is_cut = is_cut or wanted["since"] is None or left_at >= wanted["since"]
    for entry in reversed(found):
        size += len(json.dumps(entry))
        if size > wanted["bytes"] or (wanted["lines"] is not None and len(kept) == wanted["lines"]):
            is_cut = is_cut or size > wanted["bytes"]
            break
        kept.appendleft(entry)
    json.dump({"entries": list(kept), "cursor": cursor, "is_cut": is_cut, "more": False}, sys.stdout)
class Page:
    def __init__(self):
        self.entries, self.size, self.more = [], 0, False
    def takes(self, entry):
        self.size += len(json.dumps(entry))
        self.more = self.size > wanted["bytes"] and bool(self.entries)
        if not self.more:
            self.entries.append(entry)
        return not self.more
    def tell(self, cursor):
        json.dump({"entries": self.entries, "cursor": cursor, "is_cut": False, "more": self.more}, sys.stdout)
def text_of(value):
    if isinstance(value, list):  # the journal's way with what is no text
        value = bytes(it & 255 for it in value if isinstance(it, int)).decode("utf-8", "replace")
    return (value if isinstance(value, str) else json.dumps(value))[: wanted["longest"]]
"""

_READ_LOG: Final = f"""{_SHARED}
def files():
    base, end = os.path.splitext(wanted["path"])
    old = [(int(found[1]), path) for path in glob.glob(glob.escape(base) + ".*" + end)
           for found in [re.fullmatch(re.escape(base) + "[.]([0-9]+)" + re.escape(end), path)] if found]
    return [path for _, path in sorted(old, reverse=True)] + [wanted["path"]]
def opened(path):
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except OSError:
        return None
    if os.fstat(file.fileno()).st_mode & 0o170000 != 0o100000:
        file.close()
        return None
    return file
def moment(text):
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, AttributeError, TypeError, OverflowError):
        return None
def entry(line, before):
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return {{"at": before, "level": "", "name": "", "text": text_of(line)}}
    meta = value.get("_meta") if isinstance(value.get("_meta"), dict) else {{}}
    said = value.get("message")
    if said is None:
        said = " ".join(text_of(value[key]) for key in sorted(value) if key.isdigit() and key != "0")
    name = meta.get("name") or value.get("0") or ""
    try:
        name = json.loads(name).get("subsystem") or name
    except (ValueError, AttributeError, TypeError, RecursionError):
        pass
    level = str(meta.get("logLevelName") or "")[:10]
    at = moment(value.get("time")) or before
    return {{"at": at, "level": level, "name": text_of(name)[:60], "text": text_of(said)}}
there = [(path, file) for path in files() for file in [opened(path)] if file]
numbers = [os.fstat(file.fileno()).st_ino for _, file in there]
sizes = [os.fstat(file.fileno()).st_size for _, file in there]
cursor, since, is_cut = wanted["cursor"], wanted["since"], False
found, before, left, page, left_at = [], None, wanted["looked_at"], Page(), None
if cursor is not None and cursor[0] in numbers and sizes[numbers.index(cursor[0])] >= cursor[1]:
    first, start = numbers.index(cursor[0]), cursor[1]
    for number in range(first, len(there)):
        begin = start if number == first else 0
        there[number][1].seek(begin)
        data = there[number][1].read(min(sizes[number] - begin, left))
        left -= len(data)
        whole, end, rest = data.rpartition(b"\\n")
        if not end and len(data) == wanted["looked_at"]:
            whole, rest = data, b""  # no line is that long
        cursor = [numbers[number], begin]
        for line in whole.split(b"\\n") if whole + end else []:
            one = entry(line.decode("utf-8", "replace"), before)
            before = one["at"]
            if (not wanted["errors"] or one["level"] in ("ERROR", "FATAL")) and not page.takes(one):
                break
            cursor[1] += len(line) + len(end)
        page.more = page.more or left <= 0
        if page.more:
            break
    page.tell(cursor)
    sys.exit()
starts = [0] * len(there)
for number in range(len(there) - 1, -1, -1):
    starts[number] = max(0, sizes[number] - max(left, 0))
    left -= sizes[number] - starts[number]
    is_cut = is_cut or (starts[number] > 0 and wanted["cursor"] is not None)
for number in range(len(there)):
    file = there[number][1]
    file.seek(starts[number])
    data = file.read(sizes[number] - starts[number])
    if starts[number]:
        data = data.partition(b"\\n")[2]  # it begins in the midst of a line
    whole, _, rest = data.rpartition(b"\\n")
    cursor = [numbers[number], sizes[number] - len(rest)]
    for line in whole.split(b"\\n") if whole else []:
        one = entry(line.decode("utf-8", "replace"), before)
        before = one["at"]
        if left_at is None and before is not None and any(starts):
            left_at = before
        if since is not None and (before is None or before < since):
            continue
        if not wanted["errors"] or one["level"] in ("ERROR", "FATAL"):
            found.append(one)
told(found, cursor, is_cut, left_at)
"""

_READ_JOURNAL: Final = f"""{_SHARED}
import subprocess
most, page = 20000, Page()
words = ["journalctl", "--quiet", "--no-pager", "--output=json", "--unit=" + wanted["unit"]]
words.append("--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER")
def read(line):
    try:
        one = json.loads(line)
        at, cursor = int(one["__REALTIME_TIMESTAMP"]) / 1e6, one["__CURSOR"]
        level = int(one.get("PRIORITY") or 6)
    except (ValueError, KeyError, TypeError):
        return None, None
    said = text_of(one.get("MESSAGE") or "")
    if wanted["errors"] and level > 4 and not re.search(wanted["ill"], said):
        return cursor, None
    name = text_of(one.get("SYSLOG_IDENTIFIER") or "")[:60]
    return cursor, {{"at": at, "level": level, "name": name, "text": said}}
if wanted["cursor"] is not None:
    cursor = wanted["cursor"]
    words.append("--after-cursor=" + cursor)
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reading:
        for line in reading.stdout:
            place, one = read(line)
            if one is not None and not page.takes(one):
                reading.kill()
                break
            cursor = place or cursor
        said = reading.stderr.read().decode("utf-8", "replace").strip()
    if reading.returncode and not page.more:
        sys.exit("the journal cannot be read: " + said)
    page.tell(cursor)
    sys.exit()
words.append("--lines=%d" % most)
if wanted["since"] is not None:
    words.append("--since=@%.6f" % wanted["since"])
done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=40)
if done.returncode:
    sys.exit("the journal cannot be read: " + done.stderr.decode("utf-8", "replace").strip())
found, cursor, left_at, lines = [], None, None, done.stdout.splitlines()
for line in lines:
    place, one = read(line)
    cursor = place or cursor
    found += [one] if one is not None else []
if len(lines) == most:
    left_at = int(json.loads(lines[0])["__REALTIME_TIMESTAMP"]) / 1e6
told(found, cursor, False, left_at)
"""

# What a gateway that does not start says on its standard output, which the journal takes for information.
ILL: Final = r"(?i)\b(?:error|fatal|uncaught|unhandled|exception|failed|invalid|unrecognized|refused|denied)\b"

_READ: Final = """
log='{"entries": [], "cursor": null, "is_cut": false, "more": false}'
if id -u openclaw >/dev/null 2>&1 && [ -d /var/log/openclaw ]; then
  log=$(runuser -u openclaw -- env -i LC_ALL=C.UTF-8 PATH=/usr/bin:/bin timeout 40 python3 -I -c "$1" "$3" </dev/null)
fi
journal=$(timeout 50 python3 -I -c "$2" "$4")
printf '{"now": %s, "log": %s, "journal": %s}\\n' "$(date +%s.%N)" "$log" "$journal"
"""


def read_logs(
    lines: int | None,
    since: float | None,
    age: float | None = None,
    *,
    errors: bool = False,
    log: Json = None,
    journal: Json = None,
) -> Command:
    """Prints {"now", "log", "journal"}: both {"entries": [{"at", "level", "name", "text"}], "cursor", "is_cut", more}.

    `since` and `at` are seconds of the host's clock, `age` is in seconds, and says the same; `level` is OpenClaw's
    word, or the journal's number. `log` and `journal` are cursors of the answer before: then what came after them,
    whenever, and `more` where that does not fit into one answer; where one of them leads nowhere any more, what came
    since `since`.
    """
    shared: dict[str, Json] = {"lines": lines, "since": since, "age": age, "errors": errors}
    shared |= {"bytes": MOST_BYTES, "longest": _LONGEST}
    looked_at = _LOOKED_AT if lines is not None and not errors else _LOOKED_THROUGH
    of_log: dict[str, Json] = {**shared, "path": LOG, "cursor": log, "looked_at": looked_at}
    of_journal: dict[str, Json] = {**shared, "unit": UNIT, "cursor": journal, "ill": ILL}
    arguments = _READ_LOG, _READ_JOURNAL, json.dumps(of_log), json.dumps(of_journal)
    return script("read logs", _READ, *arguments, timeout=110)
