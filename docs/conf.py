"""How Sphinx builds the site: `make docs`.

The sources are the Markdown files of the repository in their own places, so that a link between
two of them is the same on GitHub and on the site, and is checked when the site is built.
"""

project = "Phonemes"
author = copyright = "the authors of Phonemes"
extensions = ["myst_nb"]  # Markdown and notebooks
include_patterns = [
    "docs/*.md",
    "docs/*.ipynb",
    "*.md",
    "phonemes/english/MODEL_CARD.md",
]
root_doc = "docs/index"

myst_heading_anchors = 6  # each heading can be linked to, by the name that GitHub gives it
nb_execution_mode = "off"  # a notebook's outputs are those in the file; a test compares them

html_theme = "furo"  # loads nothing from elsewhere
html_title = "Phonemes"
html_additional_pages = {"index": "start.html"}
html_static_path = ["site/static"]
html_css_files = ["wide.css"]
templates_path = ["site"]
html_copy_source = False
html_show_sphinx = False
