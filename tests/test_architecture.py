"""The rules of docs/architecture.md hold, and what texts cite exists."""

import ast
import functools
import itertools
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "ganmf_fast"
CORE = ROOT / "rust" / "core" / "src"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
# Optional packages, and the only place that imports each.
PLACES = {"torch": "gan", "triton": "gan", "ray": "base.ray_executor"}

Graph = dict[str, set[str]]


def circles(graph: Graph) -> list[list[str]]:
    """Strongly connected components of more than one node, by Tarjan's algorithm."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert circles(graph) == [["d", "e"], ["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}}) == []


# Python ------------------------------------------------------------------------------------------


@functools.cache
def modules() -> dict[str, ast.Module]:
    """The package by the names of its modules within it; the package itself is ``""``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(), path.name)
    return found


def is_folder(module: str) -> bool:
    return (PACKAGE / Path(*module.split(".")) / "__init__.py").is_file()


def imported(module: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Module and name of each import, wherever it stands: in functions and under TYPE_CHECKING."""
    home = ["ganmf_fast", *module.split(".")] if module else ["ganmf_fast"]
    if not is_folder(module):
        home = home[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) + 1 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((source, alias.name) for alias in node.names)


@functools.cache
def imports() -> Graph:
    """Modules of the package that each module imports; `_core` is the compiled one."""
    known = {*modules(), "_core"}
    graph: Graph = {}
    for module, tree in modules().items():
        graph[module] = set()
        for source, name in imported(module, tree):
            if source.partition(".")[0] != "ganmf_fast":
                continue
            within = source.partition(".")[2]
            submodule = f"{within}.{name}" if within else name
            graph[module].add(submodule if submodule in known else within)
    return graph


def layers() -> list[str]:
    """Folders of the package from the lowest to the highest, read from the picture."""
    block = re.search(r"```\npython +(_core <- .*?)\n(?=\S)", ARCHITECTURE.read_text(), re.DOTALL)
    assert block, f"{ARCHITECTURE} lacks the block that begins with 'python  _core <- ...'"
    return [name.strip() for name in block[1].split("<-")]


def layer(module: str) -> int:
    """Height of a module; the package itself and `__main__` are above all folders."""
    folder = module.partition(".")[0]
    return len(layers()) if folder in {"", "__main__"} else layers().index(folder)


def test_the_picture_names_every_folder_once() -> None:
    folders = {module.partition(".")[0] for module in modules()} - {"", "__main__"}
    assert sorted(layers()) == sorted(folders | {"_core"})


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {module: others - {module} for module, others in imports().items()}
    assert not (found := circles(graph)), found


def test_no_folder_imports_from_one_above_it() -> None:
    upward = [
        f"{module} -> {other or 'ganmf_fast'}"
        for module, others in imports().items()
        for other in sorted(others)
        if layer(other) > layer(module)
    ]
    assert not upward, "\n".join(upward)


def test_optional_packages_are_imported_in_one_place() -> None:
    elsewhere = [
        f"{module} imports {source}"
        for module, tree in modules().items()
        for source, _ in imported(module, tree)
        if (place := PLACES.get(source.partition(".")[0]))
        and not f"{module}.".startswith(f"{place}.")
    ]
    assert not elsewhere, "\n".join(elsewhere)


def test_what_is_printed_passes_a_console_that_knows_no_markup() -> None:
    consoles = {
        module
        for module, tree in modules().items()
        for source, name in imported(module, tree)
        if source == "rich.console" or (source == "rich" and name in {"print", "get_console"})
    }
    assert consoles == {"base.console"}
    writers = {
        module
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout", "sys.stderr"}
    }
    # The worker hands its streams on, and writes nothing.
    assert writers == {"base.worker", "cli", "cli.common", "cli.frame_files"}


def test_a_class_name_stands_for_one_class() -> None:
    names: dict[str, list[str]] = defaultdict(list)
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                names[node.name].append(module)
    assert {name: where for name, where in names.items() if len(where) > 1} == {}


def test_the_version_stands_once() -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]
    assert f"\nversion: {cargo}\n" in (ROOT / "CITATION.cff").read_text()
    assert version("ganmf-fast") == cargo


# Rust --------------------------------------------------------------------------------------------


def rust_modules() -> dict[str, str]:
    """Text of the modules of the core, without their tests and comments."""
    found = {}
    for path in sorted(CORE.rglob("*.rs")):
        parts = list(path.relative_to(CORE).with_suffix("").parts)
        if parts[-1] in {"mod", "lib"}:
            parts.pop()
        text = re.sub(r"//.*", "", path.read_text())
        text = re.split(r"#\[cfg\(test\)\]\s*mod \w+ \{", text)[0]
        if "tests" not in parts:
            found["::".join(parts)] = text
    return found


def leaves(tree: str) -> Iterator[str]:
    """Paths of a `use` tree: ``a::{b, c::d}`` is ``a::b`` and ``a::c::d``."""
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    if not brace:
        yield re.sub(r"\s+as \w+$", "", tree)
        return
    inner = rest[: rest.rindex("}")]
    depth, start = 0, 0
    for at, letter in enumerate([*inner, ","]):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            if inner[start:at].strip():
                yield from (f"{head}{leaf}" for leaf in leaves(inner[start:at]))
            start = at + 1


def rust_uses() -> Graph:
    texts = rust_modules()
    graph: Graph = {}
    for module, text in texts.items():
        here = module.split("::") if module else []
        trees = re.findall(r"\buse ([^;]+);", text)
        paths = itertools.chain.from_iterable(map(leaves, trees))
        plain = re.findall(r"\b(?:crate|super|self)(?:::\w+)+", re.sub(r"\buse [^;]+;", "", text))
        graph[module] = set()
        for path in itertools.chain(paths, plain):
            first, *rest = path.split("::")
            # A module at hand is named without a keyword in front.
            base = [] if first == "crate" else [*here]
            parts = rest if first in {"crate", "super", "self"} else [first, *rest]
            if first == "super":
                base = base[:-1]
                while parts[:1] == ["super"]:
                    base, parts = base[:-1], parts[1:]
            whole = [*base, *parts]
            targets = ("::".join(whole[:n]) for n in range(len(whole), len(base), -1))
            graph[module].update(itertools.islice((t for t in targets if t in texts), 1))
    return graph


def test_use_trees_are_read() -> None:
    assert list(leaves("crate::a::{b, c::{d as e, self}, f}")) == [
        "crate::a::b",
        "crate::a::c::d",
        "crate::a::c::self",
        "crate::a::f",
    ]
    assert rust_uses()["rank"] & set(rust_modules())


def test_no_module_of_the_core_uses_itself_by_a_detour() -> None:
    graph = {
        # A module and the one it lies in share what they declare.
        module: {t for t in targets if not f"{module}::".startswith(f"{t}::")}
        for module, targets in rust_uses().items()
    }
    assert circles(graph) == []


# what is cited -----------------------------------------------------------------------------------

TOP = ("python", "rust", "docs", "tests", "studies", "benches", ".ci")
TEXT = {".py", ".pyi", ".rs", ".toml", ".md", ".json", ".jinja", ".js", ".css", ".yaml", ".cff"}
# A path may begin at the file that cites it, or at one of these.
STARTS = [
    ROOT,
    PACKAGE,
    CORE,
    *(ROOT / name for name in ("docs", "rust", "rust/python/src", "tests", "benches/python")),
]
# Names that users choose in examples.
EXAMPLES = {"train.py", "pathlib.py"}

PATH = re.compile(r"(?<![\w/.*{}<>~$-])[\w.*{}<>,-]+(?:/[\w.*{}<>,-]*)+")
FILE = re.compile(r"(?<![\w/.*{}<>~$-])\w+\.(?:py|rs)(?![\w/.(])")
TEST = re.compile(r"([\w/]*\.py)?::(test_\w+)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@functools.cache
def texts() -> dict[Path, str]:
    """The texts of the repository; the addresses of web pages are left out."""
    files = [path for path in ROOT.glob("*") if path.suffix in TEXT or path.name == "Makefile"]
    for folder in TOP:
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in TEXT]
    return {
        path: re.sub(r"\w+://\S+", "", path.read_text())
        for path in sorted(files)
        if path != Path(__file__).resolve()
    }


@functools.cache
def file_names() -> set[str]:
    folders = [path for name in TOP for path in (ROOT / name).rglob("*.*")]
    return {path.name for path in [*ROOT.glob("*.*"), *folders]} | EXAMPLES


@functools.cache
def known_tests() -> dict[str, set[str]]:
    """Tests in Python by the file, from the root."""
    return {
        str(path.relative_to(ROOT)): set(
            re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
        )
        for path in (ROOT / "tests").rglob("test_*.py")
    }


def alternatives(path: str) -> Iterator[str]:
    """``a/{b,c}`` is ``a/b`` and ``a/c``."""
    braces = re.search(r"\{([^{}]*)\}", path)
    if braces is None:
        yield path
        return
    for choice in braces[1].split(","):
        yield from alternatives(path[: braces.start()] + choice + path[braces.end() :])


def exists(path: str, start: Path) -> bool:
    try:
        return any(any(start.glob(one.rstrip("/"))) for one in alternatives(path))
    except (ValueError, NotImplementedError):
        return False


def is_citation(path: str) -> bool:
    """Whether a word with a slash names a file of the repository, and not one of a user."""
    first, *rest = path.split("/")
    if re.search(r"[A-Z]{2}|[<>]|\{[^,}]*\}|\.\.\.", path.replace("README", "")):
        return False
    if first in TOP:
        # What is built is not always there.
        return not path.endswith((".so", ".pyd"))
    code = re.search(r"\.(py|rs|pyi|md|jinja|js|css)$", path)
    return bool(rest) and bool(code) and first not in {"runs", "tmp", ".."}


def slugs(text: str) -> set[str]:
    """Anchors of a page's headings, as web hosts of Markdown make them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(
        r"^#+ +(.+?) *#*$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    ):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def missing_paths(file: Path, text: str) -> Iterator[str]:
    for match in PATH.finditer(text):
        path = match[0].rstrip(".,-")
        if is_citation(path) and not any(exists(path, at) for at in (file.parent, *STARTS)):
            yield path
    yield from (name for name in FILE.findall(text) if name not in file_names())


def missing_targets(page: Path, text: str) -> Iterator[str]:
    for target in LINK.findall(text):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        known = there.exists() and (not anchor or anchor in slugs(there.read_text()))
        if target and not known:
            yield target


def test_every_cited_path_exists() -> None:
    missing = [
        f"{file.relative_to(ROOT)}: {path}"
        for file, text in texts().items()
        for path in missing_paths(file, text)
    ]
    assert not missing, "\n".join(missing)


def test_every_cited_test_exists() -> None:
    missing = []
    anywhere = set().union(*known_tests().values())
    for file, text in texts().items():
        for match in TEST.finditer(text):
            there = known_tests().get(match[1], set()) if match[1] else anywhere
            if match[2] not in there:
                missing.append(f"{file.relative_to(ROOT)}: {match[0]}")
    assert not missing, "\n".join(missing)


def test_every_link_leads_somewhere() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {target}"
        for page, text in texts().items()
        if page.suffix == ".md"
        for target in missing_targets(page, text)
    ]
    assert not missing, "\n".join(missing)
