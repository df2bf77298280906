"""rotel, an OpenTelemetry collector by other people, and how to read what it prints about all that it receives."""

import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import pytest
from shell import Program, Shell, free_port, isolated_command

ROTEL = "rotel==0.0.1a15"
FIND = "import rotel, sysconfig; print(rotel.__path__[0] + '/rotel-agent', sysconfig.get_config_var('LIBDIR'))"
PYTHONS = (sys.executable, "/usr/bin/python3")
MISSING = "rotel finds no shared library of Python here; on Debian 12: apt-get install libpython3.11"

SECTION = re.compile(r"^(?=(?:ResourceSpans|ScopeSpans|Span|ResourceMetrics|ScopeMetrics|Metric) #\d+$)", re.MULTILINE)
FACT = re.compile(r"^ +(\w[\w ]*?) *: ?(.*)$", re.MULTILINE)
ATTRIBUTE = re.compile(r"^ +-> ([\w.]+): \w+\((.*)\)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Span:
    """A span as the collector prints it.

    Args:
        facts: `Name`, `Kind`, `Trace ID`, `ID` and `Parent ID`.
        attributes: By name, each as text.
    """

    facts: dict[str, str]
    attributes: dict[str, str]

    @classmethod
    def read(cls, section: str) -> Self:
        """Read the section of one span."""
        facts, _, attributes = section.partition("Attributes:")
        return cls(dict(FACT.findall(facts)), dict(ATTRIBUTE.findall(attributes)))


@dataclass(frozen=True, slots=True)
class Collector:
    """A running collector."""

    program: Program
    endpoint: str

    def sections(self, kind: str) -> list[str]:
        """Return what it has printed about everything of one kind, such as `Span`."""
        return [section for section in SECTION.split(self.program.output()) if section.startswith(f"{kind} #")]

    def spans(self) -> dict[str, Span]:
        """Return every span, by name."""
        return {span.facts["Name"]: span for span in map(Span.read, self.sections("Span"))}

    def metrics(self) -> set[str]:
        """Return the name of every metric."""
        return set(re.findall(r"^ +-> Name: (\S+)$", "".join(self.sections("Metric")), re.MULTILINE))

    def services(self) -> list[dict[str, str]]:
        """Return the attributes of each service that has sent spans."""
        return [dict(ATTRIBUTE.findall(section)) for section in self.sections("ResourceSpans")]


@contextmanager
def collector(shell: Shell) -> Generator[Collector]:
    """Run the collector as long as the context lasts."""
    agent, libraries = _rotel(shell)
    port = free_port()
    endpoints = ("--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", "127.0.0.1:0")
    show = ("--debug-log", "traces", "--debug-log", "metrics", "--debug-log-verbosity", "detailed")
    files = ("--pid-file", "rotel.pid", "--log-file", "rotel.log")
    with shell.with_variables(LD_LIBRARY_PATH=libraries).start(
        *(agent, "start", "--exporter", "blackhole"), *endpoints, *show, *files
    ) as program:
        program.wait_for("Starting Rotel")
        yield Collector(program, f"http://127.0.0.1:{port}")


def _rotel(shell: Shell) -> tuple[str, str]:
    """Return the collector's program and the folder of the library that it needs, or skip the test."""
    for python in PYTHONS:
        found = shell.try_run(*isolated_command(ROTEL, "python", "-c", FIND, python=python))
        if found.returncode == 0:
            agent, libraries = found.stdout.split()
            if shell.with_variables(LD_LIBRARY_PATH=libraries).try_run(agent, "--help").returncode == 0:
                return agent, libraries
    pytest.skip(MISSING)
