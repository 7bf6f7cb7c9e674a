"""Backups in a bucket of S3-compatible storage. The only user of minio, which speaks S3 and knows no vendor.

An object is there whole or not at all: that is S3's own promise.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from reconciler.errors import VaultError
from reconciler.model import Bucket, Secret

CONNECT_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 120.0
TRIES: Final = 3


class BucketVault:
    """Implements ports.Vault."""

    def __init__(self, bucket: Bucket, access_key: Secret, secret_key: Secret) -> None:
        self._bucket = bucket
        self._prefix = f"{bucket.prefix.strip('/')}/" if bucket.prefix.strip("/") else ""
        self.where = f"{bucket.endpoint.rstrip('/')}/{bucket.name}/{self._prefix}".rstrip("/")
        try:
            self._client = _client(bucket, access_key, secret_key)
        except ValueError as error:  # in minio's words, which are of the endpoint and the region
            raise VaultError(f"cannot use {self.where}: {error}", _LOOK) from error

    def put(self, name: str, source: Path) -> None:
        with self._translated("write", name):
            self._client.fput_object(self._bucket.name, self._prefix + name, str(source))

    def get(self, name: str, target: Path) -> None:
        with self._translated("read", name):
            self._client.fget_object(self._bucket.name, self._prefix + name, str(target))

    def names(self, prefix: str) -> list[str]:
        with self._translated("list", prefix):
            listed = self._client.list_objects(self._bucket.name, prefix=self._prefix + prefix, recursive=True)
            return sorted(str(found.object_name).removeprefix(self._prefix) for found in listed)

    def remove(self, name: str) -> None:
        with self._translated("remove", name):
            self._client.remove_object(self._bucket.name, self._prefix + name)

    @contextlib.contextmanager
    def _translated(self, doing: str, name: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:  # in the storage's own words, which hold no key
            said = f"{error.code}: {error.message}" if error.code else _NO_STORAGE
            raise VaultError(f"cannot {doing} {self.where}/{name}: {said}", _LOOK) from error
        except (MinioException, HTTPError, OSError, ParseError, ValueError) as error:
            raise VaultError(f"cannot {doing} {self.where}/{name}: {_said(error)}", _LOOK) from error


def _client(bucket: Bucket, access_key: Secret, secret_key: Secret) -> Minio:
    place = urlsplit(bucket.endpoint)
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
    return Minio(
        place.netloc,
        access_key=access_key.reveal().strip(),
        secret_key=secret_key.reveal().strip(),
        secure=place.scheme == "https",
        region=bucket.region,
        http_client=urllib3.PoolManager(timeout=timeout, retries=urllib3.Retry(TRIES, backoff_factor=0.5)),
    )


def _said(error: Exception) -> str:
    """What has gone wrong, without a word of what was sent, which may hold a key, or of what was answered."""
    if isinstance(error, InvalidResponseError | ParseError | ValueError):
        status = re.search(r"Response code: (\d+)", str(error))  # minio keeps it nowhere else
        return f"{_NO_STORAGE}{f': HTTP status {status[1]}' if status else ''}"
    if isinstance(error, ServerError):
        return f"it answers with the HTTP status {error.status_code}"
    cause: BaseException | None = getattr(error, "reason", None) or error  # of urllib3, after its last try
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return (cause.strerror if cause else None) or type(error).__name__


_NO_STORAGE: Final = "what answers there is no S3 storage"
_LOOK: Final = "look at `backup.to` in the fleet file: endpoint, bucket, region, and whose keys are given"
