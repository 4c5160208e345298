# SPDX-License-Identifier: Apache-2.0
"""The pages keep up with the tree: what they name and link to exists, where they say it is."""

import re

import lib
import pytest

PAGES = ["README.md", "CONTRIBUTING.md",
         *sorted(f"docs/{page.name}" for page in (lib.TOP / "docs").glob("*.md"))]
OTHERS = {"noun_verb", "execvp"}  # a pattern, and a function of the C library


@pytest.fixture(scope="module")
def sources():
    """Path: text."""
    return {str(path.relative_to(lib.TOP)): path.read_text()
            for path in (lib.TOP / "src").rglob("*.[ch]")}


def defines(text, function):
    """Not only declares or calls it."""
    return re.search(rf"^[a-z][^;=()]*\b{function}\([^;]*?\)\n{{", text, re.M)


@pytest.mark.parametrize("page", PAGES)
def test_functions_exist(page, sources):
    named = set(re.findall(r"`(\w+)\(\)`", (lib.TOP / page).read_text())) - OTHERS
    assert [name for name in sorted(named)
            if not any(defines(text, name) for text in sources.values())] == []


@pytest.mark.parametrize("page", PAGES)
def test_functions_are_where_the_page_says(page, sources):
    places = re.findall(r"`(\w+)\(\)`\s+in\s+`([\w/-]+\.[ch])`", (lib.TOP / page).read_text())
    wrong = [f"{function}() in {file}" for function, file in places
             if not any(defines(text, function) for path, text in sources.items()
                        if f"/{path}".endswith(f"/{file}"))]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_files_exist(page):
    there = [str(path) for folder in ("src", "tests", "include", "examples", "man", "docs", "bench")
             for path in (lib.TOP / folder).rglob("*")]
    named = re.findall(r"`([\w./-]+\.(?:[ch]|py|varlink|map|scd|build))`",
                       (lib.TOP / page).read_text())
    assert [name for name in sorted(set(named))
            if not any(path.endswith(f"/{name}") for path in there)] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", (lib.TOP / page).read_text(), flags=re.M | re.S)
    links = re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", text)
    assert [link for link in links if not ((lib.TOP / page).parent / link).exists()] == []
