"""The Compose file and the Kubernetes manifests are valid and match the service."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from answer_sets import ROOT
from generated_project import Generate

TEMPLATE = ROOT / "template"
BASE = TEMPLATE / "ops/kubernetes/base"
KINDS = {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"}


def objects(folder: Path = BASE) -> list[dict[str, Any]]:
    """Return every Kubernetes object in the manifests of a folder."""
    files = sorted(folder.glob("*.yaml"))
    documents = [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    return [each for each in documents if each["kind"] != "Kustomization"]


def one(kind: str, name: str = "service") -> dict[str, Any]:
    """Return the object of a kind and name; there must be exactly one."""
    [match] = [each for each in objects() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return match


def validate(*files: Path) -> subprocess.CompletedProcess[str]:
    """Validate manifests against the schemas of Kubernetes."""
    command = ["kubernetes-validate", "--strict", *map(str, files)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_manifests_match_the_schemas() -> None:
    """The schemas are strict: an unknown key is an error."""
    files = [file for file in BASE.glob("*.yaml") if file.name != "kustomization.yaml"]
    done = validate(*files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(str(file) in done.stdout + done.stderr for file in files)


def test_a_misspelt_key_is_detected(tmp_path: Path) -> None:
    """Otherwise a misspelt security setting would silently have no effect."""
    text = (BASE / "service.yaml").read_text(encoding="utf-8")
    (tmp_path / "service.yaml").write_text(text.replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    assert validate(tmp_path / "service.yaml").returncode != 0


def test_the_base_lists_every_manifest() -> None:
    """No file is left out, and there are no other kinds than expected."""
    named = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert sorted(named) == sorted({file.name for file in BASE.glob("*.yaml")} - {"kustomization.yaml"})
    assert {thing["kind"] for thing in objects()} == KINDS


def test_the_pods_have_no_privileges() -> None:
    """They run as the user of the Dockerfile, write to volumes only, and get no token of the Kubernetes API."""
    pod = one("Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    dockerfile = (TEMPLATE / "Dockerfile").read_text(encoding="utf-8")
    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}\n" in dockerfile
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    volumes = re.findall(r"^VOLUME (\S+)$", dockerfile, re.MULTILINE)
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {*volumes, "/tmp"}  # noqa: S108


def test_the_probes_use_existing_routes() -> None:
    """Path and port exist; liveness does not depend on vendors, so their outages restart no pod."""
    [container] = one("Deployment")["spec"]["template"]["spec"]["containers"]
    probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    routes = (TEMPLATE / "chassis/src/chassis/web/health.py").read_text(encoding="utf-8")
    assert all(f'"{path}"' in routes for path in probes.values())
    [port] = container["ports"]
    assert f"EXPOSE {port['containerPort']}\n" in (TEMPLATE / "Dockerfile").read_text(encoding="utf-8")


def test_traffic_is_denied_by_default() -> None:
    """One policy denies all traffic of the namespace; the other allows no egress to private addresses."""
    closed = one("NetworkPolicy", "service-default-deny")["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    blocks = [to["ipBlock"] for rule in one("NetworkPolicy")["spec"]["egress"] for to in rule["to"] if "ipBlock" in to]
    assert len(blocks) == 1
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(blocks[0]["except"])


@pytest.mark.slow
def test_the_grace_period_exceeds_the_deadline(generate: Generate) -> None:
    """A pod is killed only after its last request has reached the deadline, and the patched path exists."""
    project = generate(deadline_seconds=300)
    overlay = yaml.safe_load((project / "ops/kubernetes/production/kustomization.yaml").read_text(encoding="utf-8"))
    [patch] = yaml.safe_load(overlay["patches"][0]["patch"])
    at: Any = one("Deployment")
    for key in patch["path"].strip("/").split("/"):
        at = at[key]
    assert (patch["op"], patch["value"]) == ("replace", 330)
    assert (project / "ops/kubernetes/production" / overlay["resources"][0]).is_dir()


def compose_file() -> dict[str, Any]:
    """Return the content of the Compose file."""
    return yaml.safe_load((TEMPLATE / "compose.yaml").read_text(encoding="utf-8"))


def inline_settings() -> dict[str, Any]:
    """Return the settings that Compose passes to its servers, by name."""
    return {name: yaml.safe_load(config["content"]) for name, config in compose_file()["configs"].items()}


def compose_errors(file: Path) -> str:
    """Return the errors that Compose prints about a file; the wheel that contains it does not pass on the exit code."""
    command = ["docker-compose", "--file", str(file), "config", "--quiet"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stderr


def test_the_compose_file_is_valid(tmp_path: Path) -> None:
    """Compose parses it, resolves every network and volume, and would report an unknown key."""
    assert compose_errors(TEMPLATE / "compose.yaml") == ""
    broken = (TEMPLATE / "compose.yaml").read_text(encoding="utf-8").replace("read_only:", "readonly:")
    (tmp_path / "compose.yaml").write_text(broken, encoding="utf-8")
    assert "'readonly' not allowed" in compose_errors(tmp_path / "compose.yaml")


@pytest.mark.slow
def test_mounted_files_exist(generate: Generate) -> None:
    """Every file that Compose mounts is a file of the project, rendered or derived."""
    derived = {"ops/objectives.yaml", "ops/targets.yaml", "ops/alertmanager.yaml"}
    mounts = [mount for service in compose_file()["services"].values() for mount in service.get("volumes", [])]
    paths = {mount.split(":")[0].removeprefix("./") for mount in mounts if mount.startswith("./")}
    project = generate()
    assert {path for path in paths if not (project / path).exists()} == derived


def test_inline_settings_name_servers_of_compose() -> None:
    """Every address in the settings of the collector, of Prometheus and of Grafana is a service of the Compose file."""
    hosts = set(re.findall(r"([a-z]+):\d+", json.dumps(inline_settings())))
    assert hosts == {"alertmanager", "jaeger", "prometheus"}
    assert hosts <= set(compose_file()["services"])


def test_prometheus_reads_mounted_files() -> None:
    """Every file in the settings of Prometheus is mounted in its folder."""
    mounted = {mount.split(":")[1] for mount in compose_file()["services"]["prometheus"]["volumes"]}
    prometheus = inline_settings()["prometheus"]
    [scrape] = prometheus["scrape_configs"]
    named = [*prometheus["rule_files"], *scrape["file_sd_configs"][0]["files"]]
    assert {f"/etc/prometheus/{file}" for file in named} <= mounted


def test_grafana_has_its_data_sources() -> None:
    """The dashboard uses configured data sources only, and is mounted in the folder that Grafana reads."""
    settings = inline_settings()
    sources = {source["uid"] for source in settings["datasources"]["datasources"]}
    dashboard = (TEMPLATE / "ops/dashboard.json").read_text(encoding="utf-8")
    assert set(re.findall(r'"uid": "(\w+)"', dashboard)) - {json.loads(dashboard)["uid"]} <= sources
    [provider] = settings["dashboards"]["providers"]
    assert f":{provider['options']['path']}/" in compose_file()["services"]["grafana"]["volumes"][0]


def test_the_collector_pipeline_is_complete() -> None:
    """Every part of a pipeline is configured, and every configured part is in a pipeline."""
    collector = inline_settings()["collector"]
    pipelines = collector["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines for name in pipeline[kind]} == set(collector[kind])
