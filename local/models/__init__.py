"""Small models on this machine's processor that stand in for the plans' models: no account, no network.

SmolLM2-135M-Instruct answers chats (llama.cpp), all-MiniLM-L6-v2 ranks documents (onnxruntime). Both come from packages
that carry their weights. They are far weaker than what the plans sell: they show that everything works.
"""

import sys
from pathlib import Path

CHAT_MODEL = "SmolLM2-135M-Instruct"
RERANK_MODEL = "all-MiniLM-L6-v2"
WEIGHTS = Path(sys.prefix) / "models"
"""Where the set-up puts the packages of requirements-weights.txt: outside of what Python imports."""
