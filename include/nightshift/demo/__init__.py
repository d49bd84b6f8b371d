"""The story of one model, told with the real house: built, served, watched, drifted, retrained, promoted."""

from nightshift.demo.story import tell

__all__ = ["tell"]
