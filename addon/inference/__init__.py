"""The inference add-on: language and rerank models behind an OpenAI-compatible API."""
