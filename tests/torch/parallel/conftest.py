import pytest
import ranks as processes


@pytest.fixture(scope="session")
def ranks(tmp_path_factory):
    running = processes.Ranks(tmp_path_factory.mktemp("ranks"))
    yield running
    running.stop()
