"""Reads the measured success of services from a Prometheus server that scrapes them.

A clone has no database, so what production reaches is known only to the services themselves. They export it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from math import isfinite
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

TIMEOUT_SECONDS = 10
VALUE, OBSERVATIONS = "chassis_success_value", "chassis_success_observations"
QUERY = f'max by (__name__, job, chassis_success_metric) ({{__name__=~"{VALUE}|{OBSERVATIONS}"}})'
"""The replicas of a service read the same database."""


class PrometheusError(Exception):
    """The server cannot be reached, or is not Prometheus. The message says which and why."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The value of a metric over the last 28 days, and the number of calls, ratings or verdicts that it is of."""

    value: float
    observations: int


type Measurements = Mapping[tuple[str, str], Measurement]
"""By the name of a service, which is its job in Prometheus, and its metric in `[success]`."""


def read_measurements(url: str) -> Measurements:
    """Return what all services have measured.

    Args:
        url: The address of a Prometheus server, such as `https://prometheus.example.com`.

    Raises:
        PrometheusError: It does not answer as Prometheus does.
    """
    samples = {(name, *key): value for name, key, value in _samples(url)}
    return {
        (job, metric): Measurement(value, round(samples.get((OBSERVATIONS, job, metric), 0)))
        for (name, job, metric), value in samples.items()
        if name == VALUE
    }


def _samples(url: str) -> Iterator[tuple[str, tuple[str, str], float]]:
    if not url.startswith(("http://", "https://")):  # `urlopen` reads local files too
        raise PrometheusError(f"{url} is not an address of a server; write https://prometheus.example.com")
    address = f"{url.rstrip('/')}/api/v1/query?{urlencode({'query': QUERY})}"
    try:
        with urlopen(address, timeout=TIMEOUT_SECONDS) as reply:  # noqa: S310 - the user gave the address
            results: list[dict[str, Any]] = json.load(reply)["data"]["result"]
        for each in results:
            labels = each["metric"]
            key = labels.get("job", ""), labels.get("chassis_success_metric", "")
            value = float(each["value"][1])
            if isfinite(value):
                yield labels["__name__"], key, value
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise PrometheusError(f"Prometheus at {url} cannot be read: {error}") from error
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise PrometheusError(f"{url} does not answer as Prometheus does; give the address of a server") from error
