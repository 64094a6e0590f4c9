"""Times as text: nanoseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta

from retention.policy import NS_PER_S

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_text(ns: int) -> str:
    """Write a time as `2026-11-21T15:00:00Z`, with microseconds where it has any."""
    return f"{_moment(ns).replace(tzinfo=None).isoformat()}Z"


def day_of(ns: int) -> str:
    """Name the UTC date of a time, `2026-11-21`."""
    return _moment(ns).date().isoformat()


def parse_utc(text: str) -> int:
    """Read an ISO time; without an offset it is UTC.

    Raises:
        ValueError: it is none, or not between 1970 and 9999.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment.astimezone(UTC) - _EPOCH
    if since < timedelta(0):
        raise ValueError("it lies before 1970")
    return (since // timedelta(microseconds=1)) * 1000


def _moment(ns: int) -> datetime:
    seconds, rest = divmod(ns, NS_PER_S)
    return _EPOCH + timedelta(seconds=seconds, microseconds=rest // 1000)
