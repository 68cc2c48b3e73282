"""Write the pages of `tests/unit/texts`."""

from tests.support.texts import FOLDER, PAGES, page

for name in PAGES:
    (FOLDER / f"{name}.txt").write_text(page(name), "utf-8")
