"""Names in code: of vendors (their SDKs, hosts, keys and models), of libraries around them, and of network clients."""

import re

VENDOR_SDKS = """
ai21 aleph_alpha_client anthropic azure.ai.inference azure.ai.openai baseten cerebras cohere dashscope deepgram deepseek
fireworks google.cloud.aiplatform google.generativeai google.genai groq huggingface_hub.AsyncInferenceClient
huggingface_hub.InferenceClient huggingface_hub.inference ibm_watsonx_ai jina mistralai nomic novita_client ollama
openai openrouter perplexity qianfan reka replicate sambanova tencentcloud.hunyuan together vertexai
volcenginesdkarkruntime
voyageai writerai xai_sdk zai zhipuai
"""
WRAPPERS = """
agno aisuite autogen autogen_agentchat autogen_core autogen_ext browser_use crewai dspy embedchain gpt4all guidance
haystack haystack_integrations instructor langchain langgraph litellm llama_index llama_stack_client llm lmql magentic
marvin mem0 mirascope openai_agents outlines portkey_ai promptflow semantic_kernel smolagents strands txtai vanna
transformers.AutoModelForCausalLM transformers.AutoModelForSeq2SeqLM transformers.pipeline transformers.pipelines
vllm llama_cpp mlx_lm gpt4all
"""
UNGUARDED = """
chassis.guard chassis.wiring pydantic_ai.embeddings pydantic_ai.gateway
pydantic_ai.models.infer_model pydantic_ai.providers pydantic_ai.realtime
"""
SDKS = frozenset(f"{VENDOR_SDKS} {WRAPPERS} {UNGUARDED}".split())
"""SDKs of vendors, libraries around them, what connects a model without the guard, and the guard's own parts."""
HARMLESS_MODELS = frozenset(
    {"Model", "ModelRequestParameters", "KnownModelName", "function", "test", "wrapper", "fallback"}
)
"""What `pydantic_ai.models` contains besides the models of vendors."""
DOMAINS = (
    r"openai\.com|anthropic\.com|claude\.ai|generativelanguage\.googleapis\.com|aiplatform\.googleapis\.com|"
    r"openai\.azure\.com|(?:services|inference|models)\.ai\.azure\.com|cognitiveservices\.azure\.com|mistral\.ai|"
    r"cohere\.(?:ai|com)|groq\.com|together\.(?:xyz|ai)|deepseek\.com|openrouter\.ai|x\.ai|perplexity\.ai|fireworks\.ai|"
    r"replicate\.com|(?:api-inference|router|endpoints)\.huggingface\.(?:co|cloud)|huggingface\.cloud|"
    r"dashscope(?:-intl)?\.aliyuncs\.com|moonshot\.(?:cn|ai)|bigmodel\.cn|z\.ai|volces\.com|ai21\.com|cerebras\.ai|"
    r"sambanova\.ai|integrate\.api\.nvidia\.com|models\.github\.ai|githubcopilot\.com|voyageai\.com|minimax\.chat|"
    r"hunyuan\.tencentcloudapi\.com|novita\.ai|hyperbolic\.xyz|deepinfra\.com|baseten\.co|aleph-alpha\.com|"
    r"bedrock(?:-runtime|-agent-runtime)?(?:[.-][\w-]+)*\.amazonaws\.com"
)
HOST = re.compile(rf"(?<![\w.-])((?:[\w-]+\.)*(?:{DOMAINS}))(?![\w-])", re.IGNORECASE)
PAGES = re.compile(r"^(?:www|docs?|platform|help|status|console|support|cookbook|community|blog|trust|policies)\.")
"""Hosts that a person reads: a link to one of them is no way to a model."""
KEY_VARIABLE = re.compile(
    r"(?:OPENAI|ANTHROPIC|GEMINI|GOOGLE_GENAI|MISTRAL|COHERE|CO|GROQ|TOGETHER|DEEPSEEK|OPENROUTER|XAI|PERPLEXITY|FIREWORKS"
    r"|REPLICATE|HF|HUGGINGFACE|DASHSCOPE|AZURE_OPENAI|CEREBRAS|VOYAGE|OPENAI_COMPATIBLE)"
    r"_(?:API_KEY|API_TOKEN|TOKEN|BASE_URL|API_BASE|ENDPOINT)"
)
MODEL_ID = re.compile(
    r"(?:gateway/)?(?:openai(?:-chat|-responses)?|anthropic|azure|bedrock|cerebras|cohere|deepseek|fireworks"
    r"|google(?:-gla|-vertex|-cloud)?|groq|heroku|huggingface|litellm|mistral|moonshotai|ollama|openrouter|together"
    r"|xai|grok):[\w./:@-]+"
)
"""A name from which pydantic-ai connects a model by itself."""
AWS_MODELS = re.compile(r"(?:bedrock(?:-agent)?|sagemaker)-runtime")
STANDARD_LIBRARY = """
_socket asynchat asyncore ftplib http.client imaplib logging.handlers.DatagramHandler logging.handlers.HTTPHandler
logging.handlers.SMTPHandler logging.handlers.SocketHandler logging.handlers.SysLogHandler multiprocessing.connection
multiprocessing.managers nntplib poplib smtplib socket ssl.get_server_certificate telnetlib urllib.request
urllib.robotparser webbrowser xmlrpc.client
"""
PACKAGES = """
aioboto3 aiobotocore aiohttp aioquic asks asyncssh boto3 botocore curl_cffi eventlet.green fabric gevent.socket
google.api_core google.auth.transport googleapiclient gql grpc grpclib hishel httpcore httpcore2 httplib2 httpx httpx2
httpx_sse httpx_ws niquests paramiko playwright primp pycurl pyppeteer pyreqwest requests requests_futures requests_html
requests_toolbelt rnet selenium smart_open suds tls_client tornado.httpclient tornado.simple_httpclient
tornado.tcpclient tornado.websocket treq twisted.internet twisted.web.client uplink urllib3 websocket websockets zeep
zmq
"""
CLIENTS = frozenset(f"{STANDARD_LIBRARY} {PACKAGES}".split())
"""What can send bytes to any host."""
FUNCTIONS = (
    r"create_connection|create_datagram_endpoint|create_unix_connection|open_connection|open_unix_connection|sock_connect"
    r"|sock_sendto|connect_tcp|open_tcp_stream|open_ssl_over_tcp_stream"
)
"""Functions of asyncio, AnyIO and Trio that connect; most are methods of an event loop."""
CONNECTS = re.compile(rf"(?:.*\.)?(?:{FUNCTIONS}|socket\.socket)|(?:asyncio|anyio|trio)\.\*")
IN_TEXT = re.compile(rf"^(?:{FUNCTIONS})$|(?<!\w)(?:logging\.)?handlers\.(?:Datagram|HTTP|SMTP|Socket|SysLog)Handler\b")
"""A client that `getattr` or the configuration of `logging` names."""


def client_in(name: str) -> str | None:
    """Return the client that a full name belongs to, or None.

    Args:
        name: A module, something in it, or everything in it: `httpx`, `httpx.get`, `logging.handlers.*`.
    """
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        if (prefix := ".".join(parts[:end])) in CLIENTS:
            return prefix
    if name.endswith(".*") and any(client.startswith(name[:-1]) for client in CLIENTS):
        return name
    return name.removeprefix(".") if CONNECTS.fullmatch(name) else None
