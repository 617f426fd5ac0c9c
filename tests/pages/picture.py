"""Write the picture of README, docs/transcribe.png: the page of a generated sentence.

    python -m tests.pages.picture

It needs Chromium.
"""

import subprocess
import sys
import tempfile
from math import ceil
from pathlib import Path

import soundfile
from PIL import Image

from docs.generate.voices import RATE, sentence
from tests.pages.browser import launched

PICTURE = Path("docs/transcribe.png")
WIDTH = 1200  # all buttons in one row


def main() -> None:
    """Have a sentence spoken, transcribe it, and take a picture of its page."""
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder, "hello.wav")
        soundfile.write(recording, sentence().samples, RATE)
        words = ["transcribe", str(recording), "--to", "html", "--model", "english"]
        subprocess.run([sys.executable, "-m", "phonemes", *words], check=True)
        with launched() as browser:
            page = browser.open(recording.with_suffix(".html"), WIDTH)
            page.wait("document.getElementById('status')?.textContent === ''")
            page.command("Emulation.setScrollbarsHidden", hidden=True)
            page.evaluate("document.getElementById('frame').style.overflow = 'hidden'")
            height = page.evaluate(
                "document.querySelector('.legend').getBoundingClientRect().bottom"
            )
            page.command("Emulation.setDeviceMetricsOverride", width=WIDTH, height=ceil(height) + 8,
                         deviceScaleFactor=1, mobile=False)  # fmt: skip
            page.evaluate("new Promise((done) => setTimeout(done, 2000))")  # the spectrogram
            page.screenshot(PICTURE)
    with Image.open(PICTURE) as whole:  # octrees keep the colours of the phonetic classes
        whole.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
