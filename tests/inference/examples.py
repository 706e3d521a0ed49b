"""The examples of the Managed Inference documents, as printed there."""

NOVA_PRO_CARD = """\
heroku ai:models:create -a example-app nova-pro

export INFERENCE_MODEL_ID=$(heroku config:get -a example-app INFERENCE_MODEL_ID)
export INFERENCE_KEY=$(heroku config:get -a example-app INFERENCE_KEY)
export INFERENCE_URL=$(heroku config:get -a example-app INFERENCE_URL)

curl $INFERENCE_URL/v1/chat/completions \\
-H "Authorization: Bearer $INFERENCE_KEY" \\
-d @- <<EOF
{
  "model": "$INFERENCE_MODEL_ID",
  "messages": [
    { "role": "user", "content": "Hello!" },
    { "role": "assistant", "content": "Hi there! How can I assist you today?" },
    { "role": "user", "content": "What's the weather like in Portland, Oregon right now?" }
  ],
  "temperature": 0.5,
  "max_tokens": 100,
  "stream": false,
  "tools": [
    {
      "type": "function",
      "function": {
        "name": "get_weather",
        "description": "Fetches the current weather for a given city.",
        "parameters": {
          "type": "object",
          "properties": {
            "city": {
              "type": "string",
              "description": "The name of the city to get weather for."
            }
          },
          "required": ["city"]
        }
      }
    }
  ],
  "tool_choice": "auto",
  "top_p": 0.9
}
EOF
"""
"""The commands of Amazon Nova Pro's card."""

CHAT_CARD = "".join(
    line.lstrip() for line in NOVA_PRO_CARD[NOVA_PRO_CARD.index("curl") :].splitlines(keepends=True)
)
"""The request that the cards of all other chat models print: the same one, not indented."""

RERANK_ARTICLE = """\
curl $RERANK_URL/v1/rerank \\
-H "Authorization: Bearer $RERANK_KEY" \\
-d @- <<EOF
{
"model": "$RERANK_MODEL_ID",
"query": "How do I optimize database connection pooling?",
"documents": [
"Connection pooling reduces overhead by reusing existing database connections instead of creating new \
ones for each request.",
"You can monitor application performance using built-in metrics and logging tools.",
"Set max pool size based on your dyno count and expected concurrent queries to prevent connection \
exhaustion.",
"Regular database backups are essential for disaster recovery planning."
],
"top_n": 2
}
EOF
"""
"""The request of the article on /v1/rerank."""

COHERE_CARD = """\
heroku ai:models:create -a $APP_NAME cohere-rerank-3-5 --as RERANK

export RERANK_MODEL_ID=$(heroku config:get -a $APP_NAME RERANK_MODEL_ID)
export RERANK_KEY=$(heroku config:get -a $APP_NAME RERANK_KEY)
export RERANK_URL=$(heroku config:get -a $APP_NAME RERANK_URL)
curl $RERANK_URL/v1/rerank \\
-H "Authorization: Bearer $RERANK_KEY" \\
-d @- <<EOF
{
"model": "$RERANK_MODEL_ID",
"query": "How do I scale my application dynos?",
"documents": [
"Use the heroku ps:scale command to adjust the number of dynos running your application.",
"Environment variables can be configured through the Heroku dashboard or CLI.",
"Scaling dynos horizontally improves throughput by distributing load across multiple instances.",
"Database connection limits should be considered when scaling to avoid exhausting connections."
],
"top_n": 2
}
EOF
"""
"""The commands of Cohere Rerank 3.5's card."""

AMAZON_CARD = """\
curl $RERANK_URL/v1/rerank \\
-H "Authorization: Bearer $RERANK_KEY" \\
-d @- <<EOF
{
"model": "$RERANK_MODEL_ID",
"query": "How do I configure SSL certificates for my domain?",
"documents": [
"Heroku automatically manages SSL certificates for applications using Automated Certificate Management.",
"You can view application logs in real-time using the heroku logs --tail command.",
"Custom domains require DNS configuration to point to your Heroku application.",
"SSL certificates encrypt traffic between clients and your application for secure communication."
],
"top_n": 2
}
EOF
"""
"""The request of Amazon Rerank 1.0's card."""

OPENAI_SETUP = """\
from openai import OpenAI
import os

api_key=os.getenv("INFERENCE_KEY")
api_url=os.getenv("INFERENCE_URL")
model=os.getenv("INFERENCE_MODEL_ID")

client = OpenAI(
   api_key=api_key,  # Your Managed Inference API key
   base_url=api_url + "/v1/"  # Managed Inference API endpoint, for example, \
https://us.inference.heroku.com
)

response = client.chat.completions.create(
   model=model, # Add-on plan name
   messages=[
       {"role": "system", "content": "You are a helpful assistant."},
       {"role": "user", "content": "What should I build today?"}
   ],
)

print(response.choices[0].message.content)
"""
"""The article on OpenAI compatibility: its first example."""

EXTENDED_THINKING = """\
response = client.chat.completions.create(
   model=model, # Must be Claude Sonnet 3.7 or 4
   messages=[
       {"role": "system", "content": "You are a helpful assistant."},
       {"role": "user", "content": "Who are you?"}
   ],
   extra_body={
       "extended_thinking": {
           "enabled": True,
           "budget_tokens": 2000,
           "include_reasoning": False
       }
   }
)
"""
"""The same article, after the first example."""

ALLOW_IGNORED_PARAMETERS = """\
response = client.chat.completions.create(
   model=model, # Must be Claude Sonnet 3.7 or 4
   messages=[
       {"role": "system", "content": "You are a helpful assistant."},
       {"role": "user", "content": "Who are you?"}
   ],
   extra_body={
       "allow_ignored_params": True
   }
)
"""
"""The same article, after the first example."""
