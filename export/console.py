"""The console of this package's commands: that of all of them."""

from spinconv.potential.console import console, errors_in_words, progress_bar, say, warn

__all__ = ["console", "errors_in_words", "progress_bar", "say", "warn"]
