"""LiteLLM's proxy, serving in an environment of its own: one worker, one model, a key, and no database."""

import json
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import servers
from benchmarks.litellm_router import LEFT_OUT, OFFLINE, alone
from benchmarks.servers import Door, NotServing

KEY = "sk-bench"
COMMAND = alone("litellm[proxy]>=1.100", "litellm", "--host", "127.0.0.1", "--num_workers", "1", "--telemetry", "False")


@contextmanager
def running(url: str, model: str, cap: int) -> Generator[Door | None]:
    """Serve a model of the vendor at `url`, or give None and say why if the proxy cannot be installed."""

    def asking(text: str) -> Mapping[str, object]:
        return {"model": model, "messages": [{"role": "user", "content": text}], "max_completion_tokens": cap}

    parameters = {"model": f"openai/{model}", "api_base": url, "api_key": "none", "timeout": 10, "max_retries": 0}
    models = [{"model_name": model, "litellm_params": parameters}]
    port = servers.free_port()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder, "config.yaml")  # JSON is YAML
        file.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": KEY}}), encoding="utf-8")
        command = (*COMMAND, "--port", f"{port}", "--config", str(file))
        health = "/health/liveliness"
        try:
            group = stack.enter_context(servers.running(command, port, health, os.environ | OFFLINE, Path(folder)))
        except NotServing:
            print(LEFT_OUT, file=sys.stderr)
            yield None
        else:
            yield Door(group, f"http://127.0.0.1:{port}/v1/chat/completions", KEY, asking)
