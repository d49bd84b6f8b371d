"""The model itself: trained, judged, packaged."""
