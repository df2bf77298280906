"""Documents are read into passages that keep their file and headings, without what no reader of a page would see."""

import io
import os
import socket
import zipfile
from pathlib import Path

import pytest
from chassis.errors import ConfigError
from chassis.search import Passage, read_folder
from chassis.search.passages import MAX_PASSAGE_LENGTH, split
from structlog.testing import capture_logs

PAGE = """\
# Parcels

Wrapped over
two lines. A second sentence!

## Returns
- within 30 days
- in the box

```sh
# no heading
  return --all
```
After the code.
"""
RST = """\
=======
Parcels
=======

.. note:: We ship :ref:`every day <shipping>` with :class:`~shop.Carrier`.

.. versionadded:: 2.0
   Sundays too.

.. toctree::
   :maxdepth: 2

   secret-page

Returns
-------

Within **30 days**, see ``return --all``::

   # code
"""
HTML = """<html><head><title>x</title><style>.a{}</style></head><body><nav>Menu</nav><main><h1>Parcels
<a class="headerlink" href="#parcels">¶</a></h1><p>We ship <b>every day</b>.</p><script>evil()</script>
<h2>Returns</h2><ul><li>Within 30 days</li></ul></main><footer>Imprint</footer></body></html>"""


def docx() -> bytes:
    """Return a Word document with a heading and a paragraph."""
    ns = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    body = (
        '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Returns</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>Within 30 days.</w:t></w:r></w:p>"
    )
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r" Type="{office}" Target="word/document.xml"/></Relationships>',
        "word/styles.xml": f'<w:styles {ns}><w:style w:type="paragraph" w:styleId="Heading1">'
        '<w:name w:val="heading 1"/></w:style></w:styles>',
        "word/document.xml": f"<w:document {ns}><w:body>{body}</w:body></w:document>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file.getvalue()


def pdf(text: str) -> bytes:
    """Return a PDF with one line of text."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    content, offsets = b"%PDF-1.4\n", list[int]()
    for number, each in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer << /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(content)
    return content + b"xref\n0 7\n0000000000 65535 f \n" + table + trailer


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Return an empty folder `documents/`."""
    folder = tmp_path / "documents"
    folder.mkdir()
    return folder


def test_a_page_is_divided_at_its_headings() -> None:
    """A passage keeps its headings. List items and code stay whole, and wrapped lines are joined."""
    code = "```sh\n# no heading\n  return --all\n```"

    assert split("page.md", PAGE) == [
        Passage("page.md", ("Parcels",), ("Wrapped over two lines.", "A second sentence!")),
        Passage("page.md", ("Parcels", "Returns"), ("- within 30 days", "- in the box", code, "After the code.")),
    ]


def test_underlined_headings_are_headings() -> None:
    """A rule, the line below a list and the one below nothing are none."""
    page = "Parcels\n===\nText.\n\nReturns\n-------\nMore.\n\n---\n\n- item\n---\nEnd."

    assert [(passage.headings, passage.sentences) for passage in split("page.md", page)] == [
        (("Parcels",), ("Text.",)),
        (("Parcels", "Returns"), ("More.", "- item", "End.")),
    ]


def test_a_long_section_becomes_several_passages() -> None:
    """No passage exceeds the maximum, even if a sentence never ends, and no character is lost."""
    text = "一句话。" * 200 + "x" * 1500

    passages = split("page.md", f"# Long\n{text}")

    assert max(len(passage.text) for passage in passages) <= MAX_PASSAGE_LENGTH
    assert "".join("".join(passage.sentences) for passage in passages) == text
    assert {passage.heading for passage in passages} == {"Long"}


@pytest.mark.parametrize(
    ("markup", "seen"),
    [
        ("---\ntitle: Hidden\ntags: [a]\n---\nText.", "Text."),
        ("+++\ntitle = 'Hidden'\n+++\nText.", "Text."),
        ("<!-- hidden\nlines -->Text.", "Text."),
        ("{* ../../hidden.py hl[3] *}\nText.", "Text."),
        ("{!hidden.md!}\nText.", "Text."),
        ('--8<-- "hidden.md"\nText.', "Text."),
        ("{{< hidden >}}\nText.", "Text."),
        ("{% include 'hidden.md' %}\nText.", "Text."),
        ("import Hidden from '@site/hidden'\nText.", "Text."),
        ("```mermaid\ngraph hidden\n```\nText.", "Text."),
        ("```{include} hidden.md\n```\nText.", "Text."),
        ("~~~plantuml\nhidden\n~~~\nText.", "Text."),
        ("/// tip | Remember\nText.\n///", "Remember Text."),
        ('!!! note "Remember"\n\nText.', "Remember\nText."),
        (":::warning\nText.\n:::", "Text."),
        ("Text.{ #hidden }", "Text."),
        ("Text.{: .hidden }", "Text."),
        ('<a name="hidden"></a>Text.', "Text."),
        ("[](){#hidden}Text.", "Text."),
        ("See [the page](../hidden.md#part).", "See the page."),
        ("See [the site](https://example.com).", "See [the site](https://example.com)."),
        ("![A plan](hidden.png) Text.", "A plan Text."),
        ("Type `<name>` and `{ #x }`.", "Type `<name>` and `{ #x }`."),
        ("```html\n<a name='x'></a>\n```", "```html\n<a name='x'></a>\n```"),
    ],
)
def test_what_no_reader_sees_is_left_out(markup: str, seen: str) -> None:
    """Front matter, comments, includes, anchors, diagrams and tags do not reach a caller; code is not changed."""
    assert "\n".join(passage.text for passage in split("page.md", markup)) == seen


def test_an_anchor_is_no_part_of_a_heading() -> None:
    """As in the documentation of FastAPI."""
    assert split("page.md", "## First steps { #first-steps }\nText.")[0].headings == ("First steps",)


@pytest.mark.parametrize(
    ("name", "content", "passages"),
    [
        ("a.markdown", b"# A\nText.", [(("A",), "Text.")]),
        ("a.mdx", b"# A\n<Tabs>\nText.\n</Tabs>", [(("A",), "Text.")]),
        ("a.TXT", "\ufeffA note.".encode(), [((), "A note.")]),
        (
            "a.html",
            HTML.encode(),
            [(("Parcels",), "We ship **every day**."), (("Parcels", "Returns"), "- Within 30 days")],
        ),
        ("a.docx", docx(), [(("Returns",), "Within 30 days.")]),
        ("a.pdf", pdf("Within 30 days."), [((), "Within 30 days.")]),
    ],
)
def test_each_format_is_read(documents: Path, name: str, content: bytes, passages: list[object]) -> None:
    """With its headings, where the format has any, and without what surrounds the content of a web page."""
    (documents / name).write_bytes(content)

    assert [(passage.headings, passage.text) for passage in read_folder(documents)] == passages


def test_restructured_text_is_read_without_its_roles_and_directives(documents: Path) -> None:
    """The text of a role is kept, the content of an unknown directive too, and a table of contents is not."""
    (documents / "a.rst").write_text(RST, encoding="utf-8")

    passages = read_folder(documents)

    assert [passage.headings for passage in passages] == [("Parcels",), ("Parcels", "Returns")]
    assert "We ship every day with shop.Carrier." in passages[0].text
    assert "Sundays too." in passages[0].text
    assert "secret-page" not in passages[0].text
    assert passages[1].text == "Within **30 days**, see `return --all`:\n```\n# code\n```"


def test_subfolders_are_read(documents: Path) -> None:
    """A name includes the subfolder. The README of the folder itself is left out, and there may be no folder."""
    (documents / "deep").mkdir()
    (documents / "deep" / "README.md").write_text("Another note.", encoding="utf-8")
    (documents / "README.md").write_text("Put your documents here.", encoding="utf-8")

    assert read_folder(documents) == [Passage("documents/deep/README.md", (), ("Another note.",))]
    assert read_folder(documents / "nowhere") == []


def test_what_is_not_read_is_named(documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its format, or by the library that is missing and the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "pypdf", None)
    for name in ("sheet.xlsx", "a.pdf", "LICENSE", ".hidden"):
        (documents / name).write_bytes(b"%PDF")

    with capture_logs() as logs:
        assert read_folder(documents) == []

    assert [(line["event"], line["document"], line["problem"]) for line in logs] == [
        ("document.skipped", "documents/LICENSE", "a file without ending is not read"),
        (
            "document.skipped",
            "documents/a.pdf",
            "the library for this format is missing; run: uv add 'ai-service-chassis[documents]'",
        ),
        ("document.skipped", "documents/sheet.xlsx", ".xlsx is not read"),
    ]


def test_only_regular_files_are_read(documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a pipe waits for ever, and reading a device fills the memory. A link to a regular file is read."""
    (tmp_path / "page.md").write_text("A linked page.", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    os.mkfifo(documents / "a-pipe.md")
    (documents / "b-device.txt").symlink_to("/dev/zero")
    (documents / "c-folder").symlink_to(tmp_path / "folder")
    (documents / "d-linked.md").symlink_to(tmp_path / "page.md")
    (documents / "e-linked-pipe.pdf").symlink_to(documents / "a-pipe.md")
    monkeypatch.chdir(documents)  # a socket's path may have about 100 characters
    with socket.socket(socket.AF_UNIX) as server, capture_logs() as logs:
        server.bind("f-socket.html")
        assert read_folder(documents) == [Passage("documents/d-linked.md", (), ("A linked page.",))]

    names = ["a-pipe.md", "b-device.txt", "c-folder", "e-linked-pipe.pdf", "f-socket.html"]
    assert [(line["document"], line["problem"]) for line in logs] == [
        (f"documents/{name}", "not a regular file") for name in names
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.md", ""),
        ("blank.txt", " \n\t\n\0"),
        ("fields.md", "---\ntitle: x\n---\n"),
        ("drawn.md", "```mermaid\ngraph TD\n```\n"),
        ("navigation.html", "<main><nav>Home</nav></main>"),
        ("comment.rst", ".. a comment\n"),
    ],
)
def test_a_file_without_text_is_named(documents: Path, name: str, content: str) -> None:
    """Its owner thinks that it is searched."""
    (documents / name).write_text(content, encoding="utf-8")

    with capture_logs() as logs:
        assert read_folder(documents) == []

    assert [(line["document"], line["problem"]) for line in logs] == [
        (f"documents/{name}", "no text was found in it"),
    ]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("bad.md", r"byte 2 is not UTF-8\. Save the file as UTF-8 or remove it"),
        ("bad.pdf", r"the file cannot be converted \(.*\)\. Repair it"),
        ("bad.docx", r"the file cannot be converted \(.*\)\. Repair it"),
        ("bad.rst", r"the file cannot be converted \(.*\)\. Repair it"),
    ],
)
def test_a_damaged_file_stops_the_start(documents: Path, name: str, problem: str) -> None:
    """The error names the file, the problem and the remedy."""
    (documents / name).write_bytes("Grüße".encode("latin-1"))

    with pytest.raises(ConfigError, match=rf"documents/{name}: {problem}"):
        read_folder(documents)


def test_a_file_that_cannot_be_opened_stops_the_start(documents: Path) -> None:
    """A link that leads nowhere or to itself is an error, not a page that is silently missing."""
    (documents / "loop.md").symlink_to(documents / "loop.md")
    with pytest.raises(ConfigError, match=r"/loop\.md: the file cannot be read \(Too many levels of symbolic links\)"):
        read_folder(documents)

    (documents / "gone.md").symlink_to(documents / "nowhere")
    with pytest.raises(ConfigError, match=r"/gone\.md: the file cannot be read \(No such file or directory\)"):
        read_folder(documents)
