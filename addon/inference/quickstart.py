"""The first request to the inference API, as the overview shows it."""

from provisioning.models import Plan

_CHAT = """\
curl "$INFERENCE_URL/v1/chat/completions" \\
  -H "Authorization: Bearer $INFERENCE_KEY" \\
  -H "Content-Type: application/json" \\
  -d @- <<EOF
{
  "model": "$INFERENCE_MODEL_ID",
  "messages": [
    { "role": "user", "content": "What should I build today?" }
  ]
}
EOF"""
_RERANK = """\
curl "$INFERENCE_URL/v1/rerank" \\
  -H "Authorization: Bearer $INFERENCE_KEY" \\
  -H "Content-Type: application/json" \\
  -d @- <<EOF
{
  "model": "$INFERENCE_MODEL_ID",
  "query": "How do I reset my password?",
  "documents": [
    "Choose Forgot password on the login page.",
    "Our offices are open from nine to five."
  ]
}
EOF"""


def export_commands(app_name: str) -> str:
    """Shell lines that take the add-on's config vars from the app at Heroku."""
    app = app_name or "YOUR-APP"
    names = ("INFERENCE_MODEL_ID", "INFERENCE_KEY", "INFERENCE_URL")
    return "\n".join(f"export {name}=$(heroku config:get -a {app} {name})" for name in names)


def example_request(plan: Plan) -> str:
    """A request that the plan's model answers, in shell."""
    return _RERANK if plan.limits["model_kind"] == "rerank" else _CHAT
