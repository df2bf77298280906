"""The subcommands that the tools add to the command `chassis` of the runtime."""

from chassis.cli.main import Subcommand

EVALUATE, TEMPLATE = "Evaluate and govern", "Follow the template"
"""The panels of `chassis --help`."""

READY = "Run the launch review: the checks that a release must pass. Exit with 1 if any of them fails."
CASES = "Add cases from production to the data sets, or draft some from documents."
PROPOSE = "Put the evidence of quality drift and its failing cases on a branch, for a person to merge."
LOCAL = "Run a small language model on this machine, without a key or a network. Install it with `make local-model`."
SYNC = "Write the files derived from constraints.toml, ownership.toml and pyproject.toml, such as CODEOWNERS."
STATUS = "Show the release, newer releases and edited chassis files."
VERIFY = "Compare every file of the chassis with the release it came from. Exit with 1 if one was edited, 3 if unknown."
UPDATE = "Update the chassis to the newest release, on a branch of its own."
ADOPT = "Complete the adoption of the chassis by an existing repository: show which lines are missing."

TOOL_COMMANDS = (
    Subcommand(EVALUATE, "ready", "chassis_tools.cli.ready:ready", READY),
    Subcommand(EVALUATE, "evals", "chassis_tools.cli.evals:app", "Evaluate how well the service answers."),
    Subcommand(EVALUATE, "cases", "chassis_tools.cli.cases:app", CASES),
    Subcommand(EVALUATE, "propose", "chassis_tools.cli.cases:propose", PROPOSE),
    Subcommand(EVALUATE, "local-model", "chassis_tools.cli.local_model:local_model", LOCAL),
    Subcommand(EVALUATE, "signoffs", "chassis_tools.cli.governance:signoffs", "Request, record and check sign-offs."),
    Subcommand(TEMPLATE, "sync", "chassis_tools.cli.governance:sync", SYNC),
    Subcommand(TEMPLATE, "status", "chassis_tools.cli.template:show_status", STATUS),
    Subcommand(TEMPLATE, "verify", "chassis_tools.cli.template:verify", VERIFY),
    Subcommand(TEMPLATE, "update", "chassis_tools.cli.template:update", UPDATE),
    Subcommand(TEMPLATE, "adopt", "chassis_tools.cli.template:adopt", ADOPT),
)
"""The entry point of the group `chassis.commands`."""
