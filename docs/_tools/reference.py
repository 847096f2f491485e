"""The pages of the reference: one for each package, with every public name, and one for the command line."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "softmaxlib"
WITHOUT_PYTHON = {"cli"}  # a command line only
LAYERED = {"policy"}  # packages whose classes have public methods from base classes that have no page
NESTED = ["torch.parallel"]  # whose names the package above does not have


def packages() -> list[str]:
    """List the packages that a user imports from, the library itself first."""
    found = [path.parent.name for path in SOURCE.glob("[!_]*/__init__.py")]
    return ["softmaxlib", *sorted({*found, *NESTED, "errors"} - WITHOUT_PYTHON)]


def package_page(name: str) -> str:
    """Write the page of one package."""
    tree = _tree(name)
    lines = [f"# {_module(name)}", "", ast.get_docstring(tree) or "", ""]
    homes = _homes(tree)
    for public in _public_names(tree):
        if name == "softmaxlib" and public in packages():
            lines += [f"## {public}", "", f"See [softmaxlib.{public}]({public}.md).", ""]
        elif name == "softmaxlib" and public in homes:
            target = f"softmaxlib.{homes[public]}.{public}"
            lines += [f"## {public}", "", f"The same as [`{target}`][{target}].", ""]
        else:
            layered = ["    options:", "      inherited_members: true"] if name in LAYERED else []
            lines += [f"::: {_module(name)}.{public}", *layered, ""]
    return "\n".join(lines)


def index_page() -> str:
    """Write the list of the packages."""
    lines = ["# Reference", "", "| package | what it holds |", "|---|---|"]
    for name in packages():
        first = (ast.get_docstring(_tree(name)) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"| [`{_module(name)}`]({name}.md) | {first} |")
    return "\n".join([*lines, "", "Commands of the shell: [command line](command_line.md).", ""])


def command_line_page() -> str:
    """Write down what `softmaxlib COMMAND --help` says."""
    import click
    import typer.main

    from softmaxlib.cli._app import make_app

    group = typer.main.get_command(make_app())
    lines = ["# Command line", "", group.help or "", ""]
    for name, command in group.commands.items():
        context = click.Context(command, info_name=f"softmaxlib {name}")
        lines += [
            f"## {name}",
            "",
            command.help or "",
            "",
            "```console",
            command.get_usage(context),
            "```",
            "",
        ]
        lines += ["| argument | |", "|---|---|"]
        for parameter in command.params:
            record = parameter.get_help_record(context) or (
                parameter.make_metavar(context),
                parameter.help or "",
            )
            words, text = (part.replace("|", "\\|").replace("\n", " ") for part in record)
            lines.append(f"| `{words}` | {text} |")
        lines.append("")
    return "\n".join([*lines, "## Exit codes", "", group.epilog.split("\n\n", 1)[1], ""])


def _homes(tree: ast.Module) -> dict[str, str]:
    """Return the package of each name that the library itself takes from one."""
    taken = (node for node in tree.body if isinstance(node, ast.ImportFrom) and node.level == 1)
    return {name.name: node.module for node in taken if node.module in packages() for name in node.names}


def _module(name: str) -> str:
    return name if name == "softmaxlib" else f"softmaxlib.{name}"


def _tree(name: str) -> ast.Module:
    folder = SOURCE if name == "softmaxlib" else SOURCE / name.replace(".", "/")
    path = folder / "__init__.py" if folder.is_dir() else SOURCE / f"{name}.py"
    return ast.parse(path.read_text("utf-8"))


def _public_names(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []
