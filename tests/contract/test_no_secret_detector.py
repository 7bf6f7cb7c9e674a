"""The detector of secrets finds each of them in every form. Without that, finding none would mean nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from reconciler import keys
from tests.contract.secrets.scene import FLEET_KEY, MODEL_KEY
from tests.planted import Planted, finds, planted_key, planted_text

TEXT = planted_text("a text", MODEL_KEY)
KEY = keys.login_key(FLEET_KEY, "uid", 1)
SECRETS = (TEXT, planted_key("a key", KEY), Planted("raw", bytes(range(200, 232))))

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda value: value,
    "base64": base64.b64encode,
    "base64 behind one byte": lambda value: base64.b64encode(b":" + value + b":"),
    "base64 behind two bytes": lambda value: base64.b64encode(b"a:" + value + b":b"),
    "base64 of a header": lambda value: base64.b64encode(b"Bearer " + value),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value).rstrip(b"="),
    "folded base64": lambda value: base64.encodebytes(b"x" * 40 + value),
    "folded base64 in JSON": lambda value: json.dumps(base64.encodebytes(b"x" * 40 + value).decode()).encode(),
    "indented base64": lambda value: base64.encodebytes(b"x" * 40 + value).replace(b"\n", b"\n    "),
    "a part of a URL": lambda value: quote(value, safe="").encode(),
    "a path of a URL": lambda value: quote(value).encode(),
    "hex": binascii.hexlify,
    "HEX": lambda value: binascii.hexlify(value).upper(),
    "split over lines": lambda value: value[:9] + b"\n" + value[9:],
}
TEXT_FORMS: dict[str, Callable[[str], str]] = {
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps({"raw": json.dumps({"key": text})}),
    "a form": lambda text: f"key={quote_plus(text)}".replace("+", "%20"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.kind)
def test_every_secret_is_found_in_every_form(secret: Planted, form: str) -> None:
    haystack = b"before " + FORMS[form](secret.value) + b" after"
    assert [find.kind for find in finds(haystack, SECRETS)] == [secret.kind]


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_a_text_is_found_as_programs_write_it(form: str) -> None:
    assert [find.kind for find in finds(TEXT_FORMS[form](MODEL_KEY).encode(), SECRETS)] == [TEXT.kind]


def test_a_private_key_is_found_in_its_own_file() -> None:
    assert [find.kind for find in finds(KEY.reveal().encode(), SECRETS)] == ["a key"]


def test_nothing_is_found_where_nothing_is() -> None:
    public = keys.public_key(KEY).encode()
    assert finds(public + b"env:ANTHROPIC_API_KEY sk-ant-" + bytes(range(256)), SECRETS[:2]) == []
