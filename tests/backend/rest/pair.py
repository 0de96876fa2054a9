"""Two APIs that get the same requests: their answers have to be equal, apart from ids, times and generated names."""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection
from urllib.parse import urlsplit

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
# Fields whose values differ from moment to moment.
_MOMENTARY = {
    "avg_slot_occupancy_seconds",
    "estimated_run_time",
    "estimated_start_time_delta",
    "expiration",
    "request_body",
    "slot_decay_per_second",
    "total_run_time",
}


class Row:
    """A row that both APIs have, each under its own id.

    Args:
        ids: at the fake and at the real server.
        label: that replaces the ids in answers.
    """

    def __init__(self, ids, label):
        self.ids, self.label = ids, label

    def __repr__(self):
        return f"<{self.label}>"


class DifferenceError(AssertionError):
    """The two APIs answered differently."""


class Pair:
    """The fake and the real server.

    Args:
        urls: of both APIs, the fake's first.
    """

    def __init__(self, urls):
        self._paths = [urlsplit(url).path for url in urls]
        self._connections = [HTTPConnection(urlsplit(url).netloc, timeout=120) for url in urls]
        self._labels = [{}, {}]
        self.requests = 0

    def close(self):
        for connection in self._connections:
            connection.close()

    def ask(self, method, path, body=None, *, kind=None, unordered=False):
        """Send a request to both, compare the answers, and return status and body of the fake's.

        Args:
            method: of HTTP.
            path: with the rows whose ids belong there, such as ``("/flows/", flow)``.
            body: JSON data that may contain rows in place of ids.
            unordered: whether the rows of the answer have no order.
            kind: the name of what the answer creates; then the new ``Row`` is returned, or None after an error.
        """
        self.requests += 1
        parts = path if isinstance(path, tuple) else (path,)
        answers = [self._send(side, method, parts, body) for side in (0, 1)]
        (status, fake), (real_status, real) = answers
        if unordered and isinstance(fake, list) and isinstance(real, list):
            fake, real = (sorted(rows, key=lambda row: row["name"]) for rows in (fake, real))
        row = None
        if kind and status == real_status and status < 300:
            row = self._row(kind, [answer["id"] for _, answer in answers])
        shown = f"{method} {''.join(map(repr, parts))} {body!r}"
        if real_status == 500 and 400 <= status < 500:  # a defect of the real server, where the fake refuses
            return row if kind else (status, fake)
        if status != real_status:
            raise DifferenceError(f"{shown}\n  fake: {status} {fake!r}\n  real: {real_status} {real!r}")
        if status != 422:  # the messages of pydantic differ from version to version
            difference = self._compare(fake, real, "")
            if difference:
                raise DifferenceError(f"{shown} {status}\n  {difference}")
        return row if kind else (status, fake)

    def statuses(self, method, path, body):
        """Return the status of the fake's answer and of the real server's."""
        return [self._send(side, method, (path,), body)[0] for side in (0, 1)]

    def _row(self, kind, ids):
        known = self._labels[0].get(ids[0])
        label = known or f"{kind} {len(self._labels[0])}"
        for side in (0, 1):
            self._labels[side][ids[side]] = label
        return Row(ids, label)

    def _send(self, side, method, parts, body):
        path = "".join(part.ids[side] if isinstance(part, Row) else part for part in parts)
        data = None if body is None else json.dumps(_resolve(body, side))
        request = (method, self._paths[side] + path, data, {"Content-Type": "application/json"})
        status, text = self._exchange(side, request)
        while status == 503:  # the real server's database is locked: clients ask again, too
            status, text = self._exchange(side, request)
        return status, json.loads(text) if text else None

    def _exchange(self, side, request):
        connection = self._connections[side]
        try:
            connection.request(*request)
            response = connection.getresponse()
        except ConnectionError:  # a server closes connections that were idle for seconds
            connection.close()
            connection.request(*request)
            response = connection.getresponse()
        return response.status, response.read()

    def _compare(self, fake, real, where):
        """Return how two values differ."""
        if isinstance(fake, dict) and isinstance(real, dict):
            missing = sorted(set(real) - set(fake))
            if missing:
                return f"{where}.{missing[0]} is missing at the fake"
            for key in fake:
                if key in _MOMENTARY:
                    continue
                if key not in real:
                    return f"{where}.{key} is missing at the real server"
                difference = self._compare(fake[key], real[key], f"{where}.{key}")
                if difference:
                    return difference
            return None
        if isinstance(fake, list) and isinstance(real, list) and len(fake) == len(real):
            return next(filter(None, (self._compare(*each, f"{where}[]") for each in zip(fake, real))), None)
        ours, theirs = self._text(0, fake), self._text(1, real)
        return None if ours == theirs else f"{where}\n  fake: {ours}\n  real: {theirs}"

    def _text(self, side, value):
        text = json.dumps(value, sort_keys=True)
        text = _UUID.sub(lambda match: f"<{self._labels[side].get(match.group(), 'id')}>", text)
        return _TIME.sub("<time>", text)


def _resolve(value, side):
    if isinstance(value, Row):
        return value.ids[side]
    if isinstance(value, dict):
        return {key: _resolve(item, side) for key, item in value.items()}
    return [_resolve(item, side) for item in value] if isinstance(value, list) else value
