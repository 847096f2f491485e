"""The extra of each optional package, and the message for a missing one."""

from importlib.util import find_spec

# Module: the smallest extra that brings it.
EXTRAS = {
    "dask": "dask",
    "distributed": "dask",
    "jax": "jax",
    "jinja2": "report",
    "keras": "keras",
    "matplotlib": "report",
    "onnx": "onnx",
    "pyarrow": "files",
    "rich": "cli",
    "sklearn": "sklearn",
    "torch": "torch",
    "triton": "gpu",
    "typer": "cli",
}


def require(module: str, purpose: str) -> None:
    """Raise ModuleNotFoundError, with what to install, if a module is missing.

    Parameters
    ----------
    module : str
        A key of `EXTRAS`.
    purpose : str
        What needs it, as the subject of a sentence.
    """
    if find_spec(module) is None:
        raise ModuleNotFoundError(missing(module, purpose), name=module)


def missing(module: str, purpose: str) -> str:
    """Return the message for a missing module."""
    top = module.partition(".")[0]
    extra = EXTRAS.get(top)
    command = f"pip install 'softmaxlib[{extra}]'" if extra else f"pip install {top}"
    return f"{purpose} needs {top}; install it with: {command}"
