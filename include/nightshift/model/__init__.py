"""From rows to a model, and from a model to a package that can prove itself.

OpenMP's threads wait for work by spinning. On cores that something else also
uses, that made two threads three to six times slower than one; waiting
passively cost nothing measurable on idle cores. The library reads its
environment once, when it is loaded, which importing XGBoost or scikit-learn
does: so it is set here, before any module of this room can import them. Values
from outside win.

For the same reason ONNX Runtime's telemetry is switched off here: on import it
would write a device id below ``~/.cache`` and count its users; its own
``disable_telemetry_events`` comes too late for that.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
