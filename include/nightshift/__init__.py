"""Nightshift: the life of tabular XGBoost models, from versioned data to a watched champion.

The package knows models and not Airflow: every step runs as well from a shell
or a test as from a task.

Its matrices have some forty columns. A second thread of BLAS waits for such by
spinning: beside other work a comparison of two profiles took twice the
processor's time. The library reads its environment once, when NumPy is
imported, so it is set here. A value from outside wins.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
