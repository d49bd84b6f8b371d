"""Nightshift: the life of tabular XGBoost models, from versioned data to a watched champion.

The package knows models and not Airflow: every step runs as well from a shell
or a test as from a task.

Two things of the libraries that calculate are settled here, for they read the
environment once, when NumPy is imported. Which instructions they use
(:mod:`nightshift.arithmetic`): bytes depend on it, so what comes from outside
does not win. And that BLAS has one thread: our matrices have some forty columns,
and a second thread waits for such by spinning, so that beside other work a
comparison of two profiles took twice the processor's time. Bytes do not depend
on that, and a value from outside wins.
"""

import os

from nightshift.arithmetic import processor_flags, variables

os.environ.pop("NPY_ENABLE_CPU_FEATURES", None)  # NumPy takes one of the two lists
os.environ.update(variables(processor_flags()))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
