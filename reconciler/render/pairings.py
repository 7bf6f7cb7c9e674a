"""Who asks to talk to bots, as a table, as JSON, and as lines while it is watched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from reconciler.model import Access, Json, News, NewsKind, PairingRequest
from reconciler.render.table import NO_CELL, Sheet
from reconciler.render.text import harmless


def request_table(looked: Iterable[Access]) -> Sheet:
    """A row for each request, and for each child that cannot be asked."""
    columns = ("CHILD", "CODE", "USER", "NAME", "ASKED", "EXPIRES")
    return Sheet(columns, tuple(row for access in looked for row in _rows(access)))


def stranger_lines(looked: Iterable[Access]) -> Iterator[str]:
    """Whom only the gateway knows."""
    for access in looked:
        for user in access.strangers:
            yield f"{harmless(access.child)} lets {harmless(user)} in, who is not in the fleet file."


def odd_lines(looked: Iterable[Access]) -> Iterator[str]:
    """Where something stands among the requests that no gateway writes."""
    for access in looked:
        if access.odd:
            child, number = harmless(access.child), "one request" if access.odd == 1 else f"{access.odd} requests"
            yield f"{child}: {number} in its database with no Telegram user or no code, left out: fleet ssh {child}"


def access_json(access: Access) -> Json:
    return {
        "requests": [request_json(request) for request in access.requests],
        "not_in_the_file": list(access.strangers),
        "odd": access.odd,
        "problem": access.problem or None,
    }


def request_json(request: PairingRequest) -> dict[str, Json]:
    """`age` and `left` are seconds."""
    return {
        "child": request.child,
        "code": request.code,
        "user": request.user,
        "name": request.name,
        "age": round(request.age),
        "left": round(request.left),
    }


def news_line(news: News) -> str:
    child, request = harmless(news.child), news.request
    if request is None:
        return f"{child} answers again" if news.kind is NewsKind.HEARD else f"{child}: {harmless(news.problem)}"
    if news.kind is NewsKind.GONE:
        return f"{child}: {who(request)} does not ask any more: answered, or expired"
    code = harmless(request.code)
    return f"{child}: {who(request)} asks: fleet pairing approve {child} {code} (expires in {_minutes(request.left)})"


def news_json(news: News) -> Json:
    request = None if news.request is None else request_json(news.request)
    return {"kind": news.kind.value, "child": news.child, "request": request, "problem": news.problem or None}


def who(request: PairingRequest) -> str:
    """`Alice @alice (4242)`, or the id alone."""
    user = harmless(request.user)
    return f"{harmless(request.name)} ({user})" if request.name else user


def _rows(access: Access) -> Iterator[tuple[Text, ...]]:
    child = Text(harmless(access.child))
    if access.problem:
        said = harmless(f"{access.problem} ({access.advice})" if access.advice else access.problem)
        yield (child, *(Text(NO_CELL) for _ in range(4)), Text(said, style="red"))
    for request in access.requests:
        cells = (
            harmless(request.code),
            harmless(request.user),
            harmless(request.name) or NO_CELL,
            f"{_minutes(request.age)} ago",
            f"in {_minutes(request.left)}",
        )
        yield (child, *map(Text, cells))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
