"""Asks promtool which alerts of a project fire, given what is scraped."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MINUTES = 130
"""How long a story goes on: longer than the hour that the slow pace waits."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rule files of one project, in a folder of their own."""

    folder: Path

    @classmethod
    def of(cls, project: Path, folder: Path) -> "Rules":
        """Copy the rules of a project, for a test to break."""
        for name in ("alerts.yaml", "objectives.yaml"):
            shutil.copy(project / "ops" / name, folder)
        return cls(folder)

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Return every alert."""
        groups = yaml.safe_load((self.folder / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
        return [rule for group in groups for rule in group["rules"] if "alert" in rule]

    def rewrite(self, name: str, old: str, new: str) -> None:
        """Change all that reads like this in one file; there must be some."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8")

    def redefine(self, alert: str, expression: str) -> None:
        """Give one alert another expression."""
        file = self.folder / "alerts.yaml"
        rules = yaml.safe_load(file.read_text(encoding="utf-8"))
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            if rule.get("alert") == alert:
                rule["expr"] = expression
        file.write_text(yaml.safe_dump(rules), encoding="utf-8")

    def fire(self, scraped: dict[str, str], expected: set[str]) -> bool:
        """Say whether exactly these alerts fire at the end of a story.

        Args:
            scraped: What each series says minute by minute, in promtool's notation.
            expected: The names of the alerts.
        """
        series = [{"series": name, "values": values} for name, values in scraped.items()]
        firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
        samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)]
        asked = {"expr": firing, "eval_time": f"{MINUTES - 1}m", "exp_samples": samples}
        story = {
            "rule_files": ["objectives.yaml", "alerts.yaml"],
            "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [asked]}],
        }
        (self.folder / "story.yaml").write_text(yaml.safe_dump(story), encoding="utf-8")
        command = ["promtool", "test", "rules", "story.yaml"]
        done = subprocess.run(command, cwd=self.folder, check=False, capture_output=True, text=True)
        assert "FAILED" in done.stdout + done.stderr or done.returncode == 0, done.stdout + done.stderr
        return done.returncode == 0
