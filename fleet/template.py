"""The template as a fleet report sees it: asked everything once, because nothing changes in the meantime."""

from collections.abc import Collection
from functools import cache
from typing import override

from chassis_tools.updates.path_ownership import ShippedFile
from chassis_tools.updates.status import Releases
from chassis_tools.updates.template_repository import TemplateRepository

KNOWN_RELEASES: Releases = {}
"""What the launch review of a repository asked the template that its answers file names."""


class RememberedTemplate(TemplateRepository):
    """A clone of the template that answers the same question of git for each repository of the fleet."""

    @override
    def ask_git(self, *arguments: str) -> str:
        return _ask_git(self, *arguments)

    @override
    def chassis_files(
        self, commit: str, kept_paths: Collection[str] = (), forge: str = "github"
    ) -> dict[str, ShippedFile]:
        return _chassis_files(self, commit, frozenset(kept_paths), forge)


@cache
def _ask_git(template: TemplateRepository, *arguments: str) -> str:
    return TemplateRepository.ask_git(template, *arguments)


@cache
def _chassis_files(
    template: TemplateRepository, commit: str, kept_paths: frozenset[str], forge: str
) -> dict[str, ShippedFile]:
    return TemplateRepository.chassis_files(template, commit, kept_paths, forge)
