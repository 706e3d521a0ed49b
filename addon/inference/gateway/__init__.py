"""The inference gateway: what answers under /v1/ in the web process, before Django."""
