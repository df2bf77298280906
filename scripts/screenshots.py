"""Takes the screenshots of the review page in docs/images/, with Debian's Chromium."""

import tempfile
from pathlib import Path
from typing import Literal

from chassis import Draft
from playwright.sync_api import Browser, ViewportSize
from review_desk import Desk, Source, SourcedAnswer, chromium, open_desk, sign_in

FOLDER = Path(__file__).parents[1] / "docs/images"
HEIGHTS = {1280: 640, 390: 844}
DRAFT = Draft(
    SourcedAnswer(
        text="Refunds take five working days. For gift cards there is no refund.",
        sources=[
            Source(
                title="documents/returns.md · Refunds",
                quote="We refund the price within five working days after the bicycle has arrived in our workshop.",
            ),
            Source(title="documents/returns.md · Exceptions", quote="Gift cards and worn tires cannot be returned."),
        ],
    ),
    confidence=0.31,
)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def take(desk: Desk, browser: Browser, width: int, scheme: Literal["light", "dark"]) -> None:
    """Save the page of one referral as `review-WIDTH-SCHEME.png`."""
    window = ViewportSize(width=width, height=HEIGHTS[width])
    page = sign_in(desk, browser.new_context(viewport=window, color_scheme=scheme))
    page.screenshot(path=FOLDER / f"review-{width}-{scheme}.png")


def main() -> None:
    """Serve a sample with a few referrals, and look at it in both schemes and widths."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open_desk(Path(folder)) as desk, chromium() as browser:
        for text in (
            "How long does a refund take, and what about my gift card?",
            "Can I return a gift card?",
            "Do you deliver on Sundays?",
        ):
            desk.refer(text, DRAFT)
        for width in HEIGHTS:
            for scheme in SCHEMES:
                take(desk, browser, width, scheme)


if __name__ == "__main__":
    main()
