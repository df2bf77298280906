"""Writes `catalog-info.yaml`, the service's entry in a Backstage catalog."""

from chassis_tools.governance.decisions import Decisions

ENTRY = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: {name}
  description: {description}
  links:
    - url: mailto:{contact}
      title: Contact
spec:
  type: service
  lifecycle: {lifecycle}
  owner: group:default/{team}
"""


def catalog_info(decisions: Decisions) -> str:
    """Return the body of `catalog-info.yaml`."""
    ownership = decisions.ownership
    return ENTRY.format(
        name=decisions.project.name,
        description=_single_quoted(decisions.project.description),
        contact=ownership.contact,
        lifecycle=ownership.lifecycle,
        team=ownership.roles.system.accountable,
    )


def _single_quoted(text: str) -> str:
    """Return a text as a YAML scalar in single quotes, where only the quote itself has to be escaped."""
    return "'" + " ".join(text.split()).replace("'", "''") + "'"
