"""Mistakes in files, variables and commands, and the one sentence each gets; the reference is made of them too."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BadStart:
    """One row of the table.

    Args:
        what: What is bad about it.
        says: The sentence on the screen, or its telling part.
        exit_code: What the command ends with.
        file: The file that is changed, from the root of a project; None if it is not a file that is bad.
        old: What is replaced there; None means the whole file, which is removed if `new` is None too.
        new: What is written instead.
        command: What is run.
        variables: What is set in the environment.
    """

    what: str
    says: str
    exit_code: int = 2
    file: str | None = None
    old: str | None = None
    new: str | bytes | None = None
    command: tuple[str, ...] = ("ask", "hello")
    variables: dict[str, str] = field(default_factory=dict)


CONSTRAINTS = "constraints.toml"
NO_PRICE = "genai-prices knows no price for openai:gpt-nonsense. Correct the model's id, or add input_usd_per_million"

BAD_STARTS = (
    BadStart("no constraints.toml", "constraints.toml: there is no such file. Create it in", file=CONSTRAINTS),
    BadStart("a file that is not TOML", "constraints.toml: not valid TOML", file=CONSTRAINTS, new="[cost\n"),
    BadStart(
        "a negative budget",
        "constraints.toml: cost.per_day_usd: the value is -1. Input should be greater than or equal to 0",
        file=CONSTRAINTS,
        old="per_day_usd = 20.00",
        new="per_day_usd = -1",
    ),
    BadStart(
        "a missing key",
        "constraints.toml: latency.deadline_seconds: the key is missing. Add it",
        file=CONSTRAINTS,
        old="deadline_seconds",
        new="# deadline_seconds",
    ),
    BadStart(
        "a key too many",
        "constraints.toml: latency.deadline: unknown key (value 20). Remove it or correct its name",
        file=CONSTRAINTS,
        old="deadline_seconds = 20",
        new="deadline_seconds = 20\ndeadline = 20",
    ),
    BadStart(
        "a misspelt key",
        "constraints.toml: latency.deadline: unknown key (value 20). Did you mean deadline_seconds?",
        file=CONSTRAINTS,
        old="deadline_seconds = 20",
        new="deadline = 20",
    ),
    BadStart(
        "a misspelt section",
        "constraints.toml: qualty: unknown key. Did you mean quality?",
        file=CONSTRAINTS,
        old="[quality]",
        new="[qualty]",
    ),
    BadStart(
        "an unknown model",
        NO_PRICE,
        file=CONSTRAINTS,
        old='model = "gpt-5.4-mini-2026-03-17"',
        new='model = "gpt-nonsense"',
    ),
    BadStart(
        "an unknown provider",
        "constraints.toml: models[0].provider: the value is 'acme'. Input should be 'openai', 'anthropic', 'google'",
        file=CONSTRAINTS,
        old='provider = "openai"',
        new='provider = "acme"',
    ),
    BadStart(
        "a destination that is not described",
        "the model 'gpt' has the unknown destination 'moon'. Add [destinations.moon]",
        file=CONSTRAINTS,
        old='destination = "openai"',
        new='destination = "moon"',
    ),
    BadStart(
        "data that a destination may not get",
        "the model 'gpt' may not receive 'personal' data. Allow it in destinations.openai.classes or remove the model",
        file=CONSTRAINTS,
        old='class = "internal"',
        new='class = "personal"',
    ),
    BadStart("no ownership.toml", "ownership.toml: there is no such file. Create it in", file="ownership.toml"),
    BadStart(
        "a role of a team that does not exist",
        "roles.system.accountable is 'nobody', which is no team. Add [teams.nobody] or write one of: ai, platform",
        file="ownership.toml",
        old='accountable = "ai"',
        new='accountable = "nobody"',
    ),
    BadStart(
        "a document that is not UTF-8",
        "documents/latin.md: byte 5 is not UTF-8. Save the file as UTF-8 or remove it",
        file="documents/latin.md",
        new=b"# Caf\xe9\n",
    ),
    BadStart(
        "a task that cannot be found",
        "pyproject.toml: tool.chassis.task = 'acme_help.job:TASK': there is no module 'acme_help.job'. Correct",
        file="pyproject.toml",
        old="acme_help.task:TASK",
        new="acme_help.job:TASK",
    ),
    BadStart(
        "a database of another kind",
        "CHASSIS_DATABASE_URL: the value begins with 'mysql'. Write sqlite:///var/service.db",
        variables={"CHASSIS_DATABASE_URL": "mysql://db/x"},
    ),
    BadStart(
        "an unknown environment",
        "CHASSIS_ENV: the value is 'prod'. Input should be 'development' or 'production'",
        variables={"CHASSIS_ENV": "prod"},
    ),
    BadStart(
        "a question without a word",
        "the question: text: the value is ''. String should have at least 1 character",
        command=("ask", "   "),
    ),
    BadStart(
        "a port that is in use",
        "--host 127.0.0.1 --port {port}: another program uses this port. Stop it, or choose another port",
        command=("serve", "--port", "{port}"),
    ),
    BadStart(
        "a referral that does not exist",
        "There is no referral 'r_0'; `uv run chassis review list` lists the open ones",
        exit_code=1,
        command=("review", "show", "r_0"),
    ),
    BadStart("a command that does not exist", "No such command 'asks'", command=("asks",)),
)
