"""The Compose file and the Kubernetes manifests are valid and match the service."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from answer_sets import ROOT
from generated_project import Generate, GenerateOnce
from shell import require_program

TEMPLATE = ROOT / "template"
BASE = TEMPLATE / "ops/kubernetes/base"
OVERLAY = "ops/kubernetes/production"
OPTIONAL = {
    "autoscaling.yaml": {"HorizontalPodAutoscaler"},
    "httproute.yaml": {"HTTPRoute"},
    "ingress.yaml": {"Ingress"},
    "monitoring.yaml": {"ServiceMonitor"},
    "private-addresses.yaml": {"NetworkPolicy"},
}
"""The optional files of the overlay, with their kinds."""
CUSTOM = {"HTTPRoute", "ServiceMonitor"}
"""Kinds that Kubernetes itself has no schema for."""
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
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    secrets = pod["volumes"][0]
    assert secrets == {"name": "secrets", "secret": {"secretName": "service"}}
    assert "envFrom" not in container or "secretRef" not in str(container["envFrom"])
    volumes = re.findall(r"^VOLUME (\S+)$", dockerfile, re.MULTILINE)
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {*volumes, "/tmp", "/run/secrets"}  # noqa: S108


def test_the_probes_use_existing_routes() -> None:
    """Path and port exist; liveness does not depend on vendors, so their outages restart no pod."""
    [container] = one("Deployment")["spec"]["template"]["spec"]["containers"]
    probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    routes = (TEMPLATE / "chassis/src/chassis/web/health.py").read_text(encoding="utf-8")
    assert all(f'"{path}"' in routes for path in probes.values())
    port, metrics = container["ports"]
    assert container["env"] == [{"name": "CHASSIS_METRICS_PORT", "value": str(metrics["containerPort"])}]
    assert f"EXPOSE {port['containerPort']}\n" in (TEMPLATE / "Dockerfile").read_text(encoding="utf-8")


def test_traffic_is_denied_by_default() -> None:
    """The policy selects the pods of the service in both directions, and allows no egress to private addresses."""
    policy = one("NetworkPolicy")["spec"]
    assert policy["podSelector"] == one("Deployment")["spec"]["selector"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule.get("from") or rule.get("to") for rule in (*policy["ingress"], *policy["egress"]))
    blocks = [to["ipBlock"] for rule in policy["egress"] for to in rule["to"] if "ipBlock" in to]
    assert len(blocks) == 1
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(blocks[0]["except"])


def render(project: Path, optional: tuple[str, ...], namespace: str) -> list[dict[str, Any]]:
    """Return what kustomize makes of the overlay of a project with optional files, in a namespace."""
    require_program("kubectl")
    overlay = project / OVERLAY / "kustomization.yaml"
    before = overlay.read_text(encoding="utf-8")
    text = re.sub(r"^namespace: .*", f"namespace: {namespace}", before, flags=re.MULTILINE)
    for name in optional:
        assert f"  # - {name}\n" in text
        text = text.replace(f"  # - {name}\n", f"  - {name}\n")
    overlay.write_text(text, encoding="utf-8")
    done = subprocess.run(["kubectl", "kustomize", overlay.parent], check=True, capture_output=True, text=True)
    overlay.write_text(before, encoding="utf-8")
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.slow
def test_every_optional_part_is_valid(generate: Generate, tmp_path: Path) -> None:
    """Kustomize renders each part alone and all together, and the result matches the schemas."""
    project = generate()
    files = {file.name for file in (project / OVERLAY).iterdir()} - {"kustomization.yaml"}
    assert files == set(OPTIONAL)
    base = {thing["kind"] for thing in render(project, (), "apps")}
    for chosen in ((), *((name,) for name in OPTIONAL), tuple(OPTIONAL)):
        things = render(project, chosen, "apps")
        assert {thing["kind"] for thing in things} == base.union(*(OPTIONAL[name] for name in chosen))
        file = tmp_path / "all.yaml"
        file.write_text(yaml.safe_dump_all(each for each in things if each["kind"] not in CUSTOM), encoding="utf-8")
        done = validate(file)
        assert done.returncode == 0, done.stdout + done.stderr
        names = {(each["kind"], each["metadata"]["name"]) for each in things}
        for backend in re.findall(r"'(?:backendRefs|scaleTargetRef)': .*?'name': '([^']*)'", str(things)):
            assert {("Service", backend), ("Deployment", backend)} & names


@pytest.mark.slow
def test_two_services_share_a_namespace(generated_once: GenerateOnce, tmp_path: Path) -> None:
    """No object has the name of another, and no selector, policy or budget of one selects a pod of the other."""
    services: dict[str, list[dict[str, Any]]] = {}
    for name in ("acme-a", "acme-b"):
        project = shutil.copytree(generated_once({"service_name": name}), tmp_path / name)
        services[name] = render(project, tuple(OPTIONAL), "shared")
    names = [(each["kind"], each["metadata"]["name"]) for things in services.values() for each in things]
    assert len(names) == len(set(names)) >= 2 * len(KINDS | CUSTOM)
    for name, things in services.items():
        other = next(things for key, things in services.items() if key != name)
        [pods] = [each["spec"]["template"]["metadata"]["labels"] for each in other if each["kind"] == "Deployment"]
        [secret] = re.findall(r"'secretName': '(acme-.)'", str(things))
        assert secret == name
        for each in things:
            spec = each.get("spec", {})
            selector: dict[str, Any] = spec.get("selector") or spec.get("podSelector") or {}
            labels = selector.get("matchLabels", selector)
            if labels:
                assert not labels.items() <= pods.items(), (each["kind"], labels)


@pytest.mark.slow
@pytest.mark.parametrize(("forge", "registry"), [("github", "ghcr.io"), ("gitlab", "registry.gitlab.com")])
def test_the_image_is_that_of_the_release(generate: Generate, forge: str, registry: str) -> None:
    """The overlay names the repository that the release pushes to, with a tag in the form of the release's tags."""
    project = generate(forge=forge, owner_team="@Acme/ai", deputy_team="@Acme/platform")
    overlay = yaml.safe_load((project / OVERLAY / "kustomization.yaml").read_text(encoding="utf-8"))
    [entry] = overlay["images"]
    assert (entry["newName"], entry["newTag"]) == (f"{registry}/acme/acme-help", "v0.1.0")


@pytest.mark.parametrize("name", ["alerts", "objectives"])
def test_the_handbook_shows_how_to_apply_the_rules(tmp_path: Path, name: str) -> None:
    """The command of the handbook makes a PrometheusRule with the same groups."""
    handbook = (TEMPLATE / "chassis/handbook/operations.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^\$ (for file in alerts objectives; do\n(?:> .*\n)+)", handbook, re.MULTILINE)
    (tmp_path / "ops").mkdir()
    rules = "groups:\n  - name: a\n    rules: []\n"
    for file in ("alerts", "objectives"):
        text = (TEMPLATE / "ops/alerts.yaml").read_text(encoding="utf-8") if file == "alerts" else rules
        (tmp_path / f"ops/{file}.yaml").write_text(text, encoding="utf-8")
    script = re.sub("^> ", "", command, flags=re.MULTILINE).replace("kubectl apply --filename -", "{ echo ---; cat; }")
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    resources = [each for each in yaml.safe_load_all(done.stdout) if each]
    [resource] = [each for each in resources if each["metadata"]["name"] == name]
    assert resource["kind"] == "PrometheusRule"
    assert resource["spec"] == yaml.safe_load((tmp_path / f"ops/{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_grace_period_exceeds_the_deadline(generate: Generate) -> None:
    """A pod is killed only after its last request has reached the deadline, and the patched path exists."""
    project = generate(deadline_seconds=300)
    overlay = yaml.safe_load((project / "ops/kubernetes/production/kustomization.yaml").read_text(encoding="utf-8"))
    *_, patch = yaml.safe_load(overlay["patches"][0]["patch"])
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
    """The dashboard has a variable for the data source, one is configured, and Grafana reads the folder of the file."""
    settings = inline_settings()
    types = {source["type"] for source in settings["datasources"]["datasources"]}
    dashboard = (TEMPLATE / "ops/dashboard.json").read_text(encoding="utf-8")
    assert set(re.findall(r'"uid": "([^"]+)"', dashboard)) == {json.loads(dashboard)["uid"], "${datasource}"}
    [variable] = [each for each in json.loads(dashboard)["templating"]["list"] if each["name"] == "datasource"]
    assert variable["type"] == "datasource"
    assert variable["query"] in types
    [provider] = settings["dashboards"]["providers"]
    assert f":{provider['options']['path']}/" in compose_file()["services"]["grafana"]["volumes"][0]


def test_the_collector_pipeline_is_complete() -> None:
    """Every part of a pipeline is configured, and every configured part is in a pipeline."""
    collector = inline_settings()["collector"]
    pipelines = collector["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines for name in pipeline[kind]} == set(collector[kind])
