"""Runs the checks of Heroku's Add-on Partner API v3 against any running provider; see README.md."""
