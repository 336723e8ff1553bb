"""LangChain's package for OpenAI, unchanged, against Farebox.

FAREBOX_BASE_URL   where the API is, such as http://127.0.0.1:8080/api/v1
FAREBOX_API_KEY    a key with credits

Prints a line for each test and ends with 0 if all passed.
"""

import os
import sys

import runner
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

PLACE = {"base_url": os.environ["FAREBOX_BASE_URL"], "api_key": os.environ["FAREBOX_API_KEY"]}
# Seconds for one request. The sandbox answers at once; a busy machine does not.
TIMEOUT = 30


def chat(**more):
    return ChatOpenAI(model="sandbox/echo", timeout=TIMEOUT, **PLACE, **more)


@tool
def get_weather(city: str = "") -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


def answers():
    message = chat().invoke("Hello, world")
    assert message.content == "You said: Hello, world", message
    assert message.usage_metadata["total_tokens"] > 0, message
    assert message.response_metadata["finish_reason"] == "stop", message


def streams():
    text, usage = "", None
    for chunk in chat(stream_usage=True).stream("Hello, world"):
        text += chunk.content
        usage = chunk.usage_metadata or usage
    assert text == "You said: Hello, world", text
    assert usage and usage["output_tokens"] > 0, usage


def calls_tools():
    message = chat().bind_tools([get_weather]).invoke("call:get_weather")
    assert message.tool_calls[0]["name"] == "get_weather", message


def answers_by_the_responses_api():
    message = chat(use_responses_api=True).invoke("Hello, world")
    assert message.text == "You said: Hello, world", message
    assert message.usage_metadata["total_tokens"] > 0, message
    text = "".join(chunk.text for chunk in chat(use_responses_api=True).stream("Hello, world"))
    assert text == "You said: Hello, world", text


def completes():
    text = OpenAI(model="sandbox/echo", timeout=TIMEOUT, **PLACE).invoke("Once")
    assert text.startswith("You said:"), text


def makes_vectors_of_texts_and_of_tokens():
    # This package sends tokens unless it is told not to.
    texts = OpenAIEmbeddings(model="sandbox/embed", check_embedding_ctx_length=False, **PLACE)
    tokens = OpenAIEmbeddings(model="sandbox/embed", tiktoken_enabled=False, check_embedding_ctx_length=False, **PLACE)
    for maker in [texts, tokens]:
        vectors = maker.embed_documents(["the cat", "a dog"])
        assert len(vectors) == 2 and len(vectors[0]) == 256, vectors
    assert texts.embed_query("the cat") == texts.embed_query("the cat")


TESTS = [answers, streams, calls_tools, answers_by_the_responses_api, completes, makes_vectors_of_texts_and_of_tokens]

if __name__ == "__main__":
    sys.exit(runner.run(TESTS))
