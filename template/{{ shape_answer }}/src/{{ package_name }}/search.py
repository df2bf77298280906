"""What this service searches, and how. The search itself is `chassis.search`; here you can replace it by another."""

from pathlib import Path

from chassis.errors import ConfigError
from chassis.search import Method, Search, read_folder

LANGUAGE = "english"
"""The language of most documents, which decides how the endings of words are removed. The others are found too."""
METHOD: Method = "lexical"
"""`hybrid` also finds pages that say it in other words. It needs `uv add 'ai-service-chassis[hybrid]'`.

At the first start it takes about 0.15 s of CPU for each passage; the vectors are then kept in `embeddings.npz`.
"""
SEARCH_HANDBOOK = True
"""Whether `chassis/handbook/` is searched too, so that the service answers questions about itself.

Set it to False when only the files in `documents/` may answer.
"""
ROOT = Path(__file__).parents[2]


def load_search(root: Path = ROOT, *, search_handbook: bool = SEARCH_HANDBOOK) -> Search:
    """Return the search in the documents of a repository.

    Raises:
        ConfigError: A document cannot be read, or there is no text at all.
    """
    passages = read_folder(root / "documents")
    if search_handbook:
        passages += read_folder(root / "chassis/handbook")
    if not passages:
        problem = "the folder has no document with text in it, and SEARCH_HANDBOOK is False"
        raise ConfigError("documents/", problem, "Add your documents, or set SEARCH_HANDBOOK = True in search.py")
    return Search(passages, language=LANGUAGE, method=METHOD, embeddings_file=root / "embeddings.npz")
