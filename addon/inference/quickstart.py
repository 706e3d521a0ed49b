"""The first requests to the inference API, as the dashboard prints them. They are run as printed by the tests."""

from collections.abc import Mapping
from dataclasses import dataclass

from provisioning.models import Plan

KEY_MASK = "••••••••••••••••"
_CHAT_CURL = """\
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
_CHAT_PYTHON = """\
import os

from openai import OpenAI

client = OpenAI(
    api_key=os.environ["INFERENCE_KEY"],
    base_url=os.environ["INFERENCE_URL"] + "/v1/",
)
stream = client.chat.completions.create(
    model=os.environ["INFERENCE_MODEL_ID"],
    messages=[{"role": "user", "content": "What should I build today?"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()"""
_CHAT_JAVASCRIPT = """\
import OpenAI from "openai";

const client = new OpenAI({
  apiKey: process.env.INFERENCE_KEY,
  baseURL: process.env.INFERENCE_URL + "/v1/",
});
const stream = await client.chat.completions.create({
  model: process.env.INFERENCE_MODEL_ID,
  messages: [{ role: "user", content: "What should I build today?" }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
console.log();"""
_CHAT_RUBY = """\
require "json"
require "net/http"

uri = URI("#{ENV.fetch("INFERENCE_URL")}/v1/chat/completions")
body = {
  model: ENV.fetch("INFERENCE_MODEL_ID"),
  messages: [{ role: "user", content: "What should I build today?" }]
}
headers = {
  "Authorization" => "Bearer #{ENV.fetch("INFERENCE_KEY")}",
  "Content-Type" => "application/json"
}
response = Net::HTTP.post(uri, JSON.generate(body), headers)
answer = JSON.parse(response.body)
abort answer["message"] unless response.is_a?(Net::HTTPSuccess)
puts answer.dig("choices", 0, "message", "content")"""
_RERANK_CURL = """\
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
_RERANK_PYTHON = """\
import os

import cohere

client = cohere.ClientV2(
    api_key=os.environ["INFERENCE_KEY"],
    base_url=os.environ["INFERENCE_URL"],
)
documents = [
    "Choose Forgot password on the login page.",
    "Our offices are open from nine to five.",
]
answer = client.rerank(
    model=os.environ["INFERENCE_MODEL_ID"],
    query="How do I reset my password?",
    documents=documents,
)
for result in answer.results:
    print(f"{result.relevance_score:.3f}  {documents[result.index]}")"""
_RERANK_JAVASCRIPT = """\
const documents = [
  "Choose Forgot password on the login page.",
  "Our offices are open from nine to five.",
];
const response = await fetch(process.env.INFERENCE_URL + "/v1/rerank", {
  method: "POST",
  headers: {
    Authorization: `Bearer ${process.env.INFERENCE_KEY}`,
    "Content-Type": "application/json",
  },
  body: JSON.stringify({
    model: process.env.INFERENCE_MODEL_ID,
    query: "How do I reset my password?",
    documents,
  }),
});
const answer = await response.json();
if (!response.ok) throw new Error(answer.message);
for (const { index, relevance_score } of answer.results) {
  console.log(relevance_score.toFixed(3), documents[index]);
}"""
_RERANK_RUBY = """\
require "json"
require "net/http"

documents = [
  "Choose Forgot password on the login page.",
  "Our offices are open from nine to five."
]
uri = URI("#{ENV.fetch("INFERENCE_URL")}/v1/rerank")
body = {
  model: ENV.fetch("INFERENCE_MODEL_ID"),
  query: "How do I reset my password?",
  documents: documents
}
headers = {
  "Authorization" => "Bearer #{ENV.fetch("INFERENCE_KEY")}",
  "Content-Type" => "application/json"
}
response = Net::HTTP.post(uri, JSON.generate(body), headers)
answer = JSON.parse(response.body)
abort answer["message"] unless response.is_a?(Net::HTTPSuccess)
answer["results"].each do |result|
  puts format("%.3f  %s", result["relevance_score"], documents[result["index"]])
end"""


@dataclass(frozen=True)
class Sample:
    """A first request in one language: what to install (maybe nothing), the file to save, the code, how to run it.

    The code of curl is run by pasting it; it has no file.
    """

    slug: str
    label: str
    code: str
    install: str = ""
    file: str = ""
    run: str = ""


_CHAT = (
    Sample("curl", "curl", _CHAT_CURL),
    Sample("python", "Python", _CHAT_PYTHON, "pip install openai", "ask.py", "python ask.py"),
    Sample("javascript", "JavaScript", _CHAT_JAVASCRIPT, "npm install openai", "ask.mjs", "node ask.mjs"),
    Sample("ruby", "Ruby", _CHAT_RUBY, "", "ask.rb", "ruby ask.rb"),
)
_RERANK = (
    Sample("curl", "curl", _RERANK_CURL),
    Sample("python", "Python", _RERANK_PYTHON, "pip install cohere", "rank.py", "python rank.py"),
    Sample("javascript", "JavaScript", _RERANK_JAVASCRIPT, "", "rank.mjs", "node rank.mjs"),
    Sample("ruby", "Ruby", _RERANK_RUBY, "", "rank.rb", "ruby rank.rb"),
)


def samples(plan: Plan) -> Mapping[str, Sample]:
    """The samples that fit the plan's kind of model, by slug."""
    return {each.slug: each for each in (_RERANK if plan.limits["model_kind"] == "rerank" else _CHAT)}


def export_commands(app_name: str) -> str:
    """Shell lines that take the add-on's config vars from the app at Heroku."""
    app = app_name or "YOUR-APP"
    names = ("INFERENCE_MODEL_ID", "INFERENCE_KEY", "INFERENCE_URL")
    return "\n".join(f"export {name}=$(heroku config:get -a {app} {name})" for name in names)
