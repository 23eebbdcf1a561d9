"""What the documentation site (mkdocs.yml) needs beside docs/: pages and files of the repository that docs link to, and the command line.

A link in a page is relative to the page's place in the repository, where a browser of the repository follows it. On the site docs/ is the
root and all else keeps its path, so every link is rewritten from one to the other. A linked folder becomes a page that shows its files.
MkDocs checks the result: a link to nothing is a warning, and warnings are errors.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
COMMANDS = "commands.md"
PACKAGES = ("potential", "potential/training", "export", "lammps_plugin", "openmm_plugin")
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")
CODE = re.compile(r"(^```.*?^```|^    .*?$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".xml": "xml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what the navigation names and what pages link to, and what those link to."""
    files.append(File.generated(config, COMMANDS, content=command_reference()))
    for package in PACKAGES:
        files.append(File.generated(config, f"api/{Path(package).name}.md", content=modules_of(package)))
    wanted = [uri for uri in _names(config.nav) if files.get_file_from_path(uri) is None]
    wanted += [uri for file in files.documentation_pages() for uri in _linked(file.src_uri, file.content_string)]
    while wanted:
        uri = wanted.pop()
        if files.get_file_from_path(uri) is not None or not _exists(_in_repository(uri)):
            continue  # it is there, or MkDocs will say that it is missing
        files.append(_file(uri, config))
        if uri.endswith(".md"):
            wanted += _linked(uri, files.get_file_from_path(uri).content_string)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The same text with links for the site."""
    here = page.file.src_uri

    def on_the_site(link: re.Match[str]) -> str:
        uri = _target(here, link[1])
        return os.path.relpath(uri, os.path.dirname(here) or ".") if uri else link[1]

    return "".join(part if n % 2 else LINK.sub(on_the_site, part) for n, part in enumerate(CODE.split(markdown)))


def command_reference() -> str:
    """The page on `spinconv` and its sub-commands, as typer writes it."""
    typer = [sys.executable, "-m", "typer", "spinconv.export.cli", "utils", "docs", "--name", "spinconv", "--title", "Command line"]
    done = subprocess.run(typer, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PluginError(f"`spinconv` must be importable for the page on its commands: {done.stderr}")
    return done.stdout


def modules_of(package: str) -> str:
    """The page on a package: what mkdocstrings shall write about it and about each of its modules."""
    name = f"spinconv.{package.replace('/', '.')}"
    modules = sorted(path.stem for path in (ROOT / package).glob("*.py") if not path.stem.startswith("_"))
    whole = f"# {name}\n\n::: {name}\n    options:\n      members: false\n      show_root_heading: false\n"
    return "\n".join([whole, *(f"::: {name}.{module}\n" for module in modules)])


def _file(uri: str, config: MkDocsConfig) -> File:
    path = _in_repository(uri)
    if path.name == "index.md" and not path.is_file():
        return File.generated(config, uri, content=_listing(path.parent))
    return File.generated(config, uri, abs_src_path=str(path))


def _listing(folder: Path) -> str:
    """A page for a folder: its pictures, and its files in full."""
    parts = [f"# {folder.relative_to(ROOT)}"]
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        if path.suffix == ".png":
            parts.append(f"## {path.name}\n\n![{path.name}]({path.name})")
        elif path.stat().st_size < 20_000:
            parts.append(f"## {path.name}\n\n````{LANGUAGES.get(path.suffix, 'text')}\n{path.read_text()}\n````")
        else:
            parts.append(f"## {path.name}\n\n{path.stat().st_size // 1000} kB, in the repository.")
    return "\n\n".join(parts)


def _linked(uri: str, markdown: str) -> Iterator[str]:
    """What a page links to in the repository, by the names of the site."""
    for n, part in enumerate(CODE.split(markdown)):
        if n % 2 == 0:
            yield from filter(None, (_target(uri, link) for link in LINK.findall(part)))


def _target(uri: str, link: str) -> str | None:
    """The site's name for what a link on page `uri` leads to; None where there is nothing in the repository."""
    page = uri if (ROOT / uri).exists() or not (ROOT / "docs" / uri).exists() else f"docs/{uri}"
    path = Path(os.path.normpath(ROOT / Path(page).parent / link))
    if not path.exists() or not path.is_relative_to(ROOT):
        return None
    inside = path.relative_to(ROOT).as_posix().removeprefix("docs/")
    return f"{inside}/index.md" if path.is_dir() else inside


def _in_repository(uri: str) -> Path:
    """Where a name of the site lies in the repository; a folder's page lies in the folder."""
    return ROOT / uri if _exists(ROOT / uri) else ROOT / "docs" / uri


def _exists(path: Path) -> bool:
    return path.exists() or (path.name == "index.md" and path.parent.is_dir())


def _names(nav: object) -> Iterator[str]:
    """All files that the navigation names."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for part in nav.values():
            yield from _names(part)
    elif isinstance(nav, list):
        for part in nav:
            yield from _names(part)
