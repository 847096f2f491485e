"""pyarrow.compute, which makes its functions when it is imported, so that no type checker sees them."""

from typing import Any

import pyarrow.compute

compute: Any = pyarrow.compute
