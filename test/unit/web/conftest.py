from __future__ import annotations

import pytest

for module in ("fastapi", "uvicorn", "websockets"):
    pytest.importorskip(module, reason="the dashboard's server: pip install 'evio_ros[web]'")
