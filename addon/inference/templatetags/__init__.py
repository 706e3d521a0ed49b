"""Template filters of the inference pages."""
