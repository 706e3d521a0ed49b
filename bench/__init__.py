"""Measurements of this provider on this machine; nothing here is part of the product."""
