"""The sub-commands of `spinconv` around the exported file; what is heavy is imported when one runs."""
