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


def makes_vectors_of_texts():
    texts = OpenAIEmbeddings(model="sandbox/embed", check_embedding_ctx_length=False, **PLACE)
    vectors = texts.embed_documents(["the cat", "a dog"])
    assert len(vectors) == 2 and len(vectors[0]) == 256, vectors
    assert texts.embed_query("the cat") == texts.embed_query("the cat")


def makes_vectors_of_tokens():
    # What this package does unless it is told not to: it counts and cuts texts itself and sends arrays of tokens. Its
    # tokenizer is usually fetched from the internet, so a small one of the same kind stands in for it.
    import tiktoken

    letters = tiktoken.Encoding(
        name="letters", pat_str=r"[\s\S]", mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
    )
    tiktoken.encoding_for_model = lambda name: letters
    tiktoken.get_encoding = lambda name: letters
    sent = []
    maker = OpenAIEmbeddings(model="sandbox/embed", **PLACE)
    create = maker.client.create
    maker.client.create = lambda **asked: sent.append(asked["input"]) or create(**asked)
    vectors = maker.embed_documents(["the cat", "a dog"])
    assert len(vectors) == 2 and len(vectors[0]) == 256, vectors
    assert sent and all(isinstance(token, int) for text in sent[0] for token in text), sent


TESTS = [
    answers,
    streams,
    calls_tools,
    answers_by_the_responses_api,
    completes,
    makes_vectors_of_texts,
    makes_vectors_of_tokens,
]

if __name__ == "__main__":
    sys.exit(runner.run(TESTS))
