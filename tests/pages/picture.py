"""Write the picture of README, docs/transcribe.png: the page of a generated sentence.

    python -m tests.pages.picture

It needs Chromium.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile
from PIL import Image

from docs.generate.voices import RATE, sentence
from tests.pages.browser import launched

PICTURE = Path("docs/transcribe.png")
WIDTH, HEIGHT = 1100, 722


def main() -> None:
    """Have a sentence spoken, transcribe it, and take a picture of its page."""
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder, "hello.wav")
        soundfile.write(recording, sentence().samples, RATE)
        words = ["transcribe", str(recording), "--to", "html", "--model", "english"]
        subprocess.run([sys.executable, "-m", "phonemes", *words], check=True)
        with launched() as browser:
            page = browser.open(recording.with_suffix(".html"), WIDTH, HEIGHT)
            page.wait("document.getElementById('status')?.textContent === ''")
            page.command("Emulation.setScrollbarsHidden", hidden=True)
            page.evaluate("new Promise((done) => setTimeout(done, 2000))")  # the spectrogram
            page.screenshot(PICTURE)
    with Image.open(PICTURE) as whole:
        whole.quantize(128).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
