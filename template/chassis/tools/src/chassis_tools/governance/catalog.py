"""`catalog-info.yaml`, the entry of the service in a Backstage catalogue."""

from chassis_tools.governance.decisions import Decisions

ENTRY = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: {name}
  description: {description}
  links:
    - url: mailto:{contact}
      title: Who to ask
spec:
  type: service
  lifecycle: {lifecycle}
  owner: group:default/{team}
"""


def catalog_info(decisions: Decisions) -> str:
    """Return the entry: name, purpose, contact, owner, and where in its life the service is."""
    ownership = decisions.ownership
    return ENTRY.format(
        name=decisions.project.name,
        description=_quoted(decisions.project.description),
        contact=ownership.contact,
        lifecycle=ownership.lifecycle,
        team=ownership.roles.system.accountable,
    )


def _quoted(text: str) -> str:
    """In YAML's single quotes nothing on a single line but the quote itself needs care."""
    return "'" + " ".join(text.split()).replace("'", "''") + "'"
