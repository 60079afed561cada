"""Put what lies outside docs/ on the site: README, results, recipes, and every file that a page links to.

Links are written as they work in the repository, and are turned here into those of the site, so that every page is
read in either place. mkdocs checks them, and in strict mode a link to nothing fails the build.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(\]\()(?!\w+:|#)([^)\s#]+)")
# Where a page of the repository is on the site; those of docs/ keep their names.
PLACES = {
    "README.md": "index.md",
    "METHODS.md": "methods.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "experiments/results/README.md": "results/index.md",
    "experiments/slurm/README.md": "clusters.md",
    "docker/README.md": "containers.md",
}
LANGUAGES = {".py": "python", ".yaml": "yaml", ".sbatch": "bash", ".sh": "bash"}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add pages and pictures of the results, the pages of `PLACES`, and the text files that any page links to."""
    results = [path for path in sorted(ROOT.glob("experiments/results/**/*")) if path.suffix in (".md", ".csv", ".png")]
    for path in dict.fromkeys([*map(ROOT.joinpath, PLACES), *results]):
        files.append(File.generated(config, place(path), abs_src_path=str(path)))
    pages = [Path(file.abs_src_path) for file in files.documentation_pages() if file.abs_src_path]
    for path in sorted({target for page in pages for target in links(page)}):
        if path.is_file() and files.get_file_from_path(place(path)) is None:
            files.append(File.generated(config, place(path), content=listing(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links of the repository into links of the site."""
    if (source := page.file.abs_src_path) is None:
        return markdown
    folder = Path(page.file.src_uri).parent

    def of_the_site(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(Path(source).parent / found[2]))
        return found[1] + os.path.relpath(place(target), folder) if target.is_relative_to(ROOT) else found[0]

    return LINK.sub(of_the_site, markdown)


def on_page_content(html: str, **_: Any) -> str:  # noqa: ANN401
    """Show the commands of docstrings, which are lines of a paragraph, as code."""
    return re.sub(r"<p>(python -m [^<]*)</p>", r"<pre><code>\1</code></pre>", html)


def links(page: Path) -> Iterator[Path]:
    """Find the files of the repository that one of its pages links to."""
    for _, target in LINK.findall(page.read_text()):
        path = Path(os.path.normpath(page.parent / target))
        if path.is_relative_to(ROOT):
            yield path


def place(path: Path) -> str:
    """Say where a file of the repository is on the site."""
    name = path.relative_to(ROOT).as_posix()
    if name in PLACES:
        return PLACES[name]
    for folder, below in (("docs/", ""), ("experiments/", "results/")):
        if name.startswith(folder + below):
            return name.removeprefix(folder)
    return f"source/{name}.md"


def listing(path: Path) -> str:
    """Show a file as a page of its own, which the search leaves out."""
    language = LANGUAGES.get(path.suffix, "text")
    title = path.relative_to(ROOT).as_posix()
    return f"---\nsearch: {{exclude: true}}\nhide: [toc]\n---\n# {title}\n\n````{language}\n{path.read_text()}````\n"


def on_config(config: MkDocsConfig) -> Any:  # noqa: ANN401
    """Build from anywhere: docstrings are read from this checkout."""
    config.plugins["mkdocstrings"].config["handlers"]["python"]["paths"] = [str(ROOT)]
    return config
