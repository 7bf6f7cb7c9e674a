"""What a gateway's home holds, counted: rows by table, and the workspace by its files. Noted beside each backup.

It is counted again when a backup is tried. Of a gateway that runs ("live") what it has written and not moved into its
databases yet counts too; of a copy nothing may be written. Where the tables are too many to be told one by one, their
sum is told: the note of a backup must stay short enough to be read.
"""

from __future__ import annotations

from typing import Final

SUMMARY: Final = """
import hashlib, json, os, pathlib, sqlite3, sys, urllib.parse
def is_file(path):  # nor one in a directory that its owner has closed to himself
    return os.path.isfile(path) and not os.path.islink(path)
home = pathlib.Path(sys.argv[1])
mode = "mode=ro" if sys.argv[2:] == ["live"] else "mode=ro&immutable=1"
databases = {}
for path in sorted(home.rglob("*.sqlite")):
    if not is_file(path):
        continue
    place = "file:%s?%s" % (urllib.parse.quote_from_bytes(bytes(path)), mode)
    try:
        with sqlite3.connect(place, uri=True) as found:
            names = found.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            counts = {}
            for (table,) in names:
                try:
                    [(counts[table],)] = found.execute('SELECT count(*) FROM "%s"' % table.replace('"', '""'))
                except sqlite3.OperationalError:
                    continue  # a table of an extension that is not loaded here
    except sqlite3.Error:
        continue  # no database, or a damaged one: it is copied all the same
    databases[str(path.relative_to(home))] = counts
if len(json.dumps(databases)) > 100_000:
    tables = [count for counts in databases.values() for count in counts.values()]
    databases = {"all %d databases" % len(databases): {"rows of all %d tables" % len(tables): sum(tables)}}
digest, files = hashlib.sha256(), 0
workspace = home / "workspace"
for path in sorted(workspace.rglob("*")):
    if is_file(path):
        files += 1
        content = hashlib.sha256()
        try:
            with path.open("rb") as file:
                for piece in iter(lambda: file.read(1 << 20), b""):
                    content.update(piece)
        except OSError:
            content.update(b"unreadable")
        name = str(path.relative_to(workspace)).encode("utf-8", "surrogateescape")
        digest.update(name + b"\\0" + content.digest())
print(json.dumps({"databases": databases, "workspace": {"files": files, "digest": digest.hexdigest()}}))
"""
