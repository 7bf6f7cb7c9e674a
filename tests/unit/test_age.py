"""Backups are sealed in age's own format: for one recipient, and one flipped bit is found."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from reconciler import age, keys
from reconciler.errors import BackupDamaged, HostTimedOut, SecretError, UsageProblem
from reconciler.model import Secret
from tests.fakes.worlds import FLEET_KEY

OTHER = keys.make_key(bytes(32))
CONTENT = bytes(range(256)) * 1000  # four of age's pieces of 64 KiB


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    age.seal(BytesIO(CONTENT), tmp_path / "sealed", keys.backup_recipient(FLEET_KEY))
    return tmp_path / "sealed"


def test_who_has_the_fleet_key_opens_what_was_sealed_for_it(sealed: Path) -> None:
    assert CONTENT[:1000] not in sealed.read_bytes()
    assert sealed.read_bytes().startswith(b"age-encryption.org/v1\n")
    opened = BytesIO()
    age.open_sealed(sealed, opened, keys.backup_identity(FLEET_KEY))
    assert opened.getvalue() == CONTENT


@pytest.mark.parametrize("place", [30, 150, 5000, 140_000, -1])
def test_one_flipped_bit_is_found_wherever_it_is(sealed: Path, place: int) -> None:
    data = bytearray(sealed.read_bytes())
    data[place] ^= 1
    sealed.write_bytes(data)
    with pytest.raises(BackupDamaged):
        age.open_sealed(sealed, BytesIO(), keys.backup_identity(FLEET_KEY))


def test_what_was_cut_off_is_found(sealed: Path) -> None:
    sealed.write_bytes(sealed.read_bytes()[:-70_000])
    with pytest.raises(BackupDamaged):
        age.open_sealed(sealed, BytesIO(), keys.backup_identity(FLEET_KEY))


def test_another_fleet_key_opens_nothing(sealed: Path) -> None:
    with pytest.raises(BackupDamaged, match="sealed for another one"):
        age.open_sealed(sealed, BytesIO(), keys.backup_identity(OTHER))


def test_what_is_no_identity_is_refused_without_being_repeated(sealed: Path) -> None:
    with pytest.raises(SecretError) as error:
        age.open_sealed(sealed, BytesIO(), Secret("AGE-SECRET-KEY-1PLANTED"))
    assert "PLANTED" not in error.value.summary + error.value.advice


def test_what_is_no_recipient_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="age1nobody"):
        age.seal(BytesIO(), tmp_path / "twice", "age1nobody")


def test_what_cannot_be_read_any_more_is_said_in_its_own_words(tmp_path: Path) -> None:
    class Gone(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise HostTimedOut("the connection broke off", "again")

    with pytest.raises(HostTimedOut) as error:
        age.seal(Gone(), tmp_path / "sealed", keys.backup_recipient(FLEET_KEY))
    assert error.value.advice == "again"
