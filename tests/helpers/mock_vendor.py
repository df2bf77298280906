"""llmock, a vendor with a script: it speaks OpenAI's protocol, fails on command, and judges its clients."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from generated_project import generate_into
from shell import Shell, isolated_command

LLMOCK = "llmock==0.2.2"
USD_PER_MILLION = 2


@dataclass(frozen=True, slots=True)
class Vendor:
    """An endpoint to which a chain of models may lead."""

    address: str

    def will(self, **behaviour: Any) -> None:
        """Say what it does at the next request, which has not been said for an earlier one."""
        httpx2.delete(f"{self.address}/_llmock/scenario")
        httpx2.post(f"{self.address}/_llmock/scenario", json={"behaviors": [behaviour]}).raise_for_status()

    def complaints(self) -> list[dict[str, Any]]:
        """Return what its clients did wrong, by its own judgement; mere warnings are left out."""
        findings = httpx2.get(f"{self.address}/_llmock/verdict").json()["findings"]
        return [finding for finding in findings if finding["severity"] == "error"]


@contextmanager
def vendor(shell: Shell) -> Generator[Vendor]:
    """Run the vendor as long as the context lasts."""
    with shell.start(*isolated_command(LLMOCK, "llmock", "serve", "--port", "0")) as program:
        yield Vendor(program.wait_for(r"Uvicorn running on (http://[\d.:]+)"))


def write_constraints(project: Path, template: Path, scratch: Path, address: str, deadline_seconds: int) -> None:
    """Give a project the `constraints.toml` of one whose first model is the vendor's, priced and asked but once."""
    answers = {"provider": "openai-compatible", "base_url": f"{address}/v1", "deadline_seconds": deadline_seconds}
    free = (generate_into(scratch, template, answers) / "constraints.toml").read_text(encoding="utf-8")
    priced = re.sub(r"^(\w+_usd_per_million) = 0", rf"\1 = {USD_PER_MILLION}", free, flags=re.MULTILINE)
    asked_once = re.sub(r"^retries_per_model = \d+", "retries_per_model = 0", priced, flags=re.MULTILINE)
    (project / "constraints.toml").write_text(asked_once, encoding="utf-8")
