import atexit
import contextlib
import gc
import io
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

# Workers share the processors. Threads of linear algebra in each of them wait for one another (a logistic
# regression takes forty times as long), and those of OpenMP, PyTorch's, spin while they wait (three times as
# long). The libraries read these when they are imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# XLA takes longer to optimize a program than the tests take to run it. scripts/nightly runs the tests of JAX
# with programs that are optimized.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# JAX compiles a program that several tests, or processes that they start, have in common once. Each worker of
# pytest-xdist has a directory of its own: who reads an entry that another worker is writing gets half of it.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    COMPILED = tempfile.mkdtemp(prefix="softmaxlib-jax-")
    atexit.register(shutil.rmtree, COMPILED, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] += f"/{os.environ['PYTEST_XDIST_WORKER']}"

import numpy as np
import pytest
from browser import Browser
from hypothesis import HealthCheck, settings

DATA = Path(__file__).parent / "data"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# The same examples in every run, however long the machine takes for one.
settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

# A shell that starts the tests in the background lets them ignore Ctrl-C, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Files of few tests that take long: begun last, they would keep one worker busy alone.
LONG = {
    "test_calibrated_head.py",
    "test_doubles_on_gpu.py",
    "test_draw_on_gpu.py",
    "test_driver.py",
    "test_engines.py",
    "test_graphs.py",
    "test_instruction_sets.py",
    "test_jax_linear_cross_entropy.py",
    "test_jax_meshes.py",
    "test_keras.py",
    "test_losses_on_gpu.py",
    "test_notebooks.py",
    "test_pages.py",
    "test_parallel_cross_entropy.py",
    "test_triton.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long; the others keep their order."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_collection_finish() -> None:
    """Leave what the imports made out of every later garbage collection: it lives as long as the process."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Say what was left out without being skipped."""
    if config.option.markexpr == "not sweep":
        terminalreporter.write_line("Left out: cases marked sweep. scripts/nightly and -m sweep run them.")


@pytest.fixture(scope="session")
def real_predictions() -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """`real_predictions("wideresnet_cifar10")` gives the logits (log of the predictions) and labels.

    `real_predictions("generated")` gives rows whose true probabilities are known.
    """

    def load(name: str) -> tuple[np.ndarray, np.ndarray]:
        if name == "generated":
            return _generated_predictions()
        with np.load(DATA / f"{name}.npz") as data:
            predictions = data["predictions"].astype(np.float64)
            labels = data["ground_truth"].ravel().astype(np.int64)
        return np.log(np.maximum(predictions, np.finfo(np.float32).tiny)), labels

    return load


def _generated_predictions() -> tuple[np.ndarray, np.ndarray]:
    """10,000 rows of ten classes: right in nine of ten, and twice as sure as it may be."""
    generator = np.random.default_rng(0)
    truth = generator.gamma(0.02, size=(10_000, 10)) + 1e-4 * generator.random((10_000, 10))
    truth[np.arange(10_000), generator.integers(0, 10, 10_000)] += 1.5 * generator.random(10_000)
    truth /= truth.sum(axis=1, keepdims=True)
    labels = (generator.random((10_000, 1)) > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    predictions = truth**2 / (truth**2).sum(axis=1, keepdims=True)
    return np.log(predictions.astype(np.float32).astype(np.float64)), labels


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no page was opened: no Chromium on the PATH (Debian: chromium)")
    browser = Browser(found, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """`softmaxlib demo`, run once: the folder it wrote to (read and copy only) and what it printed."""
    from softmaxlib.cli._app import run

    started_in = tmp_path_factory.mktemp("demo_run")
    with contextlib.chdir(started_in), contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run(["demo"]) == 0
    return started_in / "demo", printed.getvalue()
