import pytest

from flowchroma.models import SwinTExCoSmall


@pytest.fixture
def matcher(build) -> SwinTExCoSmall:
    return build("swintexco_small")
