"""The error if Keras, or the backend that it was set to use, is not installed."""

from importlib.util import find_spec

from .._extras import missing as missing_package

_BACKENDS = ("torch", "jax", "tensorflow")


def explain_missing(error: ModuleNotFoundError) -> str:
    """Return the error with the package to install, or with the way to choose another backend."""
    missing = (error.name or "").partition(".")[0]
    if missing == "keras":
        return (
            f"{missing_package('keras', 'softmaxlib.keras')}, and one of its backends: {', '.join(_BACKENDS)}"
        )
    if missing not in _BACKENDS:
        return str(error)
    installed = [name for name in _BACKENDS if name != missing and find_spec(name) is not None]
    choice = (
        f"choose an installed one before Keras is imported, such as KERAS_BACKEND={installed[0]} in the "
        "environment, or install it"
        if installed
        else f"install it, or another ({', '.join(_BACKENDS)}) and name that one in the environment variable "
        "KERAS_BACKEND"
    )
    return f"the backend that Keras is set to, {missing}, is not installed: {choice}"
