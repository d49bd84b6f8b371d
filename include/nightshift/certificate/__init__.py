"""The certificate: whether a release, rebuilt from nothing but its lineage, is the same to the last byte."""

from nightshift.certificate.certificate import Certificate, Comparison
from nightshift.certificate.compare import compare_inputs, compare_results, compare_rows
from nightshift.certificate.page import render_page

__all__ = ["Certificate", "Comparison", "compare_inputs", "compare_results", "compare_rows", "render_page"]
