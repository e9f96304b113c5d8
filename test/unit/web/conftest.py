from __future__ import annotations

import pytest

for module in ("fastapi", "schemathesis", "uvicorn", "websockets"):
    pytest.importorskip(module, reason="pip install 'evio_ros[test,web]'")
