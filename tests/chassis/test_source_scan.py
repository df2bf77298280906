"""The scan of the source code finds the ways past the guard, and takes no innocent file for one."""

import base64
import json
import subprocess
from pathlib import Path

import pytest
from chassis_tools.readiness.source_scan import ScanResult, scan_repository

WAYS = {
    "an SDK": "import openai",
    "a part of an SDK": "from anthropic import AsyncAnthropic",
    "an SDK under another name": "from google import genai as search",
    "an SDK as an attribute": "import google\nmodel = google.genai.Client()",
    "an SDK in a function": "def later():\n    import mistralai\n",
    "an SDK that may be missing": "try:\n    import cohere\nexcept ImportError:\n    pass",
    "LangChain": "from langchain_openai import ChatOpenAI",
    "LiteLLM": "from litellm import completion",
    "LlamaIndex": "from llama_index.llms.openai import OpenAI",
    "Instructor": "import instructor",
    "DSPy": "import dspy",
    "a client of a hub": "from huggingface_hub import InferenceClient",
    "a model of pydantic-ai": "from pydantic_ai.models.openai import OpenAIChatModel",
    "pydantic-ai as a whole": "import pydantic_ai\nm = pydantic_ai.models.anthropic.AnthropicModel('x')",
    "a provider of pydantic-ai": "from pydantic_ai.providers.google import GoogleProvider",
    "the name of a model": "from pydantic_ai import Agent\nagent = Agent('openai:gpt-5.4')",
    "the name of a model in two parts": "agent = make('anthropic' + ':' + 'claude-sonnet-5')",
    "an inferred model": "from pydantic_ai.models import infer_model",
    "a direct request": "from pydantic_ai.direct import model_request\nmodel_request('groq:llama-4', messages)",
    "the guard's own connection": "from chassis.guard.vendors import connect",
    "the insides of the guard": "async def run(question, model):\n    return model._guard.candidates[0].model",
    "a dynamic import": "import importlib\nsdk = importlib.import_module('openai')",
    "a dynamic import in parts": "from importlib import import_module as get\nsdk = get('open' + 'ai')",
    "a built-in import": "sdk = __import__('openai')",
    "another name for the function": "import importlib\nload = importlib.import_module\nload('groq')",
    "a module that is loaded already": "import sys\nsdk = sys.modules['openai']",
    "a module named for pkgutil": "import pkgutil\nclient = pkgutil.resolve_name('openai:OpenAI')",
    "code in a text": "exec('import openai')",
    "a host": "import httpx\nhttpx.post('https://api.openai.com/v1/chat/completions')",
    "a host in bytes": "import socket\nsocket.create_connection((b'api.anthropic.com', 443))",
    "a host in parts": "url = 'https://' + 'api.' + 'openai' + '.com'",
    "a host in an f-string": "url = f'https://api.{\"mistral\"}.ai/v1'",
    "a host that is filled in": "url = 'https://{}.{}.com'.format('api', 'groq')",
    "a host that is joined": "url = '.'.join(['api', 'deepseek', 'com'])",
    "a host in Base64": f"url = decode({base64.b64encode(b'https://api.openai.com').decode()!r})",
    "a host in hexadecimal": f"url = bytes.fromhex({b'api.openai.com'.hex()!r})",
    "a host backwards": "url = 'moc.ianepo.ipa'[::-1]",
    "a host with a region": "url = 'https://bedrock-runtime.eu-central-1.amazonaws.com'",
    "a host of a customer": "url = 'https://acme.openai.azure.com/openai'",
    "a model in the process": "from vllm import LLM",
    "another model in the process": "import llama_cpp",
    "Bedrock": "import boto3\nboto3.client('bedrock-runtime')",
    "a key": "import os\nkey = os.environ['OPENAI_API_KEY']",
    "curl": "import subprocess\nsubprocess.run(['curl', '-d', '@-', url])",
    "a shell": "import os\nos.system('echo hi | curl -d @- ' + url)",
    "text generation in the process": "from transformers import pipeline",
    "a name of characters": "import importlib\nimportlib.import_module(chr(111) + chr(112) + 'en' + chr(97) + 'i')",
    "a host of characters": "host = ''.join(map(chr, [97, 112, 105, 46, 103, 114, 111, 113, 46, 99, 111, 109]))",
    "a host of character codes": "host = ''.join(chr(c) for c in (97, 112, 105, 46, 120, 46, 97, 105))",
    "a host of bytes": "host = bytes([97, 112, 105, 46, 103, 114, 111, 113, 46, 99, 111, 109]).decode()",
    "a host in rot13": "import codecs\nhost = codecs.decode('ncv.bcranv.pbz', 'rot13')",
    "a host in two variables": "a = 'api.open'\nb = 'ai.com'\nurl = f'https://{a}{b}'",
    "a host in two variables that are added": "a = 'api.open'\nb = 'ai.com'\nurl = 'https://' + a + b",
    "a host in variables that are joined": "vendor = 'openai'\nurl = '.'.join(['api', vendor, 'com'])",
    "a host in a class": "class Hosts:\n    first = 'api.open'\nurl = Hosts.first + 'ai.com'",
    "a host in a dictionary": "hosts = {'a': 'api.open'}\nurl = hosts['a'] + 'ai.com'",
    "a part of a text": "host = 'xapi.openai.comx'[1:-1]",
    "a repeated text": "host = 'api.' + 'o' * 1 + 'penai.com'",
    "code for another Python": "import subprocess\nsubprocess.run(['python', '-c', 'import openai'])",
    "code for this Python": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import openai; ask()'])",
    "code for Python in a shell": "import os\nos.system('python3 -c \"import openai\"')",
    "a program in a variable": "import subprocess\nprogram = 'curl'\nsubprocess.run([program, url])",
    "a program that is looked up": "import shutil, subprocess\nsubprocess.run([shutil.which('wget'), url])",
    "a module that may be loaded": "import sys\nsdk = sys.modules.get('openai')",
    "an attribute of an import": "client = getattr(__import__('op' + 'enai'), 'OpenAI')",
    "a program of its own": "import asyncio\nasyncio.create_subprocess_exec('/usr/bin/llm', 'hi')",
}
"""Python code that reaches a vendor past the guard."""
INNOCENT = {
    "the team's function": (
        "from pydantic_ai import Agent\nfrom pydantic_ai.models import Model\n"
        "async def run(question, model: Model):\n    return await Agent(model).run('How do I curl https://acme.example?')"
    ),
    "a direct request to the given model": (
        "from pydantic_ai import direct\nasync def run(question, model):\n    await direct.model_request(model, [])"
    ),
    "texts about vendors": '"""Compares openai and api.anthropic.com."""\nNOTE = "OpenAI and Anthropic are vendors"',
    "a comment": "# import openai, then call https://api.openai.com\nx = 1",
    "a link to a page": "HELP = 'See https://platform.openai.com/docs and https://docs.anthropic.com/en'",
    "another host": "import httpx\nhttpx.get('https://orders.example.com/openai.com-report')",
    "similar names": "import opener, together_we_stand\nfrom openaiish import client\nHOST = 'notopenai.com.example'",
    "a fixed dynamic import": "import importlib\njson = importlib.import_module('json')",
    "another program": "import subprocess\nsubprocess.run(['git', 'log', '--grep', 'openai'], check=True)",
    "a test model": "from pydantic_ai.models.test import TestModel\nfrom pydantic_ai.models import function",
    "a test without a key": "def test_it(monkeypatch):\n    monkeypatch.delenv('OPENAI_API_KEY', raising=False)",
    "a store": "import boto3\nboto3.client('s3').upload_file('a', 'b', 'c')",
    "a tokenizer": "from transformers import AutoTokenizer\ncount = len(AutoTokenizer.from_pretrained('./x')(text))",
    "encodings of data": "import base64, zlib\nbody = zlib.decompress(base64.b64decode(received))",
    "a program with an option": "import subprocess\nsubprocess.run(['git', '-c', 'core.pager=', 'log'], check=True)",
    "letters": "columns = [chr(65 + number) for number in range(26)]\nname = '-'.join(columns)",
    "tables of texts": "a = 'open'\nb = {'x': 'ai'}\nfirst = a + ' house, ' + b['x'] + '.com' * 2",
    "a regular expression": "import re\nP = re.compile('open|ai')\nTIME = '10:30'\nURL = 'redis:6379'",
}


def scan(root: Path, **files: str) -> ScanResult:
    """Scan a repository with these files."""
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    subprocess.run(["git", "-C", str(root), "add", "--all"], check=True)
    return scan_repository(root)


@pytest.mark.parametrize("way", WAYS)
def test_a_way_past_the_guard_is_found(tmp_path: Path, way: str) -> None:
    """In any file of Python that git tracks."""
    result = scan(tmp_path, **{"scripts/deep/tool.py": WAYS[way], "scripts/deep/__init__.py": ""})
    assert result.findings, way
    assert all(finding.startswith("scripts/deep/tool.py:") for finding in result.findings)


@pytest.mark.parametrize("name", INNOCENT)
def test_an_innocent_file_is_not(tmp_path: Path, name: str) -> None:
    """Mentioning a vendor is no way to it."""
    result = scan(tmp_path, **{"src/acme/tool.py": INNOCENT[name]})
    assert (result.findings, result.unseen) == ((), ())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tools/ask", "#!/usr/bin/env python3\nimport openai\n"),
        ("deploy/run.sh", "curl https://api.openai.com/v1/models"),
        ("settings.yaml", "url: https://api.anthropic.com"),
        ("hosts.txt", "api.mistral.ai"),
        (".env.production", "URL=https://api.groq.com"),
        ("deploy/staging.env", "URL=https://api.groq.com"),
        ("web/app.tsx", "fetch('https://api.openai.com')"),
        ("web/page.html", "<script>fetch('https://api.openai.com')</script>"),
        ("native/ask.rs", '"https://api.openai.com"'),
        ("Makefile", "ask:\n\tpython -c 'import openai'\n"),
        ("app.properties", "url=https://api.openai.com"),
        ("src/sitecustomize.py", ""),
        ("src/start.pth", "import start"),
        ("tools/chassis_tools/__init__.py", ""),
        ("src/chassis.py", ""),
        ("pyproject.toml", '[project.scripts]\nchassis = "acme:main"'),
        ("pyproject.toml", '[project.entry-points."chassis.commands"]\nevals = "acme:commands"'),
        ("evals/graders.py", "import openai"),
        ("tests/test_x.py", "import litellm"),
        ("documents/build.py", "import cohere"),
    ],
)
def test_other_files_are_read_too(tmp_path: Path, path: str, text: str) -> None:
    """Scripts without a suffix, shell scripts, and files that code may read an address from."""
    assert scan(tmp_path, **{path: text}).findings


def test_documents_and_limits_are_not_code(tmp_path: Path) -> None:
    """They name vendors because that is their subject."""
    address = "https://api.openai.com"
    result = scan(
        tmp_path,
        **{
            "documents/models.json": address,
            "constraints.toml": address,
            "evals/cases/a.json": address,
            "a.md": address,
        },
    )
    assert result.findings == ()


@pytest.mark.parametrize("line", ["import openai", "!curl https://api.openai.com", "%pip install x\nimport litellm"])
def test_notebooks_are_read(tmp_path: Path, line: str) -> None:
    """Their code cells, and the commands in them, but not their texts."""
    cells = [{"cell_type": "markdown", "source": ["import openai"]}, {"cell_type": "code", "source": ["x = 1"]}]
    assert scan(tmp_path, **{"a.ipynb": json.dumps({"cells": cells})}).findings == ()
    cells.append({"cell_type": "code", "source": line.splitlines(keepends=True)})
    assert scan(tmp_path, **{"a.ipynb": json.dumps({"cells": cells})}).findings


@pytest.mark.parametrize(
    "importing",
    ["from hidden import client", "from . import hidden", "import hidden.client", "from acme.hidden.client import ask"],
)
def test_imports_are_followed(tmp_path: Path, importing: str) -> None:
    """Into files that git does not track; a module of the team's own is not taken for an SDK of the same name."""
    for folder in ("src/acme", "src"):
        package = tmp_path / folder / "hidden"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("from .client import ask\n", encoding="utf-8")
        (package / "client.py").write_text("import openai\n\nask = openai.OpenAI\n", encoding="utf-8")
    own = {".gitignore": "hidden/\n", "src/acme/instructor.py": "x = 1\n"}
    result = scan(tmp_path, **{**own, "src/acme/task.py": f"from . import instructor\n{importing}\n"})
    assert {finding.split(": ")[1] for finding in result.findings} == {"uses openai"}
    assert all("hidden/client.py" in finding for finding in result.findings)


@pytest.mark.parametrize(
    "text",
    [
        "import importlib, os\nsdk = importlib.import_module(os.environ['SDK'])",
        "sdk = getattr(__builtins__, '__im' + 'port__')(name)",
        "exec(open('x').read())",
        "import runpy\nrunpy.run_path(path)",
        "import importlib.util\nimportlib.util.spec_from_file_location('x', path)",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', text])",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'openai'])",
        "import os\nos.system('uv pip install anthropic')",
        "from pip._internal.cli.main import main\nmain(['install', 'openai'])",
        "import ctypes\nctypes.CDLL('libcurl.so')",
        "import cffi\ncffi.FFI().dlopen('libcurl.so')",
        "import zlib\nhost = zlib.decompress(b'x')",
        "import base64\nhost = base64.b85decode(b'VRB_;Z*6U1WMO7$')",
        "host = 'bqj/pqfobj/dpn'.translate(table)",
        "import subprocess\nsubprocess.run(['node', '-e', 'fetch(u)'])",
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    """Whether such code reaches a vendor is unknown."""
    result = scan(tmp_path, **{"src/acme/tool.py": text})
    assert (result.findings, len(result.unseen) >= 1) == ((), True)


@pytest.mark.parametrize("terms", [400, 4000])
def test_code_that_is_nested_too_deeply_is_named(tmp_path: Path, terms: int) -> None:
    """Whether Python's parser gives up or the scan itself."""
    result = scan(tmp_path, **{"src/acme/tool.py": "text = " + " + ".join(["'a'"] * terms), "ok.py": "x = 1"})
    assert result.unseen == ("src/acme/tool.py:1: nested too deeply to be read",)


@pytest.mark.parametrize("step", ["x = x + x", "x = x * 4000", "x = ''.join([x, x])", "x = x.replace('a', x)"])
def test_a_text_that_grows_is_cut(tmp_path: Path, step: str) -> None:
    """A hundred such lines make a text longer than any memory."""
    code = "\n".join(["x = 'a' * 4000", *[step] * 100, "host = 'api.' + 'openai.com'"])
    assert scan(tmp_path, **{"src/acme/tool.py": code}).findings


@pytest.mark.parametrize(
    ("code", "client"),
    [
        ("import httpx\nhttpx.get(url)", "1: httpx"),
        ("import boto3\nboto3.client(service)", "1: boto3"),
        ("from websockets.sync.client import connect", "1: websockets"),
        ("from google.auth.transport.requests import Request", "1: google.auth.transport"),
        ("import _socket\n_socket.socket()", "1: _socket"),
        ("import socketserver\nsocketserver.socket.socket()", "2: socketserver.socket.socket"),
        ("import asyncio\nasyncio.open_connection(host)", "2: asyncio.open_connection"),
        ("from asyncio import open_connection as ask\nask(host)", "1: asyncio.open_connection"),
        ("from asyncio import *\nopen_connection(host)", "1: asyncio.*"),
        ("async def ask(loop):\n    await loop.create_connection(make, host)", "2: loop.create_connection"),
        ("import asyncio\nasyncio.get_running_loop().sock_connect(s, h)", "2: sock_connect"),
        ("connect = getattr(loop, 'create_connection')", "1: create_connection"),
        ("import anyio\nanyio.connect_tcp(host, 443)", "2: anyio.connect_tcp"),
        ("import xmlrpc.client as rpc\nrpc.ServerProxy(host)", "1: xmlrpc.client"),
        ("import logging.handlers\nlogging.handlers.HTTPHandler(host, '/')", "2: logging.handlers.HTTPHandler"),
        ("from logging import handlers\nhandlers.SocketHandler(host, 1)", "2: logging.handlers.SocketHandler"),
        ("from logging.handlers import *\nSysLogHandler(host)", "1: logging.handlers.*"),
        (
            "import logging.config as c\nc.dictConfig({'class': 'logging.handlers.HTTPHandler'})",
            "2: logging.handlers.HTTPHandler",
        ),
        ("from multiprocessing.connection import Client", "1: multiprocessing.connection"),
        ("import urllib.robotparser", "1: urllib.robotparser"),
        ("import urllib.request\nurllib.request.urlopen(url)", "1: urllib.request"),
        ("import ssl\nssl.get_server_certificate((host, 443))", "2: ssl.get_server_certificate"),
        ("import importlib\nimportlib.import_module('smtplib')", "2: smtplib"),
        ("import webbrowser\nwebbrowser.open(url)", "1: webbrowser"),
    ],
)
def test_network_clients_are_named(tmp_path: Path, code: str, client: str) -> None:
    """An address that is computed cannot be read."""
    result = scan(tmp_path, **{"src/acme/tool.py": code})
    assert result.clients == (f"src/acme/tool.py:{client}",)


def test_a_configuration_names_a_network_client(tmp_path: Path) -> None:
    """`logging` imports a handler by its name."""
    result = scan(tmp_path, **{"logging.ini": "[handler_web]\nclass=handlers.HTTPHandler"})
    assert result.clients == ("logging.ini:2: handlers.HTTPHandler",)


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nasyncio.run(main())\nasyncio.create_task(x())",
        "import logging.handlers\nlogging.handlers.RotatingFileHandler('var/x.log')",
        "import xmlrpc",
        "from urllib.parse import urlencode",
        "import multiprocessing\nmultiprocessing.Pool()",
        "import ssl\nssl.create_default_context()",
        "from http import HTTPStatus",
        "from . import requests\nWORD = 'socket'",
        "from google.cloud import storage",
        "import websocketish\nself.socket = 1",
    ],
)
def test_other_modules_are_no_network_clients(tmp_path: Path, code: str) -> None:
    """Such as those beside a client in the same package."""
    assert scan(tmp_path, **{"src/acme/tool.py": code, "src/acme/requests.py": ""}).clients == ()
