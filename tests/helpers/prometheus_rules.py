"""Asks promtool which alerts of a project fire for given metrics."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MINUTES = 80
"""The length of a simulation: longer than the 75 after which the last alert of these incidents fires."""


@dataclass(frozen=True, slots=True)
class Rules:
    """A copy of the rule files of a project."""

    folder: Path

    @classmethod
    def copy_of(cls, project: Path, folder: Path) -> "Rules":
        """Copy the rules of a project into a folder."""
        for name in ("alerts.yaml", "objectives.yaml"):
            shutil.copy(project / "ops" / name, folder)
        return cls(folder)

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Return every alerting rule."""
        groups = yaml.safe_load((self.folder / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
        return [rule for group in groups for rule in group["rules"] if "alert" in rule]

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace every occurrence of a text in one file; there must be one."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8")

    def set_expression(self, alert: str, expression: str) -> None:
        """Give an alert another expression."""
        file = self.folder / "alerts.yaml"
        rules = yaml.safe_load(file.read_text(encoding="utf-8"))
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            if rule.get("alert") == alert:
                rule["expr"] = expression
        file.write_text(yaml.safe_dump(rules), encoding="utf-8")

    def fires_exactly(self, expected: set[str], metrics: dict[str, str]) -> bool:
        """Return whether exactly these alerts fire at the end of a simulation.

        Args:
            expected: The names of the alerts.
            metrics: The values of each series, one per minute, in promtool's notation.
        """
        series = [{"series": name, "values": values} for name, values in metrics.items()]
        firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
        samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)]
        check = {"expr": firing, "eval_time": f"{MINUTES - 1}m", "exp_samples": samples}
        simulation = {
            "rule_files": ["objectives.yaml", "alerts.yaml"],
            "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [check]}],
        }
        (self.folder / "simulation.yaml").write_text(yaml.safe_dump(simulation), encoding="utf-8")
        command = ["promtool", "test", "rules", "simulation.yaml"]
        done = subprocess.run(command, cwd=self.folder, check=False, capture_output=True, text=True)
        assert "FAILED" in done.stdout + done.stderr or done.returncode == 0, done.stdout + done.stderr
        return done.returncode == 0
