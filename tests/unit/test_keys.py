"""The derivations are a promise to every host already set up: the values below never change."""

from __future__ import annotations

import base64
import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import keys
from reconciler.errors import SecretError
from reconciler.model import Secret, SecretRef

KEY = keys.make_key(bytes(range(32)))
BOT = SecretRef("env", "ALICE_BOT_TOKEN")
UID = "0123456789abcdef"

PINNED = {
    "text": (KEY.reveal(), "fleet-key-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
    "fingerprint": (keys.fingerprint(KEY), "SHA256:kkxRAZOCT25H4aDfKBEZ8w"),
    "fleet id": (keys.fleet_id(KEY), "73e7f30a11528469"),
    "login key": (
        keys.public_key(keys.login_key(KEY, UID, 1)),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJf1VEYfb8gVpUbMOZi4yWT40ImRd3yn5SYRQX6nJ2YP",
    ),
    "next login key": (
        keys.public_key(keys.login_key(KEY, UID, 2)),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEsm+cXsyAaHkQ6iXhCahIkAJTTlITV9c4ZAz90Efp7E",
    ),
    "first host key": (
        keys.public_key(keys.host_key(KEY, UID, 0)),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDVYQi8lWldO8ilRj0VH+JBcU2w4rtqpujKuZAE+Bz2Z",
    ),
    "host key": (
        keys.public_key(keys.host_key(KEY, UID, 1)),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrsi6RH7WXdy4xQqX98UvR/ZznmKGQislEMBr20QStc",
    ),
    "gateway token": (
        keys.gateway_token(KEY, UID, 1).reveal(),
        "b178fd14bd4e2a1447861277d7ea7b660a31affa9bf6e1ea2584e1ab33c3c9e6",
    ),
    "digest key": (
        keys.digest_key(KEY, UID).reveal(),
        "87bc5d035d4e5fd907e3c634e9552eef72e1cf864a70186e48c536fc73df53d8",
    ),
    "plan key": (
        keys.plan_key(KEY).reveal(),
        "0cbb3b45bb15e19fd8d366a857acb6224242b4fb24c97a02e9499dd6415b43ba",
    ),
    "probe key": (
        keys.probe_key(KEY, 1).reveal(),
        "fleet-probe-1-73e7f30a11528469-8NZNXw9KPHATCiDWuRsFjeBzICju0SZD34aLoRwJDvs",
    ),
    "next probe key": (
        keys.probe_key(KEY, 2).reveal(),
        "fleet-probe-1-73e7f30a11528469-BuNbQ5PW2ZiyRPSUragEGjFf6GHTKHlZNxq3BqlV87k",
    ),
    "probe login key": (
        keys.public_key(keys.probe_login_key(keys.probe_key(KEY, 1), UID)),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKR7PvbkYyOHl2uaeF9Im/jL+D9R2tiYCFCzB6k8hkKP",
    ),
    "imported uid": (keys.imported_uid(KEY, 4711), "7fcc92c423876c66"),
    "cloud key": (
        keys.cloud_key(KEY),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIII9MeRkWl9viS9gvwzkieLssDPUcQUEFJ8fmxplIQFC",
    ),
    "sandbox bot token": (keys.sandbox_bot_token(KEY, BOT).reveal(), "2789683956:epXNPl0jN452ySKo2g2aLrvI-s5iceN6QPl"),
    "sandbox model key": (
        keys.sandbox_model_key(KEY, BOT).reveal(),
        "sk-ant-sandbox-bE_wTdmzG-rQ2yeSIMrWlwvVTGtJ_7Hi2XB83RJLgYc",
    ),
}

uids = st.text(max_size=20)
generations = st.integers(min_value=0, max_value=10**6)
subjects = st.tuples(uids, generations)


@pytest.mark.parametrize("name", PINNED)
def test_a_derivation_never_changes(name: str) -> None:
    derived, pinned = PINNED[name]
    assert derived == pinned


def test_nothing_derived_for_one_purpose_is_what_another_purpose_gets() -> None:
    derived = [value for value, _ in PINNED.values()]
    assert len(set(derived)) == len(derived)


@settings(deadline=None, max_examples=50)
@given(subjects, subjects)
def test_uids_and_generations_give_the_same_key_only_when_both_are_the_same(
    one: tuple[str, int], other: tuple[str, int]
) -> None:
    for derive in (keys.gateway_token, keys.login_key, keys.host_key):
        same = _comparable(derive(KEY, *one)) == _comparable(derive(KEY, *other))
        assert same == (one == other)


@settings(deadline=None, max_examples=20)
@given(subjects)
def test_a_public_half_belongs_to_its_private_key(subject: tuple[str, int]) -> None:
    assert keys.login_public_key(KEY, *subject) == keys.public_key(keys.login_key(KEY, *subject))
    assert keys.host_public_key(KEY, *subject) == keys.public_key(keys.host_key(KEY, *subject))


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=32, max_size=32))
def test_another_fleet_key_gives_other_keys_and_its_text_gives_it_back(raw: bytes) -> None:
    other = keys.make_key(raw)
    assert keys.parse_key(Secret(f" {other.reveal()}\n")) == other
    assert (keys.fleet_id(other) == keys.fleet_id(KEY)) == (other == KEY)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "fleet-key-1-",
        KEY.reveal()[:-1],
        KEY.reveal() + "A",
        KEY.reveal()[:-1] + "9",  # the same bytes, with a bit set that nobody would miss
        KEY.reveal().replace("fleet-key-1", "fleet-key-2"),
        KEY.reveal().replace("A", "+"),
        "hunter2",
    ],
)
def test_what_is_no_fleet_key_is_refused_without_being_repeated(wrong: str) -> None:
    with pytest.raises(SecretError) as caught:
        keys.parse_key(Secret(wrong))
    said = caught.value.summary + caught.value.advice
    assert not wrong or wrong == "fleet-key-1-" or wrong not in said


def test_the_cloud_key_has_the_form_of_an_ssh_key_and_is_no_login_key() -> None:
    kind, blob = keys.cloud_key(KEY).split()
    raw = base64.b64decode(blob)
    assert kind == "ssh-ed25519"
    assert len(raw) == 4 + 11 + 4 + 32
    assert raw[4:15] == b"ssh-ed25519"


def test_made_up_secrets_look_like_real_ones() -> None:
    assert re.fullmatch(r"[0-9]{10}:[A-Za-z0-9_-]{35}", keys.sandbox_bot_token(KEY, BOT).reveal())
    assert re.fullmatch(r"sk-ant-sandbox-[A-Za-z0-9_-]{43}", keys.sandbox_model_key(KEY, BOT).reveal())


def test_a_secret_never_shows_itself() -> None:
    for shown in (repr(KEY), str(KEY), f"{KEY}", f"{KEY:>60}", repr([KEY])):
        assert KEY.reveal() not in shown
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(KEY)


def _comparable(secret: Secret) -> str:
    """An OpenSSH private key carries random check bytes: its public half says whether it is the same key."""
    return keys.public_key(secret) if secret.reveal().startswith("-----BEGIN") else secret.reveal()
