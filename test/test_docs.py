"""The documents are true to the repository: links resolve, named files, functions and commands exist, snippets run."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from s4token_model import cli, vocabulary
from s4token_model import config as configs
from s4token_model.training.settings import MiniConfig, TrainConfig

ROOT = Path(__file__).resolve().parents[1]
WRITTEN_BY_CODE = ("docs/benchmark.md", "docs/calibration.md", "docs/results.md", "docs/robustness.md")
DOCUMENTS = sorted(
    p.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "s4token_model/weights/*/README.md")
    for p in ROOT.glob(pattern)
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def shell_of(document: str) -> str:
    """The shell blocks and the code spans of a document, each span on a line of its own."""
    text = text_of(document)
    blocks = [code.replace("\\\n", " ") for language, code in CODE.findall(text) if language == "bash"]
    return "\n".join([*blocks, *re.findall(r"`([^`]+)`", CODE.sub("", text))])


def anchors_of(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    without_code = CODE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_relative_links_resolve(document):
    for target in LINK.findall(CODE.sub("", text_of(document))):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / document).parent / name if name else ROOT / document
        assert path.exists(), f"{document}: {target}"
        assert not anchor or anchor in anchors_of(path), f"{document}: {target}"


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d not in WRITTEN_BY_CODE])
def test_lines_have_at_most_120_characters(document):
    assert [line for line in text_of(document).splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_targets_of_make_exist(document):
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"^make ([\w-]+)", shell_of(document), re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_of_s4token_exist(document):
    known = set(re.findall(r"^    ([a-z][\w-]*)(?:  |$)", cli.parser().format_help(), re.MULTILINE))
    assert set(re.findall(r"^(?:\S*bin/)?s4token ([a-z][\w-]*)", shell_of(document), re.MULTILINE)) <= known


@pytest.mark.parametrize("document", DOCUMENTS)
def test_scripts_and_modules_that_are_run_exist(document):
    for module in re.findall(r"python -m (s4token_\w+(?:\.\w+)*)", text_of(document)):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), f"{document}: {module}"
    for script in re.findall(r"(?:python |`|\. )((?:examples|scripts|config|test)/[\w./-]+\.\w+)", text_of(document)):
        assert (ROOT / script).is_file(), f"{document}: {script}"


@cache
def names_in(path: Path) -> set[str]:
    """The functions, classes and methods (Class.method) that a module defines at its top level."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
            inner = node.body if isinstance(node, ast.ClassDef) else []
            found |= {f"{node.name}.{n.name}" for n in inner if isinstance(n, ast.FunctionDef)}
        elif isinstance(node, ast.Assign):
            found |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    return found


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d not in WRITTEN_BY_CODE])
def test_files_and_functions_in_code_spans_exist(document):
    for name, function in re.findall(r"`((?:\w+/)+\w+\.py)(?::([\w.]+))?`", text_of(document)):
        path = next((p for p in (ROOT / name, ROOT / "s4token_model" / name) if p.is_file()), None)
        assert path is not None, f"{document}: {name} does not exist"
        assert not function or function in names_in(path), f"{document}: {name} has no {function}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_of_the_pipeline_exist(document):
    """Dotted keys in commands and code spans are options of Config or parameters of the node."""
    known, node = set(configs.options(configs.Config())), text_of("config/node.yaml")
    stages = "|".join(sorted({key.split(".")[0] for key in known}))
    for key in re.findall(rf"(?:^|[ `])((?:{stages})\.[a-z_]+)", shell_of(document), re.MULTILINE):
        if not key.endswith((".ply", ".safetensors")):
            assert key in known or f"{key}:" in node, f"{document}: {key}"


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d != "docs/api.md"])  # it names parameters of Python
def test_settings_of_training_exist(document):
    """Plain key=value words in commands and code spans are settings of a training, or of the commands around it."""
    known = {f.name for config in (TrainConfig, MiniConfig) for f in dataclasses.fields(config)}
    known |= {"run", "out", "variant", "device", "key"}
    named = set(re.findall(r"(?:^|[ \"\[])([a-z_]+)=", shell_of(document), re.MULTILINE))
    assert named - known == set()


def test_folders_of_the_architecture_exist_and_are_complete():
    named = re.findall(r"^\| (?:`[^`]+`(?:, )?)+ \|", text_of("docs/architecture.md"), re.MULTILINE)
    folders = {name.rstrip("/") for row in named for name in re.findall(r"`([\w/]+/)`", row)}
    packages = {p.parent.relative_to(ROOT).as_posix() for p in (ROOT / "s4token_model").glob("*/__init__.py")}
    assert packages <= folders


def test_readme_names_every_topic_and_service():
    """The names in the publishers' and the node's source; ~/class/<name> is one of them."""
    source = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "s4token_ros").glob("*.py"))
    for service in re.findall(r'\(\w+, "(\w+)", self\._on_\w+\)', source):
        assert f"`~/{service}`" in README
    for name in ("labeled", "classes", "similarity", "vocabulary", "label_info", "class/<name>"):
        assert f"`~/{name}`" in README


def test_readme_has_a_table_of_contents_of_its_sections():
    contents = README[README.index("**Contents:**") : README.index("\n## ")]
    sections = set(re.findall(r"^## (.+)$", README, re.MULTILINE))
    linked = set(re.findall(r"\]\(#([\w-]+)\)", contents))
    assert linked == {re.sub(r"[^\w\- ]", "", s.lower()).replace(" ", "-") for s in sections}


def test_readme_names_the_paper_its_authors_and_its_page():
    authors = [author["family-names"] for author in citation()["preferred-citation"]["authors"]]
    assert len(authors) == 10 and all(author in README for author in authors)
    title = citation()["preferred-citation"]["title"]
    assert title in " ".join(README.split()) and citation()["preferred-citation"]["url"] in README


def citation() -> dict:
    return yaml.safe_load(text_of("CITATION.cff"))


def test_the_citation_file_has_what_its_format_requires():
    content = citation()
    assert content["cff-version"] == "1.2.0" and content["message"] and content["title"] and content["authors"]
    assert content["type"] == "software" and content["license"] == "Apache-2.0"
    assert f"<version>{content['version']}</version>" in text_of("package.xml")
    paper = content["preferred-citation"]
    assert paper["type"] == "article" and paper["title"] and all(a["given-names"] for a in paper["authors"])


def test_the_figures_of_readme_stand_in_the_model_card_and_the_benchmark():
    card = " ".join(text_of("s4token_model/weights/s4token-mini/README.md").split())
    benchmark = text_of("docs/benchmark.md")
    assert "23.8 % mIoU" in README and "**23.8 %**" in card and "**36.2 %**" in card and "36.2 %" in README
    for rate in (1.9, 3.7, 6.7):
        assert f"{rate} Hz" in README and rate in [
            round(float(v), 1) for v in re.findall(r"\| 10 \| ([0-9.]+) \|", benchmark)
        ]
    assert "trained with labels" in README and "Supervised by labels of procedural scenes" in card


def test_the_documented_threshold_is_the_measured_one():
    measured = float(re.findall(r"\| at (0\.\d\d): precision \|", text_of("docs/calibration.md"))[0])
    for document in ("docs/robot.md", "s4token_model/weights/s4token-mini/README.md"):
        documented = float(re.findall(r"threshold of (0\.\d+)", " ".join(text_of(document).split()))[0])
        assert measured <= documented < measured + 0.1, f"{document}: run make calibration, then correct the text"


def test_the_glossary_defines_each_term_once():
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text_of("docs/glossary.md"), re.MULTILINE)
    terms = [term for term, _ in rows if term not in ("term", "not")]
    assert len(terms) == len(set(terms)) > 50 and all(meaning.strip() for _, meaning in rows)


@pytest.mark.timeout(600)  # a fresh checkout compiles the kernels first
def test_the_snippets_of_the_api_page_run(tmp_path):
    snippets = [code for language, code in CODE.findall(text_of("docs/api.md")) if language == "python"]
    assert len(snippets) >= 7
    program = tmp_path / "snippets.py"
    program.write_text("\n".join(snippets), encoding="utf-8")
    finished = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr[-2000:]
    printed = finished.stdout.splitlines()
    name, confidence = printed[0].rsplit(" ", 1)
    assert name in vocabulary.read_names("scannet20") and 0 < float(confidence) <= 1
    assert sum(ast.literal_eval(printed[1]).values()) > 0 and int(printed[2].split()[0]) > 50


@pytest.mark.parametrize("language", ["python", "bash", "bibtex", "mermaid", "yaml"])
def test_code_blocks_name_a_known_language(language):
    used = {lang for document in DOCUMENTS for lang, _ in CODE.findall(text_of(document))}
    assert used <= {"python", "bash", "bibtex", "mermaid", "yaml"} and language in used


def test_python_blocks_of_readme_parse():
    blocks = [code for language, code in CODE.findall(README) if language == "python"]
    assert blocks and all(ast.parse(block) for block in blocks)
