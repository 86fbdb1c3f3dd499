# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The archive of one commit from GitHub, over https."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from porter.cache import cache_dir
from porter.errors import ArchiveError, NetworkError, UnknownRevision
from porter.model import Coverage
from porter.upstream.archive import LIMITS, NEXT, Limits, read_tar_gz
from porter.upstream.providers import Progress, put
from porter.upstream.resolve import Revision
from porter.upstream.selection import wanted

if TYPE_CHECKING:
    import requests

ARCHIVES = "https://github.com/ml-explore/mlx/archive"
ARCHIVES_VARIABLE = "STEEL_PORT_MLX_ARCHIVES"
"""Environment variable that names a mirror of `ARCHIVES`: `<it>/<full sha>.tar.gz` is fetched."""

_ELSEWHERE = "check the network or the proxy settings, or use --provider wheel or --mlx-source PATH-OR-URL"
_BUSY = (429, 500, 502, 503, 504)


class Github:
    """Full coverage.

    `connect` and `read` are seconds without an answer before giving up, `deadline` seconds for the whole download;
    `retries` counts further tries after a refused connection or a busy server.
    """

    name = "github"
    coverage = Coverage.FULL

    def __init__(
        self,
        base_url: str | None = None,
        *,
        connect: float = 5.0,
        read: float = 20.0,
        deadline: float = 900.0,
        retries: int = 2,
        limits: Limits = LIMITS,
    ) -> None:
        self._base = (base_url or os.environ.get(ARCHIVES_VARIABLE) or ARCHIVES).rstrip("/")
        self._timeout, self._deadline, self._retries, self._limits = (connect, read), deadline, retries, limits

    def fetch(self, revision: Revision, into: Path, progress: Progress) -> None:
        url = f"{self._base}/{revision.sha}.tar.gz"
        with tempfile.TemporaryFile(dir=cache_dir("downloads")) as file:
            self._download(url, revision, file, progress)
            file.seek(0)
            files = read_tar_gz(file, url, wanted, commit=revision.sha, limits=self._limits)
        put(into, files)

    def _download(self, url: str, revision: Revision, file: IO[bytes], progress: Progress) -> None:
        import requests
        import urllib3

        try:
            with self._session() as session, session.get(url, stream=True, timeout=self._timeout) as response:
                self._check(response, url, revision)
                self._copy(response, url, file, progress)
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise NetworkError(f"cannot be reached: {_reason(error)}", where=url, next_step=_ELSEWHERE) from error
        except urllib3.exceptions.ProtocolError as error:
            raise ArchiveError("the archive ends early: the connection was lost", where=url, next_step=NEXT) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise NetworkError(f"the request failed: {_reason(error)}", where=url, next_step=_ELSEWHERE) from error

    def _session(self) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        retry = Retry(
            total=self._retries,
            connect=min(1, self._retries),  # an unreachable host stays one; `auto` has other providers to try
            read=0,
            backoff_factor=0.2,
            status_forcelist=_BUSY,
            allowed_methods=("GET",),
            raise_on_status=False,
            respect_retry_after_header=False,  # a server may ask for hours
        )
        session = requests.Session()
        session.max_redirects = 5
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        return session

    def _check(self, response: requests.Response, url: str, revision: Revision) -> None:
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise NetworkError("the server leads away from https", where=url, next_step=_ELSEWHERE)
        if response.status_code == 404:
            raise UnknownRevision(
                f"GitHub has no commit {revision.sha}", where=url, next_step="check the sha, or take a tag"
            )
        if response.status_code != 200:
            raise NetworkError(
                f"the server answered {response.status_code} {response.reason}", where=url, next_step=_ELSEWHERE
            )

    def _copy(self, response: requests.Response, url: str, file: IO[bytes], progress: Progress) -> None:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        end = time.monotonic() + self._deadline
        done = 0
        # The raw stream: `iter_content` would undo a Content-Encoding, and an archive is gzip already.
        for block in response.raw.stream(1 << 16, decode_content=False):
            done += len(block)
            if max(done, total or 0) > self._limits.compressed:
                raise ArchiveError(f"more than {self._limits.compressed} bytes", where=url, next_step=NEXT)
            if time.monotonic() > end:
                raise NetworkError(f"not done after {self._deadline:.0f} s", where=url, next_step=_ELSEWHERE)
            file.write(block)
            progress(url, done, total)


def _reason(error: BaseException) -> str:
    """The innermost cause of a requests error, without the object addresses that urllib3 prints."""
    while isinstance(inner := getattr(error, "reason", None) or (error.args[0] if error.args else None), BaseException):
        error = inner
    return re.sub(r"^<?[\w.]*Connection(Pool)?\b.*?\)?>?: ", "", str(error))
