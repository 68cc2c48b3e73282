"""Make the pictures of the docs from the demo's scenes: `make pictures` (after `make demo`).

The demo writes each scene as one HTML file into `build/demo/scenes/`. Headless Chromium renders them into
`docs/images/`, as high as their content and twice as dense as a plain screen.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ir_sandbox.demo.scenes import FOLDER, PHONE

IMAGES = Path("docs") / "images"

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Flags that keep the browser from looking for updates or hosts: a machine without a network answers none of them.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--force-device-scale-factor=2",
)
_SECONDS = 120


class PictureError(Exception):
    """No picture was made; the message states the reason and the fix."""


def make(scene: Path, picture: Path, browser: str) -> None:
    """Render one scene.

    Args:
        scene: an HTML file that sets `data-height` on its root element to the height of its content in CSS pixels,
            and `data-width` to its width.
        picture: the PNG file to write.
        browser: the path of a Chromium.

    Raises:
        PictureError: the browser failed, or the scene did not set its height.
    """
    wanted = re.search(r'data-width="(\d+)"', scene.read_text("utf-8"))
    width = wanted[1] if wanted else str(PHONE)
    found = re.search(
        r'data-height="(\d+)"', _run(browser, f"--window-size={width},200", "--dump-dom", _address(scene))
    )
    if found is None:
        raise PictureError(f"{scene} does not set its height. Run `make demo` again, then `make pictures`.")
    picture.parent.mkdir(parents=True, exist_ok=True)
    _run(browser, f"--window-size={width},{found[1]}", f"--screenshot={picture.resolve()}", _address(scene))
    if not picture.is_file():
        raise PictureError(f"{browser} wrote no picture for {scene}.")


def main() -> int:
    """Render all scenes; return 0 when each picture was written."""
    try:
        _make_all()
    except PictureError as error:
        print(f"failed   {error}", file=sys.stderr)
        return 1
    return 0


def _make_all() -> None:
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    scenes = sorted(FOLDER.glob("*.html"))
    if browser is None:
        raise PictureError("No Chromium is on the PATH. Install it (Debian: `apt-get install chromium`).")
    if not scenes:
        raise PictureError(f"{FOLDER} has no scenes. Run `make demo` first.")
    for scene in scenes:
        picture = IMAGES / f"{scene.stem}.png"
        make(scene, picture, browser)
        print(f"ok       {picture}", flush=True)


def _address(scene: Path) -> str:
    return scene.resolve().as_uri()


def _run(browser: str, *arguments: str) -> str:
    with tempfile.TemporaryDirectory() as profile:
        answer = subprocess.run(
            [browser, *_FLAGS, f"--user-data-dir={profile}", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    if answer.returncode:
        raise PictureError(f"{browser} failed: {answer.stderr.strip()[-500:]}")
    return answer.stdout


if __name__ == "__main__":
    sys.exit(main())
